package value

import (
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"unsafe"
)

// array is an encoded typed array.
type array struct {
	numbers
	data []byte
}

// readArray reads the typed array that is all of b; ok is false where b is something else.
func readArray(b []byte) (a array, ok bool, err error) {
	major, tag, rest, ok := readHead(b)
	if !ok || major != majorTag {
		return array{}, false, nil
	}
	n, ok := tagNumbers(tag)
	if !ok {
		return array{}, false, nil
	}
	major, size, rest, ok := readHead(rest)
	switch {
	case !ok || major != majorBytes || size > uint64(len(rest)):
		return array{}, true, errTruncated
	case size < uint64(len(rest)):
		return array{}, true, errTrailing
	case len(rest)%n.width != 0:
		return array{}, true, fmt.Errorf("malformed CBOR: an array of %d-byte numbers is %d bytes long", n.width, len(rest))
	}
	return array{n, rest}, true, nil
}

func (a array) len() int { return len(a.data) / a.width }

// direct gives a pointer to the numbers as this machine has them, if they lie so.
func (a array) direct() (unsafe.Pointer, bool) {
	p := unsafe.Pointer(unsafe.SliceData(a.data))
	return p, len(a.data) > 0 && (a.little == hostLittle || a.width == 1) && uintptr(p)%uintptr(a.width) == 0
}

// copyTo copies the numbers to p, which has room for them, in this machine's byte order.
func (a array) copyTo(p unsafe.Pointer) {
	raw := unsafe.Slice((*byte)(p), len(a.data))
	copy(raw, a.data)
	if a.little != hostLittle {
		swap(raw, a.width)
	}
}

// view gives the numbers as a slice of their own type: the payload itself where it lies right, else a copy. The
// slice has no spare capacity, so appending to it copies.
func view[T number](a array) []T {
	if p, ok := a.direct(); ok {
		return unsafe.Slice((*T)(p), a.len())
	}
	out := make([]T, a.len())
	a.copyTo(unsafe.Pointer(unsafe.SliceData(out)))
	return out
}

// scanView is scanArray for the slices that need no reflection; ok is false for the others.
func scanView(b []byte, ptr any) (ok bool) {
	a, ok, err := readArray(b)
	if !ok || err != nil {
		return false
	}
	switch p := ptr.(type) {
	case *[]float64:
		return into(a, p, reflect.Float64)
	case *[]float32:
		return into(a, p, reflect.Float32)
	case *[]int:
		return into(a, p, reflect.Int)
	case *[]int64:
		return into(a, p, reflect.Int64)
	case *[]int32:
		return into(a, p, reflect.Int32)
	case *[]int16:
		return into(a, p, reflect.Int16)
	case *[]uint64:
		return into(a, p, reflect.Uint64)
	case *[]uint32:
		return into(a, p, reflect.Uint32)
	case *[]uint16:
		return into(a, p, reflect.Uint16)
	}
	return false
}

func into[T number](a array, p *[]T, k reflect.Kind) bool {
	if n, ok := numbersOf(k); !ok || n.class != a.class || n.width != a.width {
		return false
	}
	*p = view[T](a)
	return true
}

// scanArray decodes a typed array into a slice of numbers of any type that holds them; ok is false where b is no
// typed array or dst is no such slice.
func scanArray(b []byte, dst reflect.Value) (ok bool, err error) {
	a, ok, err := readArray(b)
	if !ok || err != nil {
		return ok, err
	}
	t := dst.Type()
	if t.Kind() != reflect.Slice || traitsOf(t).custom || traitsOf(t.Elem()).custom {
		return false, nil
	}
	if n, ok := numbersOf(t.Elem().Kind()); ok && n.class == a.class && n.width == a.width {
		p, ok := a.direct()
		if ok {
			dst.Set(reflect.SliceAt(t.Elem(), p, a.len()).Convert(t))
			return true, nil
		}
		out := reflect.MakeSlice(t, a.len(), a.len())
		a.copyTo(out.UnsafePointer())
		dst.Set(out)
		return true, nil
	}
	out := reflect.MakeSlice(t, a.len(), a.len())
	for i := range a.len() {
		if !a.set(out.Index(i), i) {
			return true, fmt.Errorf("element %d, %s, does not fit %s", i, a.text(i), t.Elem())
		}
	}
	dst.Set(out)
	return true, nil
}

// bits gives number i as the unsigned integer of its bytes.
func (a array) bits(i int) uint64 {
	b := a.data[i*a.width:]
	var order binary.ByteOrder = binary.BigEndian
	if a.little {
		order = binary.LittleEndian
	}
	switch a.width {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(order.Uint16(b))
	case 4:
		return uint64(order.Uint32(b))
	}
	return order.Uint64(b)
}

func (a array) float(i int) float64 {
	switch bits := a.bits(i); a.width {
	case 2:
		return fromHalf(uint16(bits))
	case 4:
		return float64(math.Float32frombits(uint32(bits)))
	default:
		return math.Float64frombits(bits)
	}
}

func (a array) signed(i int) int64 {
	shift := 64 - 8*a.width
	return int64(a.bits(i)) << shift >> shift
}

// set stores number i in dst if it holds it: an integer in a float too, but no float in an integer.
func (a array) set(dst reflect.Value, i int) bool {
	if dst.Kind() == reflect.Interface && dst.NumMethod() == 0 {
		dst.Set(reflect.ValueOf(a.natural(i)))
		return true
	}
	switch a.class {
	case floats:
		f := a.float(i)
		if !dst.CanFloat() || dst.OverflowFloat(f) {
			return false
		}
		dst.SetFloat(f)
		return true
	case signedInts:
		n := a.signed(i)
		switch {
		case dst.CanFloat():
			dst.SetFloat(float64(n))
		case dst.CanInt() && !dst.OverflowInt(n):
			dst.SetInt(n)
		case dst.CanUint() && n >= 0 && !dst.OverflowUint(uint64(n)):
			dst.SetUint(uint64(n))
		default:
			return false
		}
		return true
	}
	n := a.bits(i)
	switch {
	case dst.CanFloat():
		dst.SetFloat(float64(n))
	case dst.CanUint() && !dst.OverflowUint(n):
		dst.SetUint(n)
	case dst.CanInt() && n <= math.MaxInt64 && !dst.OverflowInt(int64(n)):
		dst.SetInt(int64(n))
	default:
		return false
	}
	return true
}

// natural gives number i as decoding it alone into an any would.
func (a array) natural(i int) any {
	switch {
	case a.class == floats:
		return a.float(i)
	case a.class == signedInts:
		return a.signed(i)
	case a.bits(i) <= math.MaxInt64:
		return int64(a.bits(i))
	}
	return a.bits(i)
}

func (a array) text(i int) string { return fmt.Sprint(a.natural(i)) }

// appendItem encodes number i as a CBOR item of its own.
func (a array) appendItem(dst []byte, i int) []byte {
	switch a.class {
	case floats:
		return appendFloat(dst, a.float(i))
	case signedInts:
		return appendInt(dst, a.signed(i))
	}
	return appendHead(dst, majorUint, a.bits(i))
}

// slice gives the numbers as a slice of their own type.
func (a array) slice() any {
	switch {
	case a.class == floats && a.width == 8:
		return view[float64](a)
	case a.class == floats && a.width == 4:
		return view[float32](a)
	case a.class == floats:
		out := make([]float32, a.len())
		for i := range out {
			out[i] = float32(a.float(i))
		}
		return out
	case a.class == signedInts:
		switch a.width {
		case 1:
			return view[int8](a)
		case 2:
			return view[int16](a)
		case 4:
			return view[int32](a)
		}
		return view[int64](a)
	}
	switch a.width {
	case 1:
		return view[uint8](a)
	case 2:
		return view[uint16](a)
	case 4:
		return view[uint32](a)
	}
	return view[uint64](a)
}
