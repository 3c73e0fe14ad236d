package value

import (
	"encoding/binary"
	"reflect"
	"slices"
	"unsafe"
)

// Numeric slices travel as RFC 8746 typed arrays: a tag and a byte string of the numbers as they lie in memory,
// little-endian. On a little-endian host both ways are a copy of bytes at most. An empty slice is the plain empty
// list, which fits slices of every type.

type number interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~float32 | ~float64
}

// hostLittle tells whether this machine keeps numbers as the arrays do.
var hostLittle = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// wideInt holds on every platform that Squall is for; elsewhere an []int is a plain list.
const wideInt = unsafe.Sizeof(int(0)) == 8

// numbers says what is in a typed array.
type numbers struct {
	class  class
	width  int // bytes
	little bool
}

type class uint8

const (
	unsignedInts class = iota
	signedInts
	floats
)

// tagNumbers reads a tag by RFC 8746 §2.1: 0b010_f_s_e_ll. Float128 and the reserved tag have no Go type.
func tagNumbers(tag uint64) (numbers, bool) {
	if tag < 64 || tag > 87 {
		return numbers{}, false
	}
	n := numbers{width: 1 << (tag & 3), little: tag&4 != 0}
	switch {
	case tag&16 != 0:
		n.class, n.width = floats, 2*n.width
	case tag&8 != 0:
		n.class = signedInts
	}
	return n, n.width <= 8 && tag != 76
}

// tag is tagNumbers' inverse for what is encoded here, which is little-endian.
func (n numbers) tag() uint64 {
	log := uint64(0)
	for 1<<log < n.width {
		log++
	}
	tag := 64 + log
	if n.class == floats {
		return tag + 16 + 4 - 1
	}
	if n.width > 1 {
		tag += 4
	}
	return tag + 8*uint64(n.class)
}

// numbersOf tells how slices of the kind k are encoded. Bytes are no numbers: they pass as a byte string.
func numbersOf(k reflect.Kind) (numbers, bool) {
	switch k {
	case reflect.Int:
		return numbers{signedInts, 8, hostLittle}, wideInt
	case reflect.Uint:
		return numbers{unsignedInts, 8, hostLittle}, wideInt
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return numbers{signedInts, 1 << (k - reflect.Int8), hostLittle}, true
	case reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return numbers{unsignedInts, 1 << (k - reflect.Uint8), hostLittle}, true
	case reflect.Float32, reflect.Float64:
		return numbers{floats, 4 << (k - reflect.Float32), hostLittle}, true
	}
	return numbers{}, false
}

// appendArray encodes a slice of a predeclared numeric type; ok is false for anything else.
func appendArray(dst []byte, live any) (out []byte, ok bool) {
	switch x := live.(type) {
	case []float64:
		return appendNumbers(dst, x, reflect.Float64)
	case []float32:
		return appendNumbers(dst, x, reflect.Float32)
	case []int:
		return appendNumbers(dst, x, reflect.Int)
	case []int64:
		return appendNumbers(dst, x, reflect.Int64)
	case []int32:
		return appendNumbers(dst, x, reflect.Int32)
	case []int16:
		return appendNumbers(dst, x, reflect.Int16)
	case []int8:
		return appendNumbers(dst, x, reflect.Int8)
	case []uint:
		return appendNumbers(dst, x, reflect.Uint)
	case []uint64:
		return appendNumbers(dst, x, reflect.Uint64)
	case []uint32:
		return appendNumbers(dst, x, reflect.Uint32)
	case []uint16:
		return appendNumbers(dst, x, reflect.Uint16)
	}
	return dst, false
}

func appendNumbers[T number](dst []byte, xs []T, k reflect.Kind) ([]byte, bool) {
	n, ok := numbersOf(k)
	if !ok {
		return dst, false
	}
	return appendRaw(dst, n, unsafe.Pointer(unsafe.SliceData(xs)), len(xs)), true
}

// appendNamedArray encodes a slice whose elements are of a named numeric type, or which has a name itself.
func appendNamedArray(dst []byte, x reflect.Value) (out []byte, ok bool) {
	if x.Kind() != reflect.Slice {
		return dst, false
	}
	n, ok := numbersOf(x.Type().Elem().Kind())
	if !ok || traitsOf(x.Type()).custom || traitsOf(x.Type().Elem()).custom {
		return dst, false
	}
	return appendRaw(dst, n, x.UnsafePointer(), x.Len()), true
}

// appendRaw writes count numbers that lie at p.
func appendRaw(dst []byte, n numbers, p unsafe.Pointer, count int) []byte {
	if count == 0 {
		return append(dst, emptyList)
	}
	raw := unsafe.Slice((*byte)(p), count*n.width)
	if cap(dst) == 0 {
		dst = make([]byte, 1, len(raw)+16)[1:] // the numbers of a large array then lie aligned, 1+2+5 bytes in
	} else {
		dst = slices.Grow(dst, len(raw)+16)
	}
	dst = appendHead(appendHead(dst, majorTag, n.tag()), majorBytes, uint64(len(raw)))
	at := len(dst)
	dst = append(dst, raw...)
	if !hostLittle {
		swap(dst[at:], n.width)
	}
	return dst
}

// swap turns the byte order of every number in raw.
func swap(raw []byte, width int) {
	for ; len(raw) >= width; raw = raw[width:] {
		slices.Reverse(raw[:width])
	}
}
