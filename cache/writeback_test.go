package cache

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

// holdWrites lets batches wait before they are stored until they are let go.
func (s *stage) holdWrites() (under chan int, letGo func()) {
	under = make(chan int, 1000)
	gate := make(chan struct{})
	s.set(func() {
		s.write = func(writes []kvs.Write, plain func() ([]kvs.Result, error)) ([]kvs.Result, error) {
			under <- len(writes)
			<-gate
			return plain()
		}
	})
	return under, sync.OnceFunc(func() { close(gate) })
}

func cached(t testing.TB, c *Cache, key kvs.Key, x any) {
	t.Helper()
	_, err := c.Main().PutWith(context.Background(), key, value.MustOf(x), kvs.PutOptions{}, kvs.Cached)
	must(t, err)
}

func addOp(n int) lattice.Op { return lattice.Op{Kind: lattice.Add, Arg: value.MustOf(n)} }

func increment(ctx context.Context, c *Cache, key kvs.Key, ack kvs.Ack) (int, error) {
	v, err := c.Main().Write(ctx, version.Mutation{Kind: version.Update, Key: key, Op: addOp(1)}, ack)
	if err != nil {
		return 0, err
	}
	return value.As[int](v.Value)
}

// inStore is what the store has under key.
func (s *stage) inStore(t testing.TB, key kvs.Key) *version.Version {
	t.Helper()
	entries, err := s.Memory.GetMany(context.Background(), []kvs.Key{key})
	must(t, err)
	v, err := version.Open(entries[0])
	must(t, err)
	return v
}

func (s *stage) wantInt(t testing.TB, key kvs.Key, want int) {
	t.Helper()
	v := s.inStore(t, key)
	if got, err := value.As[int](v.Value); v.Absent || err != nil || got != want {
		t.Fatalf("the store has %d under %q (%v, absent %t), want %d", got, key, err, v.Absent, want)
	}
}

// TestBatches: while a batch is under way the next one fills up, each key once, and what is acknowledged as cached is seen
// at once.
func TestBatches(t *testing.T) {
	s := newStage(t)
	c := startWith(t, Config{Store: s, MaxDirty: 8 << 20, MaxDirtyAge: time.Hour})
	under, letGo := s.holdWrites()
	defer letGo()
	cached(t, c, "first", 0)
	if n := <-under; n != 1 {
		t.Fatalf("%d writes in the first batch", n)
	}
	const keys = 700
	for i := range keys {
		for x := range 3 {
			cached(t, c, kvs.Key(fmt.Sprint(i)), x)
			wantInt(t, c, kvs.Key(fmt.Sprint(i)), x)
		}
	}
	if st := c.Stats(); st.Dirty < keys*writeBytes || st.Dirty > 3*keys*writeBytes {
		t.Fatalf("%d dirty bytes: each key's last write is all that counts", st.Dirty)
	}
	letGo()
	must(t, c.Flush(t.Context()))
	if n := <-under; n != keys || s.batches.Load() != 2 {
		t.Fatalf("%d writes in the second of %d batches, want %d in 2", n, s.batches.Load(), keys)
	}
	for i := range keys {
		s.wantInt(t, kvs.Key(fmt.Sprint(i)), 2)
	}
	if n := s.gets.Load(); n != 0 {
		t.Fatalf("%d reads", n)
	}
	c.inspectQuiet(t)
}

// TestBatchBounds: a batch has so many keys, and so many bytes.
func TestBatchBounds(t *testing.T) {
	s := newStage(t)
	c := startWith(t, Config{Store: s, MaxDirty: 64 << 20, MaxDirtyAge: time.Hour})
	under, letGo := s.holdWrites()
	defer letGo()
	cached(t, c, "first", 0)
	<-under
	for i := range batchKeys + 200 {
		cached(t, c, kvs.Key(fmt.Sprint("small ", i)), i)
	}
	for i := range 24 {
		cached(t, c, kvs.Key(fmt.Sprint("big ", i)), make([]byte, 900<<10))
	}
	letGo()
	must(t, c.Flush(t.Context()))
	close(under)
	var sizes []int
	for n := range under {
		sizes = append(sizes, n)
	}
	if len(sizes) < 4 || sizes[0] != batchKeys || sizes[1] < 200 || sizes[1] > 206 {
		t.Fatalf("batches of %v", sizes)
	}
	for _, n := range sizes[2:] {
		if n > batchBytes/(900<<10)+2 {
			t.Fatalf("batches of %v: one of too many bytes", sizes)
		}
	}
}

// TestLargeWritesHoldNobodyUp: a value that takes long is stored apart.
func TestLargeWritesHoldNobodyUp(t *testing.T) {
	s := newStage(t)
	c := start(t, s, 0)
	gate := make(chan struct{})
	s.set(func() {
		s.write = func(writes []kvs.Write, plain func() ([]kvs.Result, error)) ([]kvs.Result, error) {
			if writes[0].Value.Size() > largeBytes {
				<-gate
			}
			return plain()
		}
	})
	var wg sync.WaitGroup
	for i := range largeLanes {
		wg.Go(func() {
			_, err := c.Put(context.Background(), kvs.Key(fmt.Sprint("large ", i)), value.MustOf(make([]byte, largeBytes+1)))
			if err != nil {
				t.Error(err)
			}
		})
	}
	until(t, "they are under way", func() bool { return s.batches.Load() == largeLanes })
	for i := range 20 {
		_, err := c.Put(t.Context(), "small", value.MustOf(i))
		must(t, err)
	}
	close(gate)
	wg.Wait()
	c.inspectQuiet(t)
}

// TestKnownRevisions: a write of a key that is known takes one request, also after another node's write that was pushed.
func TestKnownRevisions(t *testing.T) {
	s := newStage(t)
	c := start(t, s, 0)
	put(t, s, "k", 0)
	wantInt(t, c, "k", 0)
	for i := range 20 {
		_, err := c.Put(t.Context(), "k", value.MustOf(i))
		must(t, err)
		if i%5 == 0 {
			rev := put(t, s, "k", -i)
			until(t, "push", func() bool { e, _ := c.Entry(t.Context(), "k"); return e.Revision == rev })
		}
	}
	if s.batches.Load() != 20 || s.many.Load() != 0 {
		t.Fatalf("%d batches and %d reads for 20 writes of a known key", s.batches.Load(), s.many.Load())
	}
	// Of a key that is not known the revision is asked for.
	put(t, s, "new", 0)
	_, err := c.Put(t.Context(), "new", value.MustOf(1))
	must(t, err)
	if s.batches.Load() != 21 || s.many.Load() != 1 {
		t.Fatalf("%d batches, %d reads", s.batches.Load(), s.many.Load())
	}
	s.wantInt(t, "new", 1)
}

// TestConflicts: what other nodes wrote meanwhile is merged, not overwritten.
func TestConflicts(t *testing.T) {
	s := newStage(t)
	a, b := start(t, s, 0), start(t, s, 0)
	s.mute() // nobody hears of the other's writes
	for i := range 100 {
		for _, c := range []*Cache{a, b} {
			if _, err := increment(t.Context(), c, "n", kvs.Stored); err != nil {
				t.Fatal(i, err)
			}
		}
	}
	s.wantInt(t, "n", 200)
	insert := func(c *Cache, x string) {
		t.Helper()
		_, err := c.Main().Write(t.Context(), version.Mutation{Kind: version.Update, Key: "set", Op: lattice.Op{Kind: lattice.Insert, Arg: value.MustOf(x)}}, kvs.Cached)
		must(t, err)
	}
	insert(a, "a")
	insert(b, "b")
	insert(a, "c")
	must(t, a.Flush(t.Context()))
	must(t, b.Flush(t.Context()))
	if got, err := value.As[[]string](s.inStore(t, "set").Value); err != nil || strings.Join(got, "") != "abc" {
		t.Fatalf("%v, %v", got, err)
	}
	a.inspectQuiet(t)
	b.inspectQuiet(t)
}

// TestLastWriterWinsEverywhere: the write with the later stamp is in the store and in both caches, whichever came first.
func TestLastWriterWinsEverywhere(t *testing.T) {
	s := newStage(t)
	a, b := start(t, s, 0), start(t, s, 0)
	for i := range 50 {
		key := kvs.Key(fmt.Sprint(i))
		early, late := a.Clock().Now(), b.Clock().Now()
		if !early.Less(late) {
			early, late = late, early
		}
		write := func(c *Cache, m version.Mutation) {
			m.Kind, m.Key = version.Assign, key
			_, err := c.Main().Write(t.Context(), m, kvs.Stored)
			must(t, err)
		}
		first, second := version.Mutation{Value: value.MustOf(1), Stamp: early}, version.Mutation{Value: value.MustOf(2), Stamp: late}
		if i%2 == 0 {
			write(a, second)
			write(b, first)
		} else {
			write(a, first)
			write(b, second)
		}
		s.wantInt(t, key, 2)
		for _, c := range []*Cache{a, b} {
			until(t, "push", func() bool {
				v, err := c.Get(t.Context(), key)
				must(t, err)
				n, err := value.As[int](v)
				return err == nil && n == 2
			})
		}
	}
}

// TestReadThenWrite: whoever has read a value writes a later one, although his clock is behind.
func TestReadThenWrite(t *testing.T) {
	s := newStage(t)
	a := start(t, s, 0)
	behind := startWith(t, Config{Store: s, Clock: clockOff(-200 * time.Millisecond)})
	_, err := a.Put(t.Context(), "k", value.MustOf(1))
	must(t, err)
	wantInt(t, behind, "k", 1)
	_, err = behind.Put(t.Context(), "k", value.MustOf(2))
	must(t, err)
	s.wantInt(t, "k", 2)
}

// TestCountersAreExact: increments from two nodes, while answers get lost, calls fail and others write, all count, and once.
func TestCountersAreExact(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	var mu sync.Mutex
	s := newStage(t)
	s.set(func() {
		s.write = func(_ []kvs.Write, plain func() ([]kvs.Result, error)) ([]kvs.Result, error) {
			mu.Lock()
			luck := rng.IntN(6)
			mu.Unlock()
			switch luck {
			case 0:
				return nil, errDown
			case 1:
				_, _ = plain()
				return nil, errDown
			case 2:
				results, err := plain()
				for i := range results {
					results[i] = kvs.Result{Err: errDown}
				}
				return results, err
			}
			return plain()
		}
	})
	caches := []*Cache{start(t, s, 0), start(t, s, 0)}
	const keys, workers, each = 3, 6, 60
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				ack := []kvs.Ack{kvs.Cached, kvs.Stored}[(w/2+i)%2]
				if _, err := increment(context.Background(), caches[w%2], kvs.Key(fmt.Sprint(i%keys)), ack); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for _, c := range caches {
		must(t, c.Flush(t.Context()))
		c.inspectQuiet(t)
	}
	for k := range keys {
		s.wantInt(t, kvs.Key(fmt.Sprint(k)), workers*each/keys)
	}
}

// TestEachUpdateHasItsOwnAnswer: operations that were stored together are answered as if one after the other.
func TestEachUpdateHasItsOwnAnswer(t *testing.T) {
	s := newStage(t)
	c := start(t, s, 0)
	under, letGo := s.holdWrites()
	defer letGo()
	var mu sync.Mutex
	got := map[int]bool{}
	var wg sync.WaitGroup
	const n = 40
	for range n {
		wg.Go(func() {
			x, err := increment(context.Background(), c, "n", kvs.Stored)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			got[x] = true
		})
	}
	<-under
	letGo()
	wg.Wait()
	for x := 1; x <= n; x++ {
		if !got[x] {
			t.Fatalf("nobody was told %d: %v", x, got)
		}
	}
}

// TestWritesThatDoNotGo: a write that does not go with what the key holds says so, and leaves the others alone.
func TestWritesThatDoNotGo(t *testing.T) {
	s := newStage(t)
	c := start(t, s, 0)
	put(t, s, "plain", 1)
	_, err := increment(t.Context(), c, "plain", kvs.Stored)
	wantCode(t, err, fault.WrongType)
	wantInt(t, c, "plain", 1)
	// It was a counter when it was acknowledged, and is none when it comes to be stored.
	_, err = increment(t.Context(), c, "n", kvs.Stored)
	must(t, err)
	s.mute()
	under, letGo := s.holdWrites()
	defer letGo()
	cached(t, c, "other", 1)
	<-under
	_, err = increment(t.Context(), c, "n", kvs.Cached)
	must(t, err)
	answer := make(chan error, 1)
	go func() { _, err := increment(context.Background(), c, "n", kvs.Stored); answer <- err }()
	until(t, "both wait", func() bool { return c.Stats().Dirty > 2*writeBytes+100 })
	put(t, s, "n", "plain by now")
	letGo()
	wantCode(t, <-answer, fault.WrongType)
	must(t, c.Flush(t.Context()))
	v, err := c.Get(t.Context(), "n")
	must(t, err)
	if text, err := value.As[string](v); err != nil || text != "plain by now" {
		t.Fatalf("%q, %v", text, err)
	}
	c.inspectQuiet(t)
}

// TestUnreadableIsOverwritten: what a later release wrote, or damage, does not keep a key for ever.
func TestUnreadableIsOverwritten(t *testing.T) {
	s := newStage(t)
	c := start(t, s, 0)
	_, err := s.Put(t.Context(), "k", value.MustOf(1), kvs.PutOptions{Meta: []byte{1, 0xff}})
	must(t, err)
	_, err = c.Get(t.Context(), "k")
	wantCode(t, err, fault.Unavailable)
	_, err = c.Put(t.Context(), "k", value.MustOf(2))
	must(t, err)
	wantInt(t, c, "k", 2)
	s.wantInt(t, "k", 2)
}

func TestClockSkew(t *testing.T) {
	s := newStage(t)
	var off atomic.Int64
	c := startWith(t, Config{Store: s, Skewed: func() time.Duration { return time.Duration(off.Load()) }})
	cached(t, c, "k", 1)
	for _, d := range []time.Duration{time.Hour, -time.Hour, 251 * time.Millisecond} {
		off.Store(int64(d))
		_, err := c.Put(t.Context(), "k", value.MustOf(2))
		wantCode(t, err, fault.ClockSkew)
		_, err = c.Main().PutWith(t.Context(), "k", value.MustOf(2), kvs.PutOptions{}, kvs.Cached)
		wantCode(t, err, fault.ClockSkew)
		wantInt(t, c, "k", 1)
	}
	off.Store(int64(-250 * time.Millisecond))
	_, err := c.Put(t.Context(), "k", value.MustOf(3))
	must(t, err)
}

// TestHotKey: one key that many read, and many write, at once.
func TestHotKey(t *testing.T) {
	s := newStage(t)
	c := start(t, s, 0)
	put(t, s, "hot", 0)
	var wg sync.WaitGroup
	const readers, writers, each = 8, 4, 1000
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				cached(t, c, "hot", w*each+i)
			}
		})
	}
	for range readers {
		wg.Go(func() {
			for range 5 * each {
				if _, err := c.Get(context.Background(), "hot"); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	must(t, c.Flush(t.Context()))
	e, err := c.Entry(t.Context(), "hot")
	must(t, err)
	if v := s.inStore(t, "hot"); v.Revision != e.Revision {
		t.Fatalf("the store is at %d, the cache at %d", v.Revision, e.Revision)
	}
	if n := s.gets.Load(); n > 1 {
		t.Fatalf("%d reads", n)
	}
	if b := s.batches.Load(); b > writers*each/2 {
		t.Fatalf("%d batches for %d writes", b, writers*each)
	}
	c.inspectQuiet(t)
}
