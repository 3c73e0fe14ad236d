package jetkv

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
)

// News asks each stream for those of the held keys that have a message later than the mark. Before, it takes the
// sequence up to which it is certain: of one replica the stream's last; of more that of a probe, which only the real
// leader can store, and which a replica that answers must hold.
//
// What has gone leaves nothing to be found: a tombstone is there for DeleteMarkers, an expired record not at all. So an
// old mark counts for none, and with none everything that is not there is reported.
func (s *Store) News(ctx context.Context, held []kvs.Held, since kvs.Mark) ([]kvs.Entry, kvs.Mark, error) {
	if err := s.begin(ctx); err != nil {
		return nil, kvs.Mark{}, err
	}
	defer s.end()
	next := kvs.Mark{At: time.Now(), Seqs: make([]uint64, len(s.shards))}
	asked := make([]map[string]*holding, len(s.shards))
	for _, h := range held {
		if err := h.Key.Check(); err != nil {
			return nil, kvs.Mark{}, err
		}
		p := s.locate(h.Key)
		at := s.shardIndex(p)
		if asked[at] == nil {
			asked[at] = make(map[string]*holding)
		}
		asked[at][p.subject] = &holding{place: p, Held: h}
	}
	var mu sync.Mutex // guards newer
	var newer []kvs.Entry
	g, gctx := errgroup.WithContext(ctx)
	for i, sh := range s.shards {
		if len(asked[i]) == 0 {
			continue // 0 in the mark: if keys of this stream come, they are asked for without one
		}
		g.Go(func() error {
			from := uint64(0)
			if len(since.Seqs) == len(s.shards) && s.remembers(since) {
				from = since.Seqs[i]
			}
			some, upTo, err := s.newsOf(gctx, sh, asked[i], from)
			if err == nil && from > 0 && !s.remembers(since) { // it took that long
				some, upTo, err = s.newsOf(gctx, sh, asked[i], 0)
			}
			mu.Lock()
			defer mu.Unlock()
			newer, next.Seqs[i] = append(newer, some...), upTo
			return err
		})
	}
	if err := g.Wait(); err != nil {
		if ctx.Err() != nil {
			err = fault.From(ctx.Err())
		}
		return nil, kvs.Mark{}, err
	}
	return newer, next, nil
}

// remembers reports whether every delete after m is still to be found.
func (s *Store) remembers(m kvs.Mark) bool { return time.Since(m.At) < s.cfg.DeleteMarkers }

// holding is a key that is held.
type holding struct {
	place
	kvs.Held
	got found
}

// newsOf is News of one stream, from sequence from on; 0 compares everything. upTo is what to go on from.
func (s *Store) newsOf(ctx context.Context, sh *shard, held map[string]*holding, from uint64) (newer []kvs.Entry, upTo uint64, err error) {
	var proof uint64
	if sh.replicated.Load() {
		proof, err = s.probe(ctx, sh)
		upTo = proof
	} else {
		upTo, err = s.lastSequence(ctx, sh)
	}
	switch {
	case err != nil:
		return nil, 0, err
	case upTo < from:
		from = 0 // the stream was made anew
	case upTo == from, proof != 0 && proof == from+1:
		return nil, upTo, nil
	}
	subjects := make([]string, 0, len(held))
	for subject := range held {
		subjects = append(subjects, subject)
	}
	slices.Sort(subjects) // neighbours lie close in the servers' indexes
	_, err = s.lastOf(ctx, sh, subjects, from+1, proof, func(subject string, m stored) {
		h := held[subject]
		if h == nil {
			return // the probe
		}
		var derr error
		if h.got, derr = s.decode(sh, h.place, m); derr != nil {
			// Whoever drops what he holds and reads it is told what is wrong with it.
			h.got = found{stored: m, rec: &record{typ: typeTombstone}}
		}
	})
	if err != nil {
		return nil, 0, err
	}
	var mu sync.Mutex // guards newer
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(lookups)
	for _, h := range held {
		if h.got.seq == uint64(h.Revision) || h.got.seq == 0 && from > 0 {
			continue // what was asked about later messages only may well be there
		}
		tell := func(ctx context.Context) error {
			e, err := s.settle(ctx, h.place, h.Key, h.got)
			mu.Lock()
			defer mu.Unlock()
			if err == nil && h.Differs(&e) {
				newer = append(newer, e)
			}
			return err
		}
		if h.got.rec != nil && h.got.rec.Part != 0 { // chunks are to be read
			g.Go(func() error { return tell(gctx) })
		} else if err := tell(ctx); err != nil {
			_ = g.Wait() // err comes first
			return nil, 0, err
		}
	}
	return newer, upTo, g.Wait()
}

// lastSequence asks the leader for the stream's last sequence.
func (s *Store) lastSequence(ctx context.Context, sh *shard) (uint64, error) {
	info, err := s.info(ctx, sh, "")
	if err != nil {
		return 0, err
	}
	return info.State.LastSeq, nil
}
