package kvs_test

import (
	"context"
	"flag"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/kvstest"
	"github.com/squall-faas/squall/value"
)

// Tests that wait for a TTL cost no CPU: they need not wait for each other.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

func TestMemory(t *testing.T) {
	kvstest.Run(t, func(t *testing.T) kvs.Store {
		m := kvs.NewMemory()
		t.Cleanup(func() { _ = m.Close() }) // never fails
		return m
	})
}

// Expiry is exact where time is virtual.
func TestMemoryExpiresOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := kvs.NewMemory()
		defer m.Close()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		changes, err := m.Watch(ctx, "")
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		rev, err := m.Put(ctx, "a", value.MustOf(1), kvs.PutOptions{TTL: 90*time.Second + 1})
		if err != nil {
			t.Fatal(err)
		}
		if e := <-changes; e.Deleted || e.Revision != rev {
			t.Fatalf("after the put: %+v", e)
		}
		time.Sleep(91*time.Second - 1) // virtual
		if _, err := m.Get(ctx, "a"); err != nil {
			t.Fatalf("just before it expires: %v", err)
		}
		e := <-changes
		if !e.Deleted || e.Revision != rev || time.Since(begin) != 91*time.Second {
			t.Fatalf("expired after %v: %+v", time.Since(begin), e)
		}
		if _, err := m.Get(ctx, "a"); !fault.Is(err, fault.NotFound) {
			t.Fatalf("get: %v", err)
		}
	})
}

func TestChangesCutOffOneWhoFallsTooFarBehind(t *testing.T) {
	c := kvs.NewChanges[int](3)
	for i := range 3 {
		c.Add(kvs.Key(fmt.Sprint(i)), i)
	}
	c.Add("1", 10) // pending already: in its place
	out := make(chan kvs.Entry, 10)
	entry := func(i int) (kvs.Entry, bool) { return kvs.Entry{Revision: kvs.Revision(i)}, i != 2 }
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); c.Run(ctx, out, entry) }()
	if a, b := <-out, <-out; a.Revision != 0 || b.Revision != 10 {
		t.Fatalf("changes %d and %d, want 0 and 10", a.Revision, b.Revision)
	}
	cancel()
	<-done
	for i := range 4 {
		c.Add(kvs.Key(fmt.Sprint(i)), i)
	}
	out = make(chan kvs.Entry)
	c.Run(t.Context(), out, entry)
	if _, open := <-out; open {
		t.Fatal("the queue runs on after a key too many")
	}
}

func BenchmarkMemory(b *testing.B) {
	m := kvs.NewMemory()
	defer m.Close()
	v := value.MustOf(make([]byte, 128))
	ctx := context.Background()
	const keys = 1 << 16
	names := make([]kvs.Key, keys)
	for i := range names {
		names[i] = kvs.Key(fmt.Sprint("key ", i))
		if _, err := m.Put(ctx, names[i], v, kvs.PutOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("get", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			if _, err := m.Get(ctx, names[i%keys]); err != nil {
				b.Fatal(err)
			}
			i += 7919
		}
	})
	b.Run("put", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			if _, err := m.Put(ctx, names[i%keys], v, kvs.PutOptions{}); err != nil {
				b.Fatal(err)
			}
			i += 7919
		}
	})
}
