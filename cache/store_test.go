package cache

import (
	"context"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

func TestMain(m *testing.M) { os.Exit(verify(m)) }

func verify(m *testing.M) int {
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		println(err.Error())
		return 1
	}
	return code
}

// stage is a memory store whose calls a test can hold, fail and count, and whose pushes it can change, hold back or end.
// Unlike the store that it wraps, it keeps to what it was asked: News tells of nothing from before the mark.
type stage struct {
	*kvs.Memory
	gets    atomic.Int64 // Get and Current
	many    atomic.Int64 // GetMany
	batches atomic.Int64 // WriteMany
	written atomic.Int64 // writes in them
	news    atomic.Int64
	follows atomic.Int64
	refuse  atomic.Bool // everything is unavailable
	deaf    atomic.Bool // writes are stored, and their answers lost

	mu     sync.Mutex
	get    func(context.Context, kvs.Key, func() (kvs.Entry, error)) (kvs.Entry, error)
	write  func([]kvs.Write, func() ([]kvs.Result, error)) ([]kvs.Result, error)
	commit func(func() ([]kvs.Revision, error)) ([]kvs.Revision, error)
	push   func(kvs.Push) []kvs.Push // what becomes of a push
	add    func(plain func())        // comes between a feed and what is added to it
	store  func(kvs.Key)             // sees each key that is about to be stored, by a batch or a commit
	feeds  []*stageFeed
}

func newStage(t testing.TB) *stage {
	s := &stage{Memory: kvs.NewMemory()}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func (s *stage) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

var errDown = fault.New(fault.Unavailable, "the stage is dark")

func (s *stage) Get(ctx context.Context, key kvs.Key) (kvs.Entry, error) {
	s.gets.Add(1)
	if s.refuse.Load() {
		return kvs.Entry{}, errDown
	}
	plain := func() (kvs.Entry, error) { return s.Memory.Get(ctx, key) }
	s.mu.Lock()
	get := s.get
	s.mu.Unlock()
	if get != nil {
		return get(ctx, key, plain)
	}
	return plain()
}

func (s *stage) GetMany(ctx context.Context, keys []kvs.Key) ([]kvs.Entry, error) {
	s.many.Add(1)
	if s.refuse.Load() {
		return nil, errDown
	}
	return s.Memory.GetMany(ctx, keys)
}

func (s *stage) Current(ctx context.Context, key kvs.Key) (kvs.Entry, error) {
	s.gets.Add(1)
	if s.refuse.Load() {
		return kvs.Entry{}, errDown
	}
	return s.Memory.Current(ctx, key)
}

func (s *stage) WriteMany(ctx context.Context, writes []kvs.Write, fence kvs.Fence) ([]kvs.Result, error) {
	s.batches.Add(1)
	s.written.Add(int64(len(writes)))
	if s.refuse.Load() {
		return nil, errDown
	}
	plain := func() ([]kvs.Result, error) { return s.Memory.WriteMany(ctx, writes, fence) }
	s.see(writes)
	s.mu.Lock()
	write := s.write
	s.mu.Unlock()
	if write != nil {
		return write(writes, plain)
	}
	results, err := plain()
	if s.deaf.Load() && err == nil {
		return nil, errDown
	}
	return results, err
}

func (s *stage) see(writes []kvs.Write) {
	s.mu.Lock()
	store := s.store
	s.mu.Unlock()
	for i := range writes {
		if store != nil {
			store(writes[i].Key)
		}
	}
}

func (s *stage) Commit(ctx context.Context, writes []kvs.Write, checks []kvs.Check, fence kvs.Fence) ([]kvs.Revision, error) {
	if s.refuse.Load() {
		return nil, errDown
	}
	s.see(writes)
	plain := func() ([]kvs.Revision, error) { return s.Memory.Commit(ctx, writes, checks, fence) }
	s.mu.Lock()
	commit := s.commit
	s.mu.Unlock()
	if commit != nil {
		return commit(plain)
	}
	revisions, err := plain()
	if s.deaf.Load() && err == nil {
		return nil, errDown
	}
	return revisions, err
}

func (s *stage) News(ctx context.Context, held []kvs.Held, since kvs.Mark) ([]kvs.Entry, kvs.Mark, error) {
	s.news.Add(1)
	if s.refuse.Load() {
		return nil, kvs.Mark{}, errDown
	}
	all, next, err := s.Memory.News(ctx, held, since)
	if err == nil && len(since.Seqs) == 1 {
		all = slices.DeleteFunc(all, func(e kvs.Entry) bool { return uint64(e.Revision) <= since.Seqs[0] })
	}
	return all, next, err
}

// stageFeed passes the pushes of a feed on.
type stageFeed struct {
	kvs.Feed
	s    *stage
	out  chan kvs.Push
	once sync.Once
	end  chan struct{}
	keys map[kvs.Key]bool // that it follows; nil once it is closed. The stage's mu guards it
}

func (f *stageFeed) Add(keys ...kvs.Key) (err error) {
	f.s.mu.Lock()
	add := f.s.add
	f.s.mu.Unlock()
	if add == nil {
		err = f.Feed.Add(keys...)
	} else {
		add(func() { err = f.Feed.Add(keys...) })
	}
	f.note(err == nil, keys...)
	return err
}

func (f *stageFeed) Remove(key kvs.Key) {
	f.Feed.Remove(key)
	f.note(false, key)
}

func (f *stageFeed) note(followed bool, keys ...kvs.Key) {
	f.s.set(func() {
		for _, key := range keys {
			if f.keys != nil {
				f.keys[key] = followed
			}
		}
	})
}

func (f *stageFeed) Changes() <-chan kvs.Push { return f.out }

func (f *stageFeed) Close() {
	f.once.Do(func() {
		close(f.end)
		f.Feed.Close()
		f.s.set(func() { f.keys = nil })
	})
}

func (s *stage) Follow(ctx context.Context) (kvs.Feed, error) {
	if s.refuse.Load() {
		return nil, errDown
	}
	in, err := s.Memory.Follow(ctx)
	if err != nil {
		return nil, err
	}
	f := &stageFeed{Feed: in, s: s, out: make(chan kvs.Push), end: make(chan struct{}), keys: make(map[kvs.Key]bool)}
	s.set(func() { s.feeds = append(s.feeds, f) })
	go func() {
		defer close(f.out)
		for p := range in.Changes() {
			s.mu.Lock()
			push := s.push
			s.mu.Unlock()
			some := []kvs.Push{p}
			if push != nil {
				some = push(p)
			}
			for _, p := range some {
				select {
				case f.out <- p:
				case <-f.end:
				}
			}
		}
	}()
	s.follows.Add(1)
	return f, nil
}

// loseFeed ends all feeds that stand.
func (s *stage) loseFeed() {
	s.mu.Lock()
	feeds := s.feeds
	s.feeds = nil
	s.mu.Unlock()
	for _, f := range feeds {
		f.Close()
	}
}

// mute loses all pushes from now on.
func (s *stage) mute() { s.set(func() { s.push = func(kvs.Push) []kvs.Push { return nil } }) }

func start(t testing.TB, s Tier, maxBytes int64) *Cache {
	t.Helper()
	return startWith(t, Config{Store: s, MaxBytes: maxBytes})
}

func startWith(t testing.TB, cfg Config) *Cache {
	t.Helper()
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// until polls.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
		<-time.After(200 * time.Microsecond)
	}
}

// getter is a Cache, a Cachelet or a Session.
type getter interface {
	Get(context.Context, kvs.Key) (value.Value, error)
}

func wantInt(t testing.TB, c getter, key kvs.Key, want int) {
	t.Helper()
	v, err := c.Get(context.Background(), key)
	if err != nil {
		t.Fatalf("get %q: %v", key, err)
	}
	if got, err := value.As[int](v); err != nil || got != want {
		t.Fatalf("%q is %d (%v), want %d", key, got, err, want)
	}
}

func wantNone(t testing.TB, c getter, key kvs.Key) {
	t.Helper()
	v, err := c.Get(context.Background(), key)
	if !fault.Is(err, fault.NotFound) {
		t.Fatalf("%q is %v, %v; want nothing there", key, v, err)
	}
}

func put(t testing.TB, s interface {
	Put(context.Context, kvs.Key, value.Value, kvs.PutOptions) (kvs.Revision, error)
}, key kvs.Key, x any) kvs.Revision {
	t.Helper()
	rev, err := s.Put(context.Background(), key, value.MustOf(x), kvs.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t testing.TB, err error, code fault.Code) {
	t.Helper()
	if !fault.Is(err, code) {
		t.Fatalf("got %v, want %s", err, code)
	}
}

// decided waits until ristretto has decided about all that it was told.
func (c *Cache) decided() {
	for _, l := range c.cachelets.list() {
		l.policy.Wait()
	}
}

// inspect holds the table against what it counts, and the front against the table.
func (c *Cache) inspect(t testing.TB) {
	t.Helper()
	c.inspectFront(t)
	var bytes int64
	of := map[*Cachelet]int64{}
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for h, cl := range s.cells {
			v := cl.version.Load()
			if v == nil || cl.hash != h || c.hash(v.Key) != h || cl.home.gone.Load() {
				s.mu.Unlock()
				t.Fatalf("cell %x in the table: %+v", h, v)
			}
			bytes += v.cost
			of[cl.home] += v.cost
		}
		for key, n := range s.notes {
			if n.users <= 0 {
				s.mu.Unlock()
				t.Fatalf("note of %q has %d users", key, n.users)
			}
		}
		for key, p := range s.pending {
			if len(p.writes) == 0 || p.view.Key != key {
				s.mu.Unlock()
				t.Fatalf("nothing is pending of %q: %+v", key, p)
			}
		}
		s.mu.Unlock()
	}
	if got := c.bytes.Load(); got != bytes {
		t.Fatalf("%d bytes counted, %d held", got, bytes)
	}
	for _, l := range c.cachelets.list() {
		if got := l.bytes.Load(); got != of[l] {
			t.Fatalf("%d bytes counted for %q, %d held", got, l.app, of[l])
		}
	}
	if b, o := c.pins.bytes.Load(), c.pins.outside.Load(); o < 0 || b < o {
		t.Fatalf("%d bytes pinned, %d of them outside of the table", b, o)
	}
}

// inspectQuiet is inspect of a cache that has nothing to do any more.
func (c *Cache) inspectQuiet(t testing.TB) {
	t.Helper()
	c.decided()
	c.inspect(t)
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		notes, pending := len(s.notes), len(s.pending)
		s.mu.Unlock()
		if notes+pending > 0 {
			t.Fatalf("%d notes and %d pending keys are left", notes, pending)
		}
	}
	c.dirty.mu.Lock()
	defer c.dirty.mu.Unlock()
	if c.dirty.held != 0 || c.dirty.waited != 0 || len(c.dirty.under) != 0 {
		t.Fatalf("%d and %d bytes are counted as not stored", c.dirty.held, c.dirty.waited)
	}
	if q := c.queued.Load(); q != 0 {
		t.Fatalf("%d Sets are counted in ristretto's buffers", q)
	}
}

// clockOff is a clock that is wrong.
func clockOff(by time.Duration) *hlc.Clock {
	return hlc.New(uint64(by), func() time.Time { return time.Now().Add(by) })
}
