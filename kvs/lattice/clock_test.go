package lattice

import (
	"maps"
	"testing"

	"pgregory.net/rapid"
)

func drawClock(t *rapid.T, label string) VectorClock {
	return rapid.MapOfN(rapid.Uint64Range(1, 4), rapid.Uint64Range(0, 3), 0, 4).Draw(t, label)
}

// events is what a clock stands for.
func (c VectorClock) events() map[Dot]bool {
	out := map[Dot]bool{}
	for actor, n := range c {
		for i := range n {
			out[Dot{actor, i + 1}] = true
		}
	}
	return out
}

func TestVectorClockIsASetOfEvents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, d := drawClock(t, "c"), drawClock(t, "d")
		before := maps.Clone(c)
		ec, ed := c.events(), d.events()
		union := maps.Clone(ec)
		maps.Copy(union, ed)
		order := Concurrent
		switch len(union) {
		case len(ec):
			order = After
			if len(ed) == len(ec) {
				order = Equal
			}
		case len(ed):
			order = Before
		}
		if got := c.Compare(d); got != order {
			t.Fatalf("%v is %v to %v, want %v", c, got, d, order)
		}
		if got := c.Join(d); !maps.Equal(got.events(), union) {
			t.Fatalf("%v joined with %v is %v", c, d, got)
		}
		dot := Dot{rapid.Uint64Range(1, 5).Draw(t, "actor"), rapid.Uint64Range(1, 4).Draw(t, "counter")}
		if c.Covers(dot) != ec[dot] {
			t.Fatalf("%v covers %v: %t", c, dot, c.Covers(dot))
		}
		next := c.Next(dot.Actor)
		if c.Covers(next) || next.Counter > 1 && !c.Covers(Dot{next.Actor, next.Counter - 1}) {
			t.Fatalf("the next dot after %v is %v", c, next)
		}
		if with := c.With(next); !with.Covers(next) || c.Compare(with) != Before {
			t.Fatalf("%v with %v is %v", c, next, with)
		}
		if !maps.Equal(c, before) {
			t.Fatalf("%v was %v", c, before)
		}
		r := reader{b: c.appendItem(nil)}
		if back := r.clock(); r.end("clock") != nil || back.Compare(c) != Equal {
			t.Fatalf("%v came back as %v, %v", c, back, r.err)
		}
	})
}

func TestOrderNames(t *testing.T) {
	for o, want := range map[Order]string{Equal: "equal", Before: "before", After: "after", Concurrent: "concurrent"} {
		if o.String() != want {
			t.Errorf("%s, want %s", o, want)
		}
	}
}
