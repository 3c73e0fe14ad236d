package jetkv

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// clone copies messages, for sending them later: publishBatch writes to their headers.
func clone(all []*nats.Msg) []*nats.Msg {
	var out []*nats.Msg
	for _, m := range all {
		c := &nats.Msg{Subject: m.Subject, Data: m.Data, Header: nats.Header{}}
		for k, v := range m.Header {
			c.Header[k] = append([]string(nil), v...)
		}
		out = append(out, c)
	}
	return out
}

// A batch whose answer is lost is stored once, whatever became of it and whatever others wrote since: of every write the
// store knows the revision, no later write is undone, and none is stored again.
func TestLostAnswersToBatches(t *testing.T) {
	ctx := t.Context()
	const n = 5
	key := func(i int) kvs.Key { return kvs.Key(fmt.Sprintf("{t}%d", i)) }
	var writes []kvs.Write
	for i := range n {
		writes = append(writes, kvs.Write{Key: key(i), Value: value.MustOf(i), Expect: kvs.AnyRevision})
	}
	writes[2].Options.TTL = kvsHour
	calls := map[string]func(s *Store, f kvs.Fence) ([]kvs.Revision, error){
		"write many": func(s *Store, f kvs.Fence) (revs []kvs.Revision, err error) {
			r, err := s.WriteMany(ctx, writes, f)
			for _, r := range r {
				revs, err = append(revs, r.Revision), errors.Join(err, r.Err)
			}
			return revs, err
		},
		"commit": func(s *Store, f kvs.Fence) ([]kvs.Revision, error) {
			return s.Commit(ctx, writes, []kvs.Check{{Key: "{t}absent"}}, f)
		},
	}
	put := func(t *testing.T, s *Store, i int) kvs.Revision {
		rev, err := s.Put(ctx, key(i), value.MustOf("later"), kvs.PutOptions{})
		if err != nil {
			t.Error(err)
		}
		return rev
	}
	must := func(t *testing.T, s *Store, all []*nats.Msg) {
		if _, err := s.publishBatch(ctx, all); err != nil {
			t.Error(err)
		}
	}
	// Each case is what happens instead of the first attempt, and between it and the second.
	for name, c := range map[string]struct {
		first  func(t *testing.T, a, b *Store, all []*nats.Msg)
		second func(t *testing.T, a, b *Store, first []*nats.Msg)
		tries  int
		later  bool // others overwrote the first two
	}{
		"stored":     {first: func(t *testing.T, a, _ *Store, all []*nats.Msg) { must(t, a, all) }, tries: 1},
		"not stored": {first: func(*testing.T, *Store, *Store, []*nats.Msg) {}, tries: 2},
		"stored late": {first: func(*testing.T, *Store, *Store, []*nats.Msg) {},
			second: func(t *testing.T, a, _ *Store, first []*nats.Msg) { must(t, a, first) }, tries: 2},
		"stored and overwritten": {first: func(t *testing.T, a, b *Store, all []*nats.Msg) {
			must(t, a, all)
			put(t, b, 0)
			put(t, b, 1)
		}, tries: 1, later: true},
		"stored late and overwritten": {first: func(*testing.T, *Store, *Store, []*nats.Msg) {},
			second: func(t *testing.T, a, b *Store, first []*nats.Msg) {
				must(t, a, first)
				put(t, b, 0)
				put(t, b, 1)
			}, tries: 2, later: true},
		"half sent": {first: func(t *testing.T, a, _ *Store, all []*nats.Msg) {
			for i, m := range all[:3] {
				m.Header[batchID], m.Header[batchSeq] = []string{"half"}, []string{fmt.Sprint(i + 1)}
				if err := a.conn.PublishMsg(m); err != nil {
					t.Error(err)
				}
			}
		}, tries: 2},
	} {
		for what, call := range calls {
			// Expectations of the writes' own must not be what keeps a batch from being stored twice.
			for _, expect := range []kvs.Revision{kvs.AnyRevision, 0} {
				t.Run(fmt.Sprintf("%s, %s, create %v", what, name, expect == 0), func(t *testing.T) {
					writes[1].Expect = expect
					a, b := pair(t)
					a.few = 0 // everything in batches
					fence, err := a.Fence(ctx, "w")
					if err != nil {
						t.Fatal(err)
					}
					tries := 0
					var lost []*nats.Msg
					a.batch = func(ctx context.Context, all []*nats.Msg) (uint64, error) {
						switch tries++; {
						case tries == 1:
							lost = clone(all)
							c.first(t, a, b, clone(all))
							return 0, context.DeadlineExceeded
						case tries == 2 && c.second != nil:
							c.second(t, a, b, clone(lost))
						}
						return a.publishBatch(ctx, all)
					}
					revs, err := call(a, fence)
					if err != nil || tries != c.tries {
						t.Fatalf("%v after %d tries, want success after %d", err, tries, c.tries)
					}
					last := a.shards[0].lastSeq.Load()
					for i := range writes {
						e, err := b.Get(ctx, key(i))
						if err != nil {
							t.Fatal(err)
						}
						if overwritten := c.later && i < 2; overwritten != (e.Revision > revs[i]) || !overwritten && e.Revision != revs[i] {
							t.Errorf("write %d was said to be at %d, and %d is there", i, revs[i], e.Revision)
						}
					}
					// What was sent and lost can come as late as it likes.
					_, err = a.publishBatch(ctx, lost)
					var api *jetstream.APIError
					if !errors.As(err, &api) {
						t.Errorf("the first attempt is stored at last: %v", err)
					}
					// The lane is in order for the next batch.
					a.batch = a.publishBatch
					for i := range writes {
						writes[i].Expect = kvs.AnyRevision
					}
					if again, err := call(a, fence); err != nil || again[0] <= kvs.Revision(last) {
						t.Errorf("the next batch: %d, %v", again, err)
					}
				})
			}
		}
	}
}

// An answer that stays away ends in unavailable, which says that nobody can tell; the next batch finds its way.
func TestUnansweredBatches(t *testing.T) {
	ctx := t.Context()
	a, _ := pair(t)
	a.cfg.Timeout = 1
	stored := 0
	a.batch = func(ctx context.Context, all []*nats.Msg) (uint64, error) {
		if _, err := a.publishBatch(context.WithoutCancel(ctx), all); err == nil {
			stored++
		}
		a.shards[0].leaderGet = "nobody.listens"
		return 0, context.DeadlineExceeded
	}
	right := a.shards[0].leaderGet
	w := []kvs.Write{{Key: "{t}a", Value: value.MustOf(1), Expect: kvs.AnyRevision}, {Key: "{t}b", Value: value.MustOf(1), Expect: kvs.AnyRevision}}
	_, err := a.WriteMany(ctx, w, kvs.Fence{})
	if !fault.Is(err, fault.Unavailable) || stored != 1 {
		t.Fatalf("%v, stored %d times", err, stored)
	}
	a.cfg.Timeout, a.shards[0].leaderGet, a.batch = kvsHour, right, a.publishBatch
	r, err := a.WriteMany(ctx, w, kvs.Fence{})
	if err != nil || r[0].Err != nil {
		t.Fatalf("the next: %v, %v", err, r)
	}
	if e, err := a.Get(ctx, "{t}a"); err != nil || e.Revision != r[0].Revision {
		t.Fatalf("revision %d, %v; want %d", e.Revision, err, r[0].Revision)
	}
}
