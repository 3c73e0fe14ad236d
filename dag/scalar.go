package dag

import (
	"bytes"
	"cmp"
	"math"
	"math/big"
)

// scalar is what conditions compare.
type scalar struct {
	kind  scalarKind
	float float64 // of a number: the nearest one
	whole int64   // of a number that fits
	fits  bool    // whole is the number
	over  uint64  // of a number over the largest int64
	text  []byte
	truth bool
}

type scalarKind uint8

const (
	notScalar scalarKind = iota // lists, maps and the like
	nullScalar
	boolScalar
	numberScalar
	textScalar
	bytesScalar
)

// scalarOf takes what package value decodes into an any.
func scalarOf(x any) scalar {
	switch x := x.(type) {
	case nil:
		return scalar{kind: nullScalar}
	case bool:
		return scalar{kind: boolScalar, truth: x}
	case string:
		return scalar{kind: textScalar, text: []byte(x)}
	case []byte:
		return scalar{kind: bytesScalar, text: x}
	case int64:
		return scalar{kind: numberScalar, float: float64(x), whole: x, fits: true}
	case int:
		return scalar{kind: numberScalar, float: float64(x), whole: int64(x), fits: true}
	case uint64:
		if x <= math.MaxInt64 {
			return scalar{kind: numberScalar, float: float64(x), whole: int64(x), fits: true}
		}
		return scalar{kind: numberScalar, float: float64(x), over: x}
	case *big.Int:
		if x.IsInt64() {
			return scalarOf(x.Int64())
		}
		if x.IsUint64() {
			return scalarOf(x.Uint64())
		}
		f, _ := new(big.Float).SetInt(x).Float64()
		return scalar{kind: numberScalar, float: f}
	case float64:
		return scalar{kind: numberScalar, float: x}
	}
	return scalar{}
}

// compare orders two scalars of one kind; false where they have no order: of two kinds, or where one is no number (NaN).
func compare(a, b scalar) (int, bool) {
	if a.kind != b.kind {
		return 0, false
	}
	switch a.kind {
	case nullScalar:
		return 0, true
	case boolScalar:
		if a.truth == b.truth {
			return 0, true
		}
		return 1, true
	case textScalar, bytesScalar:
		return bytes.Compare(a.text, b.text), true
	case numberScalar:
		switch {
		case math.IsNaN(a.float) || math.IsNaN(b.float):
			return 0, false
		case a.fits && b.fits:
			return cmp.Compare(a.whole, b.whole), true
		case a.over > 0 && b.over > 0:
			return cmp.Compare(a.over, b.over), true
		}
		return exactly(a).Cmp(exactly(b)), true
	}
	return 0, false
}

// exactly is a number without rounding.
func exactly(s scalar) *big.Float {
	switch {
	case s.fits:
		return new(big.Float).SetPrec(64).SetInt64(s.whole)
	case s.over > 0:
		return new(big.Float).SetPrec(64).SetUint64(s.over)
	}
	return new(big.Float).SetFloat64(s.float) // infinities, too
}
