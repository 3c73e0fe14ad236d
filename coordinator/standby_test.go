package coordinator_test

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/squall-faas/squall/coordinator"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/backbone"
	"github.com/squall-faas/squall/internal/bus"
	"github.com/squall-faas/squall/internal/cluster"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// flaky is a store that can be cut off, and that can lose the answers to writes.
type flaky struct {
	kvs.Store
	away, deaf atomic.Bool
}

var errAway = fault.New(fault.Unavailable, "the store is away")

func (f *flaky) Get(ctx context.Context, key kvs.Key) (kvs.Entry, error) {
	if f.away.Load() {
		return kvs.Entry{}, errAway
	}
	return f.Store.Get(ctx, key)
}

func (f *flaky) CompareAndSet(ctx context.Context, key kvs.Key, v value.Value, expect kvs.Revision, o kvs.PutOptions) (kvs.Revision, error) {
	if f.away.Load() {
		return 0, errAway
	}
	rev, err := f.Store.CompareAndSet(ctx, key, v, expect, o)
	if f.deaf.Load() {
		return 0, errAway
	}
	return rev, err
}

// rota records who serves, and that nobody else does meanwhile.
type rota struct {
	t     *testing.T
	mu    sync.Mutex // guards what follows
	now   string
	terms int
	began time.Time
}

func (r *rota) serves() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *rota) changed(name string, serves bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case serves && r.now != "":
		r.t.Errorf("%s serves beside %s", name, r.now)
	case serves:
		r.now, r.began = name, time.Now()
		r.terms++
	case r.now == name:
		r.now = ""
	}
}

// stand has a coordinator serve or stand by; end stops it and waits.
func stand(t *testing.T, m *backbone.Memory, r *rota, name string) (store *flaky, end func()) {
	b := m.Join(name)
	store = &flaky{Store: b.System}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := coordinator.Shift{
			Name: name, Namespace: b.Namespace, Bus: b.Bus, System: store, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
			Start: func(ctx context.Context) (*coordinator.Coordinator, error) {
				return cluster.StartCoordinator(ctx, b, coordinator.Config{Name: name})
			},
			Changed: func(c *coordinator.Coordinator) { r.changed(name, c != nil) },
		}.Serve(ctx)
		if err != nil && !store.away.Load() {
			t.Errorf("%s: %v", name, err)
		}
	}()
	return store, sync.OnceFunc(func() {
		cancel()
		<-done
		_ = b.Close()
	})
}

// pass lets virtual time pass.
func pass(d time.Duration) { <-time.After(d) }

func TestStandby(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := backbone.NewMemory("", bus.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = m.Close() }()
		r := &rota{t: t}
		first, endFirst := stand(t, m, r, "one")
		pass(2 * time.Second)
		second, endSecond := stand(t, m, r, "two")
		defer endSecond()
		pass(time.Minute)
		if r.serves() != "one" || r.terms != 1 {
			t.Fatalf("%q serves, in term %d", r.serves(), r.terms)
		}

		// The answers to its renewals get lost for a while: it goes on.
		first.deaf.Store(true)
		pass(5 * time.Second)
		first.deaf.Store(false)
		pass(time.Minute)
		if r.serves() != "one" || r.terms != 1 {
			t.Fatalf("%q serves, in term %d", r.serves(), r.terms)
		}

		// The store is away for as long as an election takes: nothing changes.
		first.away.Store(true)
		second.away.Store(true)
		pass(5700 * time.Millisecond)
		first.away.Store(false)
		second.away.Store(false)
		pass(time.Minute)
		if r.serves() != "one" || r.terms != 1 {
			t.Fatalf("%q serves, in term %d", r.serves(), r.terms)
		}

		// It is cut off: it ends by itself before the other takes over, and stands by when it is back.
		cut := time.Now()
		first.away.Store(true)
		pass(8500 * time.Millisecond)
		if r.serves() != "" {
			t.Fatalf("%q serves", r.serves())
		}
		pass(3 * time.Second)
		if r.serves() != "two" || r.began.Sub(cut) > 11*time.Second {
			t.Fatalf("%q serves, since %v after the cut", r.serves(), r.began.Sub(cut))
		}
		first.away.Store(false)
		pass(time.Minute)
		if r.serves() != "two" || r.terms != 2 {
			t.Fatalf("%q serves, in term %d", r.serves(), r.terms)
		}

		// It leaves: the other serves at once.
		left := time.Now()
		endSecond()
		pass(time.Second)
		if r.serves() != "one" || r.began.Sub(left) > 600*time.Millisecond {
			t.Fatalf("%q serves, %v after the other left", r.serves(), r.began.Sub(left))
		}

		// It dies: somebody who stands by hears that nobody is there.
		_, endThird := stand(t, m, r, "three")
		pass(5 * time.Second)
		died := time.Now()
		first.away.Store(true)
		r.changed("one", false)
		endFirst()
		pass(4 * time.Second)
		if r.serves() != "three" || r.began.Sub(died) > 3*time.Second {
			t.Fatalf("%q serves, %v after the other died", r.serves(), r.began.Sub(died))
		}
		endThird()
	})
}
