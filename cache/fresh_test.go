package cache

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// holdGets lets reads of the store wait, having read, until they are let go.
func (s *stage) holdGets() (read chan struct{}, letGo func()) {
	read = make(chan struct{}, 1000)
	gate := make(chan struct{})
	s.set(func() {
		s.get = func(_ context.Context, _ kvs.Key, plain func() (kvs.Entry, error)) (kvs.Entry, error) {
			e, err := plain()
			read <- struct{}{}
			<-gate
			return e, err
		}
	})
	return read, sync.OnceFunc(func() { s.set(func() { s.get = nil }); close(gate) })
}

// settle returns once the pushes of all earlier writes have come.
func settle(t *testing.T, s *stage, c *Cache) {
	t.Helper()
	put(t, s, "fence", 1)
	wantInt(t, c, "fence", 1)
	rev := put(t, s, "fence", 2)
	until(t, "pushes", func() bool { e, _ := c.Entry(t.Context(), "fence"); return e.Revision == rev })
	s.gets.Store(0)
}

func (c *Cache) waiting(key kvs.Key) int {
	s := c.shard(c.hash(key))
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.notes[key]; n != nil && n.flight != nil {
		return n.flight.waiters
	}
	return 0
}

func TestMissesCollapse(t *testing.T) {
	s := newStage(t)
	c := start(t, s, 0)
	put(t, s, "k", 1)
	settle(t, s, c)
	read, letGo := s.holdGets()
	defer letGo()
	const others = 50
	// The one who began the read gives up, as does one who joined; the others get their answer.
	ctx, cancel := context.WithCancel(t.Context())
	var wg, gone sync.WaitGroup
	gone.Go(func() {
		_, err := c.Get(ctx, "k")
		if !fault.Is(err, fault.Cancelled) {
			t.Errorf("the first waiter got %v", err)
		}
	})
	<-read
	gone.Go(func() {
		late, stop := context.WithDeadline(t.Context(), time.Now().Add(time.Millisecond))
		defer stop()
		_, err := c.Get(late, "k")
		if !fault.Is(err, fault.DeadlineExceeded) {
			t.Errorf("the late waiter got %v", err)
		}
	})
	for range others {
		wg.Go(func() { wantInt(t, c, "k", 1) })
	}
	until(t, "all wait", func() bool { return c.waiting("k") >= others+1 })
	cancel()
	gone.Wait()
	letGo()
	wg.Wait()
	if n := s.gets.Load(); n != 1 {
		t.Fatalf("%d reads, want 1", n)
	}
	wantInt(t, c, "k", 1)
	c.inspectQuiet(t)
}

func TestReadEndsWithItsLastWaiter(t *testing.T) {
	s := newStage(t)
	c := start(t, s, 0)
	put(t, s, "k", 1)
	settle(t, s, c)
	ended := make(chan struct{})
	s.set(func() {
		s.get = func(ctx context.Context, _ kvs.Key, _ func() (kvs.Entry, error)) (kvs.Entry, error) {
			<-ctx.Done()
			close(ended)
			return kvs.Entry{}, fault.From(ctx.Err())
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan error, 1)
	go func() { _, err := c.Get(ctx, "k"); got <- err }()
	until(t, "it waits", func() bool { return c.waiting("k") == 1 })
	cancel()
	wantCode(t, <-got, fault.Cancelled)
	<-ended
	s.set(func() { s.get = nil })
	wantInt(t, c, "k", 1) // and does not join the ended read
	_, err := c.Get(ctx, "other")
	wantCode(t, err, fault.Cancelled)
}

func TestPush(t *testing.T) {
	s := newStage(t)
	c := start(t, s, 0)
	put(t, s, "k", 1)
	put(t, s, "unheld", 1)
	wantInt(t, c, "k", 1)
	for i := 2; i < 50; i++ {
		rev := put(t, s, "k", i)
		until(t, "push", func() bool { e, err := c.Entry(t.Context(), "k"); return err == nil && e.Revision == rev })
		wantInt(t, c, "k", i)
	}
	if n := s.gets.Load(); n != 1 {
		t.Fatalf("%d reads: a push should bring the value", n)
	}
	if c.Contains("unheld") {
		t.Fatal("a push made the cache hold a key that nobody read")
	}
	must(t, s.Delete(t.Context(), "k", 0))
	until(t, "deleted", func() bool { return !c.Contains("k") })
	wantNone(t, c, "k")
}

// TestPartialPush: a value that was too large to be pushed is dropped, and read when it is asked for.
func TestPartialPush(t *testing.T) {
	s := newStage(t)
	c := start(t, s, 0)
	put(t, s, "k", 1)
	wantInt(t, c, "k", 1)
	s.set(func() {
		s.push = func(p kvs.Push) []kvs.Push {
			p.Value, p.Partial = value.Value{}, true
			return []kvs.Push{p}
		}
	})
	put(t, s, "k", 2)
	until(t, "dropped", func() bool { return !c.Contains("k") })
	wantInt(t, c, "k", 2)
}

// followed reports whether one of the store's feeds follows a key.
func (s *stage) followed(key kvs.Key) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.feeds {
		if f.keys[key] {
			return true
		}
	}
	return false
}

// TestInterest: a node hears of what it holds, and of no other key.
func TestInterest(t *testing.T) {
	s := newStage(t)
	c := start(t, s, 0)
	for _, key := range []kvs.Key{"read", "dropped", "unheld"} {
		put(t, s, key, 1)
	}
	wantInt(t, c, "read", 1)
	wantInt(t, c, "dropped", 1)
	_, err := c.Put(t.Context(), "written", value.MustOf(1))
	must(t, err)
	h := c.hash("dropped")
	sh := c.shard(h)
	sh.mu.Lock()
	c.dropLocked(sh, sh.cells[h])
	sh.mu.Unlock()
	until(t, "no interest in what was dropped", func() bool { return !s.followed("dropped") })
	for key, want := range map[kvs.Key]bool{"read": true, "written": true, "unheld": false} {
		if got := s.followed(key); got != want {
			t.Errorf("%q is followed: %t", key, got)
		}
	}
	// What a lane had no room for is made up for by a new feed.
	follows := s.follows.Load()
	for range 2 * laneLength {
		c.interest.look(0, look{key: "unheld"})
	}
	until(t, "a new feed", func() bool { return s.follows.Load() > follows })
	until(t, "interest", func() bool { return s.followed("read") })
}

func TestExpiry(t *testing.T) { synctest.Test(t, testExpiry) }

func testExpiry(t *testing.T) {
	s := newStage(t)
	c := start(t, s, 0)
	for i, ack := range []kvs.Ack{kvs.Stored, kvs.Cached} {
		key := kvs.Key(fmt.Sprint("k", i))
		if _, err := c.Main().PutWith(t.Context(), key, value.MustOf(1), kvs.PutOptions{TTL: time.Second}, ack); err != nil {
			t.Fatal(err)
		}
		wantInt(t, c, key, 1)
		time.Sleep(time.Second)
		synctest.Wait()
		wantNone(t, c, key)
		if c.Contains(key) {
			t.Fatal("held after its expiry")
		}
	}
	c.inspectQuiet(t)
}

// TestReadUnderWay: a read that was under way when a newer version came must not put the older one in the cache.
func TestReadUnderWay(t *testing.T) {
	for name, change := range map[string]func(*testing.T, *stage, *Cache) int{
		"pushed": func(t *testing.T, s *stage, c *Cache) int {
			until(t, "interest", func() bool {
				put(t, s, "k", 2)
				return c.waiting("k") == 0 // the read is left alone with its waiter
			})
			return 2
		},
		"own put": func(t *testing.T, _ *stage, c *Cache) int {
			_, err := c.Put(t.Context(), "k", value.MustOf(2))
			must(t, err)
			wantInt(t, c, "k", 2)
			return 2
		},
		"own put, cached": func(t *testing.T, _ *stage, c *Cache) int {
			_, err := c.Main().PutWith(t.Context(), "k", value.MustOf(2), kvs.PutOptions{}, kvs.Cached)
			must(t, err)
			wantInt(t, c, "k", 2)
			return 2
		},
		"own delete": func(t *testing.T, s *stage, c *Cache) int {
			must(t, c.Delete(t.Context(), "k"))
			return -1
		},
		"deleted": func(t *testing.T, s *stage, c *Cache) int {
			until(t, "interest", func() bool { put(t, s, "k", 2); return c.waiting("k") == 0 })
			must(t, s.Delete(t.Context(), "k", 0))
			settle(t, s, c)
			return -1
		},
		"found by a check": func(t *testing.T, s *stage, c *Cache) int {
			s.mute()
			rev := put(t, s, "k", 2)
			e, err := s.Memory.Get(t.Context(), "k")
			must(t, err)
			if c.repair(e, time.Now(), 1); e.Revision != rev {
				t.Fatal(e.Revision)
			}
			return 2
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			c := start(t, s, 0)
			put(t, s, "k", 1)
			put(t, s, "fence", 1)
			wantInt(t, c, "fence", 1)
			read, letGo := s.holdGets()
			defer letGo()
			var wg sync.WaitGroup
			wg.Go(func() { // it began before the change, and may have what was there
				if _, err := c.Get(t.Context(), "k"); err != nil && !fault.Is(err, fault.NotFound) {
					t.Error(err)
				}
			})
			<-read
			want := change(t, s, c)
			letGo()
			wg.Wait()
			for range 3 {
				if want < 0 {
					wantNone(t, c, "k")
				} else {
					wantInt(t, c, "k", want)
				}
			}
			c.inspect(t)
		})
	}
}

// TestLateAcknowledgement: a Put's answer that comes after the push of a newer version must not undo it.
func TestLateAcknowledgement(t *testing.T) {
	for name, newer := range map[string]func(*testing.T, *stage){
		"overwritten": func(t *testing.T, s *stage) { put(t, s.Memory, "k", 2) },
		"deleted":     func(t *testing.T, s *stage) { must(t, s.Delete(t.Context(), "k", 0)) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			c := start(t, s, 0)
			put(t, s, "fence", 0)
			wantInt(t, c, "fence", 0)
			put(t, s, "k", 0)
			wantInt(t, c, "k", 0)
			s.set(func() {
				s.write = func(_ []kvs.Write, plain func() ([]kvs.Result, error)) ([]kvs.Result, error) {
					results, err := plain()
					newer(t, s)
					fence := put(t, s.Memory, "fence", 1)
					until(t, "pushes", func() bool { e, _ := c.Entry(t.Context(), "fence"); return e.Revision == fence })
					return results, err
				}
			})
			_, err := c.Put(t.Context(), "k", value.MustOf(1))
			must(t, err)
			if name == "deleted" {
				wantNone(t, c, "k")
			} else {
				wantInt(t, c, "k", 2)
			}
			c.inspectQuiet(t)
		})
	}
}

// TestLatePush: pushes that come late must not bring back what a Put or Delete here has replaced.
func TestLatePush(t *testing.T) {
	s := newStage(t)
	c := start(t, s, 0)
	gate := make(chan struct{})
	s.set(func() { s.push = func(p kvs.Push) []kvs.Push { <-gate; return []kvs.Push{p} } })
	for i := range 10 {
		key := kvs.Key(fmt.Sprint("gone", i))
		put(t, s, key, -1)
		wantInt(t, c, key, -1)
		put(t, s, key, -2)
		must(t, c.Delete(t.Context(), key))
		put(t, s, kvs.Key(fmt.Sprint(i)), -1)
		_, err := c.Put(t.Context(), kvs.Key(fmt.Sprint(i)), value.MustOf(i))
		must(t, err)
	}
	close(gate)
	fence := put(t, s, "9", 9)
	for {
		for i := range 10 {
			wantInt(t, c, kvs.Key(fmt.Sprint(i)), i)
			wantNone(t, c, kvs.Key(fmt.Sprint("gone", i)))
		}
		if e, err := c.Entry(t.Context(), "9"); err != nil || e.Revision == fence {
			break
		}
	}
}

// TestDisorderedPushes: pushes that come twice, out of order, late or never. A Get never gives an older version than one
// before it, and in the end the checks have repaired what was lost.
func TestDisorderedPushes(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	s := newStage(t)
	c := startWith(t, Config{Store: s, CheckEvery: 5 * time.Millisecond})
	var late []kvs.Push
	s.set(func() {
		s.push = func(p kvs.Push) (out []kvs.Push) {
			late = append(late, p)
			for rng.IntN(3) > 0 {
				out = append(out, late[rng.IntN(len(late))]) // perhaps p, perhaps what came long before, perhaps again
			}
			return out
		}
	})
	const keys = 20
	name := func(i int) kvs.Key { return kvs.Key(fmt.Sprint("key ", i)) }
	var last [keys]kvs.Revision
	look := func(i int) {
		t.Helper()
		e, err := c.Entry(t.Context(), name(i))
		if fault.Is(err, fault.NotFound) {
			return
		}
		must(t, err)
		if e.Revision < last[i] {
			t.Fatalf("revision %d of %q after %d", e.Revision, name(i), last[i])
		}
		last[i] = e.Revision
	}
	other := rand.New(rand.NewPCG(seed, 1))
	for n := range 3000 {
		i := other.IntN(keys)
		switch other.IntN(10) {
		case 0:
			put(t, s, name(i), n)
		case 1:
			must(t, s.Delete(t.Context(), name(i), 0))
		default:
			look(i)
		}
	}
	s.mute()
	until(t, "the checks have found everything", func() bool {
		for i := range keys {
			want, err := s.Memory.Get(t.Context(), name(i))
			look(i)
			e, err2 := c.Entry(t.Context(), name(i))
			if fault.CodeOf(err) != fault.CodeOf(err2) || e.Revision != want.Revision {
				return false
			}
		}
		return true
	})
	if st := c.Stats(); st.Repaired == 0 || st.Pushes == 0 {
		t.Fatalf("nothing was lost: %+v", st)
	}
	c.inspectQuiet(t)
}

// TestReadOverACheck: a read that began before a check and ends after it brings what the check has not asked for, and the
// next one, which asks from the mark of the first on, would not find.
func TestReadOverACheck(t *testing.T) {
	s := newStage(t)
	c := startWith(t, Config{Store: s, CheckEvery: time.Hour})
	put(t, s, "held", 1)
	wantInt(t, c, "held", 1)
	put(t, s, "k", 1)
	read, letGo := s.holdGets()
	defer letGo()
	got := make(chan error, 1)
	go func() { _, err := c.Get(context.Background(), "k"); got <- err }()
	<-read
	s.mute()
	put(t, s, "k", 2)
	check := func() {
		if _, err := c.check(time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	check()
	letGo()
	must(t, <-got)
	wantInt(t, c, "k", 1) // what nobody has said yet
	check()
	wantInt(t, c, "k", 2)
}

// TestLostFeed: without a feed the cache goes on serving what it holds, and checks; when there is one again it is told of
// everything.
func TestLostFeed(t *testing.T) {
	s := newStage(t)
	c := startWith(t, Config{Store: s, CheckEvery: 10 * time.Millisecond})
	for i := range 300 {
		put(t, s, kvs.Key(fmt.Sprint(i)), i)
		wantInt(t, c, kvs.Key(fmt.Sprint(i)), i)
	}
	s.refuse.Store(true)
	s.loseFeed()
	put(t, s.Memory, "1", -1) // the push of this one is missed
	for range 3 {
		for i := range 300 {
			if i != 1 {
				wantInt(t, c, kvs.Key(fmt.Sprint(i)), i)
			}
		}
	}
	_, err := c.Get(t.Context(), "unheld")
	wantCode(t, err, fault.Unavailable)
	before := s.follows.Load()
	s.refuse.Store(false)
	until(t, "repaired", func() bool {
		v, err := c.Get(t.Context(), "1")
		must(t, err)
		n, err := value.As[int](v)
		return err == nil && n == -1
	})
	until(t, "followed again", func() bool { return s.follows.Load() > before })
	s.gets.Store(0)
	rev := put(t, s, "2", -2)
	until(t, "push", func() bool { e, _ := c.Entry(t.Context(), "2"); return e.Revision == rev })
	for i := 3; i < 300; i++ {
		wantInt(t, c, kvs.Key(fmt.Sprint(i)), i)
	}
	if n := s.gets.Load(); n != 0 {
		t.Fatalf("%d reads: what was held is gone", n)
	}
	c.inspectQuiet(t)
}
