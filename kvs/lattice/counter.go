package lattice

import (
	"math"
	"math/bits"
	"slices"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/value"
)

// Counter counts up and down: per actor what it has added and what it has taken away, each of which only grows (PN-Counter,
// Shapiro et al. 2011 §3.1.3).
type Counter struct {
	tallies []tally // in order of actors; none is 0 and 0
}

type tally struct{ actor, up, down uint64 }

// Type is TypeCounter.
func (c Counter) Type() Type { return TypeCounter }

// Add counts delta, which may be negative, as actor. It is invalid_argument where the counter would leave the range of
// an int64; nothing is counted then.
func (c Counter) Add(actor uint64, delta int64) (Counter, error) {
	if delta == 0 {
		return c, nil
	}
	at, found := slices.BinarySearchFunc(c.tallies, actor, tally.order)
	out := make([]tally, 0, len(c.tallies)+1)
	out = append(append(out, c.tallies[:at]...), tally{actor: actor})
	if found {
		out[at] = c.tallies[at]
		out = append(out, c.tallies[at+1:]...)
	} else {
		out = append(out, c.tallies[at:]...)
	}
	var carry uint64
	if delta > 0 {
		out[at].up, carry = bits.Add64(out[at].up, uint64(delta), 0)
	} else {
		out[at].down, carry = bits.Add64(out[at].down, -uint64(delta), 0)
	}
	next := Counter{out}
	// One that concurrent adds have brought out of range may be brought back.
	if sum, fits := next.sum(); carry != 0 || !fits && (sum > 0) == (delta > 0) {
		return c, fault.New(fault.InvalidArgument, "the counter stands at %d: adding %d would overflow 64 bits; count in a coarser unit, or delete the key and start again", c.Value(), delta)
	}
	return next, nil
}

func (t tally) order(actor uint64) int {
	switch {
	case t.actor < actor:
		return -1
	case t.actor > actor:
		return 1
	}
	return 0
}

// Value is the sum of all. Adds that none of their actors could know to overflow together leave it at the nearest int64.
func (c Counter) Value() int64 {
	n, _ := c.sum()
	return n
}

// sum adds in 128 bits, which cannot overflow: each tally is below 2⁶⁴ and there are fewer than 2⁶³.
func (c Counter) sum() (n int64, fits bool) {
	var high, low uint64 // two's complement
	var carry uint64
	for _, t := range c.tallies {
		low, carry = bits.Add64(low, t.up, 0)
		high += carry
		low, carry = bits.Sub64(low, t.down, 0)
		high -= carry
	}
	switch {
	case int64(high) == int64(low)>>63: // the high half is only the sign
		return int64(low), true
	case int64(high) < 0:
		return math.MinInt64, false
	}
	return math.MaxInt64, false
}

// Join takes the greater of both for each actor.
func (c Counter) Join(other State) (State, error) {
	o, ok := other.(Counter)
	if !ok {
		return nil, notJoined(c, other)
	}
	a, b := c.tallies, o.tallies
	out := make([]tally, 0, max(len(a), len(b)))
	for len(a) > 0 && len(b) > 0 {
		switch order := a[0].order(b[0].actor); {
		case order < 0:
			out, a = append(out, a[0]), a[1:]
		case order > 0:
			out, b = append(out, b[0]), b[1:]
		default:
			out = append(out, tally{a[0].actor, max(a[0].up, b[0].up), max(a[0].down, b[0].down)})
			a, b = a[1:], b[1:]
		}
	}
	return Counter{append(append(out, a...), b...)}, nil
}

// Read is Value as an int.
func (c Counter) Read() value.Value { return value.MustOf(c.Value()) }

// Append appends the encoding.
func (c Counter) Append(dst []byte) ([]byte, error) { return encode(c, dst) }

func (c Counter) appendItem(dst []byte) ([]byte, error) {
	dst = appendList(dst, len(c.tallies))
	for _, t := range c.tallies {
		dst = appendUint(appendUint(appendUint(appendList(dst, 3), t.actor), t.up), t.down)
	}
	return dst, nil
}

func (r *reader) counter() Counter {
	n := r.length(majorList, 4)
	out := make([]tally, 0, n)
	for i := 0; i < n && r.err == nil; i++ {
		r.tuple(3)
		t := tally{actor: r.uint(), up: r.uint(), down: r.uint()}
		switch {
		case r.err != nil:
		case i > 0 && t.actor <= out[i-1].actor:
			r.fail(errOrder)
		case t.up == 0 && t.down == 0:
			r.fail(errZero)
		}
		out = append(out, t)
	}
	return Counter{out}
}

// Size is the tallies'.
func (c Counter) Size() int { return 24 * len(c.tallies) }
