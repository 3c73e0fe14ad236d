// Package version gives stored entries their meaning: a version of a key is a register, a register of concurrent siblings,
// or a lattice's state, with the clock and the causal dependencies it was written with. How a write and what is there become
// what is there next is decided here, once for caches, clients and tools, by pure functions:
//
//	kvs.Entry  ──Open──▶  Version  ──Apply(Mutation)──▶  Version  ──Write──▶  kvs.Write
//
// A [Writer] is the shell around them for who has no cache.
//
// What is stored stays readable for who knows nothing of this: the value of a register, also of a sole sibling, is the
// entry's value as it is, and everything else lies in the entry's Meta.
package version

import (
	"time"

	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/value"
)

// Version is one version of one key. Immutable: share it, and do not write to what it holds. Key and Value come last, beside
// what a cache lays behind the version.
type Version struct {
	Written  time.Time // by the store's clock; zero where it is not stored
	Expires  time.Time // zero: never
	Applied  lattice.Window
	State    lattice.State // nil for a plain register
	Absent   bool          // deleted, or never there
	Deps     []Dep         // that whoever sees this version must not see older versions of; sorted by key
	After    uint64        // a stamp's time: nor anything that was not confirmed later; 0 where Deps say it all
	Revision kvs.Revision  // of the store; 0 where it is not stored, or was never there
	Stamp    hlc.Stamp     // of the last write that it holds
	Key      kvs.Key
	Value    value.Value // what a reader gets; Null where Absent
}

// Dep is a causal dependency: a version of another key that was seen, or written, before this one was written.
type Dep struct {
	Key      kvs.Key      `cbor:"1,keyasint"`
	Revision kvs.Revision `cbor:"2,keyasint"`
	Time     uint64       `cbor:"3,keyasint"` // a stamp's time by which it was stored: old ones need not be remembered
}

// None is the version of a key that is not there.
func None(key kvs.Key) *Version { return &Version{Key: key, Absent: true} }

// Siblings are the values of the concurrent writes that v holds, the one that readers get first; one for a register, none
// where v is absent.
func (v *Version) Siblings() []value.Value {
	if v.Absent {
		return nil
	}
	m, ok := v.State.(lattice.MultiValue)
	if !ok {
		return []value.Value{v.Value}
	}
	out := make([]value.Value, 0, len(m.Siblings))
	for _, s := range newestFirst(m) {
		out = append(out, s.Value)
	}
	return out
}

// Newer reports whether v takes the place of old in a cache. Stored versions are ordered by their revisions, which follow
// the stamps because no lattice write is blind; where one of the two is not stored, the stamps decide.
func (v *Version) Newer(old *Version) bool {
	if v.Revision != 0 && old.Revision != 0 {
		return v.Revision > old.Revision
	}
	return old.Stamp.Compare(v.Stamp) < 0
}

// Expired reports whether v's TTL has ended at a time.
func (v *Version) Expired(at time.Time) bool { return !v.Expires.IsZero() && !at.Before(v.Expires) }

// Same reports whether v and w are one version.
func (v *Version) Same(w *Version) bool {
	return v.Revision == w.Revision && v.Stamp == w.Stamp && v.Absent == w.Absent
}

// Clock is the context for a write by who has seen v: what it may replace.
func (v *Version) Clock() lattice.VectorClock {
	return asMulti(v).Clock
}
