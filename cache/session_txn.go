package cache

import (
	"context"
	"strings"

	"github.com/squall-faas/squall/cache/session"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/kvs/version"
)

// transactional reads for a transaction: what is stored, and the same again each time.
func (s *Session) transactional(ctx context.Context, key kvs.Key, known session.Read, seen bool) (*item, error) {
	if seen && known.At != nil {
		return known.At.(*item), nil
	}
	if err := s.sameSlot(key); err != nil {
		return nil, err
	}
	it, err := s.l.stored(ctx, key)
	if err != nil {
		return nil, err
	}
	if seen && (it.Revision != known.Revision || it.Absent != known.Absent) {
		return nil, fault.New(fault.TxnConflict, "key %.64q was written since the transaction has read it: it begins again", string(key))
	}
	s.state.Saw(it.sight(), s.c.cfg.Node, it, s.c.cfg.Clock.Now().Time)
	return it, nil
}

// sameSlot refuses a key that does not share the others' tag.
func (s *Session) sameSlot(key kvs.Key) error {
	slot := s.c.store.Slot(key)
	differs := func(other kvs.Key) error {
		if s.c.store.Slot(other) == slot {
			return nil
		}
		return fault.New(fault.TxnCrossShard, "a transaction over keys %.64q and %.64q: put the same {tag} into both, or use another level", string(other), string(key))
	}
	for other := range s.state.Reads() {
		return differs(other)
	}
	for other := range s.state.Writes {
		return differs(other)
	}
	return nil
}

// keepForCommit adds a write to the transaction's.
func (s *Session) keepForCommit(ctx context.Context, m version.Mutation) (*version.Version, error) {
	if err := s.c.mayWrite(); err != nil {
		return nil, err
	}
	if err := s.sameSlot(m.Key); err != nil {
		return nil, err
	}
	if m.TTL != 0 {
		return nil, fault.New(fault.InvalidArgument, "a transaction writes no TTL: put the key at another level")
	}
	key := kvs.Key(strings.Clone(string(m.Key)))
	w := session.Write{Time: s.c.cfg.Clock.Now().Time}
	switch m.Kind {
	case version.Update:
		op, err := lattice.AppendOp(nil, m.Op)
		if err != nil {
			return nil, err
		}
		have, ok := s.state.Writes[key]
		if ok && len(have.Ops) == 0 && !have.Delete {
			return nil, fault.New(fault.WrongType, "key %.64q was put in this transaction and is a plain value, which has no operations", string(key))
		}
		w.Ops = append(have.Ops[:len(have.Ops):len(have.Ops)], session.Op{Time: w.Time, Op: op})
		w.Delete = have.Delete // they begin with nothing then
	case version.Remove:
		w.Delete = true
	default:
		v, err := kvs.CheckValue(m.Value)
		if err != nil {
			return nil, err
		}
		kept, _, err := own(key, v)
		if err != nil {
			return nil, err
		}
		w.Value = kept.value
	}
	v, err := s.written(ctx, key, w)
	if err != nil {
		return nil, err
	}
	if s.state.Writes == nil {
		s.state.Writes = make(map[kvs.Key]session.Write)
	}
	s.state.Writes[key] = w
	return v, nil
}

// written is what a key holds for the transaction after its own write.
func (s *Session) written(ctx context.Context, key kvs.Key, w session.Write) (*version.Version, error) {
	base := version.None(key)
	if len(w.Ops) > 0 && !w.Delete {
		known, seen := s.state.Read(key)
		it, err := s.transactional(ctx, key, known, seen)
		if err != nil {
			return nil, err
		}
		base = &it.Version
	}
	return applyWrite(base, w, s.c.cfg.Clock)
}

// applyWrite gives what a transaction's write makes of what is there.
func applyWrite(base *version.Version, w session.Write, clock *hlc.Clock) (*version.Version, error) {
	m := version.Mutation{Kind: version.Assign, Key: base.Key, Value: w.Value, Wins: true}
	if w.Delete {
		m.Kind = version.Remove
	}
	if w.Delete || len(w.Ops) == 0 {
		m.Stamp = clock.Now()
		v, _, err := version.Apply(base, &m)
		if err != nil || len(w.Ops) == 0 {
			return v, err
		}
		base = v
	}
	for _, b := range w.Ops {
		op, err := lattice.DecodeOp(b.Op)
		if err != nil {
			return nil, err
		}
		m = version.Mutation{Kind: version.Update, Key: base.Key, Op: op, Stamp: clock.Now()}
		if base, _, err = version.Apply(base, &m); err != nil {
			return nil, err
		}
	}
	return base, nil
}
