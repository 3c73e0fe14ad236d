package cache

import (
	"context"
	"testing"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// TestOwner: a key is read from the store by its owner alone, and by the others through it.
func TestOwner(t *testing.T) {
	n := startNodes(t, Config{}, "a", "b", "c")
	n.owners["k"] = "a"
	put(t, n.store, "k", 1)
	for _, node := range []string{"b", "c", "a", "b"} {
		wantInt(t, n.of[node], "k", 1)
	}
	if gets, fetched := n.store.gets.Load(), n.fetched.Load(); gets != 1 || fetched != 2 {
		t.Fatalf("%d reads of the store, %d of the owner", gets, fetched)
	}
	if st := n.of["b"].Stats(); st.PeerReads != 1 || st.Reads != 0 {
		t.Fatalf("%+v", st)
	}
	// What came from a peer is followed like any other.
	rev := put(t, n.store, "k", 2)
	for _, node := range n.names {
		n.hears(t, node, "k", rev)
	}
	// A key that is not there its owner does not make up, and neither does one that is gone.
	n.owners["missing"], n.owners["other"] = "a", "a"
	wantNone(t, n.of["b"], "missing")
	put(t, n.store, "other", 3)
	n.gone["a"] = true
	wantInt(t, n.of["b"], "other", 3)
	n.inspect(t)
}

// TestOwnerDoesNotGiveWhatIsNotStored: others see the owner's writes when they are stored.
func TestOwnerDoesNotGiveWhatIsNotStored(t *testing.T) {
	n := startNodes(t, Config{}, "a", "b")
	n.owners["k"] = "a"
	put(t, n.store, "k", 1)
	under, letGo := n.store.holdWrites()
	defer letGo()
	cached(t, n.of["a"], "k", 2)
	<-under
	wantInt(t, n.of["a"], "k", 2)
	if _, _, err := n.of["a"].Owned(t.Context(), "", "k"); !fault.Is(err, fault.Unavailable) {
		t.Fatal(err)
	}
	wantInt(t, n.of["b"], "k", 1)
	letGo()
	must(t, n.of["a"].Flush(t.Context()))
	n.hears(t, "b", "k", n.store.inStore(t, "k").Revision)
	n.inspect(t)
}

// TestPeersAreNotBehind: a node that has given out a version does not take an older one from a peer, though it has forgotten it.
func TestPeersAreNotBehind(t *testing.T) {
	n := deafNodes(t, "a", "b")
	n.owners["k"] = "a"
	put(t, n.store, "k", 1)
	wantInt(t, n.of["a"], "k", 1)
	b := n.of["b"]
	_, err := b.Put(t.Context(), "k", value.MustOf(2))
	must(t, err)
	wantInt(t, b, "k", 2)
	h := b.hash("k")
	s := b.shard(h)
	s.mu.Lock()
	b.dropLocked(s, s.cells[h])
	s.mu.Unlock()
	wantInt(t, b, "k", 2)
	if n.fetched.Load() == 0 {
		t.Fatal("the owner was not asked")
	}
	n.inspect(t)
}

// TestSpread: a key that takes too much of what its owner can send is read through several nodes, and through its owner again
// when it is not asked for any more.
func TestSpread(t *testing.T) {
	n := startNodes(t, Config{Bandwidth: 1 << 20, CheckEvery: time.Hour}, "a", "b", "c", "d")
	n.owners["hot"], n.owners["cold"] = "a", "a"
	put(t, n.store, "hot", make([]byte, 64<<10))
	put(t, n.store, "cold", 1) // one of its reads may be in the sample, and counts for all the others
	a, d := n.of["a"], n.of["d"]
	serve := func(key kvs.Key, times int) (spread int) {
		t.Helper()
		for range times {
			_, over, err := a.Owned(context.Background(), "", key)
			must(t, err)
			spread = over
		}
		return spread
	}
	if over := serve("hot", 1000); over != 1 {
		t.Fatalf("spread over %d before anything was decided", over)
	}
	serve("cold", 200)
	a.spread.decide(time.Second) // a thousand reads of 64 KiB in a second, of 1 MiB
	if hot, cold := serve("hot", 1), serve("cold", 1); hot != 4 || cold != 1 {
		t.Fatalf("spread over %d and %d nodes", hot, cold)
	}
	// d hears of it with its first read, and asks all of them from then on; each reads the key from the store once.
	n.store.gets.Store(0)
	h := d.hash("hot")
	s := d.shard(h)
	for range 200 {
		_, err := d.Get(t.Context(), "hot")
		must(t, err)
		s.mu.Lock()
		if cl := s.cells[h]; cl != nil {
			d.dropLocked(s, cl)
		}
		s.mu.Unlock()
	}
	n.mu.Lock()
	for _, node := range []string{"a", "b", "c"} {
		if got := n.asked[node]; got < 10 {
			t.Errorf("%d of 200 reads through %s: %v", got, node, n.asked)
		}
	}
	if n.asked["d"] != 0 {
		t.Errorf("d asks itself: %v", n.asked)
	}
	n.mu.Unlock()
	if d.Stats().PeerReads < 100 {
		t.Errorf("%+v", d.Stats())
	}
	for range 20 {
		a.spread.decide(time.Second)
	}
	if over := serve("hot", 1); over != 1 {
		t.Fatalf("it is spread over %d nodes still", over)
	}
	n.inspect(t)
}
