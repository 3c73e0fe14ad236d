package lattice

import (
	"bytes"
	"cmp"
	"math"
	"math/big"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/value"
)

// frozen gives v with its encoding beside what is live in it, so that one without an encoding is refused when it is
// written and not later, when others may have built on it.
func frozen(v value.Value) (value.Value, error) {
	v, err := v.Measure()
	if err != nil || v.IsNull() { // a type with an encoding of its own may turn out to be null
		return value.Value{}, err
	}
	return v, nil
}

// wireOf is the wire form as a string: elements of sets are compared and kept by it.
func wireOf(v value.Value) (string, error) {
	b, err := v.Wire()
	return string(b), err
}

// fromWire is the inverse of wireOf, for what was checked before.
func fromWire(wire string) value.Value {
	v, err := value.Parse([]byte(wire))
	if err != nil { // the kind was known when it was checked
		panic(err)
	}
	return v
}

// compareWire orders values by their wire forms, without building them.
func compareWire(a, b value.Value) (int, error) {
	ka, pa, err := a.Payload()
	if err != nil {
		return 0, err
	}
	kb, pb, err := b.Payload()
	if err != nil {
		return 0, err
	}
	if c := cmp.Compare(ka, kb); c != 0 {
		return c, nil
	}
	return bytes.Compare(pa, pb), nil
}

// integer gives the argument of an add.
func integer(v value.Value) (int64, error) {
	if v.Kind() == value.CBOR {
		if n, err := value.As[int](v); err == nil { // the common case without reflection, live or encoded
			return int64(n), nil
		}
		if n, err := value.As[int64](v); err == nil {
			return n, nil
		}
	}
	return 0, fault.New(fault.WrongType, "add wants an integer of at most 64 bits: give it one, such as 3 or -1")
}

// number is what Max and Min compare: an int64, a uint64 above it, or a float64 that is no NaN.
type number struct {
	i     int64
	u     uint64 // where i does not do
	f     float64
	float bool
}

// numberOf reads a number; ok is false for any other value. NaN has no place in an order.
func numberOf(v value.Value) (n number, ok bool) {
	k, b, err := v.Payload()
	if err != nil || k != value.CBOR {
		return n, false
	}
	if v, err = value.FromPayload(k, b); err != nil { // not the live value, whose type may be of anybody's making
		return n, false
	}
	x, err := value.As[any](v)
	if err != nil {
		return n, false
	}
	switch x := x.(type) {
	case int64:
		return number{i: x}, true
	case uint64:
		return number{u: x}, true
	case float64:
		return number{f: x, float: true}, !math.IsNaN(x)
	}
	return n, false
}

// compare orders numbers exactly: rounding an integer to a float would call different numbers equal, and then the order
// would not be transitive.
func (n number) compare(m number) int {
	switch {
	case n.float && m.float:
		return cmp.Compare(n.f, m.f)
	case !n.float && !m.float && n.u == 0 && m.u == 0:
		return cmp.Compare(n.i, m.i)
	}
	return n.exact().Cmp(m.exact())
}

// exact is n without rounding: a big.Float has the precision that its first setting needs.
func (n number) exact() *big.Float {
	switch {
	case n.float:
		return new(big.Float).SetFloat64(n.f)
	case n.u != 0:
		return new(big.Float).SetUint64(n.u)
	}
	return new(big.Float).SetInt64(n.i)
}
