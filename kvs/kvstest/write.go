package kvstest

import (
	"context"
	"sync"
	"testing"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

func testBasics(t *testing.T, s kvs.Store) {
	gone(t, s, "a")
	first := put(t, s, "a", "one")
	e := get(t, s, "a")
	holds(t, e.Value, "one")
	if e.Revision != first {
		t.Fatalf("revision %d, the put said %d", e.Revision, first)
	}
	second := put(t, s, "a", "two")
	if second <= first {
		t.Fatalf("revision %d after %d", second, first)
	}
	holds(t, get(t, s, "a").Value, "two")
	put(t, s, "b", "three")
	remove(t, s, "a")
	gone(t, s, "a")
	remove(t, s, "a") // again: no error
	remove(t, s, "never was")
	holds(t, get(t, s, "b").Value, "three")
	put(t, s, "a", "four")
	holds(t, get(t, s, "a").Value, "four")
}

func testCompareAndSet(t *testing.T, s kvs.Store) {
	_, err := cas(t, s, "a", 1, 7)
	fails(t, "compare-and-set of a key that is not there", err, fault.Conflict)
	gone(t, s, "a")
	first, err := cas(t, s, "a", 1, 0)
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	_, err = cas(t, s, "a", 2, 0)
	fails(t, "create of a key that exists", err, fault.Conflict)
	holds(t, get(t, s, "a").Value, 1)
	second, err := cas(t, s, "a", 2, first)
	if err != nil || second <= first {
		t.Fatalf("compare-and-set: revision %d after %d, %v", second, first, err)
	}
	_, err = cas(t, s, "a", 3, first)
	fails(t, "compare-and-set at an old revision", err, fault.Conflict)
	_, err = cas(t, s, "a", 3, second+1000)
	fails(t, "compare-and-set at a revision to come", err, fault.Conflict)
	holds(t, get(t, s, "a").Value, 2)
	third := put(t, s, "a", 3)
	_, err = cas(t, s, "a", 4, second)
	fails(t, "compare-and-set after a put", err, fault.Conflict)
	if _, err = cas(t, s, "a", 4, third); err != nil {
		t.Fatal(err)
	}
	remove(t, s, "a")
	_, err = cas(t, s, "a", 5, third)
	fails(t, "compare-and-set after a delete", err, fault.Conflict)
	gone(t, s, "a")
	again, err := cas(t, s, "a", 6, 0)
	if err != nil {
		t.Fatalf("create after a delete: %v", err)
	}
	if e := get(t, s, "a"); e.Revision != again {
		t.Fatalf("revision %d, the create said %d", e.Revision, again)
	}
	_, err = cas(t, s, "a", 7, 0)
	fails(t, "create after a create", err, fault.Conflict)
}

func testDeleteAt(t *testing.T, s kvs.Store) {
	fails(t, "delete at a revision of a key that is not there", s.Delete(within(t), "a", 1), fault.Conflict)
	first := put(t, s, "a", 1)
	second := put(t, s, "a", 2)
	fails(t, "delete at an old revision", s.Delete(within(t), "a", first), fault.Conflict)
	holds(t, get(t, s, "a").Value, 2)
	if err := s.Delete(within(t), "a", second); err != nil {
		t.Fatal(err)
	}
	gone(t, s, "a")
	fails(t, "delete at a revision of a deleted key", s.Delete(within(t), "a", second), fault.Conflict)
}

func testRevisions(t *testing.T, s kvs.Store) {
	var last kvs.Revision
	for range 3 {
		for range 3 {
			if rev := put(t, s, "a", "x"); rev <= last {
				t.Fatalf("revision %d after %d", rev, last)
			} else {
				last = rev
			}
		}
		remove(t, s, "a")
	}
}

// testIncrements adds up in compare-and-set loops from many goroutines; none may be lost.
func testIncrements(t *testing.T, s kvs.Store) {
	const writers, each = 6, 15
	ctx := within(t)
	increment := func() error {
		for {
			e, err := s.Get(ctx, "counter")
			if err != nil && !fault.Is(err, fault.NotFound) {
				return err
			}
			n := 0
			if err == nil {
				if n, err = value.As[int](e.Value); err != nil {
					return err
				}
			}
			_, err = s.CompareAndSet(ctx, "counter", value.MustOf(n+1), e.Revision, kvs.PutOptions{})
			if !fault.Is(err, fault.Conflict) {
				return err
			}
		}
	}
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				if err := increment(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	holds(t, get(t, s, "counter").Value, writers*each)
}

func testCancelled(t *testing.T, s kvs.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	late, stop := context.WithTimeout(t.Context(), 0)
	defer stop()
	for _, c := range []struct {
		ctx  context.Context
		code fault.Code
	}{{ctx, fault.Cancelled}, {late, fault.DeadlineExceeded}} {
		_, err := s.Get(c.ctx, "a")
		fails(t, "get", err, c.code)
		_, err = s.Put(c.ctx, "a", value.MustOf(1), kvs.PutOptions{})
		fails(t, "put", err, c.code)
		_, err = s.CompareAndSet(c.ctx, "a", value.MustOf(1), 0, kvs.PutOptions{})
		fails(t, "compare-and-set", err, c.code)
		fails(t, "delete", s.Delete(c.ctx, "a", 0), c.code)
		_, err = s.List(c.ctx, "", "", 10)
		fails(t, "list", err, c.code)
		_, err = s.Watch(c.ctx, "")
		fails(t, "watch", err, c.code)
		for what, err := range newer(c.ctx, s) {
			fails(t, what, err, c.code)
		}
	}
	gone(t, s, "a")
	put(t, s, "a", 1)
}

func testClose(t *testing.T, s kvs.Store) {
	put(t, s, "a", 1)
	ch := watch(t, s, "")
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for range ch { // ends
	}
	_, err := s.Get(within(t), "a")
	fails(t, "get", err, fault.Unavailable)
	_, err = s.Put(within(t), "a", value.MustOf(1), kvs.PutOptions{})
	fails(t, "put", err, fault.Unavailable)
	_, err = cas(t, s, "a", 1, 0)
	fails(t, "compare-and-set", err, fault.Unavailable)
	fails(t, "delete", s.Delete(within(t), "a", 0), fault.Unavailable)
	_, err = s.List(within(t), "", "", 10)
	fails(t, "list", err, fault.Unavailable)
	_, err = s.Watch(within(t), "")
	fails(t, "watch", err, fault.Unavailable)
	for what, err := range newer(within(t), s) {
		fails(t, what, err, fault.Unavailable)
	}
}

// newer makes each call that concerns several keys or several versions, and gives the errors.
func newer(ctx context.Context, s kvs.Store) map[string]error {
	errs := map[string]error{}
	w := []kvs.Write{{Key: "a", Value: value.MustOf(1), Expect: kvs.AnyRevision}}
	_, errs["get many"] = s.GetMany(ctx, []kvs.Key{"a"})
	_, errs["current"] = s.Current(ctx, "a")
	_, errs["write many"] = s.WriteMany(ctx, w, kvs.Fence{})
	_, errs["commit"] = s.Commit(ctx, w, nil, kvs.Fence{})
	_, errs["fence"] = s.Fence(ctx, "w")
	_, errs["follow"] = s.Follow(ctx)
	_, _, errs["news"] = s.News(ctx, []kvs.Held{{Key: "a"}}, kvs.Mark{})
	return errs
}
