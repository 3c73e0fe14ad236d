package lattice

import (
	"slices"

	"github.com/squall-faas/squall/fault"
)

// content is what a field of a map holds, below the map's clock: siblings, elements, nested fields, or else, for the types
// that have no dots of their own, contributions.
type content interface {
	// join is as of joinDotted; other is of the same species.
	join(seen VectorClock, other content, seenOther VectorClock) (content, error)
	// apply carries out op, which wants this species, as the event dot.
	apply(op Op, by By, dot Dot) (content, error)
	// state is the content as a state of its own.
	state(clock VectorClock) State
	append(dst []byte) ([]byte, error)
	size() int
}

// empty is the content of a field that is not there.
func (s species) empty() content {
	switch s.of() {
	case TypeMultiValue:
		return siblings(nil)
	case TypeSet:
		return elements(nil)
	case TypeMap:
		return fields(nil)
	}
	return contributions{species: s}
}

func (r *reader) content(s species, clock VectorClock, depth int) content {
	switch s.of() {
	case TypeMultiValue:
		return siblings(r.siblings(clock, true))
	case TypeSet:
		return elements(r.elements(clock))
	case TypeMap:
		return fields(r.fields(clock, depth-1))
	}
	return r.contributions(s, clock)
}

type siblings []Sibling

func (c siblings) join(seen VectorClock, other content, seenOther VectorClock) (content, error) {
	out, err := joinSiblings(c, seen, other.(siblings), seenOther)
	return siblings(out), err
}

func (c siblings) apply(op Op, by By, dot Dot) (content, error) {
	return siblings{{Dot: dot, Stamp: by.Stamp, Value: op.Arg}}, nil
}

func (c siblings) state(clock VectorClock) State     { return MultiValue{Clock: clock, Siblings: c} }
func (c siblings) append(dst []byte) ([]byte, error) { return appendSiblings(dst, c) }
func (c siblings) size() int                         { return sizeOfSiblings(c) }

type elements []element

func (c elements) join(seen VectorClock, other content, seenOther VectorClock) (content, error) {
	return elements(joinElements(c, seen, other.(elements), seenOther)), nil
}

func (c elements) apply(op Op, _ By, dot Dot) (content, error) {
	wire, err := wireOf(op.Arg)
	if err != nil {
		return nil, err
	}
	if op.Kind == Remove {
		return elements(removeElement(c, wire)), nil
	}
	return elements(insertElement(c, wire, dot)), nil
}

func (c elements) state(clock VectorClock) State     { return Set{clock: clock, elements: c} }
func (c elements) append(dst []byte) ([]byte, error) { return appendElements(dst, c), nil }
func (c elements) size() int                         { return sizeOfElements(c) }

type fields []field

func (c fields) join(seen VectorClock, other content, seenOther VectorClock) (content, error) {
	out, err := joinFields(c, seen, other.(fields), seenOther)
	return fields(out), err
}

// apply updates or removes a field. A removal has no dot: what it removed is what the clock covers and is not there.
func (c fields) apply(op Op, by By, dot Dot) (content, error) {
	from, to := named(c, op.Field)
	if op.Kind == RemoveField {
		return slices.Concat(c[:from], c[to:]), nil
	}
	f := field{name: op.Field, species: op.Inner.species(), presence: []Dot{dot}}
	at, found := slices.BinarySearchFunc(c, f, field.order)
	switch {
	case found:
		f.content = c[at].content
	case from < to:
		return nil, fault.New(fault.WrongType, "field %q holds a %s, and %s wants a %s: use another field, or remove this one first", op.Field, c[from].species, op.Inner.Kind, f.species)
	case op.Inner.removes():
		return c, nil
	default:
		f.content = f.species.empty()
	}
	var err error
	if f.content, err = f.content.apply(*op.Inner, by, dot); err != nil {
		return nil, err
	}
	if !found {
		return fields(inserted(c, at, f)), nil
	}
	out := slices.Clone(c)
	out[at] = f
	return out, nil
}

func (c fields) state(clock VectorClock) State     { return Map{clock: clock, fields: c} }
func (c fields) append(dst []byte) ([]byte, error) { return appendFields(dst, c) }
func (c fields) size() int                         { return sizeOfFields(c) }

// contributions are what updates have brought to a field whose type has no dots: the field's state is the join of all. They
// are in order of their dots.
type contributions struct {
	species species
	all     []contribution
}

type contribution struct {
	dot   Dot
	state State
}

func (c contribution) at() Dot { return c.dot }

func (c contributions) join(seen VectorClock, other content, seenOther VectorClock) (content, error) {
	var err error
	all := joinDotted(c.all, seen, other.(contributions).all, seenOther, func(a, b contribution) contribution {
		s, e := a.state.Join(b.state)
		if e != nil {
			err = e
			return a
		}
		return contribution{a.dot, s}
	})
	return contributions{c.species, all}, err
}

// apply puts what op makes of the state under the new dot. For a join that takes the greater that may be all of the
// state, since it does no harm there twice. Increments would count twice: so an actor's dot stands for that actor's
// alone, and replaces only its last.
func (c contributions) apply(op Op, by By, dot Dot) (content, error) {
	next, err := Apply(c.merged(c.all), op, by) // of all, to notice an overflow
	if err != nil {
		return nil, err
	}
	if c.species.of() != TypeCounter {
		return contributions{c.species, []contribution{{dot, next}}}, nil
	}
	var own, all []contribution
	for _, x := range c.all {
		if x.dot.Actor == by.Actor {
			own = append(own, x)
		} else {
			all = append(all, x)
		}
	}
	if next, err = Apply(c.merged(own), op, by); err != nil {
		return nil, err
	}
	all = append(all, contribution{dot, next})
	slices.SortFunc(all, func(a, b contribution) int { return a.dot.Compare(b.dot) })
	return contributions{c.species, all}, nil
}

// merged is the join of contributions. They are of one species, which can always be joined.
func (c contributions) merged(all []contribution) State {
	s := c.species.zero()
	for _, x := range all {
		if joined, err := s.Join(x.state); err == nil {
			s = joined
		}
	}
	return s
}

// zero is the least state of a type without dots.
func (s species) zero() State {
	switch s.of() {
	case TypeRegister:
		return Register{}
	case TypeCounter:
		return Counter{}
	case TypeGrowSet:
		return GrowSet{}
	case TypeMax:
		return Max{}
	}
	return Min{}
}

func (c contributions) state(VectorClock) State { return c.merged(c.all) }

func (c contributions) append(dst []byte) ([]byte, error) {
	dst = appendList(dst, len(c.all))
	for _, x := range c.all {
		var err error
		if dst, err = x.state.appendItem(appendDot(appendList(dst, 3), x.dot)); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

func (r *reader) contributions(s species, clock VectorClock) contributions {
	n := r.length(majorList, 4)
	out := make([]contribution, 0, n)
	for i := 0; i < n && r.err == nil; i++ {
		r.tuple(3)
		x := contribution{dot: r.dot(), state: r.plain(s.of())}
		r.placed(i == 0 || x.dot.Compare(out[i-1].dot) > 0, x.dot, clock)
		if r.err == nil && !s.admits(x) {
			r.fail(errItem)
		}
		out = append(out, x)
	}
	return contributions{s, out}
}

// admits reports whether a contribution can be one of the species: an actor counts for itself alone, and a max or min of
// a field holds something, so that all of a field can be joined.
func (s species) admits(x contribution) bool {
	switch state := x.state.(type) {
	case Counter:
		return len(state.tallies) == 0 || len(state.tallies) == 1 && state.tallies[0].actor == x.dot.Actor
	case Max:
		return speciesOfExtreme(TypeMax, state.Value) == s && !state.Value.IsNull()
	case Min:
		return speciesOfExtreme(TypeMin, state.Value) == s && !state.Value.IsNull()
	}
	return true
}

func (c contributions) size() int {
	n := 0
	for _, x := range c.all {
		n += 32 + x.state.Size()
	}
	return n
}
