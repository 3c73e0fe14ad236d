package cache

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
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
	c.check(t)
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
	if err := s.Delete(t.Context(), "k", 0); err != nil {
		t.Fatal(err)
	}
	until(t, "deleted", func() bool { return !c.Contains("k") })
	_, err := c.Get(t.Context(), "k")
	wantCode(t, err, fault.NotFound)
}

func TestExpiry(t *testing.T) {
	s := newStage(t)
	c := start(t, s, 0)
	if _, err := c.PutWith(t.Context(), "k", value.MustOf(1), kvs.PutOptions{TTL: time.Second}); err != nil {
		t.Fatal(err)
	}
	wantInt(t, c, "k", 1)
	until(t, "expired", func() bool { _, err := c.Get(t.Context(), "k"); return fault.Is(err, fault.NotFound) })
	if c.Contains("k") {
		t.Fatal("held after its expiry")
	}
}

// TestReadUnderWay: a read that was under way when a newer version came must not put the older one in the cache.
func TestReadUnderWay(t *testing.T) {
	for name, change := range map[string]func(*testing.T, *stage, *Cache) int{
		"pushed": func(t *testing.T, s *stage, c *Cache) int {
			put(t, s, "k", 2)
			until(t, "push", func() bool { return c.waiting("k") == 0 }) // the read is left alone with its waiter
			return 2
		},
		"own put": func(t *testing.T, _ *stage, c *Cache) int {
			if _, err := c.Put(t.Context(), "k", value.MustOf(2)); err != nil {
				t.Fatal(err)
			}
			wantInt(t, c, "k", 2)
			return 2
		},
		"own delete": func(t *testing.T, s *stage, c *Cache) int {
			if err := c.Delete(t.Context(), "k"); err != nil {
				t.Fatal(err)
			}
			return -1
		},
		"deleted": func(t *testing.T, s *stage, c *Cache) int {
			if err := s.Delete(t.Context(), "k", 0); err != nil {
				t.Fatal(err)
			}
			until(t, "push", func() bool { return c.waiting("k") == 0 })
			return -1
		},
		"watch lost": func(t *testing.T, s *stage, c *Cache) int {
			s.refuse.Store(true)
			s.loseWatch()
			until(t, "lost", func() bool { return c.waiting("k") == 0 })
			if _, err := s.Memory.Put(t.Context(), "k", value.MustOf(2), kvs.PutOptions{}); err != nil {
				t.Fatal(err)
			}
			before := s.watches.Load()
			s.refuse.Store(false)
			until(t, "watched again", func() bool { return s.watches.Load() > before && c.isOpen() })
			return 2
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			c := start(t, s, 0)
			put(t, s, "k", 1)
			settle(t, s, c)
			read, letGo := s.holdGets()
			defer letGo()
			var wg sync.WaitGroup
			wg.Go(func() { wantInt(t, c, "k", 1) }) // it began before the change, and may have this
			<-read
			want := change(t, s, c)
			letGo()
			wg.Wait()
			for range 3 {
				if want < 0 {
					_, err := c.Get(t.Context(), "k")
					wantCode(t, err, fault.NotFound)
				} else {
					wantInt(t, c, "k", want)
				}
			}
			c.check(t)
		})
	}
}

func (c *Cache) isOpen() bool {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		open := s.open
		s.mu.Unlock()
		if !open {
			return false
		}
	}
	return true
}

// TestLateAcknowledgement: a Put's answer that comes after the push of a newer version must not undo it.
func TestLateAcknowledgement(t *testing.T) {
	for name, newer := range map[string]func(*testing.T, *stage){
		"overwritten": func(t *testing.T, s *stage) { put(t, s.Memory, "k", 2) },
		"deleted": func(t *testing.T, s *stage) {
			if err := s.Delete(t.Context(), "k", 0); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			c := start(t, s, 0)
			put(t, s, "fence", 0)
			wantInt(t, c, "fence", 0)
			s.set(func() {
				s.put = func(key kvs.Key, plain func() (kvs.Revision, error)) (kvs.Revision, error) {
					rev, err := plain()
					newer(t, s)
					fence := put(t, s.Memory, "fence", 1)
					until(t, "pushes", func() bool { e, _ := c.Entry(t.Context(), "fence"); return e.Revision == fence })
					return rev, err
				}
			})
			if _, err := c.Put(t.Context(), "k", value.MustOf(1)); err != nil {
				t.Fatal(err)
			}
			if name == "deleted" {
				_, err := c.Get(t.Context(), "k")
				wantCode(t, err, fault.NotFound)
			} else {
				wantInt(t, c, "k", 2)
			}
		})
	}
}

// TestLatePush: pushes that come late must not bring back what a Put or Delete here has replaced.
func TestLatePush(t *testing.T) {
	s := newStage(t)
	c := start(t, s, 0)
	gate := make(chan struct{})
	s.set(func() { s.push = func(kvs.Entry) { <-gate } })
	for i := range 10 {
		key := kvs.Key(fmt.Sprint("gone", i))
		put(t, s, key, -1)
		wantInt(t, c, key, -1)
		put(t, s, key, -2)
		if err := c.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		put(t, s, kvs.Key(fmt.Sprint(i)), -1)
		if _, err := c.Put(t.Context(), kvs.Key(fmt.Sprint(i)), value.MustOf(i)); err != nil {
			t.Fatal(err)
		}
	}
	close(gate)
	fence := put(t, s, "9", 9)
	for {
		for i := range 10 {
			wantInt(t, c, kvs.Key(fmt.Sprint(i)), i)
			_, err := c.Get(t.Context(), kvs.Key(fmt.Sprint("gone", i)))
			wantCode(t, err, fault.NotFound)
		}
		if e, err := c.Entry(t.Context(), "9"); err != nil || e.Revision == fence {
			break
		}
	}
}

func TestLostWatch(t *testing.T) {
	s := newStage(t)
	c := start(t, s, 0)
	for i := range 300 {
		put(t, s, kvs.Key(fmt.Sprint(i)), i)
		wantInt(t, c, kvs.Key(fmt.Sprint(i)), i)
	}
	s.refuse.Store(true)
	s.loseWatch()
	until(t, "empty", func() bool { return c.Stats().Entries == 0 })
	_, err := c.Get(t.Context(), "1")
	wantCode(t, err, fault.Unavailable)
	put(t, s.Memory, "1", -1) // the push of this one is missed
	before := s.watches.Load()
	s.refuse.Store(false)
	wantInt(t, c, "1", -1)
	until(t, "watched again", func() bool { return s.watches.Load() > before && c.isOpen() })
	for range 2 {
		for i := range 300 {
			if i != 1 {
				wantInt(t, c, kvs.Key(fmt.Sprint(i)), i)
			}
		}
	}
	if c.Stats().Entries < 299 {
		t.Fatalf("%+v: it holds nothing after the watch is back", c.Stats())
	}
	rev := put(t, s, "2", -2)
	until(t, "push", func() bool { e, _ := c.Entry(t.Context(), "2"); return e.Revision == rev })
	c.check(t)
}

// TestHistory lets readers and writers at a small cache, some behind its back, and holds each answer against what its
// reader may see: nothing older than what a Put here had returned, or a Get here had given, before it began.
func TestHistory(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	s := newStage(t)
	c := start(t, s, MinMaxBytes)
	const keys, workers, steps = 600, 8, 3000
	var floor [keys]atomic.Uint64 // highest revision that is known to have been given out for a key
	raise := func(k int, r kvs.Revision) {
		for {
			old := floor[k].Load()
			if old >= uint64(r) || floor[k].CompareAndSwap(old, uint64(r)) {
				return
			}
		}
	}
	name := func(k int) kvs.Key { return kvs.Key(fmt.Sprint("key ", k)) }
	payload := func(rng *rand.Rand, k int) value.Value {
		b := make([]byte, 1+rng.IntN(1<<(6+k%12)))
		b[len(b)-1] = byte(k)
		return value.MustOf(b)
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(w)))
			for range steps {
				k := int(float64(keys) * rng.Float64() * rng.Float64())
				switch p := rng.IntN(100); {
				case p < 80:
					was := floor[k].Load()
					e, err := c.Entry(t.Context(), name(k))
					switch {
					case fault.Is(err, fault.NotFound):
						// Nothing to compare: deletes have no revision here.
					case err != nil:
						t.Error(err)
						return
					case uint64(e.Revision) < was:
						t.Errorf("%s: revision %d after %d", name(k), e.Revision, was)
						return
					default:
						if b, err := value.As[[]byte](e.Value); err != nil || b[len(b)-1] != byte(k) || e.Key != name(k) {
							t.Errorf("%s holds the value of %q (%v)", name(k), e.Key, err)
							return
						}
						raise(k, e.Revision)
					}
				case p < 90:
					r, err := c.Put(t.Context(), name(k), payload(rng, k))
					if err != nil {
						t.Error(err)
						return
					}
					raise(k, r)
				case p < 98: // another node
					if _, err := s.Put(t.Context(), name(k), payload(rng, k), kvs.PutOptions{}); err != nil {
						t.Error(err)
						return
					}
				case p < 99:
					if err := c.Delete(t.Context(), name(k)); err != nil {
						t.Error(err)
						return
					}
				default:
					if err := s.Delete(t.Context(), name(k), 0); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	until(t, "all pushes arrive", func() bool {
		for k := range keys {
			want, err := s.Memory.Get(t.Context(), name(k))
			e, err2 := c.Entry(t.Context(), name(k))
			if fault.CodeOf(err) != fault.CodeOf(err2) || e.Revision != want.Revision {
				return false
			}
		}
		return true
	})
	c.policy.Wait()
	c.check(t)
	if b := c.bytes.Load(); b > c.limits.hard {
		t.Fatalf("%d bytes held of %d", b, c.limits.hard)
	}
	t.Logf("%+v", c.Stats())
}
