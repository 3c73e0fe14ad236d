package value

import (
	"encoding"
	"math/big"
	"reflect"
	"strings"
	"sync"

	"github.com/fxamacker/cbor/v2"

	"github.com/squall-faas/squall/fault"
)

// traits is what is worth knowing of a Go type before one of its values is encoded or decoded.
type traits struct {
	err    error // why it has no encoding
	custom bool  // it encodes itself
	open   bool  // it contains itself or an interface, so that only the value tells how deep it goes
	keeps  bool  // it contains Values, and nothing that would take a typed array for bytes; see intoCBOR
}

// known caches the traits of types, by reflect.Type: Of asks for them for every struct, and programs have few types.
var known sync.Map

func traitsOf(t reflect.Type) *traits {
	if tr, ok := known.Load(t); ok {
		return tr.(*traits)
	}
	w := walk{seen: map[reflect.Type]bool{}}
	tr := &traits{custom: custom(t)}
	if why, at := w.check(t); why != "" {
		if at == "" {
			tr.err = fault.New(fault.WrongType, "%s cannot be a value: %s", t, why)
		} else {
			tr.err = fault.New(fault.WrongType, "%s cannot be a value: %s: %s", t, strings.TrimPrefix(at, "."), why)
		}
	}
	tr.open, tr.keeps = w.open, w.values && !w.bytes && !w.open
	actual, _ := known.LoadOrStore(t, tr)
	return actual.(*traits)
}

// Encodable reports as wrong_type a Go type that no codec can carry to another node, and names the part of it that
// is in the way: a channel, a func, a complex number, an interface with methods, a map whose keys are neither text
// nor integers, a struct without exported fields. Interfaces without methods pass; what is in them is seen when a
// value is encoded. Types that encode themselves (cbor.Marshaler, encoding.BinaryMarshaler) pass.
func Encodable(t reflect.Type) error {
	if t == nil {
		return nil
	}
	return traitsOf(t).err
}

var (
	cborMarshaler     = reflect.TypeFor[cbor.Marshaler]()
	cborUnmarshaler   = reflect.TypeFor[cbor.Unmarshaler]()
	binaryMarshaler   = reflect.TypeFor[encoding.BinaryMarshaler]()
	binaryUnmarshaler = reflect.TypeFor[encoding.BinaryUnmarshaler]()
	bigInt            = reflect.TypeFor[big.Int]()
)

// custom reports whether values of t encode or decode themselves.
func custom(t reflect.Type) bool {
	if t.PkgPath() == "" && t.Kind() != reflect.Struct && t.Kind() != reflect.Pointer {
		return false // predeclared and composite types have no methods; a struct may have those of what it embeds
	}
	p := t
	if t.Kind() != reflect.Pointer {
		p = reflect.PointerTo(t)
	}
	return t == bigInt || p.Implements(cborMarshaler) || p.Implements(binaryMarshaler) ||
		p.Implements(cborUnmarshaler) || p.Implements(binaryUnmarshaler)
}

// walk goes over a type once.
type walk struct {
	seen                map[reflect.Type]bool // true while the type is being looked at
	open, values, bytes bool                  // it met an interface or cycle, a Value, what takes a byte string
}

// check gives what is wrong with t, and where in it.
func (w *walk) check(t reflect.Type) (why, at string) {
	if inside, ok := w.seen[t]; ok {
		w.open = w.open || inside
		return "", ""
	}
	w.seen[t] = true
	defer func() { w.seen[t] = false }()
	if custom(t) {
		value := t == reflect.TypeFor[Value]()
		w.values = w.values || value
		w.bytes = w.bytes || !value && t != reflect.TypeFor[Ref]()
		return "", ""
	}
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer, reflect.Uintptr:
		return "a " + t.Kind().String() + " has no encoding: use numbers, strings, bytes, bools, structs, maps and slices", ""
	case reflect.Interface:
		w.open = true
		if t.NumMethod() > 0 {
			return "an interface with methods cannot be decoded: use a struct, or any", ""
		}
	case reflect.Pointer:
		return w.check(t.Elem())
	case reflect.Slice, reflect.Array:
		w.bytes = w.bytes || t.Elem().Kind() == reflect.Uint8
		why, at = w.check(t.Elem())
		return why, "[]" + at
	case reflect.Map:
		if !keyFits(t.Key()) {
			return "the keys of a map must be strings or integers", ""
		}
		why, at = w.check(t.Elem())
		return why, "[]" + at
	case reflect.Struct:
		return w.fields(t)
	}
	return "", ""
}

// fields checks those of a struct; one that is embedded counts as a field, whatever it holds.
func (w *walk) fields(t reflect.Type) (why, at string) {
	fields := 0
	for i := range t.NumField() {
		f := t.Field(i)
		switch {
		case f.Name == "_":
			continue
		case fieldTag(f) == "-":
		case f.Anonymous && structOf(f.Type) != nil && !custom(f.Type):
			why, at = w.embedded(structOf(f.Type))
		case f.IsExported():
			why, at = w.check(f.Type)
		default:
			continue
		}
		fields++
		if why != "" {
			return why, "." + f.Name + at
		}
	}
	if fields == 0 && t.NumField() > 0 {
		return noFields, ""
	}
	return "", ""
}

// noFields is wrong with a struct only where it stands for itself: embedded, it is a mutex or the like.
const noFields = "it has no exported fields, so nothing of it would arrive"

func (w *walk) embedded(t reflect.Type) (why, at string) {
	why, at = w.check(t)
	if why == noFields && at == "" {
		return "", ""
	}
	return why, at
}

// structOf is the struct type that an embedded field of type t spreads into its parent, or nil.
func structOf(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() == reflect.Struct {
		return t
	}
	return nil
}

func fieldTag(f reflect.StructField) string {
	if tag, ok := f.Tag.Lookup("cbor"); ok {
		return tag
	}
	return f.Tag.Get("json")
}

func keyFits(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return true
	case reflect.Interface:
		return t.NumMethod() == 0
	}
	return false
}

// tooDeep reports whether v nests more than levels lists, maps and structs, or hops pointers and interfaces on the
// way. The general encoder recurses without a limit, and a stack that overflows ends the process: a function that
// returns a cycle must not end its node.
func tooDeep(v reflect.Value, levels, hops int) bool {
	if hops == 0 || levels == 0 {
		return true
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return !v.IsNil() && tooDeep(v.Elem(), levels, hops-1)
	case reflect.Slice, reflect.Array, reflect.Map, reflect.Struct:
		if tr := traitsOf(v.Type()); tr.custom || !tr.open {
			return false
		}
	}
	switch v.Kind() {
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if tooDeep(v.Index(i), levels-1, hops-1) {
				return true
			}
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			if tooDeep(it.Value(), levels-1, hops-1) {
				return true
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() || f.Anonymous {
				if tooDeep(v.Field(i), levels-1, hops-1) {
					return true
				}
			}
		}
	}
	return false
}
