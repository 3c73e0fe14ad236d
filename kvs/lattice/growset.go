package lattice

import (
	"slices"

	"github.com/squall-faas/squall/value"
)

// GrowSet is a set that only grows. Elements are the same where their wire forms are.
type GrowSet struct {
	wires []string // in order
}

// Type is TypeGrowSet.
func (g GrowSet) Type() Type { return TypeGrowSet }

// Insert gives the set with v in it; wrong_type for a value that has no encoding.
func (g GrowSet) Insert(v value.Value) (GrowSet, error) {
	wire, err := wireOf(v)
	if err != nil {
		return g, err
	}
	at, found := slices.BinarySearch(g.wires, wire)
	if found {
		return g, nil
	}
	return GrowSet{inserted(g.wires, at, wire)}, nil
}

// inserted is slices.Insert into a copy.
func inserted[E any](s []E, at int, e E) []E {
	out := make([]E, 0, len(s)+1)
	return append(append(append(out, s[:at]...), e), s[at:]...)
}

// Has reports whether v is in the set.
func (g GrowSet) Has(v value.Value) bool {
	wire, err := wireOf(v)
	if err != nil {
		return false
	}
	_, found := slices.BinarySearch(g.wires, wire)
	return found
}

// Len is the number of elements.
func (g GrowSet) Len() int { return len(g.wires) }

// Join is the union.
func (g GrowSet) Join(other State) (State, error) {
	o, ok := other.(GrowSet)
	if !ok {
		return nil, notJoined(g, other)
	}
	a, b := g.wires, o.wires
	out := make([]string, 0, max(len(a), len(b)))
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] < b[0]:
			out, a = append(out, a[0]), a[1:]
		case a[0] > b[0]:
			out, b = append(out, b[0]), b[1:]
		default:
			out, a, b = append(out, a[0]), a[1:], b[1:]
		}
	}
	return GrowSet{append(append(out, a...), b...)}, nil
}

// Read is the list of the elements, in order of their wire forms.
func (g GrowSet) Read() value.Value {
	out := make([]value.Value, len(g.wires))
	for i, wire := range g.wires {
		out[i] = fromWire(wire)
	}
	return value.List(out)
}

// Append appends the encoding.
func (g GrowSet) Append(dst []byte) ([]byte, error) { return encode(g, dst) }

func (g GrowSet) appendItem(dst []byte) ([]byte, error) {
	dst = appendList(dst, len(g.wires))
	for _, wire := range g.wires {
		dst = appendBytes(dst, wire)
	}
	return dst, nil
}

func (r *reader) growSet() GrowSet {
	n := r.length(majorList, 2)
	out := make([]string, 0, n)
	for i := 0; i < n && r.err == nil; i++ {
		wire := r.wire()
		if r.err == nil && i > 0 && wire <= out[i-1] {
			r.fail(errOrder)
		}
		out = append(out, wire)
	}
	return GrowSet{out}
}

// Size is the elements'.
func (g GrowSet) Size() int {
	n := 0
	for _, wire := range g.wires {
		n += 16 + len(wire)
	}
	return n
}
