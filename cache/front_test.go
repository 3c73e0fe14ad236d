package cache

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

// inspectFront holds each slot against the table; also while the cache is in use.
func (c *Cache) inspectFront(t testing.TB) {
	t.Helper()
	for i := range c.front {
		b := &c.front[i]
		s := c.shard(uint64(i))
		s.mu.Lock()
		for w := range b.version {
			v := b.version[w].Load()
			if v == nil {
				continue
			}
			h := c.hash(v.Key)
			if !tags(b.tag[w].Load(), h) || h&uint64(len(c.front)-1) != uint64(i) || s.versionLocked(h, v.Key) != v {
				s.mu.Unlock()
				t.Fatalf("bucket %d has %q at %d, the table has not", i, v.Key, v.Revision)
			}
		}
		s.mu.Unlock()
	}
}

// inFront reads key until the front has it: the first Get is the store's, the second the table's.
func inFront(t *testing.T, c *Cache, key kvs.Key) {
	t.Helper()
	for range 2 {
		if _, err := c.Get(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	if c.front.get(c.hash(key), key, 0) == nil {
		t.Fatalf("%q is not in the front after two Gets", key)
	}
}

// TestFrontHoldsNothingOld: whatever takes a version out of the table takes it out of the front, by the time it returns.
func TestFrontHoldsNothingOld(t *testing.T) {
	gone := func(t *testing.T, c *Cache) {
		_, err := c.Get(t.Context(), "k")
		wantCode(t, err, fault.NotFound)
	}
	two := func(t *testing.T, c *Cache) { wantInt(t, c, "k", 2) }
	one := func(t *testing.T, c *Cache) { wantInt(t, c, "k", 1) }
	for name, change := range map[string]struct {
		do    func(*testing.T, *stage, *Cache)
		after func(*testing.T, *Cache)
	}{
		"own put": {func(t *testing.T, _ *stage, c *Cache) {
			if _, err := c.Put(t.Context(), "k", value.MustOf(2)); err != nil {
				t.Fatal(err)
			}
		}, two},
		"own delete": {func(t *testing.T, _ *stage, c *Cache) {
			if err := c.Delete(t.Context(), "k"); err != nil {
				t.Fatal(err)
			}
		}, gone},
		"put that nobody has answered yet": {func(t *testing.T, s *stage, c *Cache) {
			s.refuse.Store(true)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			_, err := c.Put(ctx, "k", value.MustOf(2))
			wantCode(t, err, fault.Unavailable)
			s.refuse.Store(false)
		}, two},
		"operation": {func(t *testing.T, _ *stage, c *Cache) {
			must(t, c.Delete(t.Context(), "k"))
			_, err := c.Main().Write(t.Context(), version.Mutation{Kind: version.Update, Key: "k", Op: lattice.Op{Kind: lattice.Add, Arg: value.MustOf(2)}}, kvs.Cached)
			must(t, err)
		}, two},
		"too large": {func(t *testing.T, _ *stage, c *Cache) {
			if _, err := c.Put(t.Context(), "k", value.MustOf(make([]byte, c.limits.entry+1))); err != nil {
				t.Fatal(err)
			}
		}, func(t *testing.T, c *Cache) {
			if v, err := c.Get(t.Context(), "k"); err != nil || int64(v.Size()) <= c.limits.entry {
				t.Fatalf("%d bytes, %v", v.Size(), err)
			}
		}},
		"push": {func(t *testing.T, s *stage, c *Cache) {
			put(t, s, "k", 2)
			settle(t, s, c)
		}, two},
		"pushed delete": {func(t *testing.T, s *stage, c *Cache) {
			if err := s.Delete(t.Context(), "k", 0); err != nil {
				t.Fatal(err)
			}
			settle(t, s, c)
		}, gone},
		"eviction": {func(_ *testing.T, _ *stage, c *Cache) {
			h := c.hash("k")
			s := c.shard(h)
			s.mu.Lock()
			cl := s.cells[h]
			s.mu.Unlock()
			c.turnedOut(cl, &c.evictions)
		}, one},
		"lost push": {func(t *testing.T, s *stage, c *Cache) {
			s.mute()
			rev := put(t, s, "k", 2)
			c.checks.now()
			until(t, "repaired", func() bool { e, err := c.Entry(t.Context(), "k"); return err == nil && e.Revision == rev })
		}, two},
		"shed": {func(_ *testing.T, _ *stage, c *Cache) { c.shed(1<<30, nil) }, one},
		"close": {func(t *testing.T, _ *stage, c *Cache) {
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
		}, func(t *testing.T, c *Cache) {
			_, err := c.Get(t.Context(), "k")
			wantCode(t, err, fault.Unavailable)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			c := start(t, s, MinMaxBytes)
			put(t, s, "k", 1)
			inFront(t, c, "k")
			h := c.hash("k")
			old := c.front.get(h, "k", 0)
			change.do(t, s, c)
			if c.front.get(h, "k", 0) == old {
				t.Fatal("the front still has the version")
			}
			for range 3 {
				change.after(t, c)
			}
			if name != "close" {
				c.decided() // it may still turn out what was installed just now
			}
			c.inspect(t)
		})
	}
}

// TestFrontCollisions: keys of one slot, with hashes of their own, take it from each other and harm nobody.
func TestFrontCollisions(t *testing.T) {
	const keys = 50
	s := newStage(t)
	c := start(t, s, MinMaxBytes)
	c.mask = ^uint64(len(c.front) - 1)
	name := func(i int) kvs.Key { return kvs.Key(fmt.Sprint(i)) }
	for i := range keys {
		put(t, s, name(i), i)
		inFront(t, c, name(i))
	}
	if n := s.gets.Load(); n != keys {
		t.Fatalf("%d reads of the store for %d keys", n, keys)
	}
	for i := range keys {
		if _, err := c.Put(t.Context(), name(i), value.MustOf(-i)); err != nil {
			t.Fatal(err)
		}
		inFront(t, c, name(keys-1-i)) // another one's change leaves it there
		wantInt(t, c, name(i), -i)
	}
	c.inspect(t)
}

// TestFrontMatchesTheTable at any moment, with readers and writers of keys that share their slots.
func TestFrontMatchesTheTable(t *testing.T) {
	s := newStage(t)
	c := start(t, s, MinMaxBytes)
	c.mask = ^uint64((len(c.front) - 1) &^ 3) // four slots
	name := func(i int) kvs.Key { return kvs.Key(fmt.Sprint("key ", i%20)) }
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 2000 {
				if (i+w)%5 > 0 {
					_, _ = c.Get(t.Context(), name(i*w)) // or not there yet
				} else if _, err := c.Put(t.Context(), name(i), value.MustOf(i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 50 {
		c.inspectFront(t)
	}
	wg.Wait()
	c.inspect(t)
}

func TestFrontIsWithinTheBound(t *testing.T) {
	for _, maxBytes := range []int64{MinMaxBytes, 5<<20 + 1, DefaultMaxBytes, 3 << 30, 1 << 40} {
		l := limitsOf(maxBytes, 1<<20)
		if l.slots < shardCount*ways || l.slots&(l.slots-1) != 0 {
			t.Errorf("%d slots: one would have keys of several shards", l.slots)
		}
		if all := l.hard + l.slots*slotBytes + l.application() + l.queue*queueItem; all > maxBytes || l.slots*slotBytes > maxBytes/64 || l.hard < maxBytes/2 {
			t.Errorf("%d bytes of %d, %d of them the front's, %d for versions", all, maxBytes, l.slots*slotBytes, l.hard)
		}
	}
	if c := start(t, newStage(t), MinMaxBytes); int64(ways*len(c.front)) != c.limits.slots {
		t.Errorf("%d buckets, want %d in fours", len(c.front), c.limits.slots)
	}
}

// TestPopularStay: ristretto hears enough of what the front answers to keep it through a flood of what is read once.
func TestPopularStay(t *testing.T) {
	const popular = 200
	c := start(t, endless(1024), MinMaxBytes)
	get := func(key string) {
		if _, err := c.Get(t.Context(), kvs.Key(key)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 100 {
		for k := range popular {
			get(fmt.Sprint("popular ", k))
		}
		for k := range 100 {
			get(fmt.Sprint("once ", i, k))
		}
		c.decided()
	}
	held := 0
	for k := range popular {
		if c.Contains(kvs.Key(fmt.Sprint("popular ", k))) {
			held++
		}
	}
	if held < popular*3/4 {
		t.Fatalf("%d of %d popular keys are held: %+v", held, popular, c.Stats())
	}
	t.Logf("%d of %d held: %+v", held, popular, c.Stats())
}
