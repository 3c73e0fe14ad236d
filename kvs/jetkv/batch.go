package jetkv

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
)

const (
	// maxBatchBytes is about how much one batch of WriteMany carries. Larger ones save little fsyncing and make
	// everybody else at the stream wait.
	maxBatchBytes = 4 << 20
	// largeAtOnce is how many values with chunks one call writes at a time, each with a window of its own.
	largeAtOnce = 2
)

// WriteMany carries out independent writes, per stream in atomic batches that cost a few fsyncs each. A batch that is
// refused because some expectation does not hold is sent again without the writes that conflict.
func (s *Store) WriteMany(ctx context.Context, writes []kvs.Write, fence kvs.Fence) ([]kvs.Result, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.end()
	if err := kvs.CheckBatch(writes); err != nil {
		return nil, err
	}
	if err := s.checkFence(fence); err != nil {
		return nil, err
	}
	results := make([]kvs.Result, len(writes))
	if len(writes) == 1 && fence.Writer == "" {
		rev, err := s.writeOne(ctx, writes[0])
		if concernsAll(err) {
			return nil, err
		}
		results[0] = kvs.Result{Revision: rev, Err: err}
		return results, nil
	}
	pieces, err := s.prepare(ctx, writes, results)
	if err != nil {
		return nil, err
	}
	var g errgroup.Group // without a context of its own: what can be stored is
	for i, sh := range s.shards {
		if len(pieces[i]) > 0 {
			g.Go(func() error { return s.writeShard(ctx, sh, pieces[i], pass(sh, fence, i), results) })
		}
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return results, nil
}

// concernsAll reports whether an error of one write is likely that of all others too.
func concernsAll(err error) bool {
	return fault.Is(err, fault.Unavailable) || fault.Is(err, fault.DeadlineExceeded) || fault.Is(err, fault.Cancelled)
}

// writeOne is a batch of one: an ordinary write.
func (s *Store) writeOne(ctx context.Context, w kvs.Write) (kvs.Revision, error) {
	w, life, err := w.Check()
	switch {
	case err != nil:
		return 0, err
	case w.Delete:
		return s.remove(ctx, w)
	}
	return s.set(ctx, w, life)
}

// prepare gives the pieces of each shard, and the results of the writes that can have none. Chunks are stored by then.
func (s *Store) prepare(ctx context.Context, writes []kvs.Write, results []kvs.Result) ([][]*piece, error) {
	all := make([]*piece, len(writes))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(largeAtOnce)
	for i, w := range writes {
		w, life, err := w.Check()
		if err != nil {
			results[i].Err = err
			continue
		}
		x, payload, err := s.newPiece(i, w, life)
		if err != nil {
			results[i].Err = err
			continue
		}
		if all[i] = x; !s.fits(x.rec, payload, s.inline) {
			g.Go(func() error {
				err := s.lookAhead(gctx, x.place, x.key, x.want)
				if err == nil {
					err = s.putChunks(gctx, x.place, x.rec, payload, life)
				}
				if concernsAll(err) {
					return err
				}
				results[i].Err = err
				return nil
			})
			continue
		}
		x.rec.payload = payload
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	pieces := make([][]*piece, len(s.shards))
	for i, x := range all {
		if x == nil || results[i].Err != nil {
			continue
		}
		if results[i].Err = s.finish(x); results[i].Err == nil {
			at := s.shardIndex(x.place)
			pieces[at] = append(pieces[at], x)
		}
	}
	return pieces, nil
}

// writeShard stores the pieces in as many batches as they need.
func (s *Store) writeShard(ctx context.Context, sh *shard, pieces []*piece, f *fencing, results []kvs.Result) error {
	settle := func(x *piece, r kvs.Result) {
		results[x.at] = r
		if x.rec.Part != 0 && fault.Is(r.Err, fault.Conflict) {
			s.removeChunks(sh, x.place, x.rec.Write)
		}
	}
	pieces, err := s.expect(ctx, sh, pieces, settle)
	if err != nil {
		return err
	}
	if f != nil && len(pieces) <= s.few {
		return s.storeFew(ctx, sh, pieces, f, settle)
	}
	for len(pieces) > 0 {
		n, room, bytes := 0, maxMessages-ownMessages, maxBatchBytes
		for n < len(pieces) && room >= pieces[n].messages() && (n == 0 || bytes >= pieces[n].size()) {
			room -= pieces[n].messages()
			bytes -= pieces[n].size()
			n++
		}
		if err := s.storeEach(ctx, sh, pieces[:n], f, settle); err != nil {
			return err
		}
		pieces = pieces[n:]
	}
	return nil
}

// storeEach stores those of the pieces, which fit one batch, whose expectations hold.
func (s *Store) storeEach(ctx context.Context, sh *shard, pieces []*piece, f *fencing, settle func(*piece, kvs.Result)) error {
	t := s.try("write")
	for len(pieces) > 0 {
		err := s.storeAll(ctx, sh, pieces, f)
		if err == nil {
			for _, x := range pieces {
				settle(x, kvs.Result{Revision: kvs.Revision(x.seq)})
			}
			return nil
		}
		if !errors.Is(err, errExpectation) {
			return err
		}
		rest, changed, err := s.examine(ctx, sh, pieces, f, settle)
		if err != nil {
			return err
		}
		changed = changed || len(rest) < len(pieces)
		if pieces = rest; !changed { // they had it right, or who says so was behind
			if err := t.soon(ctx, unavailable("others keep writing the same keys")); err != nil {
				return err
			}
		}
	}
	return nil
}
