package value

import (
	"errors"
	"reflect"

	"github.com/squall-faas/squall/fault"
)

// List makes the list of vs; the caller gives up writing to vs.
func List(vs []Value) Value { return Value{kind: CBOR, live: items(vs)}.sealed() }

// Elements splits a list into its elements without decoding them: what a Map fans out over and a Reduce folds. Null
// is the empty list. Anything but a list is wrong_type. Do not write to the slice.
func (v Value) Elements() ([]Value, error) {
	v.verify()
	if v.kind == Null {
		return nil, nil
	}
	switch x := v.live.(type) {
	case nil:
	case items:
		return x[:len(x):len(x)], nil
	case []int:
		return elements(x), nil
	case []float64:
		return elements(x), nil
	default:
		if l := reflect.ValueOf(x); listOf(l) {
			out := make([]Value, l.Len())
			for i := range out {
				e, err := Of(l.Index(i).Interface())
				if err != nil {
					return nil, fault.New(fault.WrongType, "element %d of a list: %w", i, err)
				}
				out[i] = e
			}
			return out, nil
		}
	}
	k, b, err := v.Payload()
	if err != nil {
		return nil, err
	}
	if k != CBOR {
		return nil, notList(v, nil)
	}
	vs, err := splitArray(b)
	if err != nil {
		return nil, notList(v, err)
	}
	return vs, nil
}

func notList(v Value, cause error) error {
	if cause != nil && !errors.Is(cause, errNotList) {
		return fault.New(fault.WrongType, "a value of type %s is not a list: %w", describe(v), cause)
	}
	return fault.New(fault.WrongType, "a value of type %s is not a list: pass a slice or a JSON array", describe(v))
}

// listOf reports whether a live value is encoded as a list of what its elements are.
func listOf(l reflect.Value) bool {
	k := l.Kind()
	return (k == reflect.Slice || k == reflect.Array) && l.Type().Elem().Kind() != reflect.Uint8 && !traitsOf(l.Type()).custom
}

func elements[T int | float64](xs []T) []Value {
	out := make([]Value, len(xs))
	for i, x := range xs {
		out[i] = Value{kind: CBOR, live: x}
	}
	return out
}

// splitArray cuts an encoded list into its encoded elements, which keep b.
func splitArray(b []byte) (items, error) {
	a, ok, err := readArray(b)
	if err != nil {
		return nil, err
	}
	if ok {
		return a.elements(), nil
	}
	n, rest, ok := readList(b, majorArray)
	if !ok {
		return nil, errNotList
	}
	out := make(items, n)
	for i := range out {
		var item []byte
		if item, rest, err = split(rest, maxLevels-1); err != nil {
			return nil, err
		}
		out[i] = fromItem(item)
	}
	if len(rest) > 0 {
		return nil, errTrailing
	}
	return out, nil
}

// elements encodes the numbers one by one, all in one piece of memory.
func (a array) elements() items {
	out := make(items, a.len())
	buf := make([]byte, 0, len(a.data)+a.len())
	for i := range out {
		at := len(buf)
		buf = a.appendItem(buf, i)
		out[i] = Value{kind: CBOR, data: buf[at:len(buf):len(buf)]}.sealed()
	}
	return out
}
