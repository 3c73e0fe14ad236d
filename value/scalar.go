package value

import (
	"encoding/binary"
	"math"
)

// Scalars are what most small functions pass; a general CBOR codec spends more on reflection than on them, and
// inside a WebAssembly guest ten times as much. So integers, floats and bools are written and read here; the bytes
// are the general codec's (TestScalarsAsGeneralCodec).

func appendInt(dst []byte, i int64) []byte {
	if i < 0 {
		return appendHead(dst, majorNint, uint64(-(i + 1)))
	}
	return appendHead(dst, majorUint, uint64(i))
}

// appendFloat writes f in the shortest form that holds it, as RFC 8949 §4.2.1 asks.
func appendFloat(dst []byte, f float64) []byte {
	single := float32(f)
	switch {
	case f != f:
		return append(dst, itemFloat16, 0x7e, 0x00)
	case float64(single) != f:
		return binary.BigEndian.AppendUint64(append(dst, itemFloat64), math.Float64bits(f))
	}
	bits := math.Float32bits(single)
	if half, ok := toHalf(bits); ok {
		return append(dst, itemFloat16, byte(half>>8), byte(half))
	}
	return binary.BigEndian.AppendUint32(append(dst, itemFloat32), bits)
}

// toHalf gives the IEEE 754 binary16 of a binary32 that is no NaN, where it is exact.
func toHalf(single uint32) (half uint16, exact bool) {
	sign := uint16(single >> 16 & 0x8000)
	exp := int(single>>23&0xff) - 127
	mant := single & 0x7fffff
	switch {
	case single<<1 == 0:
		return sign, true
	case exp == 128:
		return sign | 0x7c00, mant == 0
	case exp >= -14 && exp <= 15:
		return sign | uint16(exp+15)<<10 | uint16(mant>>13), mant&0x1fff == 0
	case exp >= -24 && exp < -14: // subnormal: the leading one becomes explicit
		shift := uint(-exp - 1)
		mant |= 0x800000
		return sign | uint16(mant>>shift), mant&(1<<shift-1) == 0
	}
	return 0, false
}

func fromHalf(half uint16) float64 {
	exp, mant := int(half>>10&0x1f), float64(half&0x3ff)
	var f float64
	switch exp {
	case 0:
		f = math.Ldexp(mant, -24)
	case 31:
		if mant != 0 {
			return math.NaN()
		}
		f = math.Inf(1)
	default:
		f = math.Ldexp(1024+mant, exp-25)
	}
	if half&0x8000 != 0 {
		return -f
	}
	return f
}

// appendScalar writes a live scalar of a predeclared type; ok is false for anything else.
func appendScalar(dst []byte, live any) (out []byte, ok bool) {
	switch x := live.(type) {
	case int:
		return appendInt(dst, int64(x)), true
	case int64:
		return appendInt(dst, x), true
	case int32:
		return appendInt(dst, int64(x)), true
	case int16:
		return appendInt(dst, int64(x)), true
	case int8:
		return appendInt(dst, int64(x)), true
	case uint:
		return appendHead(dst, majorUint, uint64(x)), true
	case uint64:
		return appendHead(dst, majorUint, x), true
	case uint32:
		return appendHead(dst, majorUint, uint64(x)), true
	case uint16:
		return appendHead(dst, majorUint, uint64(x)), true
	case uint8:
		return appendHead(dst, majorUint, uint64(x)), true
	case float64:
		return appendFloat(dst, x), true
	case float32:
		return appendFloat(dst, float64(x)), true
	case bool:
		if x {
			return append(dst, itemTrue), true
		}
		return append(dst, itemFalse), true
	}
	return dst, false
}

// scanScalar decodes a number or bool that is all of b into a pointer to the same sort of thing; ok is false where
// it is neither, or does not fit, and the general decoder has to look.
func scanScalar(b []byte, ptr any) (ok bool) {
	major, n, rest, head := readHead(b)
	if !head || len(rest) != 0 {
		return false
	}
	switch p := ptr.(type) {
	case *int:
		i, ok := signed(major, n)
		if ok && int64(int(i)) == i {
			*p = int(i)
			return true
		}
	case *int64:
		i, ok := signed(major, n)
		if ok {
			*p = i
		}
		return ok
	case *int32:
		i, ok := signed(major, n)
		if ok && int64(int32(i)) == i {
			*p = int32(i)
			return true
		}
	case *uint64:
		if major == majorUint {
			*p = n
			return true
		}
	case *uint32:
		if major == majorUint && n <= math.MaxUint32 {
			*p = uint32(n)
			return true
		}
	case *bool:
		if b[0] == itemFalse || b[0] == itemTrue {
			*p = b[0] == itemTrue
			return true
		}
	case *float64:
		f, ok := scanFloat(b[0], major, n)
		if ok {
			*p = f
		}
		return ok
	}
	return false
}

func signed(major byte, n uint64) (int64, bool) {
	if major > majorNint || n > math.MaxInt64 {
		return 0, false
	}
	if major == majorNint {
		return -int64(n) - 1, true
	}
	return int64(n), true
}

// scanFloat reads a float of any width, or an integer: JSON writes 1 for 1.0.
func scanFloat(first, major byte, n uint64) (float64, bool) {
	switch {
	case first == itemFloat64:
		return math.Float64frombits(n), true
	case first == itemFloat32:
		return float64(math.Float32frombits(uint32(n))), true
	case first == itemFloat16:
		return fromHalf(uint16(n)), true
	case major == majorUint:
		return float64(n), true
	case major == majorNint && n <= math.MaxInt64:
		return -float64(n + 1), true // rounded once
	}
	return 0, false
}
