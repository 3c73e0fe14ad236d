package kvstest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/squall-faas/squall/kvs"
)

func testWatchOrder(t *testing.T, s kvs.Store) {
	ch := watch(t, s, "")
	var want []kvs.Entry
	step := func(key kvs.Key, x any) {
		put(t, s, key, x)
		e := next(t, ch)
		if e.Key != key || e.Deleted || e.Written.IsZero() {
			t.Fatalf("after a put of %q: %+v", key, e)
		}
		holds(t, e.Value, x)
		want = append(want, e)
	}
	step("a", 1)
	step("b", 2)
	step("a", 3)
	if e := get(t, s, "a"); e.Revision != want[2].Revision || e.Revision <= want[0].Revision {
		t.Fatalf("revision %d, watched were %d and %d", e.Revision, want[0].Revision, want[2].Revision)
	}
	remove(t, s, "a")
	e := next(t, ch)
	if e.Key != "a" || !e.Deleted || e.Revision <= want[2].Revision || !e.Value.IsNull() {
		t.Fatalf("after a delete: %+v", e)
	}
	step("a", 4)
	step("long "+kvs.Key(noise(900, 1)), 5)
}

func testWatchPrefix(t *testing.T, s kvs.Store) {
	ab, b := watch(t, s, "a.b"), watch(t, s, "b")
	put(t, s, "a", 1)
	put(t, s, "a.b.c", 2)
	put(t, s, "b", 3)
	if e := next(t, ab); e.Key != "a.b.c" {
		t.Fatalf("watched %q", e.Key)
	}
	if e := next(t, b); e.Key != "b" {
		t.Fatalf("watched %q", e.Key)
	}
}

func testWatchFromNow(t *testing.T, s kvs.Store) {
	for i := range 20 {
		put(t, s, "old", i)
		put(t, s, kvs.Key(fmt.Sprint("old ", i)), i)
	}
	for i := range 5 {
		ch := watch(t, s, "")
		put(t, s, "new", i)
		if e := next(t, ch); e.Key != "new" {
			t.Fatalf("watch %d: %q, which was there before", i, e.Key)
		} else {
			holds(t, e.Value, i)
		}
	}
}

// testWatchSlow reads nothing until everything is written: it may miss versions, and must see the last of each key.
func testWatchSlow(t *testing.T, s kvs.Store) {
	const keys, rounds = 20, 15
	ch := watch(t, s, "")
	key := func(i int) kvs.Key { return kvs.Key(fmt.Sprint("key ", i)) }
	last := map[kvs.Key]kvs.Revision{}
	for round := range rounds {
		for i := range keys {
			last[key(i)] = put(t, s, key(i), round)
		}
	}
	seen := map[kvs.Key]kvs.Revision{}
	for got := 0; len(last) > 0; got++ {
		e := next(t, ch)
		if e.Revision <= seen[e.Key] {
			t.Fatalf("%q: revision %d after %d", e.Key, e.Revision, seen[e.Key])
		}
		seen[e.Key] = e.Revision
		if e.Revision == last[e.Key] {
			holds(t, e.Value, rounds-1)
			delete(last, e.Key)
		}
		if got > keys*rounds {
			t.Fatal("more changes than writes")
		}
	}
}

func testWatchLarge(t *testing.T, s kvs.Store) {
	ch := watch(t, s, "")
	for i, n := range []int{3 << 20, 100, 2 << 20} {
		put(t, s, "a", noise(n, uint64(i)))
		holds(t, next(t, ch).Value, noise(n, uint64(i)))
	}
	remove(t, s, "a")
	if e := next(t, ch); !e.Deleted {
		t.Fatalf("after a delete: %+v", e)
	}
}

func testWatchExpiry(t *testing.T, s kvs.Store) {
	long := kvs.Key(noise(900, 2))
	var ch <-chan kvs.Entry
	var before kvs.Revision
	for ttl := 2 * time.Second; ; ttl *= 2 { // until the machine is fast enough to watch before they expire
		before = putFor(t, s, "before", 1, ttl)
		putFor(t, s, long, 1, ttl)
		putFor(t, s, "kept", 1, ttl)
		ch = watch(t, s, "")
		put(t, s, "kept", 2)
		_, e1 := s.Get(within(t), "before")
		_, e2 := s.Get(within(t), long)
		if e1 == nil && e2 == nil {
			break
		}
	}
	after := putFor(t, s, "after", 1, time.Second)
	deleted := map[kvs.Key]kvs.Revision{}
	for len(deleted) < 3 {
		e := next(t, ch)
		if e.Deleted {
			if deleted[e.Key] != 0 {
				t.Fatalf("%.40q expires twice", e.Key)
			}
			deleted[e.Key] = e.Revision
			gone(t, s, e.Key)
		}
	}
	if deleted["before"] != before || deleted["after"] != after || deleted[long] == 0 {
		t.Fatalf("expired: %v; want before at %d and after at %d", deleted, before, after)
	}
	holds(t, get(t, s, "kept").Value, 2)
}

func testWatchCancel(t *testing.T, s kvs.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	ch, err := s.Watch(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		put(t, s, kvs.Key(fmt.Sprint(i)), i) // pending when the watch ends
	}
	cancel()
	for range ch { // ends
	}
	put(t, s, "a", 1)
}
