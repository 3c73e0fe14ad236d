package value

import (
	"reflect"
	"slices"

	"github.com/squall-faas/squall/fault"
)

// As gives v as a T. A live value of type T is handed over as it is, and []byte and numeric slices are views of the
// payload where they can be: do not write to them. Anything else goes through the codec, so T may differ from what
// the producer had as long as the encodings agree: an int into an int64 or a float64, one struct into another with
// the same field names, a list into a slice of what its elements fit. Text is accepted where []byte is asked for,
// because JSON has no bytes. A mismatch is wrong_type, with the zero T.
func As[T any](v Value) (T, error) {
	v.verify()
	if v.live != nil {
		if _, list := v.live.(items); !list { // which an any would take
			if t, ok := v.live.(T); ok {
				return t, nil
			}
		}
	} else {
		var t T
		if v.scan(&t) {
			return t, nil
		}
	}
	return asSlow[T](v)
}

// scan decodes what is most common, without reflection.
func (v Value) scan(ptr any) (ok bool) {
	switch v.kind {
	case CBOR:
		return scanScalar(v.data, ptr) || scanView(v.data, ptr)
	case Bytes, Text:
		switch p := ptr.(type) {
		case *[]byte:
			*p = v.data
			return true
		case *string:
			if v.kind == Text {
				*p = string(v.data)
				return true
			}
		}
	}
	return false
}

// asSlow is apart so that the t of As, whose address goes no further there, stays off the heap.
func asSlow[T any](v Value) (T, error) {
	var t T
	if err := v.Into(&t); err != nil {
		var zero T
		return zero, err
	}
	return t, nil
}

// Into decodes v into what ptr points to; see As for what fits what. It is wrong_type for a ptr that is no pointer or
// nil. After an error, what ptr points to may be half written.
func (v Value) Into(ptr any) error {
	v.verify()
	switch p := ptr.(type) {
	case *Value:
		if p != nil {
			*p = v
			return nil
		}
	case *any:
		if p != nil {
			return v.intoAny(p)
		}
	}
	dst := reflect.ValueOf(ptr)
	if dst.Kind() != reflect.Pointer || dst.IsNil() {
		return fault.New(fault.WrongType, "a value cannot be decoded into a %T: pass a pointer that is not nil", ptr)
	}
	return v.into(dst.Elem())
}

func (v Value) into(dst reflect.Value) error {
	if v.live != nil && v.handOver(dst) {
		return nil
	}
	switch v.kind {
	case Null:
		return v.intoNil(dst)
	case Bytes, Text:
		return v.intoString(dst)
	case Reference:
		r, _ := v.Ref()
		switch t := dst.Type(); {
		case t == reflect.TypeFor[Ref]():
			dst.SetString(string(r))
			return nil
		case t.Kind() == reflect.Pointer:
			return v.intoPointer(dst)
		}
		return fault.New(fault.WrongType, "a reference does not fit %s: it is resolved only as an argument, an input, or an element of a Map's list", dst.Type())
	}
	if vs, ok := v.live.(items); ok && dst.Kind() == reflect.Slice && !traitsOf(dst.Type()).custom && dst.Type().Elem().Kind() != reflect.Uint8 {
		return vs.into(dst)
	}
	k, b, err := v.Payload()
	if err != nil {
		return err
	}
	if k != CBOR {
		return Value{kind: k, data: b}.into(dst)
	}
	return v.intoCBOR(b, dst)
}

// handOver sets dst to the live value, or to what it points to, if it is of dst's type.
func (v Value) handOver(dst reflect.Value) bool {
	if _, list := v.live.(items); list {
		return false
	}
	l := reflect.ValueOf(v.live)
	switch t := dst.Type(); {
	case l.Type().AssignableTo(t):
		dst.Set(l)
	case l.Kind() == reflect.Pointer && !l.IsNil() && l.Type().Elem() == t:
		dst.Set(l.Elem())
	case t.Kind() == reflect.Pointer && t.Elem() == l.Type():
		p := reflect.New(l.Type())
		p.Elem().Set(l)
		dst.Set(p)
	default:
		return false
	}
	return true
}

func (v Value) intoNil(dst reflect.Value) error {
	switch dst.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
		dst.SetZero()
		return nil
	}
	if dst.Type() == reflect.TypeFor[struct{}]() {
		return nil
	}
	return wrongType(v, dst.Type(), nil)
}

// intoString decodes bytes and text: into what is a []byte or string underneath, or into a type that reads its own
// encoding, such as time.Time or a UUID.
func (v Value) intoString(dst reflect.Value) error {
	t := dst.Type()
	switch {
	case t.Kind() == reflect.Pointer:
		return v.intoPointer(dst)
	case traitsOf(t).custom:
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		dst.SetBytes(v.bytes())
		return nil
	case t.Kind() == reflect.String && v.kind == Text:
		dst.SetString(v.text())
		return nil
	case t.Kind() == reflect.Array && t.Elem().Kind() == reflect.Uint8 && v.kind == Bytes && t.Len() == len(v.data):
	default:
		return wrongType(v, t, nil)
	}
	b, err := v.appendItem(nil)
	if err != nil {
		return err
	}
	return v.unmarshal(b, dst)
}

func (v Value) intoPointer(dst reflect.Value) error {
	p := reflect.New(dst.Type().Elem())
	if err := v.Into(p.Interface()); err != nil {
		return err
	}
	dst.Set(p)
	return nil
}

// intoCBOR decodes b, an encoded item that is no bytes, text, null or reference.
func (v Value) intoCBOR(b []byte, dst reflect.Value) error {
	t, ptr := dst.Type(), dst.Addr().Interface()
	if scanScalar(b, ptr) {
		return nil
	}
	if traitsOf(t).custom {
		return v.unmarshal(b, dst)
	}
	if ok, err := scanArray(b, dst); ok {
		if err != nil {
			return wrongType(v, t, err)
		}
		return nil
	}
	switch {
	case t.Kind() == reflect.Pointer:
		return Value{kind: CBOR, data: b}.intoPointer(dst)
	case t == reflect.TypeFor[map[string]any](), t == reflect.TypeFor[[]any]():
		return v.intoGeneric(b, dst)
	case t.Kind() == reflect.Slice && splits(t.Elem()):
		vs, err := splitArray(b)
		if err != nil {
			return wrongType(v, t, err)
		}
		return vs.into(dst)
	}
	if traitsOf(t).keeps {
		// Values are to keep their typed arrays; only where another field has to take one, it is a list to all.
		if v.unmarshal(b, dst) == nil {
			return nil
		}
		dst.SetZero()
	}
	b, err := expand(b)
	if err != nil {
		return wrongType(v, t, err)
	}
	return v.unmarshal(b, dst)
}

// splits reports whether a slice of t is better decoded element by element than by the general decoder: Values,
// which are then views of the payload, and slices of numbers, which may be typed arrays.
func splits(t reflect.Type) bool {
	if t == reflect.TypeFor[Value]() {
		return true
	}
	if t.Kind() != reflect.Slice || traitsOf(t).custom {
		return false
	}
	_, ok := numbersOf(t.Elem().Kind())
	return ok
}

func (v Value) unmarshal(b []byte, dst reflect.Value) error {
	ptr := dst.Addr().Interface()
	err := dec().Unmarshal(b, ptr)
	if err != nil && traitsOf(dst.Type()).open {
		dst.SetZero()
		err = decAnyKeys().Unmarshal(b, ptr)
	}
	if err != nil {
		return wrongType(v, dst.Type(), err)
	}
	return nil
}

// into decodes a list of Values element by element into the slice dst. A null leaves a zero element, as it leaves a
// zero field in a struct.
func (vs items) into(dst reflect.Value) error {
	if p, ok := dst.Addr().Interface().(*[]Value); ok {
		*p = slices.Clip(vs)
		return nil
	}
	out := reflect.MakeSlice(dst.Type(), len(vs), len(vs))
	for i, v := range vs {
		if v.IsNull() {
			continue
		}
		if err := v.Into(out.Index(i).Addr().Interface()); err != nil {
			return fault.New(fault.WrongType, "element %d of a list: %w", i, err)
		}
	}
	dst.Set(out)
	return nil
}

func (v Value) text() string {
	if s, ok := v.live.(string); ok {
		return s
	}
	return string(v.data)
}

// bytes gives the payload of bytes or text, without spare capacity.
func (v Value) bytes() []byte {
	if s, ok := v.live.(string); ok && v.data == nil {
		return []byte(s)
	}
	return v.data
}
