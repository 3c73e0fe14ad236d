package cache

import (
	"context"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/squall-faas/squall/fault"
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

// stage is a memory store whose calls a test can hold, fail and count, and whose pushes it can hold back or end.
type stage struct {
	*kvs.Memory
	gets    atomic.Int64
	watches atomic.Int64
	refuse  atomic.Bool // Gets, Puts and Watches are unavailable

	mu      sync.Mutex
	get     func(context.Context, kvs.Key, func() (kvs.Entry, error)) (kvs.Entry, error)
	put     func(kvs.Key, func() (kvs.Revision, error)) (kvs.Revision, error)
	push    func(kvs.Entry) // before an entry is pushed on
	endings []context.CancelFunc
}

func newStage(t testing.TB) *stage {
	s := &stage{Memory: kvs.NewMemory()}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func (s *stage) hooks() (func(context.Context, kvs.Key, func() (kvs.Entry, error)) (kvs.Entry, error), func(kvs.Key, func() (kvs.Revision, error)) (kvs.Revision, error), func(kvs.Entry)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.get, s.put, s.push
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
	if get, _, _ := s.hooks(); get != nil {
		return get(ctx, key, plain)
	}
	return plain()
}

func (s *stage) Put(ctx context.Context, key kvs.Key, v value.Value, o kvs.PutOptions) (kvs.Revision, error) {
	if s.refuse.Load() {
		return 0, errDown
	}
	plain := func() (kvs.Revision, error) { return s.Memory.Put(ctx, key, v, o) }
	if _, put, _ := s.hooks(); put != nil {
		return put(key, plain)
	}
	return plain()
}

func (s *stage) Watch(ctx context.Context, prefix kvs.Key) (<-chan kvs.Entry, error) {
	if s.refuse.Load() {
		return nil, errDown
	}
	ctx, cancel := context.WithCancel(ctx)
	in, err := s.Memory.Watch(ctx, prefix)
	if err != nil {
		cancel()
		return nil, err
	}
	s.set(func() { s.endings = append(s.endings, cancel) })
	out := make(chan kvs.Entry)
	go func() {
		defer close(out)
		for e := range in {
			if _, _, push := s.hooks(); push != nil {
				push(e)
			}
			select {
			case out <- e:
			case <-ctx.Done():
				for range in {
				}
				return
			}
		}
	}()
	s.watches.Add(1)
	return out, nil
}

// loseWatch ends all watches that stand.
func (s *stage) loseWatch() {
	s.set(func() {
		for _, end := range s.endings {
			end()
		}
		s.endings = nil
	})
}

func start(t testing.TB, s Tier, maxBytes int64) *Cache {
	t.Helper()
	c, err := New(Config{Store: s, MaxBytes: maxBytes})
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

func wantInt(t testing.TB, c *Cache, key kvs.Key, want int) {
	t.Helper()
	v, err := c.Get(context.Background(), key)
	if err != nil {
		t.Fatalf("get %q: %v", key, err)
	}
	if got, err := value.As[int](v); err != nil || got != want {
		t.Fatalf("%q is %d (%v), want %d", key, got, err, want)
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

func wantCode(t testing.TB, err error, code fault.Code) {
	t.Helper()
	if !fault.Is(err, code) {
		t.Fatalf("got %v, want %s", err, code)
	}
}

// check holds the table against what it counts, and the front against the table.
func (c *Cache) check(t testing.TB) {
	t.Helper()
	c.checkFront(t)
	var bytes int64
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for h, cl := range s.cells {
			v := cl.version.Load()
			if v == nil || cl.hash != h || c.hash(v.entry.Key) != h {
				s.mu.Unlock()
				t.Fatalf("cell %x in the table: %+v", h, v)
			}
			bytes += v.cost
		}
		for key, n := range s.notes {
			if n.users <= 0 {
				s.mu.Unlock()
				t.Fatalf("note of %q has %d users", key, n.users)
			}
		}
		s.mu.Unlock()
	}
	if got := c.bytes.Load(); got != bytes {
		t.Fatalf("%d bytes counted, %d held", got, bytes)
	}
}
