package cache

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// TestFlood writes and reads far more than fits, from many goroutines, faster than ristretto can decide.
func TestFlood(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	s := newStage(t)
	c := start(t, s, 16<<20)
	var most atomic.Int64
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(w)))
			for range 3000 {
				key := kvs.Key(fmt.Sprint("key ", rng.IntN(5000)))
				n := rng.IntN(8 << 10)
				if rng.IntN(100) == 0 {
					n = rng.IntN(512 << 10)
				}
				if _, err := c.Put(t.Context(), key, value.MustOf(make([]byte, n))); err != nil {
					t.Error(err)
					return
				}
				if b := c.bytes.Load(); b > most.Load() {
					most.Store(b)
				}
				if _, err := c.Get(t.Context(), kvs.Key(fmt.Sprint("key ", rng.IntN(5000)))); err != nil {
					continue // not written yet
				}
			}
		})
	}
	wg.Wait()
	c.decided()
	c.inspect(t)
	// A reservation that fails is counted for a moment, by each goroutine at most one.
	if got := most.Load(); got > c.limits.hard+8*c.limits.entry {
		t.Fatalf("%d bytes at one time, the limit is %d", got, c.limits.hard)
	}
	if q := c.queued.Load(); q != 0 {
		t.Fatalf("%d Sets in ristretto's buffers after Wait", q)
	}
	st := c.Stats()
	if st.Bytes > c.limits.hard || st.Bytes < c.limits.soft/2 {
		t.Fatalf("%d bytes held after a flood, want %d to %d", st.Bytes, c.limits.soft/2, c.limits.hard)
	}
	t.Logf("most %d MiB of %d; %+v", most.Load()>>20, c.limits.hard>>20, st)
	// It still takes in what is new: no update has used up the room for good.
	until(t, "a newcomer is admitted", func() bool {
		key := kvs.Key(fmt.Sprint("new ", rand.Uint32()))
		if _, err := c.Put(t.Context(), key, value.MustOf(make([]byte, 1024))); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if _, err := c.Get(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		}
		c.decided()
		return c.Contains(key)
	})
}

// endless is a store in which every key has a value of so many bytes, and that keeps nothing.
type endless int

func (n endless) Get(_ context.Context, key kvs.Key) (kvs.Entry, error) {
	return kvs.Entry{Key: key, Value: value.MustOf(make([]byte, n)), Revision: 1, Written: time.Unix(1, 0)}, nil
}

func (n endless) GetMany(ctx context.Context, keys []kvs.Key) ([]kvs.Entry, error) {
	out := make([]kvs.Entry, len(keys))
	for i, key := range keys {
		out[i], _ = n.Get(ctx, key)
	}
	return out, nil
}

func (n endless) Current(ctx context.Context, key kvs.Key) (kvs.Entry, error) { return n.Get(ctx, key) }

func (endless) WriteMany(_ context.Context, writes []kvs.Write, _ kvs.Fence) ([]kvs.Result, error) {
	out := make([]kvs.Result, len(writes))
	for i := range out {
		out[i].Revision = writes[i].Expect + 1
	}
	return out, nil
}

func (endless) Commit(context.Context, []kvs.Write, []kvs.Check, kvs.Fence) ([]kvs.Revision, error) {
	return nil, errDown
}

func (endless) Slot(kvs.Key) int { return 0 }

func (endless) Follow(context.Context) (kvs.Feed, error) {
	return &silence{changes: make(chan kvs.Push)}, nil
}

func (endless) News(context.Context, []kvs.Held, kvs.Mark) ([]kvs.Entry, kvs.Mark, error) {
	return nil, kvs.Mark{}, nil
}

// silence is a feed of a store in which nothing changes.
type silence struct {
	changes chan kvs.Push
	once    sync.Once
}

func (*silence) Add(...kvs.Key) error       { return nil }
func (*silence) Remove(kvs.Key)             {}
func (s *silence) Changes() <-chan kvs.Push { return s.changes }
func (s *silence) Close()                   { s.once.Do(func() { close(s.changes) }) }

// TestMemory measures what the cache makes the heap grow by when it is full of versions of one size.
func TestMemory(t *testing.T) {
	for _, size := range []int{16, 1024, 100 << 10} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			const maxBytes = 16 << 20
			heap := func() int64 {
				runtime.GC()
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				return int64(m.HeapAlloc)
			}
			before := heap()
			c := start(t, endless(size), maxBytes)
			empty := heap() - before
			for i := range 2 * maxBytes / (size + overhead) {
				if _, err := c.Get(t.Context(), kvs.Key(fmt.Sprintf("key number %d", i))); err != nil {
					t.Fatal(err)
				}
				if i%1000 == 0 {
					c.decided()
				}
			}
			c.decided()
			c.inspect(t)
			grown, st := heap()-before, c.Stats()
			t.Logf("heap %d KiB, %d KiB of it without a version, counted %d KiB, %d versions of %d bytes: %d bytes beside each payload",
				grown>>10, empty>>10, st.Bytes>>10, st.Entries, size, (grown-empty)/int64(st.Entries)-int64(size))
			if st.Bytes < c.limits.soft*9/10 {
				t.Fatalf("%d bytes counted: not full", st.Bytes)
			}
			if grown > maxBytes {
				t.Fatalf("the heap grew by %d bytes, MaxBytes is %d", grown, maxBytes)
			}
			runtime.KeepAlive(c)
		})
	}
}

func TestLargeValuesPassThrough(t *testing.T) {
	s := newStage(t)
	c := start(t, s, MinMaxBytes)
	big := make([]byte, c.limits.entry+1)
	put(t, s, "k", 1)
	wantInt(t, c, "k", 1)
	if _, err := c.Put(t.Context(), "k", value.MustOf(big)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		v, err := c.Get(t.Context(), "k")
		if err != nil || v.Size() != len(big) {
			t.Fatalf("%d bytes, %v", v.Size(), err)
		}
	}
	if c.Contains("k") || s.gets.Load() > 3 {
		t.Fatalf("a value of %d bytes is cached (%d reads)", len(big), s.gets.Load())
	}
	c.inspect(t)
}
