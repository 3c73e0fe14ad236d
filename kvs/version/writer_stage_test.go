package version_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stage is a store that counts requests, and whose answers a test loses.
type stage struct {
	kvs.Store
	reads, batches, commits, current atomic.Int64
	largest                          atomic.Int64 // writes of one batch
	away                             atomic.Bool  // every call fails, and does nothing
	shift                            atomic.Int64 // of the store's clock, nanoseconds

	mu      sync.Mutex // guards what follows
	rng     *rand.Rand
	lose    float64                  // probability that a write is carried out and its answer lost
	drop    float64                  // probability that it is lost before
	between func(writes []kvs.Write) // called once, after a write whose answer is then lost
	hold    func(writes []kvs.Write) // called before each batch
	once    answer                   // what becomes of the next batch
	stale   map[kvs.Key]kvs.Entry    // what Get answers, as a replica that is behind
}

func newStage(t testing.TB) *stage {
	s := &stage{Store: kvs.NewMemory(), rng: rand.New(rand.NewPCG(1, 2)), stale: make(map[kvs.Key]kvs.Entry)}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

var errAway = fault.New(fault.Unavailable, "the store is away")

func (s *stage) fate() (drop, lose bool, between, hold func([]kvs.Write)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.rng.Float64()
	between, s.between = s.between, nil
	return x < s.drop, x > 1-s.lose || between != nil, between, s.hold
}

func (s *stage) Get(ctx context.Context, key kvs.Key) (kvs.Entry, error) {
	s.reads.Add(1)
	if s.away.Load() {
		return kvs.Entry{}, errAway
	}
	s.mu.Lock()
	e, ok := s.stale[key]
	s.mu.Unlock()
	if ok {
		return e, nil
	}
	return s.Store.Get(ctx, key)
}

func (s *stage) Current(ctx context.Context, key kvs.Key) (kvs.Entry, error) {
	s.current.Add(1)
	return s.Store.Current(ctx, key)
}

func (s *stage) GetMany(ctx context.Context, keys []kvs.Key) ([]kvs.Entry, error) {
	s.reads.Add(1)
	if s.away.Load() {
		return nil, errAway
	}
	entries, err := s.Store.GetMany(ctx, keys)
	for i := range entries {
		if !entries[i].Written.IsZero() {
			entries[i].Written = entries[i].Written.Add(time.Duration(s.shift.Load()))
		}
	}
	return entries, err
}

func (s *stage) WriteMany(ctx context.Context, writes []kvs.Write, f kvs.Fence) ([]kvs.Result, error) {
	s.batches.Add(1)
	s.largest.Store(max(s.largest.Load(), int64(len(writes))))
	drop, lose, between, hold := s.fate()
	if hold != nil {
		hold(writes)
	}
	if drop || s.away.Load() {
		return nil, errAway
	}
	plain := func() ([]kvs.Result, error) { return s.Store.WriteMany(ctx, writes, f) }
	s.mu.Lock()
	once := s.once
	s.once = nil
	s.mu.Unlock()
	if once != nil {
		return once(writes, plain)
	}
	results, err := plain()
	if between != nil {
		between(writes)
	}
	if lose {
		return nil, errAway
	}
	return results, err
}

func (s *stage) Commit(ctx context.Context, writes []kvs.Write, checks []kvs.Check, f kvs.Fence) ([]kvs.Revision, error) {
	s.commits.Add(1)
	drop, lose, between, _ := s.fate()
	if drop || s.away.Load() {
		return nil, errAway
	}
	revs, err := s.Store.Commit(ctx, writes, checks, f)
	if between != nil {
		between(writes)
	}
	if lose {
		return nil, errAway
	}
	return revs, err
}

// faulty loses answers, and writes, from now on.
func (s *stage) faulty(lose, drop float64, seed uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lose, s.drop, s.rng = lose, drop, rand.New(rand.NewPCG(seed, 7))
}

// loseNext has the next write carried out and its answer lost, after do.
func (s *stage) loseNext(do func(writes []kvs.Write)) {
	if do == nil {
		do = func([]kvs.Write) {}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.between = do
}

// answer is a batch, which plain carries out.
type answer func(writes []kvs.Write, plain func() ([]kvs.Result, error)) ([]kvs.Result, error)

func (s *stage) next(a answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.once = a
}

// dropNext has the next write lost, after do.
func (s *stage) dropNext(do func(writes []kvs.Write)) {
	s.next(func(writes []kvs.Write, _ func() ([]kvs.Result, error)) ([]kvs.Result, error) {
		if do != nil {
			do(writes)
		}
		return nil, errAway
	})
}

// delayNext has the next write's answer lost, and the write carried out when the one after it is under way; then do.
func (s *stage) delayNext(do func(writes []kvs.Write)) {
	s.next(func(_ []kvs.Write, late func() ([]kvs.Result, error)) ([]kvs.Result, error) {
		s.next(func(writes []kvs.Write, plain func() ([]kvs.Result, error)) ([]kvs.Result, error) {
			if _, err := late(); err != nil {
				return nil, err
			}
			do(writes)
			return plain()
		})
		return nil, errAway
	})
}

// sure is a clock that is right, so that a Writer does not ask the store.
func sure() time.Duration { return 0 }

func newWriter(t testing.TB, s kvs.Store, configure ...func(*version.WriterConfig)) *version.Writer {
	t.Helper()
	cfg := version.WriterConfig{Store: s, Skewed: sure}
	for _, f := range configure {
		f(&cfg)
	}
	w, err := version.NewWriter(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// off gives a Writer a clock that is wrong by d.
func off(node uint64, d time.Duration) func(*version.WriterConfig) {
	return func(c *version.WriterConfig) {
		c.Clock = hlc.New(node, func() time.Time { return time.Now().Add(d) })
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func fails(t testing.TB, err error, code fault.Code) {
	t.Helper()
	if !fault.Is(err, code) {
		t.Fatalf("got %v, want %s", err, code)
	}
}

func putTo(t testing.TB, w *version.Writer, key kvs.Key, x any, o ...version.WriteOptions) *version.Version {
	t.Helper()
	v, err := w.Put(t.Context(), key, value.MustOf(x), append(o, version.WriteOptions{})[0])
	must(t, err)
	return v
}

// holds fails unless the key has these values, the first of which readers get.
func holds(t testing.TB, w *version.Writer, key kvs.Key, values ...any) *version.Version {
	t.Helper()
	v, err := w.Get(t.Context(), key, kvs.LWW)
	must(t, err)
	got := v.Siblings()
	if len(got) != len(values) {
		t.Fatalf("%s has %d values, want %v", key, len(got), values)
	}
	for i, x := range values {
		if g, w := string(must2(got[i].JSON())), string(must2(value.MustOf(x).JSON())); g != w {
			t.Fatalf("%s has %s, want %s", key, g, w)
		}
	}
	return v
}

func must2[T any](x T, err error) T {
	if err != nil {
		panic(err)
	}
	return x
}

// atOnce runs f n times at once.
func atOnce(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}

// eventually polls until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(30 * time.Second)
	defer limit.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("not in 30 s: %s", what)
		}
	}
}
