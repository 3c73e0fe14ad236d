package lattice

import (
	"slices"
	"strings"

	"github.com/squall-faas/squall/value"
)

// Set is an observed-remove set without tombstones (ORSWOT, Bieniusa et al. 2012): a remove takes away the inserts that its
// author had seen, so an insert that is concurrent to it wins. Elements are the same where their wire forms are.
type Set struct {
	clock    VectorClock
	elements []element
}

// element is in the set because of the inserts with these dots; there is at least one.
type element struct {
	wire string
	dots []Dot
}

func (e element) order(wire string) int { return strings.Compare(e.wire, wire) }

// Type is TypeSet.
func (s Set) Type() Type { return TypeSet }

// Insert puts v in as actor's next event, also if it is there: so it outlives a concurrent remove. It is wrong_type for a
// value that has no encoding.
func (s Set) Insert(actor uint64, v value.Value) (Set, error) {
	wire, err := wireOf(v)
	if err != nil {
		return s, err
	}
	dot := s.clock.Next(actor)
	return Set{clock: s.clock.With(dot), elements: insertElement(s.elements, wire, dot)}, nil
}

// Remove takes v out as far as this state has seen it inserted.
func (s Set) Remove(v value.Value) (Set, error) {
	wire, err := wireOf(v)
	if err != nil {
		return s, err
	}
	return Set{clock: s.clock, elements: removeElement(s.elements, wire)}, nil
}

// insertElement replaces the dots of an element by that of the insert that has seen them.
func insertElement(elements []element, wire string, dot Dot) []element {
	e := element{wire, []Dot{dot}}
	at, found := slices.BinarySearchFunc(elements, wire, element.order)
	if !found {
		return inserted(elements, at, e)
	}
	out := slices.Clone(elements)
	out[at] = e
	return out
}

func removeElement(elements []element, wire string) []element {
	at, found := slices.BinarySearchFunc(elements, wire, element.order)
	if !found {
		return elements
	}
	return slices.Concat(elements[:at], elements[at+1:])
}

// Has reports whether v is in the set.
func (s Set) Has(v value.Value) bool {
	wire, err := wireOf(v)
	if err != nil {
		return false
	}
	_, found := slices.BinarySearchFunc(s.elements, wire, element.order)
	return found
}

// Len is the number of elements.
func (s Set) Len() int { return len(s.elements) }

// Clock covers all inserts that this state has seen, of elements that were removed too.
func (s Set) Clock() VectorClock { return s.clock }

// Join keeps of each element the inserts that both have, and those of each that the other has not seen.
func (s Set) Join(other State) (State, error) {
	o, ok := other.(Set)
	if !ok {
		return nil, notJoined(s, other)
	}
	return Set{clock: s.clock.Join(o.clock), elements: joinElements(s.elements, s.clock, o.elements, o.clock)}, nil
}

func joinElements(a []element, seenA VectorClock, b []element, seenB VectorClock) []element {
	out := make([]element, 0, max(len(a), len(b)))
	for len(a) > 0 || len(b) > 0 {
		var e element
		var dotsA, dotsB []Dot
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].wire < b[0].wire:
			e.wire, dotsA, a = a[0].wire, a[0].dots, a[1:]
		case len(a) == 0 || b[0].wire < a[0].wire:
			e.wire, dotsB, b = b[0].wire, b[0].dots, b[1:]
		default:
			e.wire, dotsA, dotsB, a, b = a[0].wire, a[0].dots, b[0].dots, a[1:], b[1:]
		}
		if e.dots = joinDots(dotsA, seenA, dotsB, seenB); len(e.dots) > 0 {
			out = append(out, e)
		}
	}
	return out
}

// Read is the list of the elements, in order of their wire forms.
func (s Set) Read() value.Value {
	out := make([]value.Value, len(s.elements))
	for i, e := range s.elements {
		out[i] = fromWire(e.wire)
	}
	return value.List(out)
}

// Append appends the encoding.
func (s Set) Append(dst []byte) ([]byte, error) { return encode(s, dst) }

func (s Set) appendItem(dst []byte) ([]byte, error) {
	return appendElements(s.clock.appendItem(appendList(dst, 2)), s.elements), nil
}

func appendElements(dst []byte, elements []element) []byte {
	dst = appendList(dst, len(elements))
	for _, e := range elements {
		dst = appendDots(appendBytes(appendList(dst, 2), e.wire), e.dots)
	}
	return dst
}

func (r *reader) set() Set {
	r.tuple(2)
	clock := r.clock()
	return Set{clock: clock, elements: r.elements(clock)}
}

func (r *reader) elements(clock VectorClock) []element {
	n := r.length(majorList, 6)
	out := make([]element, 0, n)
	for i := 0; i < n && r.err == nil; i++ {
		r.tuple(2)
		e := element{wire: r.wire(), dots: r.dots(clock)}
		if r.err == nil && i > 0 && e.wire <= out[i-1].wire {
			r.fail(errOrder)
		}
		out = append(out, e)
	}
	return out
}

// Size is the elements', their dots' and the clock's.
func (s Set) Size() int { return s.clock.size() + sizeOfElements(s.elements) }

func sizeOfElements(elements []element) int {
	n := 0
	for _, e := range elements {
		n += 40 + len(e.wire) + 16*len(e.dots)
	}
	return n
}
