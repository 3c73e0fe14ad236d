// Package session is what a run has seen of state and done to it, as it travels from node to node: the read set and the
// dependencies of Cloudburst's protocols for distributed sessions (VLDB '20, §5.3), and the write set of a transaction. It is
// pure: versions go in, and it decides whether a run at its level may see them.
//
//	rr    Algorithm 1   of each key one version, or the run's own later write
//	dsc   Algorithm 2   and none older than what something seen depends on; nor one that depends on something newer than
//	                    what was seen, which the algorithm as published lets through
//	txn                 each key as it was first read; what was written is kept back until the run commits
//
// # Why a dependency is a number
//
// The paper compares vector clocks. Here every key has one history, the store's, to which each write was added knowing what
// was there; so a version that is later in it has merged all that were before, and revisions compare as the clocks would.
// And as a version is stored only after what it depends on, a read of the store never misses a dependency: only what is
// cached can be too old. What is cached was confirmed by the store within version.Horizon, so dependencies older than that
// are met by whatever anybody holds, and are forgotten: that is what keeps them few.
//
// A key that is not there has no revision once its tombstone is forgotten, or where it expired. Whether it was there later
// than something depends on is then told by the time at which the run found it missing.
package session

import (
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

// Staleness is for how long what a cache has confirmed may be served to causal sessions. It is less than version.Horizon:
// the difference allows for clocks that differ and for writes that were under way.
const Staleness = 70 * time.Second

// slack is how far apart the clocks may be by which two versions are said to be stored.
const slack = version.Horizon - Staleness

// Read is a version that the run has seen of a key, or has made.
type Read struct {
	Revision kvs.Revision `cbor:"1,keyasint,omitempty"` // 0: not stored, or not there
	Time     uint64       `cbor:"2,keyasint,omitempty"` // of its stamp
	Author   uint64       `cbor:"3,keyasint,omitempty"` // of its stamp
	Absent   bool         `cbor:"4,keyasint,omitempty"`
	Own      bool         `cbor:"5,keyasint,omitempty"` // the run wrote it
	Node     string       `cbor:"6,keyasint,omitempty"` // whose cache has pinned it for the run
	Stored   uint64       `cbor:"7,keyasint,omitempty"` // a stamp's time by which it was stored, or was found missing
	// Context is, at a causal level, what the run's own write may replace: the clock of what was read, or what the write
	// had replaced itself. Of what is At hand it is made when it travels.
	Context lattice.VectorClock `cbor:"8,keyasint,omitempty"`

	// Beside are the run's other writes to the key, by parallel branches that had not seen this one. Causal levels keep all.
	Beside []Read `cbor:"9,keyasint,omitempty"`

	// Seen is, of an own write, up to which revision the run has seen what others wrote to the key: it sees its own write
	// alone, while what is stored under Revision may hold others' beside it.
	Seen kvs.Revision `cbor:"10,keyasint,omitempty"`

	// At is the version itself, where it is at hand. It does not travel.
	At Held `cbor:"-"`
}

// upTo is the revision up to which the run has seen what was written to the key.
func (r *Read) upTo() kvs.Revision {
	if r.Own {
		return r.Seen
	}
	return r.Revision
}

// Held is a version at hand.
type Held interface{ Clock() lattice.VectorClock }

// Stamp is the version's.
func (r Read) Stamp() hlc.Stamp { return hlc.Stamp{Time: r.Time, Node: r.Author} }

// Replaces is what a write to the key by the run may replace: what context covers, and the run's own writes before it.
func (r Read) Replaces() (context lattice.VectorClock, own []hlc.Stamp) {
	if r.Own {
		context, own = r.Context, []hlc.Stamp{r.Stamp()}
		for _, b := range r.Beside {
			context, own = context.Join(b.Context), append(own, b.Stamp())
		}
		return context, own
	}
	if r.Context == nil && r.At != nil {
		return r.At.Clock(), nil
	}
	return r.Context, nil
}

// Beside gives r with what stays of the run's writes before it: those that it has not replaced. Revision is the latest.
func (r Read) keep(before Read, over []hlc.Stamp) Read {
	for _, b := range append([]Read{before}, before.Beside...) {
		if !b.Own || b.is(r) || slices.Contains(over, b.Stamp()) {
			continue
		}
		b.Beside = nil
		r.Beside = append(r.Beside, b)
	}
	return r
}

// Write is what a transaction is to write.
type Write struct {
	Value  value.Value `cbor:"-"`
	Wire   []byte      `cbor:"1,keyasint,omitempty"` // its wire form, in transit
	Delete bool        `cbor:"2,keyasint,omitempty"`
	Time   uint64      `cbor:"3,keyasint"`           // of two writes to one key, the later counts
	Ops    []Op        `cbor:"4,keyasint,omitempty"` // instead of a value: operations on what was read, or on nothing after a Delete
}

// Op is a lattice's operation in a transaction.
type Op struct {
	Time uint64 `cbor:"1,keyasint"` // of its stamp: by it, one that two branches have inherited counts once
	Op   []byte `cbor:"2,keyasint"` // as of lattice.AppendOp
}

// State is one run's session. The zero State of a level has seen nothing. Not safe for concurrent use.
type State struct {
	Level  kvs.Level
	known  index
	After  uint64 // a stamp's time: what is cached counts only if it was confirmed later
	Writes map[kvs.Key]Write
	// Life names what the run's version home remembers of it, where it has one: nothing else travels then.
	Life uint64
	// Met is a stamp's time that no stamp in what the version home remembers exceeds: what is written next comes later.
	Met uint64
}

// New is the session of a run that has seen nothing.
func New(level kvs.Level) *State { return &State{Level: level} }

// Clone is a copy that may be changed apart from s: a try that fails leaves no trace.
func (s *State) Clone() *State {
	out := &State{Level: s.Level, After: s.After, Life: s.Life, Met: s.Met}
	out.known = s.known.clone()
	if len(s.Writes) > 0 {
		out.Writes = maps.Clone(s.Writes)
	}
	return out
}

// Extent is of how many keys a session knows something, and of how many it has seen a version.
type Extent struct{ Keys, Reads int }

// Extent of s.
func (s *State) Extent() Extent { return Extent{s.known.used, len(s.known.reads)} }

// Reserve makes room for what a session that has seen nothing is about to see.
func (s *State) Reserve(e Extent) {
	if s.known.used > 0 || e.Keys == 0 {
		return
	}
	s.known.grow(e.Keys)
	s.known.reads = make([]read, 0, e.Reads)
	s.known.deps = make([]*version.Dep, 0, max(e.Keys-e.Reads, 0))
}

// Read is what the run has seen of a key or written to it, if anything.
func (s *State) Read(key kvs.Key) (Read, bool) {
	if r := s.At(Hash(key), key); r != nil {
		return *r, true
	}
	return Read{}, false
}

// At is Read by the key's Hash; nil for nothing. It is valid until the run sees more, and not to be written to.
func (s *State) At(hash uint64, key kvs.Key) *Read { return s.known.find(hash, key) }

// Reads are all that the run has seen and written.
func (s *State) Reads() iter.Seq2[kvs.Key, Read] {
	return func(yield func(kvs.Key, Read) bool) {
		for i := range s.known.reads {
			if r := &s.known.reads[i]; !yield(r.key, r.Read) {
				return
			}
		}
	}
}

// HasRead reports whether there are any.
func (s *State) HasRead() bool { return len(s.known.reads) > 0 }

// Deps are the dependencies of what the run has seen: the latest on each key.
func (s *State) Deps() iter.Seq2[kvs.Key, *version.Dep] {
	return func(yield func(kvs.Key, *version.Dep) bool) {
		for _, d := range s.known.deps {
			if !yield(d.Key, d) {
				return
			}
		}
	}
}

// Depends adds a dependency, unless there is a later one on its key. It keeps d.
func (s *State) Depends(d *version.Dep) {
	s.known.grow(1)
	h := Hash(d.Key)
	if at := s.known.at(h, &d.Key); at.dep != 0 && later(d, s.known.deps[at.dep-1]) {
		s.known.deps[at.dep-1] = d
		return
	}
	s.known.depend(h, d)
}

// Verdict is what a session says of a version that it has not seen yet.
type Verdict uint8

// The verdicts.
const (
	Fits   Verdict = iota // the run may see it
	Behind                // something that the run has seen depends on a later version of the key
	Ahead                 // it depends on a later version of something that the run has seen
)

// Judge says whether the run may see a version, which is stored, or not there, of a key. Of a level that promises one version
// of each key, the run has not read it yet.
func (s *State) Judge(v Sight) Verdict {
	if s.known.used == 0 || !s.Level.Causal() {
		return Fits
	}
	mine := s.known.at(v.Hash, &v.Key)
	switch s.Level {
	case kvs.SingleKey, kvs.MultiKey:
		if mine.read != 0 && v.Revision < s.known.reads[mine.read-1].Revision {
			return Behind
		}
	case kvs.DistributedSession:
		for i := range v.Marks {
			at := s.known.at(v.Marks[i].Hash, &v.Deps[i].Key)
			if at.read != 0 && s.known.reads[at.read-1].misses(v.Marks[i].Revision, v.Marks[i].Time) {
				return Ahead
			}
		}
	}
	if mine.dep != 0 && v.Revision < s.known.deps[mine.dep-1].Revision {
		return Behind
	}
	return Fits
}

// misses reports whether what was read is from before a dependency on a revision, which was stored by a stamp's time.
func (r *Read) misses(revision kvs.Revision, stored uint64) bool {
	if r.upTo() >= revision {
		return false
	}
	// Found missing long after the dependency was stored: so it had been there, and was gone.
	gone := r.Absent && hlc.Stamp{Time: stored}.Wall().Add(slack).Before(hlc.Stamp{Time: r.Stored}.Wall())
	return !gone
}

// Saw notes that the run has seen v, which node has pinned; at is the version at hand. now is a stamp's time.
func (s *State) Saw(v Sight, node string, at Held, now uint64) {
	s.note(v.Version, v.Hash, node, at, now, false, nil)
	if s.Level != kvs.MultiKey && s.Level != kvs.DistributedSession {
		return
	}
	s.After = max(s.After, v.After)
	if len(v.Marks) == 0 {
		return
	}
	horizon := version.Since(now)
	s.known.grow(len(v.Marks))
	for i := range v.Marks {
		if v.Marks[i].Time >= horizon {
			s.known.depend(v.Marks[i].Hash, &v.Deps[i])
		}
	}
}

// Wrote notes that the run's own write, which replaced what context covers, has made v of a key.
func (s *State) Wrote(v *version.Version, node string, at Held, now uint64, context lattice.VectorClock) {
	s.note(v, Hash(v.Key), node, at, now, true, context)
}

// WroteOver is Wrote at the version home of a run with parallel branches: of the run's writes to the key before, at a
// causal level those stay that are not in over, and elsewhere the latest one counts.
func (s *State) WroteOver(v *version.Version, node string, now uint64, context lattice.VectorClock, over []hlc.Stamp) {
	h := Hash(v.Key)
	before, written := s.Read(v.Key)
	if written && before.Own && !s.Level.Causal() && v.Stamp.Compare(before.Stamp()) < 0 {
		return
	}
	s.note(v, h, node, nil, now, true, context)
	if written && before.Own && s.Level.Causal() {
		r := s.known.find(h, v.Key)
		*r = r.keep(before, over)
	}
}

// Latest is the highest stamp's time of what the run has seen and done.
func (s *State) Latest() uint64 {
	latest := s.Met
	for i := range s.known.reads {
		latest = max(latest, s.known.reads[i].Time)
	}
	for _, w := range s.Writes {
		latest = max(latest, w.Time)
	}
	return latest
}

func (s *State) note(v *version.Version, h uint64, node string, at Held, now uint64, own bool, context lattice.VectorClock) {
	r := Read{
		Revision: v.Revision, Time: v.Stamp.Time, Author: v.Stamp.Node, Absent: v.Absent, Own: own, Node: node, At: at,
		Context: context,
	}
	if v.Revision != 0 || v.Absent {
		r.Stored = now
		if !v.Written.IsZero() && !v.Absent {
			r.Stored = hlc.At(v.Written, 0).Time
		}
	}
	if own {
		if before := s.known.find(h, v.Key); before != nil {
			r.Seen = before.upTo()
		}
	}
	s.known.put(h, v.Key, r)
}

// Adopt notes what the run sees of a key, as its version home or an earlier read has said.
func (s *State) Adopt(key kvs.Key, r Read) {
	s.known.put(Hash(key), key, r)
}

// SawAll notes that what is stored of the run's own write to a key holds nothing that the run has not seen.
func (s *State) SawAll(key kvs.Key) {
	if r := s.known.find(Hash(key), key); r != nil && r.Own {
		r.Seen = r.Revision
	}
}

// Dependencies are those of a write to key by the run at now, a stamp's time: what it has seen and done, and what that
// depends on, within version.Horizon and at most version.MaxDeps. after is s.After, or later where some had to be given up.
func (s *State) Dependencies(key kvs.Key, now uint64) (deps []version.Dep, after uint64) {
	horizon := version.Since(now)
	deps = make([]version.Dep, 0, len(s.known.reads)+len(s.known.deps))
	for k, r := range s.Reads() {
		if k != key && r.Revision != 0 && r.Stored >= horizon {
			deps = append(deps, version.Dep{Key: k, Revision: r.Revision, Time: r.Stored})
		}
	}
	version.SortDeps(deps)
	more := make([]version.Dep, 0, len(s.known.deps))
	for k, d := range s.Deps() {
		if k != key && d.Time >= horizon {
			more = append(more, *d)
		}
	}
	version.SortDeps(more)
	deps, after = version.PruneDeps(version.JoinDeps(deps, more), horizon, version.MaxDeps)
	return deps, max(after, s.After)
}

// Size is about how many bytes of metadata the session adds to each message of its run.
func (s *State) Size() int {
	n := 0
	for k, r := range s.Reads() {
		n += len(k) + len(r.Node) + 24 + 12*len(r.Context)
	}
	for k := range s.Deps() {
		n += len(k) + 20
	}
	return n
}
