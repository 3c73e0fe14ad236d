package jetkv

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/squall-faas/squall/kvs"
)

// A message can expect one sequence, and a write under a fence has two conditions: what its key is at, and the fence. So a
// writer claims the slot, with a message of its own beside the slot's keys that expects the fence, and from then on expects
// the last sequence of the whole slot: of its keys, its claims and its barrier. That holds for as long as nobody else has
// written there. Who raises the fence puts a barrier into every slot that the writer has claimed, so whatever the writer has
// sent before, and may yet arrive, expects a sequence that the slot never has again. See DESIGN.md.
//
// A server checks that as it stores only where it stores one message after the other: with one replica. Else what is in
// flight is checked by its own subject alone.

const (
	// maxClaimed is up to how many writes of one stream go as single messages. From more on a batch is cheaper, though staging
	// it costs the server six fsyncs of files and directories (BenchmarkFenced).
	maxClaimed = 8
	// claimTries is how often a write meets others in its slot before it goes into a batch, which expects its key alone.
	claimTries = 3
	// maxClaimers is of how many writers a Store remembers the claims.
	maxClaimers = 16
	barrierMark = "="
	claimMark   = "@"
)

// claims are those of a Store's writers in one stream.
type claims struct {
	mu sync.Mutex // guards what follows
	of map[string]*claimed
}

// claimed is what one writer has claimed under the fence at mark.
type claimed struct {
	mark  uint64
	slots map[int]*claim
}

// claim is a writer's of one slot.
type claim struct {
	turn chan struct{} // holds a token while a write is under way

	// What follows is the token holder's.
	held bool
	last uint64 // sequence of the slot's last message, under which the fence was good
}

// get gives the claim of a slot, which may not be held yet. That of a fence which this Store knows to be overtaken is
// remembered nowhere.
func (c *claims) get(f *fencing, slot int) *claim {
	c.mu.Lock()
	defer c.mu.Unlock()
	mine := c.of[f.writer]
	if mine == nil || mine.mark < f.mark {
		if c.of == nil || len(c.of) >= maxClaimers {
			c.of = make(map[string]*claimed)
		}
		mine = &claimed{mark: f.mark, slots: make(map[int]*claim)}
		c.of[f.writer] = mine
	}
	if mine.mark > f.mark {
		return &claim{turn: make(chan struct{}, 1)}
	}
	cl := mine.slots[slot]
	if cl == nil {
		cl = &claim{turn: make(chan struct{}, 1)}
		mine.slots[slot] = cl
	}
	return cl
}

// moved notes that a batch under the fence f has stored a message in the slot at seq. A claim that is in use finds out.
func (c *claims) moved(f *fencing, slot int, seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	mine := c.of[f.writer]
	if mine == nil || mine.mark != f.mark || mine.slots[slot] == nil {
		return
	}
	cl := mine.slots[slot]
	select {
	case cl.turn <- struct{}{}:
		cl.last = max(cl.last, seq)
		<-cl.turn
	default:
	}
}

// beside is the subject of a slot's claims and barrier: squall.<ns>.<space>c.<h>.<hh>.<name>.
func (s *Store) beside(slot int, name string) string {
	return place{slot: slot, token: name}.in(s.cfg.Namespace, string(s.cfg.Space)+"c")
}

// wholeSlot matches the records, the claims and the barrier of a slot. Those of the other space only get in each other's way.
func (s *Store) wholeSlot(slot int) string {
	return place{slot: slot, token: "*"}.in(s.cfg.Namespace, "*")
}

// claimable reports whether the piece can be stored under a claim: it is one message, of its key, to a stream of one replica.
func (sh *shard) claimable(x *piece) bool {
	return !sh.replicated.Load() && !x.probe && x.messages() == 1
}

// storeFew stores pieces under a fence, each with a message of its own, and in a batch those that need one.
func (s *Store) storeFew(ctx context.Context, sh *shard, pieces []*piece, f *fencing, settle func(*piece, kvs.Result)) error {
	batched := make([]*piece, 0, len(pieces))
	var mu sync.Mutex    // guards batched
	var g errgroup.Group // without a context of its own: what can be stored is
	for _, x := range pieces {
		g.Go(func() error {
			done, err := false, error(nil)
			if sh.claimable(x) {
				done, err = s.storeClaimed(ctx, sh, x, f, settle)
			}
			if err != nil || done {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			batched = append(batched, x)
			return nil
		})
	}
	if err := g.Wait(); err != nil || len(batched) == 0 {
		return err
	}
	return s.storeEach(ctx, sh, batched, f, settle)
}

// storeClaimed stores the piece, or settles it, under a claim of its slot; false where others write there all the time, or
// the stream is one where claims do not hold: then it is in no message that may still be stored.
func (s *Store) storeClaimed(ctx context.Context, sh *shard, x *piece, f *fencing, settle func(*piece, kvs.Result)) (done bool, err error) {
	c := sh.claims.get(f, x.slot)
	if err := enter(ctx, c.turn); err != nil {
		return false, err
	}
	defer func() { <-c.turn }()
	for range claimTries {
		if !c.held {
			if ok, err := s.claim(ctx, sh, x.slot, f, c); err != nil || !ok {
				return false, err
			}
		}
		// Where the key's message is the slot's last, expecting that is expecting this. Else the key is looked at, after the
		// slot was: if nothing comes into the slot until the write, the key is as it was seen.
		if x.expect != anyRev && x.expect != c.last {
			rest, _, err := s.examine(ctx, sh, []*piece{x}, nil, settle)
			if err != nil || len(rest) == 0 {
				return err == nil, err
			}
		}
		x.seq, err = s.sendClaimed(ctx, sh, x, c)
		if err == nil {
			c.last = x.seq
			s.stored(sh, x)
			settle(x, kvs.Result{Revision: kvs.Revision(x.seq)})
			return true, nil
		}
		c.held = false // the next claim also outruns what may still arrive
		if !errors.Is(err, errExpectation) {
			return false, err
		}
	}
	return false, nil
}

// claim claims the slot, or claims it anew, which also finds out what its last sequence is; false where claims do not hold.
func (s *Store) claim(ctx context.Context, sh *shard, slot int, f *fencing, c *claim) (ok bool, err error) {
	if _, err := s.countSubjects(ctx, sh); err != nil { // it tells of replicas that were added
		return false, err
	}
	if sh.replicated.Load() {
		return false, nil
	}
	m := check(message(sh, s.beside(slot, claimMark+f.writer), encodeMark(), 0, anyRev), f.subject, f.mark)
	refused := false
	err = s.retry(ctx, "write", func(ctx context.Context) (err error) {
		c.last, err = s.send(ctx, m)
		if refused = judge(err) == wrongSeq; refused {
			return nil
		}
		return err
	})
	switch {
	case err != nil:
		return false, err
	case refused:
		return false, kvs.Overtaken(f.writer)
	}
	sh.seen(c.last)
	c.held = true
	return true, nil
}

// sendClaimed stores the piece exactly once, if nothing was stored in its slot after c.last; else it fails with
// errExpectation. Or it says that it cannot tell: see store.
func (s *Store) sendClaimed(ctx context.Context, sh *shard, x *piece, c *claim) (uint64, error) {
	t := s.try("put")
	w := write{what: "put", sh: sh, p: x.place, key: x.key}
	maybe := false // an earlier attempt may have succeeded
	for {
		var seq uint64
		err := t.once(ctx, func(ctx context.Context) (err error) {
			seq, err = s.send(ctx, check(message(sh, x.subject, x.data, x.life, anyRev), s.wholeSlot(x.slot), c.last))
			return err
		})
		v := judge(err)
		switch v {
		case answered:
			sh.seen(seq)
			return seq, nil
		case refused:
			if maybe {
				return 0, outcomeUnknown(ctx, w, err)
			}
			return 0, t.fail(ctx, err)
		case wrongSeq:
			if !maybe {
				return 0, errExpectation
			}
		case unknown:
			maybe = true
		}
		if maybe {
			m, rerr := s.getLeader(ctx, sh, x.subject)
			if rerr != nil {
				return 0, outcomeUnknown(ctx, w, err)
			}
			if rec, err := decodeRecord(m.data); m.seq != 0 && err == nil && rec.Write == x.rec.Write {
				sh.seen(m.seq)
				return m.seq, nil
			}
			if v == wrongSeq { // somebody else's message is in the slot, perhaps over ours
				return 0, outcomeUnknown(ctx, w, err)
			}
		}
		if ferr := t.again(ctx, err); ferr != nil {
			if maybe {
				return 0, outcomeUnknown(ctx, w, ferr)
			}
			return 0, ferr
		}
	}
}

// bar keeps what a writer has sent under claims, before its fence was raised to mark, from being stored any more.
func (s *Store) bar(ctx context.Context, sh *shard, writer string, mark uint64) error {
	mine := place{slot: 0, token: claimMark + writer}.in(s.cfg.Namespace, string(s.cfg.Space)+"c")
	mine = strings.Replace(mine, ".0.00.", ".*.*.", 1)
	barriers, err := s.barriers(ctx, sh, mine)
	if err != nil || len(barriers) == 0 {
		return err
	}
	if err := s.raiseBarriers(ctx, sh, barriers); err != nil {
		return err
	}
	// A claim made since under a later fence stays.
	return s.retry(ctx, "fence", func(ctx context.Context) error {
		return sh.stream.Purge(ctx, jetstream.WithPurgeSubject(mine), jetstream.WithPurgeSequence(mark))
	})
}

// barriers gives a barrier for each slot with a claim that matches filter.
func (s *Store) barriers(ctx context.Context, sh *shard, filter string) ([]*nats.Msg, error) {
	info, err := s.info(ctx, sh, filter)
	if err != nil {
		return nil, err
	}
	var out []*nats.Msg
	seen := make(map[string]struct{}, len(info.State.Subjects))
	for subject := range info.State.Subjects {
		at := strings.LastIndexByte(subject, '.') + 1
		if !strings.HasPrefix(subject[at:], claimMark) {
			continue
		}
		to := subject[:at] + barrierMark
		if _, twice := seen[to]; twice {
			continue
		}
		seen[to] = struct{}{}
		out = append(out, message(sh, to, encodeMark(), 0, anyRev))
	}
	return out, nil
}

func (s *Store) raiseBarriers(ctx context.Context, sh *shard, all []*nats.Msg) error {
	if err := sh.lane.enter(ctx); err != nil {
		return err
	}
	defer sh.lane.leave()
	for len(all) > 0 {
		n := min(len(all), maxMessages-ownMessages)
		if _, err := s.sendBatch(ctx, sh, all[:n]); err != nil {
			return err
		}
		all = all[n:]
	}
	return nil
}

// barAll is for a stream that gets replicas, where claims do not hold any more: whatever was sent under one is refused from
// now on, and who wants to claim anew finds that the stream is another.
func (s *Store) barAll(ctx context.Context, sh *shard) error {
	for _, space := range []Space{User, System} {
		all, err := s.barriers(ctx, sh, "squall.*."+string(space)+"c.*.*.*")
		if err != nil {
			return err
		}
		if err := s.raiseBarriers(ctx, sh, all); err != nil {
			return err
		}
	}
	return nil
}
