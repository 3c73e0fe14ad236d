package cache

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// headStore is a memory store that keeps long values apart from their records.
type headStore struct {
	*kvs.Memory
	mu    sync.Mutex // guards rests
	rests int        // values read whole
}

const longValue = 2 << 20

func (s *headStore) Head(ctx context.Context, key kvs.Key) (kvs.Headed, error) {
	e, err := s.Get(ctx, key)
	if err != nil || e.Value.Size() < DefaultLentFrom {
		return kvs.Headed{Entry: e}, err
	}
	kind, want, err := e.Value.Payload()
	if err != nil {
		return kvs.Headed{}, err
	}
	h := kvs.Headed{Entry: e, Size: int64(len(want))}
	h.Value = value.Value{}
	h.Rest = func(context.Context) (kvs.Entry, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.rests++
		return e, nil
	}
	h.With = func(payload []byte) (kvs.Entry, error) {
		if !bytes.Equal(payload, want) {
			return kvs.Entry{}, fault.New(fault.Unavailable, "other bytes")
		}
		e := h.Entry
		var err error
		e.Value, err = value.FromPayload(kind, payload)
		return e, err
	}
	return h, nil
}

func (s *headStore) whole() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rests
}

// lentMap is lent memory. put hears of what was put.
type lentMap struct {
	mu   sync.Mutex // guards what follows
	by   map[string][]byte
	gets int
	put  chan time.Duration
}

func (m *lentMap) Get(_ context.Context, name string, _ int64) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gets++
	if b, ok := m.by[name]; ok {
		return bytes.Clone(b), nil
	}
	return nil, fault.New(fault.NotFound, "it is not there")
}

func (m *lentMap) Put(_ context.Context, name string, payload []byte, ttl time.Duration) error {
	m.mu.Lock()
	m.by[name] = bytes.Clone(payload)
	m.mu.Unlock()
	m.put <- ttl
	return nil
}

// TestLent: a large version that a cache cannot keep is read from the store twice, and then from lent memory, until it is
// replaced; what lent memory has lost, or spoilt, comes from the store.
func TestLent(t *testing.T) {
	store, tier := &headStore{Memory: kvs.NewMemory()}, &lentMap{by: map[string][]byte{}, put: make(chan time.Duration, 16)}
	c, err := New(Config{Store: store, Lent: tier, MaxBytes: MinMaxBytes}) // too small for it
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	text := func(n byte) []byte { return bytes.Repeat([]byte{n, 1, 2, 3}, longValue/4) }
	write := func(n byte, ttl time.Duration) {
		if _, err := store.Put(t.Context(), "k", value.MustOf(text(n)), kvs.PutOptions{TTL: ttl}); err != nil {
			t.Fatal(err)
		}
	}
	read := func(n byte, fromStore int) {
		t.Helper()
		before := store.whole()
		v, err := c.Main().Get(t.Context(), "k")
		if err != nil {
			t.Fatal(err)
		}
		if b, err := value.As[[]byte](v); err != nil || !bytes.Equal(b, text(n)) {
			t.Fatalf("%d bytes that are not those of version %d, %v", len(b), n, err)
		}
		if got := store.whole() - before; got != fromStore {
			t.Fatalf("%d values came from the store, want %d", got, fromStore)
		}
	}
	write(1, 0)
	read(1, 1)
	read(1, 1)
	if ttl := <-tier.put; ttl != lentFor {
		t.Fatal(ttl)
	}
	read(1, 0)
	write(2, time.Minute)
	read(2, 1) // at once: what is lent is another version
	read(2, 1)
	if ttl := <-tier.put; ttl > time.Minute {
		t.Fatal("it outlives the key:", ttl)
	}
	read(2, 0)
	tier.mu.Lock()
	for name := range tier.by {
		tier.by[name][longValue/2]++
	}
	tier.mu.Unlock()
	read(2, 1)
	if ttl := <-tier.put; ttl > time.Minute {
		t.Fatal(ttl)
	}
	tier.mu.Lock()
	clear(tier.by)
	gets := tier.gets
	tier.mu.Unlock()
	read(2, 1)
	if hits, misses := c.LentStats(); hits != 2 || misses != 4 {
		t.Errorf("%d hits, %d misses", hits, misses)
	}
	if _, err := store.Put(t.Context(), "small", value.MustOf(make([]byte, 1000)), kvs.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Main().Get(t.Context(), "small"); err != nil || tier.gets != gets+1 {
		t.Errorf("%v, asked %d times", err, tier.gets-gets)
	}
}
