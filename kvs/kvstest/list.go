package kvstest

import (
	"fmt"
	"sync"
	"testing"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// fill puts n keys, several at a time.
func fill(t *testing.T, s kvs.Store, n int, key func(int) kvs.Key) {
	t.Helper()
	work := make(chan int)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range work {
				if _, err := s.Put(within(t), key(i), value.MustOf(i), kvs.PutOptions{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	wg.Wait()
}

func testListPages(t *testing.T, s kvs.Store) {
	const n = 100
	key := func(i int) kvs.Key { return kvs.Key(fmt.Sprintf("key %d", i)) }
	fill(t, s, n, key)
	for _, limit := range []int{1, 7, n - 1, n, n + 1, kvs.MaxPage} {
		all := listAll(t, s, "", limit, nil)
		if len(all) != n {
			t.Fatalf("pages of %d: %d keys, want %d", limit, len(all), n)
		}
	}
	for i := 0; i < n; i += 2 {
		remove(t, s, key(i))
	}
	all := listAll(t, s, "", 10, nil)
	for i := range n {
		if all[key(i)] != (i%2 == 1) {
			t.Fatalf("key %d of which every even one was deleted: listed is %v", i, all[key(i)])
		}
	}
	put(t, s, key(0), "again")
	if all := listAll(t, s, "", 10, nil); len(all) != n/2+1 || !all[key(0)] {
		t.Fatalf("%d keys after one came back, want %d", len(all), n/2+1)
	}
}

func testListPrefix(t *testing.T, s kvs.Store) {
	for _, key := range []kvs.Key{"a", "ab", "a.b", "a\x00", "b", "ba", "A", "{a}"} {
		put(t, s, key, 1)
	}
	for prefix, want := range map[kvs.Key]int{"": 8, "a": 4, "a.": 1, "a\x00": 1, "b": 2, "c": 0, "ab": 1, "abc": 0, "{": 1} {
		if all := listAll(t, s, prefix, 2, nil); len(all) != want {
			t.Errorf("prefix %q: %d keys, want %d: %v", prefix, len(all), want, all)
		}
	}
}

// testListWhileWriting inserts, overwrites and deletes between the pages: what was there throughout comes once.
func testListWhileWriting(t *testing.T, s kvs.Store) {
	const n = 100
	stays := func(i int) kvs.Key { return kvs.Key(fmt.Sprint("stays ", i)) }
	goes := func(i int) kvs.Key { return kvs.Key(fmt.Sprint("goes ", i)) }
	fill(t, s, n, stays)
	fill(t, s, n/4, goes)
	round := 0
	all := listAll(t, s, "", 20, func() {
		for i := range 5 {
			put(t, s, kvs.Key(fmt.Sprintf("new %d %d", round, i)), 1)
			put(t, s, stays((round*37+i*11)%n), "overwritten")
		}
		if round < n/4 {
			remove(t, s, goes(round))
		}
		round++
		if round > 1000 {
			t.Fatal("a thousand pages, and no end")
		}
	})
	for i := range n {
		if !all[stays(i)] {
			t.Errorf("%q was there throughout and is not listed", stays(i))
		}
	}
}

func testListBad(t *testing.T, s kvs.Store) {
	if all := listAll(t, s, "", 10, nil); len(all) != 0 {
		t.Fatalf("an empty store lists %v", all)
	}
	for _, limit := range []int{0, -1, kvs.MaxPage + 1} {
		_, err := s.List(within(t), "", "", limit)
		fails(t, fmt.Sprint("limit ", limit), err, fault.InvalidArgument)
	}
	for _, cursor := range []string{"!", "not a cursor", "\x00", "....", "////"} {
		_, err := s.List(within(t), "", cursor, 10)
		fails(t, fmt.Sprintf("cursor %q", cursor), err, fault.InvalidArgument)
	}
}
