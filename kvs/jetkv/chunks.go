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
	"github.com/squall-faas/squall/value"
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

// lookAhead fails with conflict if the key is not at expect now, and learns which chunks a write will replace.
func (s *Store) lookAhead(ctx context.Context, p place, key kvs.Key, expect kvs.Revision) error {
	f, err := s.readLeader(ctx, p)
	if err != nil && !isCorrupt(err) {
		return err
	}
	var have kvs.Revision
	if f.live() {
		have = kvs.Revision(f.seq)
	}
	if err == nil && expect != kvs.AnyRevision && have != expect {
		return kvs.Conflict(key, expect, have)
	}
	if f.rec != nil && f.rec.chunks() != 0 {
		s.shardOf(p).floors.raise(p.subject, f.seq, false, f.rec.chunks(), true)
	}
	return nil
}

// putChunks writes the payload as chunks, a window of them at a time, and notes them in rec. Until the record is
// stored, which must be soon (inTime), nobody sees them, and if it does not come to that they are garbage.
func (s *Store) putChunks(ctx context.Context, p place, rec *record, payload []byte, life time.Duration) error {
	sh := s.shardOf(p)
	rec.Part = uint64(s.inline)
	rec.Sums = make([]uint64, (len(payload)+s.inline-1)/s.inline)
	keep := time.Duration(0)
	if life > 0 {
		keep = ceilSecond(life + s.cfg.SweepGrace) // outlasts the record, which follows within half the grace
	}
	g, gctx := errgroup.WithContext(ctx)
	buffers := make(chan []byte, window) // used again: a large value would leave as much garbage as it has bytes
	for range window {
		buffers <- nil
	}
	for n := range rec.Sums {
		buf := <-buffers
		if gctx.Err() != nil {
			break
		}
		g.Go(func() error {
			from, to := rec.chunk(n)
			part := payload[from:to]
			rec.Sums[n] = xxhash.Sum64(part)
			buf = appendChunk(buf[:0], part)
			defer func() { buffers <- buf }() // the client has copied it
			m := message(sh, s.chunkSubject(p, rec.Write, n), buf, keep, anyRev)
			return s.retry(gctx, "put", func(ctx context.Context) error {
				_, err := s.publish(ctx, m) // twice the same is the same
				return err
			})
		})
	}
	err := g.Wait()
	if err != nil && ctx.Err() != nil {
		return fault.From(ctx.Err())
	}
	return err
}

// inTime refuses a record whose chunks were written so slowly, from begin on, that a sweeper may soon take them for
// garbage.
func (s *Store) inTime(key kvs.Key, rec *record, begin time.Time) error {
	if rec.Part != 0 && time.Since(begin) > s.cfg.SweepGrace/2 {
		return unavailable("put of key %.64q took longer than its chunks are kept (%v): try again", string(key), s.cfg.SweepGrace/2)
	}
	return nil
}

// readChunks assembles the payload. It fails with errChunkGone where a chunk is not there.
func (s *Store) readChunks(ctx context.Context, p place, rec *record) ([]byte, error) {
	payload := value.MakePayload(int(rec.Size))
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
