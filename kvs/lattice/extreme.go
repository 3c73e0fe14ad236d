package lattice

import (
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/value"
)

// Max holds the greatest value that it was raised to: a number or text. Numbers compare as numbers, whether int or float,
// text by its bytes; of numbers that are equal, as 1 and 1.0 are, the higher wire form is the greater. Null is below all.
type Max struct{ Value value.Value }

// Min holds the least value that it was lowered to, in the order of Max; Null is above all.
type Min struct{ Value value.Value }

// Type is TypeMax.
func (m Max) Type() Type { return TypeMax }

// Type is TypeMin.
func (m Min) Type() Type { return TypeMin }

// Join is the greater one; wrong_type for a number and a text.
func (m Max) Join(other State) (State, error) {
	o, ok := other.(Max)
	if !ok {
		return nil, notJoined(m, other)
	}
	v, err := extreme(m.Value, o.Value, +1)
	if err != nil {
		return nil, err
	}
	return Max{v}, nil
}

// Join is the lesser one; wrong_type for a number and a text.
func (m Min) Join(other State) (State, error) {
	o, ok := other.(Min)
	if !ok {
		return nil, notJoined(m, other)
	}
	v, err := extreme(m.Value, o.Value, -1)
	if err != nil {
		return nil, err
	}
	return Min{v}, nil
}

// extreme gives the one of v and w that lies further in the direction of sign.
func extreme(v, w value.Value, sign int) (value.Value, error) {
	switch {
	case v.IsNull():
		return w, nil
	case w.IsNull():
		return v, nil
	}
	c, err := compareExtremes(v, w)
	if err != nil {
		return value.Value{}, err
	}
	if c*sign < 0 {
		return w, nil
	}
	return v, nil
}

// compareExtremes orders two numbers or two texts.
func compareExtremes(v, w value.Value) (int, error) {
	n, numeric := numberOf(v)
	m, alsoNumeric := numberOf(w)
	switch {
	case numeric && alsoNumeric:
		if c := n.compare(m); c != 0 {
			return c, nil
		}
		return compareWire(v, w)
	case v.Kind() == value.Text && w.Kind() == value.Text:
		return compareWire(v, w)
	}
	return 0, fault.New(fault.WrongType, "%s and %s have no order: keep either numbers or texts under one key", kindOfExtreme(v), kindOfExtreme(w))
}

// checkExtreme refuses what cannot stand in a Max or Min.
func checkExtreme(v value.Value) error {
	if _, numeric := numberOf(v); numeric || v.Kind() == value.Text {
		return nil
	}
	return fault.New(fault.WrongType, "max and min want a number or text: a %s has no order", v.Kind())
}

func kindOfExtreme(v value.Value) string {
	if v.Kind() == value.Text {
		return "a text"
	}
	return "a number"
}

// Read is the value.
func (m Max) Read() value.Value { return m.Value }

// Read is the value.
func (m Min) Read() value.Value { return m.Value }

// Append appends the encoding. It is wrong_type for a value that is neither number nor text.
func (m Max) Append(dst []byte) ([]byte, error) { return encode(m, dst) }

// Append appends the encoding. It is wrong_type for a value that is neither number nor text.
func (m Min) Append(dst []byte) ([]byte, error) { return encode(m, dst) }

func (m Max) appendItem(dst []byte) ([]byte, error) { return appendExtreme(dst, m.Value) }

func (m Min) appendItem(dst []byte) ([]byte, error) { return appendExtreme(dst, m.Value) }

func appendExtreme(dst []byte, v value.Value) ([]byte, error) {
	if !v.IsNull() {
		if err := checkExtreme(v); err != nil {
			return nil, err
		}
	}
	return appendValue(dst, v)
}

func (r *reader) extreme() value.Value {
	v := r.value()
	if r.err == nil && !v.IsNull() {
		if err := checkExtreme(v); err != nil {
			r.fail(err)
		}
	}
	return v
}

// Size is the value's.
func (m Max) Size() int { return 16 + m.Value.Size() }

// Size is the value's.
func (m Min) Size() int { return 16 + m.Value.Size() }
