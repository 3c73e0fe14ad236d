package lattice

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/value"
)

// world is a few replicas of one key, each an actor, and all versions that there have ever been: messages may be late, come
// twice, and out of order.
type world struct {
	on       Type
	usual    Type // what most fields of a map hold
	replicas []version
	past     []version
	model    model
}

// version is a state, and the events of the model that it knows.
type version struct {
	state State // nil before anything is known
	known known
	bytes string
}

func newWorld(on Type, replicas int) *world {
	w := &world{on: on, replicas: make([]version, replicas)}
	for i := range w.replicas {
		w.replicas[i].known = known{}
	}
	return w
}

var types = []Type{TypeRegister, TypeMultiValue, TypeCounter, TypeGrowSet, TypeSet, TypeMap, TypeMax, TypeMin}

// forEachType runs a property for every type, over a world that has run for a while.
func forEachType(t *testing.T, property func(t *rapid.T, w *world)) {
	for _, on := range types {
		t.Run(on.String(), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				w := newWorld(on, 3)
				if on == TypeMap {
					w.usual = rapid.SampledFrom(types).Draw(t, "usual type of a field")
				}
				for range rapid.IntRange(8, 60).Draw(t, "steps") {
					w.step(t)
				}
				property(t, w)
			})
		})
	}
}

func (w *world) step(t *rapid.T) {
	i := rapid.IntRange(0, len(w.replicas)-1).Draw(t, "replica")
	if len(w.past) == 0 || rapid.IntRange(0, 2).Draw(t, "op or join") > 0 {
		w.update(t, i)
	} else {
		w.deliver(t, i, w.drawPast(t, "message"))
	}
}

func (w *world) drawPast(t *rapid.T, label string) version {
	return w.past[rapid.IntRange(0, len(w.past)-1).Draw(t, label)]
}

func (w *world) update(t *rapid.T, i int) {
	op := drawOp(t, w.on, w.usual, 2)
	r := &w.replicas[i]
	actor := uint64(i + 1)
	stamp := hlc.Stamp{Time: rapid.Uint64Range(1, 9).Draw(t, "time"), Node: actor}
	after, err := Apply(r.state, op, By{Actor: actor, Stamp: stamp})
	if allowed := w.model.apply(op, actor, stamp, r.known); allowed != (err == nil) {
		t.Fatalf("%s: allowed %t, error %v", show(op), allowed, err)
	}
	if err != nil {
		return
	}
	if r.state != nil { // inflationary
		if up := join(t, r.state, after); !same(t, up, after) {
			t.Fatalf("%s leads from %s to %s, which is not above", show(op), read(r.state), read(after))
		}
	}
	w.set(t, i, after)
}

func (w *world) deliver(t *rapid.T, i int, m version) {
	r := &w.replicas[i]
	maps.Copy(r.known, m.known)
	next := m.state
	if r.state != nil {
		next = join(t, r.state, m.state)
	}
	w.set(t, i, next)
}

// set gives a replica a new state, by way of its bytes every other time, and holds it against the model.
func (w *world) set(t *rapid.T, i int, s State) {
	r := &w.replicas[i]
	b := encoded(t, s)
	if len(w.past)%2 == 0 {
		s = decoded(t, b)
	}
	if want, got := w.model.read(r.known, nil, species(w.on)), s.Read(); !sameValue(want, got) {
		t.Fatalf("replica %d reads %s, the model %s", i, asJSON(got), asJSON(want))
	}
	r.state = s
	w.past = append(w.past, version{s, maps.Clone(r.known), string(b)})
}

func join(t *rapid.T, a, b State) State {
	s, err := a.Join(b)
	if err != nil {
		t.Fatalf("%s joined with %s: %v", read(a), read(b), err)
	}
	return s
}

func encoded(t *rapid.T, s State) []byte {
	b, err := s.Append(nil)
	if err != nil {
		t.Fatalf("%s: %v", read(s), err)
	}
	return b
}

func decoded(t *rapid.T, b []byte) State {
	s, err := Decode(bytes.Clone(b))
	if err != nil {
		t.Fatalf("%x: %v", b, err)
	}
	return s
}

func same(t *rapid.T, a, b State) bool { return bytes.Equal(encoded(t, a), encoded(t, b)) }

func read(s State) string { return asJSON(s.Read()) }

func asJSON(v value.Value) string {
	b, err := v.JSON()
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func show(op Op) string {
	if op.Kind == Field {
		return fmt.Sprintf("field %s %s", op.Field, show(*op.Inner))
	}
	return fmt.Sprintf("%s %s%s", op.Kind, op.Field, asJSON(op.Arg))
}

// drawOp draws an op for a type, from few enough values and fields that they meet.
func drawOp(t *rapid.T, on, usual Type, depth int) Op {
	switch on {
	case TypeRegister:
		return Op{Kind: Assign, Arg: drawValue(t)}
	case TypeMultiValue:
		return Op{Kind: AssignMulti, Arg: drawValue(t)}
	case TypeCounter:
		return Op{Kind: Add, Arg: value.MustOf(rapid.IntRange(-3, 5).Draw(t, "n"))}
	case TypeGrowSet:
		return Op{Kind: GrowInsert, Arg: drawValue(t)}
	case TypeSet:
		return Op{Kind: rapid.SampledFrom([]OpKind{Insert, Insert, Remove}).Draw(t, "kind"), Arg: drawValue(t)}
	case TypeMax, TypeMin:
		kind := Raise
		if on == TypeMin {
			kind = Lower
		}
		numbers := []any{-1, 0, 1, 0.5, 1.0, 2, 1e300}
		if depth < 2 && rapid.Bool().Draw(t, "text") { // in a map, where both may meet
			numbers = []any{"a", "b", ""}
		}
		return Op{Kind: kind, Arg: value.MustOf(rapid.SampledFrom(numbers).Draw(t, "extreme"))}
	}
	name := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "field")
	if rapid.IntRange(0, 3).Draw(t, "remove") == 0 {
		return Op{Kind: RemoveField, Field: name}
	}
	within := types
	if depth == 0 {
		within = slices.DeleteFunc(slices.Clone(types), func(t Type) bool { return t == TypeMap })
	}
	if rapid.IntRange(0, 3).Draw(t, "usual") > 0 && slices.Contains(within, usual) {
		within = []Type{usual}
	}
	inner := drawOp(t, rapid.SampledFrom(within).Draw(t, "type"), usual, depth-1)
	return Op{Kind: Field, Field: name, Inner: &inner}
}

func drawValue(t *rapid.T) value.Value {
	return value.MustOf(rapid.SampledFrom([]any{nil, 1, "x", "y", []byte("x"), 1.5, []int{1, 2}}).Draw(t, "value"))
}
