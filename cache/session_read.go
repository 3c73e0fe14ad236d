package cache

import (
	"context"

	"github.com/squall-faas/squall/cache/session"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
)

// keepsTo reports whether a key is read as it was before, and nobody has to be asked: what the run has written here and keeps
// back, and at a repeatable level what it has seen, unless another branch may have written to it.
func (s *Session) keepsTo(r *session.Read) bool {
	switch s.cfg.Level {
	case kvs.RepeatableRead, kvs.DistributedSession:
		return s.cfg.Home == "" || s.cfg.Level != kvs.RepeatableRead && r.Own && r.Revision == 0
	}
	return r.Own && r.Revision == 0
}

// quick is first and causal for what most reads are: of a key that the run has not seen, in a version that is at hand, stored,
// and fits. nil is for all others. It looks at the clock once.
func (s *Session) quick(h uint64, key kvs.Key) (*item, error) {
	c := s.c
	if s.cfg.Home != "" || c.cfg.Break != "" || !s.cfg.Level.Causal() && s.cfg.Level != kvs.RepeatableRead {
		return nil, nil
	}
	it := s.l.hit(h&c.mask, key, s.l.sampler.draw(), markLines)
	if it == nil {
		return nil, nil
	}
	now := c.cfg.Clock.Now()
	if (s.cfg.Level == kvs.MultiKey || s.cfg.Level == kvs.DistributedSession) && !c.currentAt(it, s.state.After, now.Wall()) {
		return nil, nil
	}
	sight := session.Sight{Version: &it.Version, Hash: h, Marks: it.marks}
	if s.state.Judge(sight) != session.Fits {
		return nil, nil
	}
	if s.cfg.Level.Repeatable() {
		if err := s.pin(it); err != nil {
			return nil, err
		}
	}
	s.state.Saw(sight, c.cfg.Node, it, now.Time)
	return it, nil
}

// mostTries bounds how often a session looks for a version that it may see.
const mostTries = 5

// first reads a key that the run has not read: the version that it sees from then on.
func (s *Session) first(ctx context.Context, key kvs.Key) (*item, error) {
	for tries := range mostTries {
		it, err := s.candidate(ctx, key, tries)
		if err != nil {
			return nil, err
		}
		verdict, use, err := s.claim(ctx, it, it.Absent && tries > 1)
		if err != nil {
			return nil, err
		}
		switch {
		case use != nil:
			s.c.cfg.Clock.Observe(use.Stamp())
			s.state.Adopt(key, *use)
			return s.exact(ctx, key, *use)
		case verdict == session.Fits:
			return it, nil
		case verdict == session.Behind:
			continue
		}
		// It depends on something newer than what the run has seen. The version before may do.
		if old := it.before.Load(); old != nil {
			if verdict, use, err = s.claim(ctx, old, false); err != nil {
				return nil, err
			}
			if use == nil && verdict == session.Fits {
				return old, nil
			}
		}
		break
	}
	return nil, fault.New(fault.SnapshotLost, "no version of key %.64q is left that goes with what the run has read: it begins again", string(key))
}

// candidate is a version that might do: absent is one too. From the third try on it is proven.
func (s *Session) candidate(ctx context.Context, key kvs.Key, tries int) (*item, error) {
	switch {
	case s.cfg.Level == kvs.RepeatableRead:
		return s.l.look(ctx, key)
	case tries > 0:
		return s.l.again(ctx, key, tries-1)
	}
	return s.l.confirmed(ctx, key, s.state.After)
}

// claim asks whether the run may see a version, and notes that it has. gone says that the key is proven not to be there,
// which is never too old.
func (s *Session) claim(ctx context.Context, it *item, gone bool) (verdict session.Verdict, use *session.Read, err error) {
	now := s.c.cfg.Clock.Now().Time
	if s.cfg.Home != "" {
		if err := s.share(it); err != nil {
			return 0, nil, err
		}
		seen := false
		defer func() {
			if !seen {
				s.unshare(it)
			}
		}()
		got, err := s.askHome(ctx, Claim{Key: it.Key, Level: s.cfg.Level, Read: readOf(&it.Version, s.c.cfg.Node), Deps: it.Deps, After: it.After, Now: now, Gone: gone})
		if err != nil {
			return 0, nil, err
		}
		s.state.After = max(s.state.After, got.After)
		s.asked[it.Key] = s.writes
		if got.Use != nil {
			return 0, got.Use, nil
		}
		verdict = got.Verdict
		seen = verdict == session.Fits || s.c.cfg.Break == BreakDependencies
	} else {
		verdict = s.state.Judge(it.sight())
		if verdict == session.Behind && gone {
			verdict = session.Fits
		}
	}
	if s.c.cfg.Break == BreakDependencies {
		verdict = session.Fits
	}
	if verdict != session.Fits {
		return verdict, nil, nil
	}
	if !it.Absent && s.cfg.Home == "" {
		if err := s.pin(it); err != nil {
			return 0, nil, err
		}
	}
	s.state.Saw(it.sight(), s.c.cfg.Node, it, now)
	return verdict, nil, nil
}

// causal reads the latest version that this node has and that is no older than what the run has seen.
func (s *Session) causal(ctx context.Context, key kvs.Key) (*item, error) {
	for tries := range mostTries {
		var it *item
		var err error
		switch {
		case tries > 0:
			it, err = s.l.again(ctx, key, tries-1)
		case s.cfg.Level == kvs.MultiKey:
			it, err = s.l.confirmed(ctx, key, s.state.After)
		default:
			it, err = s.l.stored(ctx, key)
		}
		if err != nil {
			return nil, err
		}
		gone := it.Absent && tries > 1
		if !gone && s.state.Judge(it.sight()) == session.Behind && s.c.cfg.Break != BreakDependencies {
			continue
		}
		s.state.Saw(it.sight(), s.c.cfg.Node, it, s.c.cfg.Clock.Now().Time)
		return it, nil
	}
	return nil, fault.New(fault.DependencyLost, "key %.64q is older in the store than what the run has seen of it: was the store restored from a backup?", string(key))
}
