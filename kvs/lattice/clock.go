package lattice

import (
	"cmp"
	"maps"
	"slices"
)

// Dot is one event: the Counter-th, from 1, of Actor.
type Dot struct{ Actor, Counter uint64 }

// Compare orders dots by actor, then counter. The order means nothing; it makes encodings deterministic.
func (d Dot) Compare(e Dot) int {
	if c := cmp.Compare(d.Actor, e.Actor); c != 0 {
		return c
	}
	return cmp.Compare(d.Counter, e.Counter)
}

func (d Dot) at() Dot { return d }

// Order is how one vector clock stands to another.
type Order uint8

// The orders of a to b in a.Compare(b).
const (
	Equal      Order = iota // both have seen the same
	Before                  // b has seen all that a has, and more
	After                   // a has seen all that b has, and more
	Concurrent              // each has seen something that the other has not
)

// String names the order.
func (o Order) String() string {
	switch o {
	case Equal:
		return "equal"
	case Before:
		return "before"
	case After:
		return "after"
	}
	return "concurrent"
}

// VectorClock tells which events were seen: of each actor the first so many. An actor that is not there counts 0, and nil
// is the clock that has seen nothing. Immutable by contract: no method writes to it, results may share it.
type VectorClock map[uint64]uint64

// Compare tells how c stands to d.
func (c VectorClock) Compare(d VectorClock) Order {
	below, above := d.dominates(c), c.dominates(d)
	switch {
	case below && above:
		return Equal
	case below:
		return Before
	case above:
		return After
	}
	return Concurrent
}

// dominates reports whether c has seen all that d has.
func (c VectorClock) dominates(d VectorClock) bool {
	for actor, n := range d {
		if c[actor] < n {
			return false
		}
	}
	return true
}

// Join has seen what either has.
func (c VectorClock) Join(d VectorClock) VectorClock {
	switch {
	case c.dominates(d):
		return c
	case d.dominates(c):
		return d
	}
	out := make(VectorClock, max(len(c), len(d)))
	maps.Copy(out, c)
	for actor, n := range d {
		out[actor] = max(out[actor], n)
	}
	return out
}

// Covers reports whether the event d was seen.
func (c VectorClock) Covers(d Dot) bool { return d.Counter <= c[d.Actor] }

// With has seen d too, and all before it of the same actor.
func (c VectorClock) With(d Dot) VectorClock {
	if c.Covers(d) {
		return c
	}
	out := make(VectorClock, len(c)+1)
	maps.Copy(out, c)
	out[d.Actor] = d.Counter
	return out
}

// Next is the dot of actor's next event.
func (c VectorClock) Next(actor uint64) Dot { return Dot{actor, c[actor] + 1} }

// appendItem writes the clock as a CBOR map. An entry of 0 says nothing, so it is left out.
func (c VectorClock) appendItem(dst []byte) []byte {
	var room [8]uint64
	actors := room[:0]
	for actor, n := range c {
		if n > 0 {
			actors = append(actors, actor)
		}
	}
	slices.Sort(actors)
	dst = appendHead(dst, majorMap, uint64(len(actors)))
	for _, actor := range actors {
		dst = appendDot(dst, Dot{actor, c[actor]})
	}
	return dst
}

func (c VectorClock) size() int { return 16 * len(c) }

// dotted is what carries the dot of the event that made it.
type dotted interface{ at() Dot }

// joinDotted merges two lists, each in order of dots and below the clock of its state: what both have stays, and what one
// has that the other has never seen. The rest was removed by the other. same settles two versions of one dot, which
// only actors that break the rules make.
func joinDotted[E dotted](a []E, seenA VectorClock, b []E, seenB VectorClock, same func(a, b E) E) []E {
	switch { // the common case of a part that the other side knows nothing of
	case len(b) == 0 && !anyCovered(a, seenB):
		return a
	case len(a) == 0 && !anyCovered(b, seenA):
		return b
	}
	out := make([]E, 0, len(a)+len(b))
	for len(a) > 0 || len(b) > 0 {
		order := -1 // which list has the first dot
		switch {
		case len(a) == 0:
			order = 1
		case len(b) > 0:
			order = a[0].at().Compare(b[0].at())
		}
		switch {
		case order < 0:
			if !seenB.Covers(a[0].at()) {
				out = append(out, a[0])
			}
			a = a[1:]
		case order > 0:
			if !seenA.Covers(b[0].at()) {
				out = append(out, b[0])
			}
			b = b[1:]
		default:
			out = append(out, same(a[0], b[0]))
			a, b = a[1:], b[1:]
		}
	}
	return out
}

func anyCovered[E dotted](es []E, seen VectorClock) bool {
	return slices.ContainsFunc(es, func(e E) bool { return seen.Covers(e.at()) })
}

func joinDots(a []Dot, seenA VectorClock, b []Dot, seenB VectorClock) []Dot {
	return joinDotted(a, seenA, b, seenB, func(d, _ Dot) Dot { return d })
}
