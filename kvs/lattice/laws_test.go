package lattice

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/value"
)

// Replicas that have seen the same agree, whatever the way it came; and on what the reference model says (world.set).
func TestConverges(t *testing.T) {
	forEachType(t, func(t *rapid.T, w *world) {
		for range 2 { // everybody hears everybody, some twice
			for i := range w.replicas {
				for j := range w.replicas {
					if w.replicas[j].state != nil {
						w.deliver(t, i, version{state: w.replicas[j].state, known: w.replicas[j].known})
					}
				}
			}
		}
		for i, r := range w.replicas[1:] {
			if w.replicas[0].state == nil {
				continue // all ops were refused
			}
			if !same(t, r.state, w.replicas[0].state) {
				t.Fatalf("replica %d has %s, replica 0 %s", i+1, read(r.state), read(w.replicas[0].state))
			}
		}
	})
}

func TestJoinIsALeastUpperBound(t *testing.T) {
	forEachType(t, func(t *rapid.T, w *world) {
		if len(w.past) == 0 {
			return
		}
		a, b, c := w.drawPast(t, "a").state, w.drawPast(t, "b").state, w.drawPast(t, "c").state
		ab := join(t, a, b)
		if !same(t, ab, join(t, b, a)) {
			t.Fatalf("not commutative: %s, %s", read(a), read(b))
		}
		if !same(t, join(t, ab, c), join(t, a, join(t, b, c))) {
			t.Fatalf("not associative: %s, %s, %s", read(a), read(b), read(c))
		}
		if !same(t, a, join(t, a, a)) || !same(t, ab, join(t, ab, b)) {
			t.Fatalf("not idempotent: %s, %s", read(a), read(b))
		}
		bottom, err := Decode(encoded(t, zeroState(w.on)))
		if err != nil || !same(t, a, join(t, bottom, a)) || !same(t, a, join(t, a, zeroState(w.on))) {
			t.Fatalf("the zero state is not the least: %s, %v", read(a), err)
		}
	})
}

func zeroState(t Type) State {
	switch t {
	case TypeMultiValue:
		return MultiValue{}
	case TypeSet:
		return Set{}
	case TypeMap:
		return Map{}
	}
	return species(t).zero()
}

// No Join and no Apply wrote to a state that was there before; and bytes come back as they were.
func TestStatesAreImmutable(t *testing.T) {
	forEachType(t, func(t *rapid.T, w *world) {
		for _, v := range w.past {
			if string(encoded(t, v.state)) != v.bytes {
				t.Fatalf("a state was written to: it reads %s now", read(v.state))
			}
			back := decoded(t, []byte(v.bytes))
			if string(encoded(t, back)) != v.bytes || back.Type() != w.on || !sameValue(back.Read(), v.state.Read()) {
				t.Fatalf("%s came back as %s", read(v.state), read(back))
			}
			if v.state.Size() < 0 || v.state.Size() > 1<<20 {
				t.Fatalf("%d bytes", v.state.Size())
			}
		}
	})
}

// What two replicas do without knowing of each other is all there after a join, even where a field is removed and made
// again meanwhile.
func TestConcurrentUpdatesSurvive(t *testing.T) {
	forEachType(t, func(t *rapid.T, w *world) {
		start := version{known: known{}}
		if len(w.past) > 0 {
			start = w.drawPast(t, "start")
		}
		by := func(actor uint64) By { return By{Actor: actor, Stamp: hlc.Stamp{Time: 10 + actor, Node: actor}} }
		// New actors, since the old ones may have gone on elsewhere.
		op, update := recognisable(w.on)
		left, right := start.state, start.state
		var err error
		if w.on == TypeMap { // the field has had a life before
			for _, actor := range []uint64{101, 102} {
				if left, err = Apply(left, op, by(actor)); err != nil {
					t.Fatal(err)
				}
			}
			right = left
			if left, err = Apply(left, Op{Kind: RemoveField, Field: "mine"}, by(101)); err != nil {
				t.Fatal(err)
			}
		}
		if left, err = Apply(left, op, by(101)); err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(1, 3).Draw(t, "updates on the right") {
			if right, err = Apply(right, drawSafe(t, w.on), by(102)); err != nil {
				t.Skip("the field holds another type")
			}
		}
		if merged := join(t, right, left); !update(merged) {
			t.Fatalf("%s is lost: %s joined with %s is %s", show(op), read(left), read(right), read(merged))
		}
	})
}

// recognisable gives an op and how to see it in a state, whatever else was done to it.
func recognisable(on Type) (Op, func(State) bool) {
	mine := value.MustOf("mine")
	holds := func(v value.Value) bool { return sameValue(v, mine) }
	contains := func(v value.Value) bool {
		vs, err := v.Elements()
		return err == nil && slices.ContainsFunc(vs, holds)
	}
	switch on {
	case TypeMultiValue:
		return Op{Kind: AssignMulti, Arg: mine}, func(s State) bool {
			return slices.ContainsFunc(s.(MultiValue).Siblings, func(x Sibling) bool { return holds(x.Value) })
		}
	case TypeCounter:
		return Op{Kind: Add, Arg: value.MustOf(1000)}, func(s State) bool { return s.(Counter).Value() > 800 }
	case TypeGrowSet:
		return Op{Kind: GrowInsert, Arg: mine}, func(s State) bool { return contains(s.Read()) }
	case TypeSet:
		return Op{Kind: Insert, Arg: mine}, func(s State) bool { return contains(s.Read()) }
	case TypeMap:
		return Op{Kind: Field, Field: "mine", Inner: &Op{Kind: Add, Arg: value.MustOf(1000)}}, func(s State) bool {
			c, ok := s.(Map).Get("mine")
			return ok && c.(Counter).Value() > 800
		}
	case TypeMax:
		return Op{Kind: Raise, Arg: value.MustOf(1e301)}, func(s State) bool { return sameValue(s.Read(), value.MustOf(1e301)) }
	case TypeMin:
		return Op{Kind: Lower, Arg: value.MustOf(-1e301)}, func(s State) bool { return sameValue(s.Read(), value.MustOf(-1e301)) }
	}
	return Op{Kind: Assign, Arg: mine}, func(s State) bool { // the last writer is the right one, with the higher stamp
		return s.(Register).Stamp.Node == 102
	}
}

// drawSafe draws what the other side does; in a map also to the very field.
func drawSafe(t *rapid.T, on Type) Op {
	if on != TypeMap {
		return drawOp(t, on, 0, 2)
	}
	return rapid.SampledFrom([]Op{
		{Kind: RemoveField, Field: "mine"},
		{Kind: Field, Field: "mine", Inner: &Op{Kind: Add, Arg: value.MustOf(-1)}},
		{Kind: Field, Field: "a", Inner: &Op{Kind: Add, Arg: value.MustOf(1)}},
	}).Draw(t, "op on the right")
}
