package offload

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/value"
)

// lentMemory is a Tier for several sites.
type lentMemory struct {
	mu      sync.Mutex // guards what follows
	objects map[string][]byte
	puts    int
	full    bool
	refuses error
	ttl     time.Duration
}

func (m *lentMemory) Room(int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.full
}

func (m *lentMemory) Put(_ context.Context, key string, b []byte, ttl time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.puts++; m.refuses != nil {
		return m.refuses
	}
	m.objects[key], m.ttl = bytes.Clone(b), ttl
	return nil
}

func (m *lentMemory) Get(_ context.Context, key string, _ int64) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if b, ok := m.objects[key]; ok {
		return bytes.Clone(b), nil
	}
	return nil, fault.New(fault.NotFound, "too few shards are left")
}

func (m *lentMemory) Drop(keys ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, key := range keys {
		delete(m.objects, key)
	}
}

func (m *lentMemory) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.objects)
}

// borrowers are two sites over one lent memory and one store; a's hold is too small for what leaves.
func borrowers(t *testing.T) (a, b *site, m *lentMemory, store *counted) {
	m, store = &lentMemory{objects: map[string][]byte{}}, newCounted(t)
	edit := func(c *Config) { c.Tier = m }
	a = newSite(t, siteConfig{name: "a", store: store, bytes: 1, edit: edit})
	b = newSite(t, siteConfig{name: "b", store: store, edit: edit})
	return a, b, m, store
}

func leaves(t *testing.T, s *site, terms Terms, v value.Value) wire.Value {
	t.Helper()
	out, err := s.Send(t.Context(), terms, v)
	if err != nil {
		t.Fatal(err)
	}
	return out[0]
}

// TestLent: what a run passes to another executor, and its producer does not hold, goes through lent memory; the same bytes
// go there once, and leave it with the run. The store sees nothing of it.
func TestLent(t *testing.T) {
	a, b, m, store := borrowers(t)
	v := sized(1 << 20)
	for name, terms := range map[string]Terms{
		"there is no room to hold it": {To: "b", Run: "run", TTL: time.Hour},
		"the plan says so":            {To: "b", Run: "run", TTL: time.Hour, Path: Remote},
	} {
		w := leaves(t, a, terms, v)
		if w.Held == nil || !w.Held.Lent || w.Held.Port != "" {
			t.Fatalf("%s: %+v", name, w)
		}
		b.takes(t, w, v)
	}
	if store.puts.Load() != 0 || m.puts != 1 || m.ttl != time.Hour {
		t.Fatalf("%d puts in the store, %d in lent memory for %v", store.puts.Load(), m.puts, m.ttl)
	}
	if !a.hold.Holds() {
		t.Fatal("nobody would say that the run has ended")
	}
	a.hold.Release("run")
	if m.count() != 0 || a.hold.Holds() {
		t.Fatalf("%d values are left of a run that has ended", m.count())
	}
}

// TestNotLent: what nobody could make anew, what is small, and what lent memory does not take goes to the store.
func TestNotLent(t *testing.T) {
	for name, c := range map[string]struct {
		terms Terms
		size  int
		set   func(*lentMemory)
	}{
		"leaves the run":      {terms: Terms{Run: "run"}, size: 1 << 20},
		"is of no run":        {terms: Terms{To: "b"}, size: 1 << 20},
		"is small":            {terms: Terms{To: "b", Run: "run", Path: Remote}, size: DefaultLendFrom - 1},
		"there is no room":    {terms: Terms{To: "b", Run: "run"}, size: 1 << 20, set: func(m *lentMemory) { m.full = true }},
		"the tier refuses it": {terms: Terms{To: "b", Run: "run"}, size: 1 << 20, set: func(m *lentMemory) { m.refuses = fault.New(fault.Overloaded, "full") }},
	} {
		t.Run(name, func(t *testing.T) {
			a, b, m, store := borrowers(t)
			if c.set != nil {
				c.set(m)
			}
			v := sized(c.size)
			w := leaves(t, a, c.terms, v)
			if w.Far == nil || store.puts.Load() != 1 || m.count() != 0 {
				t.Fatalf("%+v, %d puts in the store, %d values in lent memory", w, store.puts.Load(), m.count())
			}
			b.takes(t, w, v)
		})
	}
}

// TestLentIsLost: a value of which too little is left, or that is not what was put, is as one that died with its producer:
// unavailable, and never a wrong one.
func TestLentIsLost(t *testing.T) {
	a, b, m, _ := borrowers(t)
	v := sized(1 << 20)
	w := leaves(t, a, Terms{To: "b", Run: "run", TTL: time.Hour}, v)
	m.objects[w.Held.ID][5]++
	_, err := b.In(t.Context(), w)
	wantCode(t, err, fault.Unavailable)
	m.Drop(w.Held.ID)
	_, err = b.In(t.Context(), w)
	wantCode(t, err, fault.Unavailable)
	without := newSite(t, siteConfig{name: "c"})
	_, err = without.In(t.Context(), w)
	wantCode(t, err, fault.Unavailable)
	w.Held.Lent = false
	_, err = b.In(t.Context(), w)
	wantCode(t, err, fault.InvalidArgument)
}

// TestLentWhileItEnds: a run that ends while its value is on its way leaves nothing behind.
func TestLentWhileItEnds(t *testing.T) {
	a, _, m, _ := borrowers(t)
	x := far{0, value.Bytes, make([]byte, 1<<20)}
	a.hold.lent.tier = endsRun{m, a.hold}
	if ref := a.lend(t.Context(), Terms{To: "b", Run: "run", TTL: time.Hour}, x); ref == nil {
		t.Fatal("it was taken")
	}
	if m.count() != 0 {
		t.Fatal("it stays")
	}
}

// endsRun is lent memory that takes a value just when its run ends.
type endsRun struct {
	*lentMemory
	hold *Hold
}

func (m endsRun) Put(ctx context.Context, key string, b []byte, ttl time.Duration) error {
	err := m.lentMemory.Put(ctx, key, b, ttl)
	m.hold.Release("run")
	return err
}
