package jetkv

import (
	"context"
	"errors"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
)

const (
	// maxInline is the longest payload that lies in its own record, and the size of chunks. File streams refuse
	// messages over 32 MiB, NATS by default those over 1 MiB; half of that keeps the connection fair to others.
	maxInline = 512 << 10
	// window is how many chunks of one value are under way at a time: 4 MiB.
	window = 8
	// maxRemovals bounds the background removals of old chunks; what does not fit is left to Sweep.
	maxRemovals = 16
)

// errChunkGone says that a record's chunk is not there: the value was replaced, or the store is damaged.
var errChunkGone = errors.New("a chunk is gone")

// setChunked writes the chunks and then the record that refers to them. Until then nobody sees them, and if it does not
// come to that they are garbage.
func (s *Store) setChunked(ctx context.Context, p place, key kvs.Key, rec *record, payload []byte, expect uint64, life time.Duration) (uint64, error) {
	begin := time.Now()
	sh := s.shardOf(p)
	// One look before megabytes are sent: at what would be in vain, and at which chunks will be replaced.
	f, err := s.readLeader(ctx, p)
	if err != nil && !isCorrupt(err) {
		return 0, err
	}
	var have uint64
	if f.live() {
		have = f.seq
	}
	if err == nil && expect != anyRev && have != expect {
		return 0, kvs.Conflict(key, kvs.Revision(expect), kvs.Revision(have))
	}
	if f.rec != nil && f.rec.chunks() != 0 {
		sh.floors.raise(p.subject, f.seq, false, f.rec.chunks(), true) // commit removes them
	}
	rec.Part = uint64(s.inline)
	parts := (len(payload) + s.inline - 1) / s.inline
	rec.Sums = make([]uint64, parts)
	keep := time.Duration(0)
	if life > 0 {
		keep = ceilSecond(life + s.cfg.SweepGrace) // outlasts the record, which follows within half the grace
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(window)
	for n := range parts {
		g.Go(func() error {
			from, to := rec.chunk(n)
			part := payload[from:to]
			rec.Sums[n] = xxhash.Sum64(part)
			m := message(sh, s.chunkSubject(p, rec.Write, n), encodeChunk(part), keep, anyRev)
			return s.retry(gctx, "put", func(ctx context.Context) error {
				_, err := s.publish(ctx, m) // twice the same is the same
				return err
			})
		})
	}
	err = g.Wait()
	if err == nil && time.Since(begin) > s.cfg.SweepGrace/2 {
		err = unavailable("put of key %.64q took longer than its chunks are kept (%v): try again", string(key), s.cfg.SweepGrace/2)
	}
	var rev uint64
	if err == nil {
		rev, err = s.commit(ctx, p, key, rec, expect, life)
	}
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return 0, fault.From(err) // it may have been stored; if not, Sweep finds the chunks
	case fault.Is(err, fault.Conflict):
		s.removeChunks(sh, p, rec.Write)
	}
	return rev, err
}

// readChunks assembles the payload. It fails with errChunkGone where a chunk is not there.
func (s *Store) readChunks(ctx context.Context, p place, rec *record) ([]byte, error) {
	payload := make([]byte, rec.Size)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(window)
	for n, sum := range rec.Sums {
		g.Go(func() error {
			from, to := rec.chunk(n)
			return s.readChunk(gctx, p, rec.Write, n, payload[from:to], sum)
		})
	}
	if err := g.Wait(); err != nil {
		if ctx.Err() != nil {
			err = fault.From(ctx.Err())
		}
		return nil, err
	}
	return payload, nil
}

func (s *Store) readChunk(ctx context.Context, p place, id uint64, n int, into []byte, sum uint64) error {
	sh := s.shardOf(p)
	subject := s.chunkSubject(p, id, n)
	m, err := s.getDirect(ctx, sh, subject)
	if err != nil || m.seq == 0 && sh.replicated.Load() {
		m, err = s.getLeader(ctx, sh, subject)
	}
	switch {
	case err != nil:
		return err
	case m.seq == 0:
		return errChunkGone
	}
	part, err := decodeChunk(m.data)
	if err != nil {
		return err
	}
	if len(part) != len(into) || xxhash.Sum64(part) != sum {
		return corrupt("chunk %d has %d bytes and the wrong checksum", n, len(part))
	}
	copy(into, part)
	return nil
}

// removeChunks removes the chunks of a write that nothing refers to any more, in the background.
func (s *Store) removeChunks(sh *shard, p place, id uint64) {
	if !s.background.TryAcquire(1) {
		return
	}
	if s.begin(context.Background()) != nil {
		s.background.Release(1)
		return
	}
	go func() {
		defer s.end()
		defer s.background.Release(1)
		ctx, cancel := s.untilClose(context.Background())
		defer cancel()
		_ = s.purge(ctx, sh, p, id) // else Sweep will
	}()
}

func (s *Store) purge(ctx context.Context, sh *shard, p place, id uint64) error {
	all := s.chunkSubject(p, id, 0)
	all = all[:len(all)-1] + ">"
	return s.retry(ctx, "remove old chunks", func(ctx context.Context) error {
		return sh.stream.Purge(ctx, jetstream.WithPurgeSubject(all))
	})
}
