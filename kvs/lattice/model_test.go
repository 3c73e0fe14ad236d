package lattice

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/value"
)

// The reference model: it keeps every event and the set of events that its author had seen, and works out by the rules of
// the package comment what a replica that knows some of them reads. It shares nothing with the lattices but Op.

// known is a set of events by their number.
type known map[int]bool

// step is one level of a path: a name, and what the op wants there.
type step struct {
	name    string
	species species
}

type event struct {
	actor uint64
	stamp hlc.Stamp
	op    Op     // without the path
	path  []step // the fields that it updates, outermost first
	on    species
	kills []step // RemoveField: the field that goes, with all in it; its last species does not matter
	seen  known
	// What an update leaves at its leaf: the actor's own total for a counter, the whole content for types that are folded.
	total   int64
	content map[string]bool // growset
	winner  sibling         // register, max, min
}

type sibling struct {
	stamp hlc.Stamp
	wire  string
	value value.Value
	ok    bool
}

type model struct{ events []event }

// split takes an op apart into the path and what happens at its end.
func split(op Op) (path []step, leaf Op) {
	for op.Kind == Field {
		path = append(path, step{op.Field, op.Inner.species()})
		op = *op.Inner
	}
	return path, op
}

func hasPrefix(path, prefix []step) bool {
	return len(path) >= len(prefix) && slices.Equal(path[:len(prefix)], prefix)
}

// alive reports whether no removal that is known had seen the event.
func (m *model) alive(e int, at known) bool {
	path := m.events[e].path
	for r := range at {
		k := m.events[r].kills
		if k == nil || !m.events[r].seen[e] || len(path) < len(k) {
			continue
		}
		last := len(k) - 1
		if hasPrefix(path, k[:last]) && path[last].name == k[last].name {
			return false
		}
	}
	return true
}

// exists gives the species of the fields under a path's last name.
func (m *model) exists(at known, parent []step, name string) []species {
	var out []species
	for e := range at {
		path := m.events[e].path
		if len(path) > len(parent) && hasPrefix(path, parent) && path[len(parent)].name == name && m.alive(e, at) {
			out = append(out, path[len(parent)].species)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// apply records op as an event; at is what its author knows, and knows one more then. It is false where the op must be
// refused: a field on its way holds something else.
func (m *model) apply(op Op, actor uint64, stamp hlc.Stamp, at known) bool {
	path, leaf := split(op)
	e := event{actor: actor, stamp: stamp, op: leaf, path: path, on: leaf.species(), seen: known{}}
	for n := range at {
		e.seen[n] = true
	}
	for i, s := range path {
		there := m.exists(at, path[:i], s.name)
		if slices.Contains(there, s.species) {
			continue
		}
		if len(there) > 0 {
			return false
		}
		if op.removes() {
			if i == 0 {
				return true // nothing happens
			}
			e.path, e.op = path[:i], Op{} // it touches what is there, and does nothing in it
			break
		}
	}
	switch leaf := e.op; leaf.Kind {
	case RemoveField:
		e.kills = append(slices.Clone(e.path), step{name: leaf.Field})
	case Add:
		n, _ := value.As[int64](leaf.Arg)
		e.total = n
		for _, own := range m.leaves(at, e.path, e.on) {
			if own.actor == actor {
				e.total += own.total
			}
		}
	case GrowInsert:
		e.content = map[string]bool{wire(leaf.Arg): true}
		for _, old := range m.leaves(at, e.path, e.on) {
			for w := range old.content {
				e.content[w] = true
			}
		}
	case Assign, Raise, Lower:
		e.winner = sibling{stamp, wire(leaf.Arg), leaf.Arg, true}
		for _, old := range m.leaves(at, e.path, e.on) {
			e.winner = better(leaf.Kind, e.winner, old.winner)
		}
	}
	at[len(m.events)] = true
	m.events = append(m.events, e)
	return true
}

// leaves gives the updates at a path that count: neither removed, nor replaced by a later one that stands for them. For a
// counter only the same actor's does.
func (m *model) leaves(at known, path []step, on species) []event {
	var here []int
	for n := range at {
		e := m.events[n]
		if e.op.Kind != 0 && e.kills == nil && e.on == on && slices.Equal(e.path, path) && m.alive(n, at) {
			here = append(here, n)
		}
	}
	var out []event
	for _, n := range here {
		e := m.events[n]
		if !slices.ContainsFunc(here, func(later int) bool {
			l := m.events[later]
			switch e.op.Kind {
			case Add:
				return l.seen[n] && l.actor == e.actor
			case Insert: // only a remove of the same element, and that has seen it
				return l.seen[n] && l.op.Kind == Remove && wire(l.op.Arg) == wire(e.op.Arg)
			case Remove:
				return true
			}
			return l.seen[n]
		}) && e.op.Kind != Remove {
			out = append(out, e)
		}
	}
	return out
}

func better(kind OpKind, a, b sibling) sibling {
	switch {
	case !a.ok:
		return b
	case !b.ok:
		return a
	}
	var c int
	switch kind {
	case Raise:
		c = refCompare(a.value, b.value)
	case Lower:
		c = -refCompare(a.value, b.value)
	default:
		c = cmp.Or(a.stamp.Compare(b.stamp), strings.Compare(a.wire, b.wire))
	}
	if c < 0 {
		return b
	}
	return a
}

// refCompare orders the numbers and texts that the generator makes, all of which a float64 holds.
func refCompare(v, w value.Value) int {
	if v.Kind() != value.Text {
		f, _ := value.As[float64](v)
		g, _ := value.As[float64](w)
		if c := cmp.Compare(f, g); c != 0 {
			return c
		}
	}
	return strings.Compare(wire(v), wire(w))
}

// read gives what a replica reads at a path.
func (m *model) read(at known, path []step, on species) value.Value {
	leaves := m.leaves(at, path, on)
	switch on.of() {
	case TypeCounter:
		total := int64(0)
		for _, e := range leaves {
			total += e.total
		}
		return value.MustOf(total)
	case TypeGrowSet, TypeSet:
		wires := map[string]bool{}
		for _, e := range leaves {
			if e.op.Kind == Insert {
				wires[wire(e.op.Arg)] = true
			}
			for w := range e.content {
				wires[w] = true
			}
		}
		return listOf(wires)
	case TypeMap:
		out := map[string]value.Value{}
		for n := range at {
			p := m.events[n].path
			if len(p) <= len(path) || !hasPrefix(p, path) || !m.alive(n, at) {
				continue
			}
			name := p[len(path)].name
			s := m.exists(at, path, name)[0]
			out[name] = m.read(at, append(slices.Clone(path), step{name, s}), s)
		}
		return value.MustOf(out)
	}
	var best sibling
	for _, e := range leaves {
		s := e.winner
		if e.op.Kind == AssignMulti {
			s = sibling{e.stamp, wire(e.op.Arg), e.op.Arg, true}
		}
		best = better(e.op.Kind, best, s)
	}
	return best.value
}

func listOf(wires map[string]bool) value.Value {
	var out []value.Value
	for w := range wires {
		out = append(out, fromWire(w))
	}
	slices.SortFunc(out, func(a, b value.Value) int { return strings.Compare(wire(a), wire(b)) })
	return value.List(out)
}

func wire(v value.Value) string {
	b, err := v.Wire()
	if err != nil {
		panic(err)
	}
	return string(b)
}

func sameValue(a, b value.Value) bool { return bytes.Equal([]byte(wire(a)), []byte(wire(b))) }
