package jetkv

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// fenced writes one key under a fence.
func fenced(ctx context.Context, s *Store, f kvs.Fence, key kvs.Key, x any, expect kvs.Revision) (kvs.Revision, error) {
	r, err := s.WriteMany(ctx, []kvs.Write{{Key: key, Value: value.MustOf(x), Expect: expect}}, f)
	if err != nil {
		return 0, err
	}
	return r[0].Revision, r[0].Err
}

func raised(t *testing.T, s *Store, writer string) kvs.Fence {
	t.Helper()
	f, err := s.Fence(t.Context(), writer)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// isRecord reports whether m is the record of a key, and no claim, mark or barrier.
func isRecord(m *nats.Msg) bool { return strings.HasPrefix(m.Subject, "squall.test.kv.") }

// counted has the batches, the claims and the records that s sends counted.
func counted(s *Store) (batches, claims, records *int) {
	batches, claims, records = new(int), new(int), new(int)
	s.batch = func(ctx context.Context, all []*nats.Msg) (uint64, error) {
		*batches++
		return s.publishBatch(ctx, all)
	}
	s.send = func(ctx context.Context, m *nats.Msg) (uint64, error) {
		if isRecord(m) {
			*records++
		} else {
			*claims++
		}
		return s.publish(ctx, m)
	}
	return batches, claims, records
}

// A write under a fence is one message, once its slot is claimed, for as long as nobody else writes there; and it stays
// that after a batch.
func TestClaimsCost(t *testing.T) {
	ctx := t.Context()
	a, b := pair(t)
	f := raised(t, a, "w")
	batches, claims, records := counted(a)
	rev := kvs.Revision(0)
	var err error
	write := func(wantClaims, wantRecords int) {
		t.Helper()
		*claims, *records = 0, 0
		if rev, err = fenced(ctx, a, f, "{t}k", "x", rev); err != nil {
			t.Fatal(err)
		}
		if *claims != wantClaims || *records != wantRecords {
			t.Errorf("a write took %d claims and %d records, want %d and %d", *claims, *records, wantClaims, wantRecords)
		}
	}
	write(1, 1)
	write(0, 1)
	write(0, 1)
	if _, err := b.Put(ctx, "{t}other", value.MustOf(1), kvs.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	write(1, 2) // the first meets the other's
	write(0, 1)
	if *batches != 0 {
		t.Errorf("%d batches", *batches)
	}
	var many []kvs.Write
	for i := range maxClaimed {
		many = append(many, kvs.Write{Key: kvs.Key(fmt.Sprint("key ", i)), Value: value.MustOf(i), Expect: kvs.AnyRevision})
	}
	many = append(many, kvs.Write{Key: "{t}k", Value: value.MustOf(0), Expect: rev})
	r, err := a.WriteMany(ctx, many, f)
	if err != nil || r[maxClaimed].Err != nil || *batches != 1 {
		t.Fatalf("%d batches, %v, %v", *batches, err, r)
	}
	rev = r[maxClaimed].Revision
	write(0, 1)
	if _, err := a.Commit(ctx, []kvs.Write{{Key: "{t}k", Value: value.MustOf(1), Expect: rev}}, nil, f); err != nil || *batches != 1 {
		t.Errorf("a commit of one write: %v, %d batches", err, *batches)
	}
}

// What a writer has sent under a claim, and arrives after its fence was raised, is refused: at once, after its claims are
// gone, and after others have written to the slot, and deleted.
func TestClaimsOfTheFenced(t *testing.T) {
	ctx := t.Context()
	for name, expect := range map[string]kvs.Revision{"put": kvs.AnyRevision, "create": 0} {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t)
			f := raised(t, a, "w")
			if _, err := fenced(ctx, a, f, "{t}before", 1, kvs.AnyRevision); err != nil {
				t.Fatal(err)
			}
			var late *nats.Msg
			a.send = func(ctx context.Context, m *nats.Msg) (uint64, error) {
				if isRecord(m) && late == nil {
					late = clone([]*nats.Msg{m})[0]
					a.cfg.Timeout = 1 // no look, and no second attempt
					return 0, context.DeadlineExceeded
				}
				return a.publish(ctx, m)
			}
			arrives := func(when string) {
				t.Helper()
				var api *jetstream.APIError
				if _, err := a.publish(ctx, clone([]*nats.Msg{late})[0]); !errors.As(err, &api) || judge(err) != wrongSeq {
					t.Errorf("%s: %v", when, err)
				}
			}
			if _, err := fenced(ctx, a, f, "{t}k", 1, expect); !fault.Is(err, fault.Unavailable) {
				t.Fatal(err)
			}
			a.cfg.Timeout = kvsHour
			next := raised(t, b, "w")
			arrives("after the fence was raised")
			info, err := b.info(ctx, b.shards[0], "squall.test.kvc.*.*."+claimMark+"w")
			if err != nil || len(info.State.Subjects) != 0 {
				t.Errorf("the claims are left: %v, %v", info.State.Subjects, err)
			}
			if _, err := fenced(ctx, a, f, "{t}k", 1, expect); !fault.Is(err, fault.Fenced) {
				t.Errorf("the next of the fenced: %v", err)
			}
			if _, err := fenced(ctx, b, next, "{t}k", 2, expect); err != nil {
				t.Errorf("the next holder's: %v", err)
			}
			arrives("after the next holder has written")
			if err := b.Delete(ctx, "{t}k", kvs.AnyRevision); err != nil {
				t.Fatal(err)
			}
			arrives("after a delete")
			raised(t, b, "w")
			arrives("after the fence was raised once more")
			// A claim that was made anew outruns it, too.
			if err := a.barAll(ctx, a.shards[0]); err != nil {
				t.Fatal(err)
			}
			arrives("after replicas were added")
		})
	}
}

// Who raises a fence late, and others have raised it since, leaves the claims of its holder alone.
func TestClaimsOfALaterFence(t *testing.T) {
	ctx := t.Context()
	a, b := pair(t)
	early := raised(t, b, "w")
	f := raised(t, a, "w")
	rev, err := fenced(ctx, a, f, "{t}k", 1, kvs.AnyRevision)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.bar(ctx, b.shards[0], "w", early.Marks[0]); err != nil {
		t.Fatal(err)
	}
	info, err := b.info(ctx, b.shards[0], "squall.test.kvc.*.*."+claimMark+"w")
	if err != nil || len(info.State.Subjects) != 1 {
		t.Fatalf("claims: %v, %v", info.State.Subjects, err)
	}
	if _, err := fenced(ctx, a, f, "{t}k", 2, rev); err != nil {
		t.Fatal(err)
	}
	last := raised(t, b, "w")
	if _, err := fenced(ctx, a, f, "{t}k", 3, kvs.AnyRevision); !fault.Is(err, fault.Fenced) {
		t.Errorf("after the last: %v", err)
	}
	if _, err := fenced(ctx, b, last, "{t}k", 3, kvs.AnyRevision); err != nil {
		t.Error(err)
	}
}

// A write under a claim whose answer is lost is stored once, and its revision known; where others have written over it
// that is said.
func TestLostAnswersUnderClaims(t *testing.T) {
	ctx := t.Context()
	for name, c := range map[string]struct {
		first   func(t *testing.T, a, b *Store, m *nats.Msg)
		second  func(t *testing.T, a, b *Store, m *nats.Msg)
		unknown bool
	}{
		"stored":     {first: func(t *testing.T, a, _ *Store, m *nats.Msg) { mustSend(t, a, m) }},
		"not stored": {first: func(*testing.T, *Store, *Store, *nats.Msg) {}},
		"stored late": {first: func(*testing.T, *Store, *Store, *nats.Msg) {},
			second: func(t *testing.T, a, _ *Store, m *nats.Msg) { mustSend(t, a, m) }},
		"stored and overwritten": {first: func(t *testing.T, a, b *Store, m *nats.Msg) {
			mustSend(t, a, m)
			over(t, b)
		}, unknown: true},
		"overtaken": {first: func(t *testing.T, _, b *Store, _ *nats.Msg) { over(t, b) }, unknown: true},
	} {
		for _, expect := range []kvs.Revision{kvs.AnyRevision, 0} {
			t.Run(fmt.Sprintf("%s, create %v", name, expect == 0), func(t *testing.T) {
				a, b := pair(t)
				f := raised(t, a, "w")
				tries := 0
				var lost *nats.Msg
				a.send = func(ctx context.Context, m *nats.Msg) (uint64, error) {
					if !isRecord(m) {
						return a.publish(ctx, m)
					}
					switch tries++; {
					case tries == 1:
						lost = clone([]*nats.Msg{m})[0]
						c.first(t, a, b, clone([]*nats.Msg{m})[0])
						return 0, context.DeadlineExceeded
					case tries == 2 && c.second != nil:
						c.second(t, a, b, clone([]*nats.Msg{lost})[0])
					}
					return a.publish(ctx, m)
				}
				rev, err := fenced(ctx, a, f, "{t}k", "mine", expect)
				if c.unknown != fault.Is(err, fault.Unavailable) || !c.unknown && err != nil {
					t.Fatalf("%v, want unknown: %v", err, c.unknown)
				}
				if e, gerr := b.Get(ctx, "{t}k"); gerr != nil || err == nil && e.Revision != rev {
					t.Errorf("said to be at %d, and %d is there: %v", rev, e.Revision, gerr)
				}
				a.send = a.publish
				if _, err := fenced(ctx, a, f, "{t}k", "next", kvs.AnyRevision); err != nil {
					t.Errorf("the next: %v", err)
				}
				if _, err := a.publish(ctx, lost); judge(err) != wrongSeq {
					t.Errorf("the first attempt is stored at last: %v", err)
				}
			})
		}
	}
}

func mustSend(t *testing.T, s *Store, m *nats.Msg) {
	t.Helper()
	if _, err := s.publish(t.Context(), m); err != nil {
		t.Error(err)
	}
}

func over(t *testing.T, s *Store) {
	t.Helper()
	if _, err := s.Put(t.Context(), "{t}k", value.MustOf("over"), kvs.PutOptions{}); err != nil {
		t.Error(err)
	}
}

func number(t *testing.T, e kvs.Entry) int {
	t.Helper()
	n, err := value.As[int](e.Value)
	if err != nil {
		t.Error(err)
	}
	return n
}

// Writers under fences of their own, and one without, count in one slot by compare-and-set: none loses an increment.
func TestClaimsKeepCompareAndSet(t *testing.T) {
	ctx := t.Context()
	a, b := pair(t)
	const each = 40
	var wg sync.WaitGroup
	count := func(s *Store, write func(key kvs.Key, n int, expect kvs.Revision) error) {
		for i := 0; i < each; {
			key := kvs.Key(fmt.Sprintf("{t}%d", i%3))
			e, err := s.Get(ctx, key)
			if err != nil && !fault.Is(err, fault.NotFound) {
				t.Error(err)
				return
			}
			n := 0
			if e.Revision != 0 {
				n = number(t, e)
			}
			switch err := write(key, n+1, e.Revision); {
			case err == nil:
				i++
			case !fault.Is(err, fault.Conflict):
				t.Error(err)
				return
			}
		}
	}
	for i, s := range []*Store{a, a, b} {
		f := raised(t, s, fmt.Sprint("w", i))
		wg.Go(func() {
			count(s, func(key kvs.Key, n int, expect kvs.Revision) error {
				_, err := fenced(ctx, s, f, key, n, expect)
				return err
			})
		})
	}
	wg.Go(func() {
		count(b, func(key kvs.Key, n int, expect kvs.Revision) error {
			_, err := b.CompareAndSet(ctx, key, value.MustOf(n), expect, kvs.PutOptions{})
			return err
		})
	})
	wg.Wait()
	sum := 0
	for i := range 3 {
		e, err := a.Get(ctx, kvs.Key(fmt.Sprintf("{t}%d", i)))
		if err != nil {
			t.Fatal(err)
		}
		sum += number(t, e)
	}
	if sum != 4*each {
		t.Errorf("%d increments of %d are there", sum, 4*each)
	}
}

// A stream of several replicas is not written to under claims, also where a store learns of the replicas late.
func TestClaimsWithReplicas(t *testing.T) {
	ctx := t.Context()
	a, _ := pair(t)
	f := raised(t, a, "w")
	batches, claims, _ := counted(a)
	a.shards[0].replicated.Store(true)
	if _, err := fenced(ctx, a, f, "k", 1, kvs.AnyRevision); err != nil || *batches != 1 || *claims != 0 {
		t.Errorf("%v, %d batches and %d claims", err, *batches, *claims)
	}
}
