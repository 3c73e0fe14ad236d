package kvstest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

func follow(t testing.TB, s kvs.Store, keys ...kvs.Key) kvs.Feed {
	t.Helper()
	f, err := s.Follow(within(t))
	if err != nil {
		t.Fatalf("follow: %v", err)
	}
	t.Cleanup(f.Close)
	for _, key := range keys {
		if err := f.Add(key); err != nil {
			t.Fatalf("follow %.40q: %v", key, err)
		}
	}
	return f
}

func pushed(t testing.TB, f kvs.Feed) kvs.Push {
	t.Helper()
	select {
	case p, ok := <-f.Changes():
		if !ok {
			t.Fatal("the feed ended")
		}
		return p
	case <-within(t).Done():
		t.Fatalf("nothing is pushed within %v", patience)
		return kvs.Push{}
	}
}

// testFeed: on a store where nothing fails, what changes is pushed, once and in order, and nothing else is.
func testFeed(t *testing.T, s kvs.Store) {
	long := kvs.Key(strings.Repeat("\x00", 900))
	put(t, s, "a", "before")
	f := follow(t, s, "a", "b", long, "a")
	other := follow(t, s, "c")
	is := func(what string, p kvs.Push, key kvs.Key, rev kvs.Revision, x any) {
		t.Helper()
		if p.Key != key || p.Revision != rev || p.Deleted != (x == nil) || p.Written.IsZero() {
			t.Fatalf("%s: pushed %.40q at %d, deleted %v; want %.40q at %d", what, p.Key, p.Revision, p.Deleted, key, rev)
		}
		if p.Partial {
			p.Entry = get(t, s, key)
		}
		if x != nil {
			holds(t, p.Value, x)
		}
	}
	put(t, s, "not followed", 1)
	is("put", func() kvs.Push { put(t, s, "c", 1); return pushed(t, other) }(), "c", get(t, s, "c").Revision, 1)
	rev, err := s.Put(within(t), "a", value.MustOf(2), meta([]byte("m")))
	if err != nil {
		t.Fatal(err)
	}
	p := pushed(t, f)
	is("put", p, "a", rev, 2)
	if string(p.Meta) != "m" {
		t.Fatalf("pushed with meta data %q", p.Meta)
	}
	is("create", func() kvs.Push { rev = put(t, s, "b", 3); return pushed(t, f) }(), "b", rev, 3)
	is("put of a long key", func() kvs.Push { rev = put(t, s, long, 4); return pushed(t, f) }(), long, rev, 4)
	large := noise(2<<20, 1)
	is("put of a large value", func() kvs.Push { rev = put(t, s, "a", large); return pushed(t, f) }(), "a", rev, large)
	remove(t, s, "a")
	is("delete", pushed(t, f), "a", getMany(t, s, "a")[0].Revision, nil)
	r := writeMany(t, s, kvs.Fence{}, kvs.Write{Key: "a", Value: value.MustOf(5)}, kvs.Write{Key: "not followed", Value: value.MustOf(5), Expect: kvs.AnyRevision})
	is("batch", pushed(t, f), "a", r[0].Revision, 5)
	revs := commit(t, s, []kvs.Write{{Key: "a", Value: value.MustOf(6), Expect: r[0].Revision}, {Key: "{a}", Value: value.MustOf(6)}}, nil)
	is("commit", pushed(t, f), "a", revs[0], 6)
	f.Remove("a")
	f.Remove("a")
	f.Remove("never added")
	put(t, s, "a", 7)
	is("after a was removed", func() kvs.Push { rev = put(t, s, "b", 8); return pushed(t, f) }(), "b", rev, 8)
	if err := f.Add("a"); err != nil {
		t.Fatal(err)
	}
	is("after it was added again", func() kvs.Push { rev = put(t, s, "a", 9); return pushed(t, f) }(), "a", rev, 9)
	fails(t, "add of an empty key", f.Add(""), fault.InvalidKey)
	f.Close()
	f.Close()
	for range f.Changes() { // ends
	}
	fails(t, "add after close", f.Add("a"), fault.Unavailable)
	f.Remove("b")
	is("the other feed", func() kvs.Push { rev = put(t, s, "c", 10); return pushed(t, other) }(), "c", rev, 10)
}

// testFeedSlow reads nothing: pushes are dropped, and nobody waits.
func testFeedSlow(t *testing.T, s kvs.Store) {
	const keys = 500
	var names []kvs.Key
	for i := range keys {
		names = append(names, numbered("k", i))
	}
	f := follow(t, s, names...)
	counter, ok := f.(interface{ Dropped() uint64 })
	if !ok {
		t.Fatal("the feed does not count what it drops")
	}
	rounds := 2*kvs.FeedBuffer/keys + 3
	for round := range rounds {
		var writes []kvs.Write
		for _, key := range names {
			writes = append(writes, kvs.Write{Key: key, Value: value.MustOf(round), Expect: kvs.AnyRevision})
		}
		writeMany(t, s, kvs.Fence{}, writes...)
	}
	got := uint64(0)
	until(t, "every push is there or counted", func() bool {
		for {
			select {
			case <-f.Changes():
				got++
				continue
			default:
			}
			break
		}
		// An engine may drop what it has not counted, at its own door; more than were written it cannot.
		return got+counter.Dropped() >= uint64(kvs.FeedBuffer) && got+counter.Dropped() <= uint64(rounds*keys)
	})
	if got > 2*kvs.FeedBuffer+1 || got == 0 {
		t.Fatalf("%d pushes were kept of %d", got, rounds*keys)
	}
	put(t, s, "k0", "after") // it goes on
	for p := pushed(t, f); ; p = pushed(t, f) {
		if p.Revision == get(t, s, "k0").Revision {
			return
		}
	}
}

func testFeedCloses(t *testing.T, s kvs.Store) {
	f := follow(t, s, "a", "b")
	for i := range 10 {
		put(t, s, "a", fmt.Sprint(i)) // pending when it ends
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range f.Changes() { // ends
	}
	fails(t, "add", f.Add("c"), fault.Unavailable)
	f.Close()
}
