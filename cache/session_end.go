package cache

import (
	"context"
	"slices"

	"github.com/squall-faas/squall/cache/session"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
)

// Kept are the writes that Finish will store; for a record that has them stored whatever happens to this node.
func (s *Session) Kept() []version.Mutation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.buffer)
}

// Finish stores what was kept back, keeps what was read for the invocations that follow, and gives the session that they
// carry on: nil for a level that has none. An error leaves the invocation failed.
func (s *Session) Finish(ctx context.Context) (*session.State, error) {
	if s.plain {
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return nil, errOver
	}
	if err := s.storeKept(ctx, s.buffer); err != nil {
		s.abortLocked()
		return nil, err
	}
	s.over = true
	if s.cfg.Carried == nil {
		s.l.extended(s.cfg.Level, s.state.Extent())
	}
	if s.cfg.Last || !s.cfg.Level.Repeatable() {
		s.unpin()
	} else {
		s.c.pins.of(s.cfg.Run).adopt(s.c, s.pinned)
		s.pinned = nil
	}
	switch {
	case !s.cfg.Level.Session():
		return nil, nil
	case s.cfg.Home != "": // which knows the rest
		return &session.State{Level: s.cfg.Level, Life: s.state.Life, Met: s.state.Latest()}, nil
	}
	return s.state, nil
}

// Abort drops what was kept back: the invocation has failed.
func (s *Session) Abort() {
	if s.plain {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.abortLocked()
}

func (s *Session) abortLocked() {
	s.over = true
	s.buffer = nil
	s.unpin()
}

func (s *Session) unpin() {
	for _, it := range s.pinned {
		it.unpin(s.c)
	}
	s.pinned = nil
}

// storeKept stores what was kept back. Below a causal level the writes are independent; at one, each depends on those
// before it and on what the run has seen, and is stored after them: so nobody ever sees a write without its causes.
func (s *Session) storeKept(ctx context.Context, kept []version.Mutation) error {
	if len(kept) == 0 {
		return nil
	}
	if !s.cfg.Level.Causal() {
		all, err := s.l.writeAll(ctx, kept, max(s.cfg.Ack, kvs.Stored))
		if err != nil {
			return err
		}
		for i, v := range all {
			if s.cfg.Level == kvs.RepeatableRead {
				if err := s.noteOwn(ctx, ownOf(v, &kept[i]), &kept[i], true); err != nil {
					return err
				}
			}
		}
		return nil
	}
	for i := range kept {
		m := &kept[i]
		if s.cfg.Level != kvs.SingleKey {
			var err error
			if m.Deps, m.After, err = s.dependencies(ctx, m.Key); err != nil {
				return err
			}
		}
		v, err := s.l.storeCausal(ctx, m)
		if err != nil {
			return err
		}
		if err := s.noteStored(ctx, v, m); err != nil {
			return err
		}
	}
	return nil
}

// noteStored is noteOwn for a write that is stored as v.
func (s *Session) noteStored(ctx context.Context, v *version.Version, m *version.Mutation) error {
	if s.cfg.Level.Repeatable() {
		return s.noteOwn(ctx, ownOf(v, m), m, isWhole(v))
	}
	own := ownOf(v, m)
	s.state.Wrote(own, s.c.cfg.Node, nil, s.c.cfg.Clock.Now().Time, m.Context)
	return nil
}

func (s *Session) dependencies(ctx context.Context, key kvs.Key) ([]version.Dep, uint64, error) {
	now := s.c.cfg.Clock.Now().Time
	if s.cfg.Home != "" {
		got, err := s.askHome(ctx, Claim{Key: key, Level: s.cfg.Level, For: true, Now: now})
		return got.Deps, got.After, err
	}
	deps, after := s.state.Dependencies(key, now)
	return deps, after, nil
}
