package lattice

import (
	"slices"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/value"
)

// Sibling is one of the values that were written concurrently.
type Sibling struct {
	Dot   Dot // of the write
	Stamp hlc.Stamp
	Value value.Value
}

func (s Sibling) at() Dot { return s.Dot }

// MultiValue keeps all values that no writer has replaced knowingly: a dotted version vector set (Preguiça et al. 2010).
//
// Clock and dots are apart from the values, so that they can be stored apart: AppendHead writes all but the values, and
// DecodeHead gives a MultiValue whose siblings wait for theirs.
type MultiValue struct {
	// Clock covers the dots of all siblings and of all that were replaced.
	Clock VectorClock
	// Siblings in order of their dots. Do not write to the slice.
	Siblings []Sibling
}

// Type is TypeMultiValue.
func (m MultiValue) Type() Type { return TypeMultiValue }

// Assign writes v as actor's next event. It replaces exactly the siblings that context covers, which is the clock of what
// the writer had read; the others stay, as concurrent. What context has seen elsewhere counts as replaced as well: a
// later join does not bring it in. Whoever writes blindly passes nil and replaces nothing.
func (m MultiValue) Assign(actor uint64, context VectorClock, stamp hlc.Stamp, v value.Value) MultiValue {
	seen := m.Clock.Join(context)
	dot := seen.Next(actor)
	kept := replace(m.Siblings, context, Sibling{Dot: dot, Stamp: stamp, Value: v})
	return MultiValue{Clock: seen.With(dot), Siblings: kept}
}

// replace gives the siblings that context does not cover, and s.
func replace(siblings []Sibling, context VectorClock, s Sibling) []Sibling {
	out := make([]Sibling, 0, len(siblings)+1)
	for _, old := range siblings {
		if !context.Covers(old.Dot) {
			out = append(out, old)
		}
	}
	out = append(out, s)
	sortSiblings(out)
	return out
}

// Join keeps the siblings that both have, and those of each that the other's clock does not cover.
func (m MultiValue) Join(other State) (State, error) {
	o, ok := other.(MultiValue)
	if !ok {
		return nil, notJoined(m, other)
	}
	siblings, err := joinSiblings(m.ordered(), m.Clock, o.ordered(), o.Clock)
	if err != nil {
		return nil, err
	}
	return MultiValue{Clock: m.Clock.Join(o.Clock), Siblings: siblings}, nil
}

func joinSiblings(a []Sibling, seenA VectorClock, b []Sibling, seenB VectorClock) (out []Sibling, err error) {
	out = joinDotted(a, seenA, b, seenB, func(s, t Sibling) Sibling {
		newer, e := later(s.Stamp, s.Value, t.Stamp, t.Value)
		if e != nil {
			err = e
		}
		if newer {
			return t
		}
		return s
	})
	return out, err
}

// Winner is the sibling with the highest stamp; ok is false where there is none.
func (m MultiValue) Winner() (s Sibling, ok bool) {
	for i, t := range m.Siblings {
		// A value without an encoding cannot be compared; which one wins a tie is then as good as the other.
		if newer, _ := later(s.Stamp, s.Value, t.Stamp, t.Value); i == 0 || newer {
			s = t
		}
	}
	return s, len(m.Siblings) > 0
}

// Read is the winner's value.
func (m MultiValue) Read() value.Value {
	s, _ := m.Winner()
	return s.Value
}

// Append appends the encoding. It is invalid_argument for siblings that the clock does not cover.
func (m MultiValue) Append(dst []byte) ([]byte, error) { return encode(m, dst) }

func (m MultiValue) appendItem(dst []byte) ([]byte, error) {
	siblings, err := m.checked()
	if err != nil {
		return nil, err
	}
	return appendSiblings(m.Clock.appendItem(appendList(dst, 2)), siblings)
}

func appendSiblings(dst []byte, siblings []Sibling) ([]byte, error) {
	dst = appendList(dst, len(siblings))
	for _, s := range siblings {
		var err error
		if dst, err = appendValue(appendStamp(appendDot(appendList(dst, 5), s.Dot), s.Stamp), s.Value); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

func (r *reader) multiValue() MultiValue {
	r.tuple(2)
	clock := r.clock()
	return MultiValue{Clock: clock, Siblings: r.siblings(clock, true)}
}

func (r *reader) siblings(clock VectorClock, values bool) []Sibling {
	items := 4
	if values {
		items = 5
	}
	n := r.length(majorList, 1+items)
	out := make([]Sibling, 0, n)
	for i := 0; i < n && r.err == nil; i++ {
		r.tuple(items)
		s := Sibling{Dot: r.dot(), Stamp: r.stamp()}
		if values {
			s.Value = r.value()
		}
		r.placed(i == 0 || s.Dot.Compare(out[i-1].Dot) > 0, s.Dot, clock)
		out = append(out, s)
	}
	return out
}

// headType marks what AppendHead writes.
const headType = 0x80 | byte(TypeMultiValue)

// AppendHead appends the encoding without the siblings' values: clock, dots and stamps. It is deterministic, and
// invalid_argument as Append is.
func (m MultiValue) AppendHead(dst []byte) ([]byte, error) {
	siblings, err := m.checked()
	if err != nil {
		return nil, err
	}
	dst = appendList(m.Clock.appendItem(appendList(append(dst, headType), 2)), len(siblings))
	for _, s := range siblings {
		dst = appendStamp(appendDot(appendList(dst, 4), s.Dot), s.Stamp)
	}
	return dst, nil
}

// DecodeHead reads what AppendHead wrote, as strictly as Decode; the values of the siblings are Null.
func DecodeHead(b []byte) (MultiValue, error) {
	if len(b) == 0 || b[0] != headType {
		return MultiValue{}, fault.New(fault.InvalidArgument, "malformed head of a multivalue: its first byte is not %#x", headType)
	}
	r := reader{b: b[1:]}
	r.tuple(2)
	clock := r.clock()
	m := MultiValue{Clock: clock, Siblings: r.siblings(clock, false)}
	if err := r.end("head of a multivalue"); err != nil {
		return MultiValue{}, err
	}
	return m, nil
}

// ordered gives the siblings in order, for the case that another package put them together.
func (m MultiValue) ordered() []Sibling {
	if slices.IsSortedFunc(m.Siblings, bySiblingDot) {
		return m.Siblings
	}
	out := slices.Clone(m.Siblings)
	sortSiblings(out)
	return out
}

// checked is ordered for what is to be written: nothing is written that could not be read.
func (m MultiValue) checked() ([]Sibling, error) {
	siblings := m.ordered()
	for i, s := range siblings {
		if s.Dot.Counter == 0 || !m.Clock.Covers(s.Dot) || i > 0 && siblings[i-1].Dot == s.Dot {
			return nil, fault.New(fault.InvalidArgument, "the sibling %d:%d is not covered by the clock of its multivalue, or comes twice: make siblings by Assign", s.Dot.Actor, s.Dot.Counter)
		}
	}
	return siblings, nil
}

func sortSiblings(s []Sibling) { slices.SortFunc(s, bySiblingDot) }

func bySiblingDot(s, t Sibling) int { return s.Dot.Compare(t.Dot) }

// Size is the siblings' and the clock's.
func (m MultiValue) Size() int { return m.Clock.size() + sizeOfSiblings(m.Siblings) }

func sizeOfSiblings(siblings []Sibling) int {
	n := 0
	for _, s := range siblings {
		n += 32 + s.Value.Size()
	}
	return n
}
