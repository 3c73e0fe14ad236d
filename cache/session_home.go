package cache

import (
	"context"

	"github.com/squall-faas/squall/cache/session"
	"github.com/squall-faas/squall/kvs/version"
)

func readOf(v *version.Version, node string) session.Read {
	return session.Read{Revision: v.Revision, Time: v.Stamp.Time, Author: v.Stamp.Node, Absent: v.Absent, Node: node}
}

func (s *Session) askHome(ctx context.Context, m Claim) (got Claimed, err error) {
	m.Life = s.state.Life
	if s.cfg.Home == s.c.cfg.Node || s.c.cfg.Peers == nil {
		got, err = s.c.Claim(s.cfg.Run, m)
	} else {
		got, err = s.c.cfg.Peers.Claim(ctx, s.cfg.Home, s.cfg.Run, m)
	}
	if err != nil {
		return got, err
	}
	s.state.Life = got.Life
	if !m.For {
		s.writes = got.Writes
	}
	return got, nil
}
