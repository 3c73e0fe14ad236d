package value

import (
	"reflect"
	"slices"

	"github.com/squall-faas/squall/fault"
)

// Kind says how a payload is to be read. The numbers are the wire's: append-only.
type Kind uint8

// The kinds, see the package comment.
const (
	Null      Kind = 0
	Bytes     Kind = 1
	Text      Kind = 2
	CBOR      Kind = 3
	Reference Kind = 4
)

// String names the kind as error messages do.
func (k Kind) String() string {
	switch k {
	case Null:
		return "null"
	case Bytes:
		return "bytes"
	case Text:
		return "text"
	case CBOR:
		return "cbor"
	case Reference:
		return "reference"
	}
	return "unknown kind"
}

// Value is one immutable value. The zero Value is Null. Two Values are compared by their Wire forms: equal values
// have equal bytes.
type Value struct {
	kind Kind
	seal seal   //nolint:unused // nothing, unless built with the tag squalldebug
	data []byte // the payload; for Text and live values possibly nil
	live any    // the Go value it was made from; a string for Text, a Ref for Reference, items for a list of Values
}

// items is the live form of a list whose elements are Values, as a Map assembles it.
type items []Value

// Of makes a Value from a Go value. []byte, string, Ref and Value pass through untouched; anything else stays live
// until it must be encoded. A type that has no encoding (see Encodable) is wrong_type here and not later, on some
// other node. The caller gives up writing to what x points to.
func Of(x any) (Value, error) {
	switch x := x.(type) {
	case nil, struct{}:
		return Value{}, nil
	case Value:
		return x, nil
	case []byte:
		return Value{kind: Bytes, data: slices.Clip(x)}.sealed(), nil
	case string:
		return Value{kind: Text, live: x}, nil
	case Ref:
		return Value{kind: Reference, live: x}, nil
	case []Value:
		return List(x), nil
	case int, int64, uint64, float64, bool:
		return Value{kind: CBOR, live: x}, nil
	case []float64, []int, []string:
		return Value{kind: CBOR, live: x}.sealed(), nil
	}
	return ofReflect(reflect.ValueOf(x))
}

func ofReflect(x reflect.Value) (Value, error) {
	t := x.Type()
	tr := traitsOf(t)
	if tr.err != nil {
		return Value{}, tr.err
	}
	switch {
	case t.Kind() == reflect.Pointer && x.IsNil():
		return Value{}, nil
	case tr.custom:
	case t.Kind() == reflect.String:
		return Value{kind: Text, live: x.String()}, nil
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		return Value{kind: Bytes, data: slices.Clip(x.Bytes())}.sealed(), nil
	}
	return Value{kind: CBOR, live: x.Interface()}.sealed(), nil
}

// MustOf is Of for values that are known to have an encoding; it panics where Of fails.
func MustOf(x any) Value {
	v, err := Of(x)
	if err != nil {
		panic(err)
	}
	return v
}

// Kind tells how the payload is to be read. A live value of a type with an encoding of its own is CBOR until it is
// encoded, and then what it turned out to be.
func (v Value) Kind() Kind { return v.kind }

// IsNull reports whether v is the null value.
func (v Value) IsNull() bool { return v.kind == Null }

// wrongType is what As reports; want is the Go type that was asked for.
func wrongType(v Value, want reflect.Type, cause error) error {
	if cause != nil {
		return fault.New(fault.WrongType, "a value of type %s does not fit %s: %w", describe(v), want, cause)
	}
	return fault.New(fault.WrongType, "a value of type %s does not fit %s", describe(v), want)
}

func describe(v Value) string {
	switch v.live.(type) {
	case nil:
		if v.kind == CBOR {
			return describeItem(v.data)
		}
		return v.kind.String()
	case string, Ref:
		return v.kind.String()
	case items:
		return "list"
	}
	return reflect.TypeOf(v.live).String()
}
