package cache

import (
	"context"
	"time"

	"github.com/squall-faas/squall/cache/session"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
)

// exact gives the very version that the run has seen: from here, or from the node whose cache has pinned it (Cloudburst
// §5.3, Algorithm 1).
func (s *Session) exact(ctx context.Context, key kvs.Key, r session.Read) (*item, error) {
	if r.At != nil {
		return r.At.(*item), nil
	}
	if r.Absent && len(r.Beside) == 0 {
		return absent(key), nil
	}
	it, err := s.fetchAndPin(ctx, key, r)
	if err != nil {
		return nil, err
	}
	if len(r.Beside) > 0 {
		parts := []*version.Version{&it.Version}
		for _, b := range r.Beside {
			other, err := s.fetchAndPin(ctx, key, b)
			if err != nil {
				return nil, err
			}
			parts = append(parts, &other.Version)
		}
		if it, err = itemOf(version.Combine(parts...), time.Now()); err != nil {
			return nil, err
		}
	}
	r.At = it
	s.state.Adopt(key, r)
	return it, nil
}

func (s *Session) fetchAndPin(ctx context.Context, key kvs.Key, r session.Read) (*item, error) {
	if r.Absent {
		return &item{Version: *version.None(key)}, nil
	}
	it, err := s.fetchExact(ctx, key, r)
	if err != nil {
		return nil, err
	}
	return it, s.pin(it)
}

func (s *Session) fetchExact(ctx context.Context, key kvs.Key, r session.Read) (*item, error) {
	if s.c.cfg.Break == BreakSnapshot {
		return s.l.look(ctx, key)
	}
	if snap := s.c.pins.find(s.cfg.Run); snap != nil {
		if it := snap.get(key, r); it != nil {
			return it, nil
		}
	}
	if it := s.c.peek(key); it != nil && !r.Own && r.Is(&it.Version) {
		return it, nil
	}
	if r.Node == s.c.cfg.Node || s.c.cfg.Peers == nil {
		return nil, snapshotLost(key, s.c.cfg.Node)
	}
	v, err := s.c.cfg.Peers.Pinned(ctx, r.Node, s.cfg.Run, key, r)
	if err != nil {
		return nil, err
	}
	return itemOf(v, v.Written)
}

func (s *Session) pin(it *item) error {
	if !it.pin(s.c, s.c.pins.limit) {
		return s.c.noRoom()
	}
	s.pinned = append(s.pinned, it)
	if !s.c.fits(0) {
		s.c.squeeze()
	}
	return nil
}

// share is pin for the run's other nodes too, from now on: its version home may send them here before this invocation ends.
func (s *Session) share(it *item) error {
	if it.Absent {
		return nil
	}
	if err := s.pin(it); err != nil || s.cfg.Home == "" {
		return err
	}
	s.pinned = s.pinned[:len(s.pinned)-1]
	s.c.pins.of(s.cfg.Run).adopt(s.c, []*item{it})
	return nil
}

// unshare takes back what the run does not see after all.
func (s *Session) unshare(it *item) {
	if !it.Absent && s.cfg.Home != "" {
		s.c.pins.of(s.cfg.Run).drop(s.c, it)
	}
}
