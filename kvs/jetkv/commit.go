package jetkv

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
)

// Values of a Commit over maxCommitBytes together go into chunks from smallInline on, so that its batch stays short.
const (
	maxCommitBytes = 8 << 20
	smallInline    = 4 << 10
)

// Commit carries out writes and checks atomically, in one batch.
func (s *Store) Commit(ctx context.Context, writes []kvs.Write, checks []kvs.Check, fence kvs.Fence) ([]kvs.Revision, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.end()
	writes, lives, err := kvs.CheckCommit(s.Slot, writes, checks)
	if err != nil {
		return nil, err
	}
	if err := s.checkFence(fence); err != nil {
		return nil, err
	}
	if len(writes)+len(checks) == 0 {
		return nil, nil
	}
	if len(writes) == 1 && len(checks) == 0 && fence.Writer == "" {
		rev, err := s.writeOne(ctx, writes[0])
		if err != nil {
			return nil, err
		}
		return []kvs.Revision{rev}, nil
	}
	pieces := make([]*piece, 0, len(writes)+len(checks))
	payloads := make([][]byte, len(writes))
	total, limit := 0, s.inline
	for i, w := range writes {
		x, payload, err := s.newPiece(i, w, lives[i])
		if err != nil {
			return nil, err
		}
		pieces, payloads[i] = append(pieces, x), payload
		total += min(len(payload), s.inline)
	}
	if total > maxCommitBytes {
		limit = min(limit, smallInline)
	}
	for _, c := range checks {
		if c.Expect == kvs.AnyRevision {
			continue
		}
		pieces = append(pieces, &piece{place: s.locate(c.Key), at: -1, key: c.Key, want: c.Expect, probe: true, rec: &record{}})
	}
	if len(pieces) == 0 {
		return nil, nil
	}
	at := s.shardIndex(pieces[0].place)
	revs := make([]kvs.Revision, len(writes))
	err = s.commit(ctx, s.shards[at], pieces, payloads, limit, pass(s.shards[at], fence, at))
	if err != nil {
		if fault.Is(err, fault.Conflict) || fault.Is(err, fault.Fenced) { // else it may have been stored
			for _, x := range pieces {
				if x.rec.Part != 0 {
					s.removeChunks(s.shards[at], x.place, x.rec.Write)
				}
			}
		}
		return nil, err
	}
	for _, x := range pieces {
		if x.at >= 0 && !x.probe {
			revs[x.at] = kvs.Revision(x.seq)
		}
	}
	return revs, nil
}

// commit stores the pieces, the first of which have payloads, together.
func (s *Store) commit(ctx context.Context, sh *shard, pieces []*piece, payloads [][]byte, limit int, f *fencing) error {
	for i, payload := range payloads {
		x := pieces[i]
		if s.fits(x.rec, payload, limit) {
			x.rec.payload = payload
		} else {
			err := s.lookAhead(ctx, x.place, x.key, x.want)
			if err == nil {
				err = s.putChunks(ctx, x.place, x.rec, payload, x.life)
			}
			if err != nil {
				return err
			}
		}
	}
	for _, x := range pieces[:len(payloads)] {
		if err := s.finish(x); err != nil {
			return err
		}
	}
	var conflict error
	settle := func(x *piece, r kvs.Result) {
		x.probe = true // a delete of what is not there: that stays so until the commit
		if r.Err != nil && conflict == nil {
			conflict = r.Err
		}
	}
	_, err := s.expect(ctx, sh, pieces, settle)
	if err == nil && conflict == nil && f != nil && len(pieces) == 1 && s.few > 0 && sh.claimable(pieces[0]) {
		done, err := s.storeClaimed(ctx, sh, pieces[0], f, settle)
		if err == nil {
			err = conflict
		}
		if done || err != nil {
			return err
		}
	}
	t := s.try("commit")
	for {
		if err == nil {
			err = conflict
		}
		if err == nil {
			err = s.markFirst(ctx, sh, pieces)
		}
		if err != nil {
			return err
		}
		if err = s.storeAll(ctx, sh, pieces, f); !errors.Is(err, errExpectation) {
			return err
		}
		var changed bool
		if _, changed, err = s.examine(ctx, sh, pieces, f, settle); err == nil && conflict == nil && !changed {
			err = t.soon(ctx, unavailable("others keep writing the same keys"))
		}
	}
}

// markFirst writes the pieces' marks in a batch of their own where there is no room for them beside the pieces. Marks of
// a commit that then fails do no harm.
func (s *Store) markFirst(ctx context.Context, sh *shard, pieces []*piece) error {
	room := maxMessages - ownMessages
	var marks []*nats.Msg
	for _, x := range pieces {
		if room -= x.messages(); x.messages() == 2 {
			marks = append(marks, s.markFor(sh, x))
		}
	}
	if room >= 0 {
		return nil
	}
	if err := sh.lane.enter(ctx); err != nil {
		return err
	}
	defer sh.lane.leave()
	if _, err := s.sendBatch(ctx, sh, marks); err != nil {
		return err
	}
	for _, x := range pieces {
		x.marked = x.marked || x.messages() == 2
	}
	return nil
}
