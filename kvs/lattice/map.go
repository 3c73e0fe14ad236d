package lattice

import (
	"cmp"
	"slices"

	"github.com/squall-faas/squall/value"
)

// Map holds lattices under names. A removal takes away what its author had seen of a field, so an update that is concurrent
// to it wins; see the package comment for what it brings back. All that is inside, at every depth, shares one clock.
type Map struct {
	clock  VectorClock
	fields []field // in order of name and species
}

// field is one type under one name. It is there because of the updates whose dots are its presence; there is at least one.
type field struct {
	name     string
	species  species
	presence []Dot
	content  content
}

// species tells apart what can be under one name at once, because it cannot be joined: types, and max or min over text from
// those over numbers.
type species uint8

const overText species = 0x40

func (s species) of() Type { return Type(s &^ overText) }

// String names the species as error messages do.
func (s species) String() string {
	if s&overText != 0 {
		return s.of().String() + " of text"
	}
	return s.of().String()
}

func (f field) order(g field) int {
	if c := cmp.Compare(f.name, g.name); c != 0 {
		return c
	}
	return cmp.Compare(f.species, g.species)
}

// named gives where the fields of a name begin and end.
func named(fields []field, name string) (from, to int) {
	from, _ = slices.BinarySearchFunc(fields, name, func(f field, name string) int { return cmp.Compare(f.name, name) })
	for to = from; to < len(fields) && fields[to].name == name; to++ {
	}
	return from, to
}

// Type is TypeMap.
func (m Map) Type() Type { return TypeMap }

// Clock covers all updates that this state has seen, of fields that were removed too.
func (m Map) Clock() VectorClock { return m.clock }

// Names of the fields, in order.
func (m Map) Names() []string {
	out := make([]string, len(m.fields))
	for i, f := range m.fields {
		out[i] = f.name
	}
	return slices.Compact(out)
}

// Get gives what is under a name; ok is false where there is nothing. The state is for reading: a change to it is no change
// of the map.
func (m Map) Get(name string) (s State, ok bool) {
	from, to := named(m.fields, name)
	if from == to {
		return nil, false
	}
	return m.fields[from].content.state(m.clock), true
}

// Join merges field by field.
func (m Map) Join(other State) (State, error) {
	o, ok := other.(Map)
	if !ok {
		return nil, notJoined(m, other)
	}
	fields, err := joinFields(m.fields, m.clock, o.fields, o.clock)
	if err != nil {
		return nil, err
	}
	return Map{clock: m.clock.Join(o.clock), fields: fields}, nil
}

func joinFields(a []field, seenA VectorClock, b []field, seenB VectorClock) ([]field, error) {
	out := make([]field, 0, max(len(a), len(b)))
	for len(a) > 0 || len(b) > 0 {
		var f, g field // one that is missing has neither presence nor content
		order := -1
		switch {
		case len(a) == 0:
			order = 1
		case len(b) > 0:
			order = a[0].order(b[0])
		}
		if order <= 0 {
			f, a = a[0], a[1:]
			g = field{name: f.name, species: f.species, content: f.species.empty()}
		}
		if order >= 0 {
			g, b = b[0], b[1:]
		}
		if order > 0 {
			f = field{name: g.name, species: g.species, content: g.species.empty()}
		}
		if f.presence = joinDots(f.presence, seenA, g.presence, seenB); len(f.presence) == 0 {
			continue
		}
		var err error
		if f.content, err = f.content.join(seenA, g.content, seenB); err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

// Read is the map of what each field reads.
func (m Map) Read() value.Value {
	out := make(map[string]value.Value, len(m.fields))
	for _, f := range m.fields {
		if _, twice := out[f.name]; !twice {
			out[f.name] = f.content.state(m.clock).Read()
		}
	}
	return value.MustOf(out)
}

// Append appends the encoding.
func (m Map) Append(dst []byte) ([]byte, error) { return encode(m, dst) }

func (m Map) appendItem(dst []byte) ([]byte, error) {
	return appendFields(m.clock.appendItem(appendList(dst, 2)), m.fields)
}

func appendFields(dst []byte, fields []field) ([]byte, error) {
	dst = appendList(dst, len(fields))
	for _, f := range fields {
		dst = appendHead(appendList(dst, 4), majorText, uint64(len(f.name)))
		dst = appendDots(appendUint(append(dst, f.name...), uint64(f.species)), f.presence)
		var err error
		if dst, err = f.content.append(dst); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

func (r *reader) tree() Map {
	r.tuple(2)
	clock := r.clock()
	return Map{clock: clock, fields: r.fields(clock, maxDepth)}
}

func (r *reader) fields(clock VectorClock, depth int) []field {
	if depth == 0 {
		r.fail(errDeep)
	}
	n := r.length(majorList, 8)
	out := make([]field, 0, n)
	for i := 0; i < n && r.err == nil; i++ {
		r.tuple(4)
		f := field{name: r.text(), species: r.species(), presence: r.dots(clock)}
		if r.err == nil {
			f.content = r.content(f.species, clock, depth)
		}
		switch {
		case r.err != nil:
		case checkName(f.name) != nil:
			r.fail(checkName(f.name))
		case i > 0 && out[i-1].order(f) >= 0:
			r.fail(errOrder)
		}
		out = append(out, f)
	}
	return out
}

func (r *reader) species() species {
	n := r.uint()
	s := species(n)
	switch t := s.of(); {
	case r.err != nil:
	case n > 0xff || t < TypeRegister || t > TypeMin || s != species(t) && t != TypeMax && t != TypeMin:
		r.fail(errRange)
	}
	return s
}

// Size is the fields' and the clock's.
func (m Map) Size() int { return m.clock.size() + sizeOfFields(m.fields) }

func sizeOfFields(fields []field) int {
	n := 0
	for _, f := range fields {
		n += 64 + len(f.name) + 16*len(f.presence) + f.content.size()
	}
	return n
}
