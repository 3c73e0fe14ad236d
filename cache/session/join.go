package session

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
)

// Join gives the session of a node of the graph whose inputs come from several others: what any of them has seen and done.
// The arguments stay as they are. snapshot_lost, for levels that promise one version of each key, where two branches have
// seen different ones; txn_conflict for a transaction. The run then begins anew.
func Join(level kvs.Level, parts ...*State) (*State, error) {
	var only *State
	n := 0
	for _, p := range parts {
		if p != nil {
			only, n = p, n+1
		}
	}
	switch n {
	case 0:
		return New(level), nil
	case 1:
		return only.Clone(), nil
	}
	out := New(level)
	for _, p := range parts {
		if p == nil {
			continue
		}
		if err := out.join(p); err != nil {
			return nil, err
		}
	}
	if level == kvs.DistributedSession {
		for k, d := range out.Deps() {
			if r, ok := out.Read(k); ok && r.misses(d.Revision, d.Time) {
				return nil, split(level, k)
			}
		}
	}
	return out, nil
}

func (s *State) join(p *State) error {
	s.After, s.Met = max(s.After, p.After), max(s.Met, p.Met)
	switch {
	case s.Life == 0:
		s.Life = p.Life
	case p.Life != 0 && p.Life != s.Life:
		return fault.New(fault.SnapshotLost, "what two branches of the run have read is remembered in two places, of which one has forgotten the other's: it begins again")
	}
	for k, r := range p.Reads() {
		if have, ok := s.Read(k); ok {
			var err error
			if r, err = s.joinRead(k, have, r); err != nil {
				return err
			}
		}
		s.Adopt(k, r)
	}
	for _, d := range p.Deps() {
		s.Depends(d)
	}
	for k, w := range p.Writes {
		if have, ok := s.Writes[k]; ok {
			w = joinWrite(have, w)
		}
		if s.Writes == nil {
			s.Writes = make(map[kvs.Key]Write)
		}
		s.Writes[k] = w
	}
	return nil
}

func later(d, than *version.Dep) bool {
	return cmp.Or(cmp.Compare(d.Revision, than.Revision), cmp.Compare(d.Time, than.Time)) > 0
}

// joinRead is what a run has seen of a key that two of its branches have seen.
func (s *State) joinRead(key kvs.Key, a, b Read) (Read, error) {
	if order(a, b) < 0 {
		a, b = b, a // a is the later one
	}
	switch {
	case a.is(b):
		if a.At == nil {
			a.At = b.At
		}
		a.Own, a.Stored, a.Node, a.Seen = a.Own || b.Own, max(a.Stored, b.Stored), max(a.Node, b.Node), max(a.Seen, b.Seen)
	case s.Level == kvs.SingleKey || s.Level == kvs.MultiKey: // the later one has merged the other
	case a.Own: // what the run has written is what it sees from then on
	case b.Own:
		a, b = b, a
	default:
		return Read{}, split(s.Level, key)
	}
	if s.Level.Causal() { // a later write may replace what either branch might have replaced
		mine, _ := a.Replaces()
		other, _ := b.Replaces()
		a.Context = mine.Join(other)
	}
	return a, nil
}

// order of two versions of a key. Of those that are not stored yet, only the run's own, the stamps decide.
func order(a, b Read) int {
	if a.Revision != 0 && b.Revision != 0 && a.Revision != b.Revision {
		return cmp.Compare(a.Revision, b.Revision)
	}
	there := 0
	switch {
	case a.Absent && !b.Absent:
		there = -1
	case b.Absent && !a.Absent:
		there = 1
	}
	return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Author, b.Author), cmp.Compare(a.Revision, b.Revision), there)
}

// joinWrite is what a transaction is to write to a key that two of its branches have written: all operations of both. A
// branch that has replaced or deleted the key beats operations on what was there, and of two such the later one holds; so
// any number of branches come together in any order.
func joinWrite(a, b Write) Write {
	switch {
	case a.operates() && b.operates():
		a.Ops = append(append([]Op(nil), a.Ops...), b.Ops...)
		slices.SortFunc(a.Ops, func(x, y Op) int { return cmp.Or(cmp.Compare(x.Time, y.Time), bytes.Compare(x.Op, y.Op)) })
		a.Ops = slices.CompactFunc(a.Ops, func(x, y Op) bool { return x.Time == y.Time && bytes.Equal(x.Op, y.Op) })
		a.Time = max(a.Time, b.Time)
		return a
	case a.operates():
		return b
	case b.operates():
		return a
	}
	// At one time only where two nodes' clocks agree to the last bit: any rule does that all sides follow.
	if cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(len(a.Ops), len(b.Ops)), bytes.Compare(a.encoded(), b.encoded())) < 0 {
		return b
	}
	return a
}

// operates reports whether w changes what is there, rather than replacing it.
func (w *Write) operates() bool { return len(w.Ops) > 0 && !w.Delete }

func (w *Write) encoded() []byte {
	b, err := w.Value.Wire()
	if err != nil {
		return nil // it was encoded once, when it was written
	}
	return b
}

// is reports whether both are one version.
func (r Read) is(o Read) bool {
	return r.Revision == o.Revision && r.Time == o.Time && r.Author == o.Author && r.Absent == o.Absent
}

// Same reports whether both are the same version or versions.
func (r Read) Same(o Read) bool {
	return r.is(o) && r.Own == o.Own && slices.EqualFunc(r.Beside, o.Beside, Read.is)
}

// Is reports whether v is the version that was read.
func (r Read) Is(v *version.Version) bool {
	return r.is(Read{Revision: v.Revision, Time: v.Stamp.Time, Author: v.Stamp.Node, Absent: v.Absent})
}

func split(level kvs.Level, key kvs.Key) error {
	if level == kvs.Transaction {
		return fault.New(fault.TxnConflict, "two branches of the transaction have read different versions of key %.64q: it begins again", string(key))
	}
	return fault.New(fault.SnapshotLost, "two branches of the run have seen versions of key %.64q that do not go together: it begins again", string(key))
}
