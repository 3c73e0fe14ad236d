package value

import "reflect"

// sampled is how many elements of a live list or map stand for all in its estimate.
const sampled = 8

// Size is the length of v's payload in bytes. For a live value it is an estimate that costs no encoding: exact for
// text and references, close for slices of numbers, by a sample of the elements for other lists and maps. Measure
// makes it exact.
func (v Value) Size() int {
	if v.data != nil {
		return len(v.data)
	}
	switch x := v.live.(type) {
	case nil:
		return 0
	case string:
		return len(x)
	case Ref:
		return len(x)
	case int, int64, uint64, float64, bool:
		return 9
	case items:
		n := 9
		for _, e := range x {
			n += 9 + e.Size()
		}
		return n
	}
	e := estimator{left: visits}
	return e.size(reflect.ValueOf(v.live))
}

// visits bounds what one estimate looks at, whatever the shape of the value, cycles included.
const visits = 256

type estimator struct{ left int }

func (e *estimator) size(x reflect.Value) int {
	if e.left--; e.left < 0 {
		return 16
	}
	switch x.Kind() {
	case reflect.String:
		return 3 + x.Len()
	case reflect.Pointer, reflect.Interface:
		if x.IsNil() {
			return 1
		}
		return e.size(x.Elem())
	case reflect.Slice, reflect.Array:
		return e.list(x)
	case reflect.Map:
		n, seen := 0, 0
		for it := x.MapRange(); seen < sampled && it.Next(); seen++ {
			n += e.size(it.Key()) + e.size(it.Value())
		}
		return 9 + scale(n, seen, x.Len())
	case reflect.Struct:
		if x.Type() == reflect.TypeFor[Value]() && x.CanInterface() {
			return 9 + x.Interface().(Value).Size()
		}
		n := 1
		for i := range x.NumField() {
			n += len(x.Type().Field(i).Name) + 1 + e.size(x.Field(i))
		}
		return n
	case reflect.Bool, reflect.Int8, reflect.Uint8:
		return 2
	}
	return 9
}

func (e *estimator) list(x reflect.Value) int {
	elem := x.Type().Elem()
	if elem.Kind() == reflect.Uint8 {
		return 9 + x.Len()
	}
	if n, ok := numbersOf(elem.Kind()); ok {
		return 9 + x.Len()*n.width
	}
	n, seen := 0, min(sampled, x.Len())
	for i := range seen {
		n += e.size(x.Index(i * x.Len() / seen))
	}
	return 9 + scale(n, seen, x.Len())
}

// scale makes the size of all from that of those seen.
func scale(n, seen, total int) int {
	if seen == 0 {
		return 0
	}
	return int(float64(n) / float64(seen) * float64(total))
}
