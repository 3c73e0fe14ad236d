package version

import (
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/value"
)

// Kind says what a Mutation does. The numbers are stored: append-only.
type Kind uint8

// The kinds.
const (
	Assign Kind = 1 // the last writer wins
	Remove Kind = 2 // likewise
	Put    Kind = 3 // causal: replaces what its Context covers, and stands beside the rest
	Drop   Kind = 4 // causal: removes what its Context covers
	Update Kind = 5 // a lattice's operation
)

// Mutation is one write to one key, as it is queued, recorded and applied. Applying it twice is applying it once.
type Mutation struct {
	Kind    Kind
	Key     kvs.Key
	Value   value.Value // of Assign and Put
	Op      lattice.Op  // of Update
	ID      lattice.OpID
	Stamp   hlc.Stamp
	TTL     time.Duration
	Context lattice.VectorClock // of Put and Drop
	Over    []hlc.Stamp         // of Put and Drop: the writer's own writes before, which it replaces too
	Deps    []Dep               // of Put and Drop, and of an Update by a causal run
	After   uint64              // likewise: Version.After
	// Wins has an Assign or Remove win over any stamp: linearizable writes are ordered by the store alone. Where the stamp
	// does not win by itself, to apply it again is to write again.
	Wins bool
}

// MaxSiblings bounds the concurrent writes that one key keeps.
const MaxSiblings = 64

// Apply gives what key holds after m, where it held cur. changed is false where m makes no difference: it lost against a
// later stamp, or was applied before. cur may be None(key), not nil. Errors: wrong_type where the key holds something that
// m does not go with, conflict past MaxSiblings.
func Apply(cur *Version, m *Mutation) (next *Version, changed bool, err error) {
	if !cur.Absent && cur.Expired(m.Stamp.Wall()) { // it is as good as none, whatever the store still says
		gone := None(cur.Key)
		gone.Revision, gone.Stamp, gone.State, gone.Applied = cur.Revision, cur.Stamp, emptied(cur), cur.Applied
		cur = gone
	}
	switch m.Kind {
	case Assign, Remove:
		return assign(cur, m)
	case Put, Drop:
		return put(cur, m)
	case Update:
		return update(cur, m)
	}
	return nil, false, fault.New(fault.Unsupported, "a write of kind %d: it was made by a later version of Squall; upgrade this node", m.Kind)
}

// follow is the version after cur, before it says what it holds.
func follow(cur *Version, m *Mutation) *Version {
	next := &Version{Key: cur.Key, Revision: cur.Revision, Stamp: m.Stamp, Applied: cur.Applied}
	if cur.Stamp.Compare(next.Stamp) > 0 {
		next.Stamp = cur.Stamp
	}
	if m.TTL > 0 {
		next.Expires = m.Stamp.Wall().Add(m.TTL)
	}
	return next
}

func assign(cur *Version, m *Mutation) (*Version, bool, error) {
	order := cur.Stamp.Compare(m.Stamp)
	if order == 0 && !cur.Stamp.IsZero() || order > 0 && !m.Wins {
		return cur, false, nil
	}
	next := follow(cur, m)
	if order > 0 { // m wins all the same, and must not be taken for the write before
		next.Stamp.Time++
	}
	if m.Kind == Remove {
		next.Absent, next.State = true, emptied(cur)
		return next, !cur.Absent || cur.Stamp != next.Stamp, nil
	}
	next.Value = m.Value
	if multi, ok := cur.State.(lattice.MultiValue); ok { // causal writers go on knowing what they have seen
		next.State = with(multi, multi.Clock, m.Stamp, m.Value)
	}
	return next, true, nil
}

// emptied is what a key that is gone remembers: of its siblings their clock, of other states nothing.
func emptied(v *Version) lattice.State {
	if multi, ok := v.State.(lattice.MultiValue); ok {
		return lattice.MultiValue{Clock: multi.Clock}
	}
	return nil
}

func put(cur *Version, m *Mutation) (*Version, bool, error) {
	if cur.State != nil && cur.State.Type() != lattice.TypeMultiValue {
		return nil, false, fault.New(fault.WrongType, "key %.64q holds a %v: change it with Update, or Delete it before you Put something else", string(cur.Key), cur.State.Type())
	}
	multi := asMulti(cur)
	for _, s := range multi.Siblings {
		if s.Stamp == m.Stamp { // stamps are unique: this very write is here already
			return cur, false, nil
		}
	}
	next := follow(cur, m)
	before := len(multi.Siblings)
	if len(m.Over) > 0 {
		multi = without(multi, m.Over)
	}
	if m.Kind == Drop {
		multi = discard(multi, m.Context)
		if len(multi.Siblings) == before {
			return cur, false, nil
		}
	} else {
		multi = with(multi, m.Context, m.Stamp, m.Value)
		if n := len(multi.Siblings); n > MaxSiblings {
			return nil, false, fault.New(fault.Conflict, "key %.64q has %d concurrent values already: read them (fn.Siblings, client.Siblings, ?siblings=1) and put one that replaces them, or put at level lww", string(cur.Key), n-1)
		}
	}
	next.State = multi
	if len(multi.Siblings) == 0 {
		next.Absent = true
	} else {
		next.Value = multi.Read()
	}
	next.depend(cur, m)
	return next, true, nil
}

// depend gives next the dependencies of what it was made of: those that still matter, and not more than MaxDeps.
func (v *Version) depend(cur *Version, m *Mutation) {
	var after uint64
	v.Deps, after = PruneDeps(JoinDeps(cur.Deps, m.Deps), Since(v.Stamp.Time), MaxDeps)
	v.After = max(cur.After, m.After, after)
}

func update(cur *Version, m *Mutation) (*Version, bool, error) {
	if m.ID != (lattice.OpID{}) && cur.Applied.Has(m.ID) {
		return cur, false, nil
	}
	state := cur.State
	if !cur.Absent && state == nil {
		return nil, false, fault.New(fault.WrongType, "key %.64q holds a plain value, which has no operations: Delete it first, or use Put", string(cur.Key))
	}
	if cur.Absent {
		state = nil
	}
	after, err := lattice.Apply(state, m.Op, lattice.By{Actor: m.Stamp.Node, Stamp: m.Stamp})
	if err != nil {
		return nil, false, fault.New(fault.CodeOf(err), "key %.64q: %w", string(cur.Key), err)
	}
	next := follow(cur, m)
	next.State, next.Value = after, after.Read()
	next.depend(cur, m)
	if m.TTL == 0 {
		next.Expires = cur.Expires // an operation changes the value, not its life
	}
	if m.ID != (lattice.OpID{}) {
		next.Applied = next.Applied.With(m.ID)
	}
	return next, true, nil
}
