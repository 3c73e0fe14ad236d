package jetkv

import (
	"context"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/squall-faas/squall/fault"
)

// Sweep removes the chunks in this namespace and space that no record refers to and that are older than SweepGrace:
// what is left of writes that died half way, of removals that did, and of values that expired. It returns how many
// values' chunks it removed. Any number of processes may sweep at once; once an hour is plenty.
func (s *Store) Sweep(ctx context.Context) (removed int, err error) {
	if err := s.begin(ctx); err != nil {
		return 0, err
	}
	defer s.end()
	for slot := 0; slot < slots; {
		sh := s.shardOf(place{slot: slot})
		filter, next, err := s.span(ctx, slot, 4096)
		if err != nil {
			return removed, err
		}
		// squall.<ns>.<space>.… becomes squall.<ns>.<space>c.…
		root := "squall." + s.cfg.Namespace + "." + string(s.cfg.Space)
		info, err := s.info(ctx, sh, root+"c"+strings.TrimPrefix(filter, root))
		if err != nil {
			return removed, err
		}
		groups := map[chunkGroup]string{}
		for subject := range info.State.Subjects {
			if g, ok := s.parseChunk(subject[min(len(root)+2, len(subject)):]); ok {
				groups[g] = subject
			}
		}
		var garbage = make(chan struct{}, len(groups))
		work, wctx := errgroup.WithContext(ctx)
		work.SetLimit(lookups)
		for g, subject := range groups {
			work.Go(func() error {
				m, err := s.getLeader(wctx, sh, subject)
				if err != nil || m.seq == 0 || info.TimeStamp.Sub(m.at) < s.cfg.SweepGrace {
					return err
				}
				f, err := s.readLeader(wctx, g.place)
				if fault.Is(err, fault.Unsupported) || isCorrupt(err) || err == nil && f.rec != nil && f.rec.chunks() == g.id {
					return nil // in use, or not for us to judge
				}
				if err == nil {
					err = s.purge(wctx, sh, g.place, g.id)
				}
				if err == nil {
					garbage <- struct{}{}
				}
				return err
			})
		}
		err = work.Wait()
		removed += len(garbage)
		if err != nil {
			return removed, err
		}
		slot = next
	}
	return removed, nil
}

// chunkGroup is the chunks of one write.
type chunkGroup struct {
	place
	id uint64
}

// parseChunk reads "<h>.<hh>.<token>.<id>.<n>".
func (s *Store) parseChunk(end string) (g chunkGroup, ok bool) {
	p, rest, ok := parsePlace(end)
	if !ok {
		return g, false
	}
	hex, n, ok := strings.Cut(strings.TrimPrefix(rest, "."), ".")
	if _, err := strconv.ParseUint(n, 10, 32); err != nil || !ok {
		return g, false
	}
	id, err := strconv.ParseUint(hex, 16, 64)
	p.subject = p.in(s.cfg.Namespace, string(s.cfg.Space))
	return chunkGroup{place: p, id: id}, err == nil && len(hex) == 16
}
