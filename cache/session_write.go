package cache

import (
	"context"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

// PutOptions of one write of a session; the zero value is the usual write.
type PutOptions struct {
	TTL time.Duration
	Ack kvs.Ack // kvs.AckDefault: the session's
}

// Put writes v under key. At lww and rr it is answered when the acknowledgement says; at a causal level, in a transaction
// and with SessionConfig.Buffer it is kept back until the invocation has returned. At strong it is stored.
func (s *Session) Put(ctx context.Context, key kvs.Key, v value.Value, o PutOptions) error {
	life, err := kvs.PutOptions{TTL: o.TTL}.Lifetime()
	if err != nil {
		return err
	}
	_, err = s.write(ctx, version.Mutation{Kind: version.Assign, Key: key, Value: v, TTL: life}, o.Ack)
	return err
}

// Delete removes a key, likewise; one that is not there is no error.
func (s *Session) Delete(ctx context.Context, key kvs.Key) error {
	_, err := s.write(ctx, version.Mutation{Kind: version.Remove, Key: key}, kvs.AckDefault)
	return err
}

// Update carries out a lattice's operation and gives what key reads as afterwards. It counts once, however often the
// invocation is executed again, within the last lattice.MaxWindow operations on the key.
func (s *Session) Update(ctx context.Context, key kvs.Key, op lattice.Op, o PutOptions) (value.Value, error) {
	life, err := kvs.PutOptions{TTL: o.TTL}.Lifetime()
	if err != nil {
		return value.Value{}, err
	}
	v, err := s.write(ctx, version.Mutation{Kind: version.Update, Key: key, Op: op, TTL: life}, o.Ack)
	if err != nil {
		return value.Value{}, err
	}
	return v.Value, nil
}

func (s *Session) write(ctx context.Context, m version.Mutation, ack kvs.Ack) (*version.Version, error) {
	if err := m.Key.Check(); err != nil {
		return nil, err
	}
	if ack == kvs.AckDefault {
		ack = s.cfg.Ack
	}
	s.mu.Lock()
	if m.Kind == version.Update {
		m.ID = s.opID()
	}
	if s.plain { // nothing of the session has to be looked at: its writes need not wait for each other
		s.mu.Unlock()
		return s.l.Write(ctx, m, ack)
	}
	defer s.mu.Unlock()
	if s.over {
		return nil, errOver
	}
	switch {
	case s.cfg.Level == kvs.Transaction:
		return s.keepForCommit(ctx, m)
	case s.cfg.Level.Causal() || s.cfg.Buffer:
		return s.keepBack(ctx, m)
	case s.cfg.Level == kvs.Strong:
		m.Wins = m.Kind != version.Update
		return s.l.Write(ctx, m, max(ack, kvs.Stored))
	}
	m.Stamp = s.c.cfg.Clock.Now() // at rr
	v, err := s.l.Write(ctx, m, ack)
	if err != nil {
		return nil, err
	}
	v = ownOf(v, &m)
	return v, s.noteOwn(ctx, v, &m, true)
}

// ownOf is what a run sees of a key that it has written: its own write, and not what others have written since or beside
// it. v is what the store has, or this node's cache.
func ownOf(v *version.Version, m *version.Mutation) *version.Version {
	if m.Kind == version.Update {
		return v // what an operation gives is made of what others did
	}
	own := &version.Version{
		Key: v.Key, Value: m.Value, Absent: m.Kind == version.Remove || m.Kind == version.Drop, Stamp: m.Stamp,
		Revision: v.Revision, Written: v.Written, Deps: m.Deps, After: m.After,
	}
	if m.TTL > 0 {
		own.Expires = m.Stamp.Wall().Add(m.TTL)
	}
	return own
}

// noteOwn makes what the run wrote the version that it sees from now on.
func (s *Session) noteOwn(ctx context.Context, v *version.Version, m *version.Mutation, whole bool) error {
	it, err := itemOf(v, time.Now())
	if err != nil {
		return err
	}
	it.own = true
	if err := s.share(it); err != nil {
		return err
	}
	now := s.c.cfg.Clock.Now().Time
	if s.cfg.Home != "" {
		r := readOf(v, s.c.cfg.Node)
		r.Own, r.Context = true, m.Context
		if _, err := s.askHome(ctx, Claim{Key: v.Key, Level: s.cfg.Level, Read: r, Now: now, Over: m.Over, Whole: whole}); err != nil {
			return err
		}
	}
	s.state.Wrote(v, s.c.cfg.Node, it, now, m.Context)
	if whole {
		s.state.SawAll(v.Key)
	}
	return nil
}

// isWhole reports whether what was stored of a write holds nothing but that write.
func isWhole(v *version.Version) bool { return len(v.Siblings()) <= 1 }

// keepBack queues a write until Finish, and shows it to the invocation itself.
func (s *Session) keepBack(ctx context.Context, m version.Mutation) (*version.Version, error) {
	if err := s.c.mayWrite(); err != nil {
		return nil, err
	}
	x, err := kvs.CheckValue(m.Value)
	if err != nil {
		return nil, err
	}
	kept, _, err := own(m.Key, x)
	if err != nil {
		return nil, err
	}
	m.Key, m.Value = kept.key, kept.value
	over := s.c.known(m.Key) // that it is stored over, as far as is known
	if s.cfg.Level == kvs.Strong && m.Kind != version.Update {
		// The write has to win over whatever was stored before it began, by its stamp: it may be stored again from a record,
		// when another has overwritten it, and must not win then.
		it, err := s.l.proven(ctx, m.Key)
		if err != nil {
			return nil, err
		}
		s.c.cfg.Clock.Observe(it.Stamp)
		over = &it.Version
	}
	m.Stamp = s.c.cfg.Clock.Now()
	if over != nil && !s.cfg.Level.Causal() {
		if err := s.c.outrun(over, &m); err != nil {
			return nil, err
		}
	}
	base := version.None(m.Key)
	if m.Kind == version.Update {
		it, err := s.readLocked(ctx, m.Key)
		switch {
		case err == nil:
			base = &it.Version
		case !fault.Is(err, fault.NotFound):
			return nil, err
		}
	} else if s.cfg.Level.Causal() {
		m.Kind += version.Put - version.Assign
		m.Context, m.Over = s.contextOf(m.Key)
	}
	next, _, err := version.Apply(base, &m)
	if err != nil {
		return nil, err
	}
	shown := *next
	shown.Revision, shown.Written = 0, time.Time{}
	it, err := itemOf(&shown, time.Now())
	if err != nil {
		return nil, err
	}
	it.dirty = true
	if m.Kind != version.Update {
		s.dropKept(m.Key) // the later write of one invocation replaces the earlier
	}
	s.buffer = append(s.buffer, m)
	s.state.Wrote(&it.Version, s.c.cfg.Node, it, m.Stamp.Time, m.Context)
	return &it.Version, nil
}

func (s *Session) dropKept(key kvs.Key) {
	kept := s.buffer[:0]
	for _, m := range s.buffer {
		if m.Key != key || m.Kind == version.Update {
			kept = append(kept, m)
		}
	}
	clear(s.buffer[len(kept):])
	s.buffer = kept
}

// contextOf is what the run's write to a key may replace. A second write of one invocation takes the place of the first.
func (s *Session) contextOf(key kvs.Key) (lattice.VectorClock, []hlc.Stamp) {
	for i := range s.buffer {
		if s.buffer[i].Key == key && s.buffer[i].Kind != version.Update {
			return s.buffer[i].Context, s.buffer[i].Over
		}
	}
	r, _ := s.state.Read(key)
	return r.Replaces()
}
