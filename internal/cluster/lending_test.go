package cluster_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/internal/cluster"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

const (
	machineBytes = 1 << 30
	lentBytes    = 32 << 20
)

// lenders is a world whose executors lend lentBytes each, of machines that a test can fill.
type lenders struct {
	*world
	mu   sync.Mutex // guards used
	used map[string]int64
	held map[string][]byte
	o    *client.Objects
}

func (l *lenders) fill(executor string, used int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.used[executor] = used
}

func inLenders(t *testing.T, names string, edit func(w *world), test func(t *testing.T, l *lenders)) {
	t.Helper()
	l := &lenders{used: map[string]int64{}, held: map[string][]byte{}}
	inSpecialWorld(t, names, func(w *world) {
		w.lend = func(executor string) cluster.Lend {
			return cluster.Lend{Most: lentBytes, Host: executor}.Remembering(machineBytes, func() int64 {
				l.mu.Lock()
				defer l.mu.Unlock()
				return l.used[executor]
			})
		}
		if edit != nil {
			edit(w)
		}
	}, func(t *testing.T, w *world) {
		l.world = w
		var err error
		if l.o, err = w.client.Objects(w.ctx); err != nil {
			t.Fatal(err)
		}
		test(t, l)
	})
}

// eventually waits, in virtual time, until f is true.
func (l *lenders) eventually(what string, f func() bool) {
	l.t.Helper()
	for range 600 {
		if f() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	l.t.Fatalf("not within a minute: %s", what)
}

// put keeps bytes that are drawn by the object's key.
func (l *lenders) put(key string, size int, code string) {
	l.t.Helper()
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte([]byte(fmt.Sprintf("%032s", key)))).Read(b)
	if _, err := l.o.PutBytes(l.ctx, key, b, client.ObjectOptions{Code: code}); err != nil {
		l.t.Fatalf("put %s: %v", key, err)
	}
	l.held[key] = b
}

// all reads every object and compares it.
func (l *lenders) all() {
	l.t.Helper()
	for key, want := range l.held {
		if got, _, err := l.o.GetBytes(l.ctx, key, 0); err != nil || !bytes.Equal(got, want) {
			l.t.Fatalf("get %s: %d bytes of %d, %v", key, len(got), len(want), err)
		}
	}
}

// whole reports whether every object has all its shards.
func (l *lenders) whole() bool {
	for key := range l.held {
		s, err := l.o.Stat(l.ctx, key)
		if err != nil {
			return false
		}
		for _, x := range s.Shards {
			if x.State != "whole" {
				return false
			}
		}
	}
	return true
}

// TestLending: executors that idle lend memory at once; objects put by a client lie there. One that gets busy, or whose
// machine is full, has its memory back, and keepers rebuild elsewhere what it had to drop; it lends again when it is quiet.
func TestLending(t *testing.T) {
	inLenders(t, "abcdefgh", nil, func(t *testing.T, l *lenders) {
		for name, n := range l.nodes {
			if s := n.Lent(); s.Limit != lentBytes {
				t.Fatalf("%s lends %d bytes", name, s.Limit)
			}
		}
		for i := range 4 {
			l.put(fmt.Sprint("k", i), 2_000_000+i, "4+2")
		}
		l.all()

		g := newGate()
		l.on("a", "hold", client.Native(func(c fn.Context, x int) (int, error) { return x, g.wait(c) }))
		l.dag(func(b *dag.Builder) dag.Ref { return b.Call("h", "hold", b.Input("x")) })
		calls := []*future[int]{call[int](l.ctx, l.world, 1), call[int](l.ctx, l.world, 2)}
		<-g.began
		<-g.began
		busy := time.Now()
		l.eventually("the work has its memory back", func() bool { return l.nodes["a"].Lent().Limit == 0 })
		t.Logf("all was given back %v after every slot was taken", time.Since(busy))
		if s := l.nodes["a"].Lent(); s.Resident != 0 || s.Columns != 0 {
			t.Fatalf("%+v", s)
		}
		l.all()
		l.eventually("what it had to drop is rebuilt on others", l.whole)
		close(g.open)
		for i, f := range calls {
			if y, err := f.get(); err != nil || y != i+1 {
				t.Fatal(y, err)
			}
		}
		l.eventually("it lends again", func() bool { return l.nodes["a"].Lent().Limit == lentBytes })

		l.fill("b", machineBytes-machineBytes/8) // into the reserve, whatever of it is lent
		time.Sleep(time.Second)
		if s := l.nodes["b"].Lent(); s.Limit != 0 || s.Resident != 0 {
			t.Fatalf("a second after its machine was filled up: %+v", s)
		}
		l.all()
		l.eventually("all is whole", l.whole)
	})
}

// TestLenderDies: what an executor held that died is rebuilt on others, object by object, until any two more may go.
func TestLenderDies(t *testing.T) {
	inLenders(t, "abcdefgh", nil, func(t *testing.T, l *lenders) {
		for i := range 4 {
			l.put(fmt.Sprint("k", i), 1_500_000+i, "4+2")
		}
		for _, victim := range []string{"a", "b"} {
			l.memory.Network.Crash(victim)
			if err := l.nodes[victim].Close(); err != nil {
				t.Log(err) // nobody is there to say goodbye to
			}
			l.all()
			l.eventually("repaired", l.whole)
		}
		repaired := int64(0)
		for _, n := range l.nodes {
			repaired += n.Objects().Stats().Repaired
		}
		if repaired == 0 {
			t.Error("nobody has repaired anything")
		}
		l.all()
	})
}

// TestLenderDrains: executors leave one after the other, and objects that could not lose a single shard stay whole.
func TestLenderDrains(t *testing.T) {
	inLenders(t, "abcdef", nil, func(t *testing.T, l *lenders) {
		for i := range 6 {
			l.put(fmt.Sprint("k", i), 1_000_000+i, "3+0")
		}
		for _, name := range []string{"a", "b", "c"} {
			ctx, cancel := context.WithTimeout(l.ctx, time.Minute)
			if err := l.nodes[name].Drain(ctx); err != nil {
				t.Fatal(err)
			}
			cancel()
			if s := l.nodes[name].Lent(); s.Columns != 0 {
				t.Fatalf("%s leaves with %d columns", name, s.Columns)
			}
			if err := l.nodes[name].Close(); err != nil {
				t.Fatal(err)
			}
			l.all()
		}
	})
}

// TestLendsNothing: an executor that is told so lends nothing, and reads what others lend.
func TestLendsNothing(t *testing.T) {
	inSpecialWorld(t, "abc", func(w *world) {
		w.lend = func(string) cluster.Lend { return cluster.Lend{Most: -1} }
	}, func(t *testing.T, w *world) {
		o, err := w.client.Objects(w.ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.PutBytes(w.ctx, "k", []byte("v")); !fault.Is(err, fault.NoExecutor) {
			t.Fatal(err)
		}
		if n := len(w.nodes["a"].Objects().Lenders()); n != 0 || w.nodes["a"].Lent().Limit != 0 {
			t.Fatal(n)
		}
		if err := w.nodes["a"].Drain(w.ctx); err != nil {
			t.Fatal(err)
		}
	})
}

// valuesLent is how many values of runs have objects of their own.
func (l *lenders) valuesLent() (n int) {
	l.t.Helper()
	keys, _, err := l.nodes["a"].Objects().List(l.ctx, "", "", 1000)
	if err != nil {
		l.t.Fatal(err)
	}
	if shown, _, err := l.o.List(l.ctx, "", "", 1000); err != nil || len(shown) != 0 {
		l.t.Fatalf("users are shown %q, %v", shown, err)
	}
	return len(keys)
}

// TestValuesThroughLentMemory: what an executor has no room to hold for the next one goes there through lent memory, and
// past the store; with the run it is gone. A durable run's go to the store.
func TestValuesThroughLentMemory(t *testing.T) {
	inLenders(t, "abcdef", func(w *world) { w.hold = 1 }, func(t *testing.T, l *lenders) {
		l.on("a", "make", client.Native(func(_ fn.Context, x int) ([]byte, error) { return large(x), nil }))
		l.on("b", "check", client.Native2(func(_ fn.Context, b []byte, x int) (int, error) { return len(b), checkLarge(b, x) }))
		l.dag(checked("make"))
		for i, opts := range [][]client.CallOption{nil, {client.Durable()}} {
			if y, err := call[int](l.ctx, l.world, 5, opts...).get(); err != nil || y != largeValue {
				t.Fatal(y, err)
			}
			if puts := l.nodes["a"].Objects().Stats().Puts; puts != 1 {
				t.Fatalf("after run %d: %d values have gone through lent memory, want the first run's", i, puts)
			}
			if i == 0 && l.offloaded() != 0 {
				t.Fatalf("%d values are in the store", l.offloaded())
			}
		}
		l.eventually("it is gone with its run", func() bool { return l.valuesLent() == 0 })
	})
}

// forgetful is a store that has lost the objects of values, as long as a test says so.
type forgetful struct {
	kvs.Store
	loses atomic.Bool
}

func (s *forgetful) lost(key kvs.Key) bool {
	return s.loses.Load() && strings.HasPrefix(string(key), "object/\x00off/")
}

func (s *forgetful) Get(ctx context.Context, key kvs.Key) (kvs.Entry, error) {
	if s.lost(key) {
		return kvs.Entry{}, fault.New(fault.NotFound, "no such key")
	}
	return s.Store.Get(ctx, key)
}

func (s *forgetful) Current(ctx context.Context, key kvs.Key) (kvs.Entry, error) {
	if s.lost(key) {
		return kvs.Entry{Key: key, Value: value.MustOf(nil)}, nil
	}
	return s.Store.Current(ctx, key)
}

// TestLentValueIsLost: a value that lent memory has lost is made anew, as one that was lost with its producer is.
func TestLentValueIsLost(t *testing.T) {
	var s *forgetful
	inLenders(t, "abcdef", func(w *world) {
		w.hold = 1
		s = &forgetful{Store: w.memory.Join("").System}
		w.system = s
	}, func(t *testing.T, l *lenders) {
		var made atomic.Int64
		l.on("a", "make", client.Native(func(_ fn.Context, x int) ([]byte, error) {
			s.loses.Store(made.Add(1) == 1) // what the first execution made
			return large(x), nil
		}))
		l.on("b", "check", client.Native2(func(_ fn.Context, b []byte, x int) (int, error) { return len(b), checkLarge(b, x) }))
		l.dag(checked("make"))
		if y, err := call[int](l.ctx, l.world, 7).get(); err != nil || y != largeValue {
			t.Fatal(y, err)
		}
		if made.Load() != 2 {
			t.Fatalf("it was made %d times", made.Load())
		}
	})
}

// TestLendingMetrics: what is lent shows.
func TestLendingMetrics(t *testing.T) {
	inLenders(t, "abc", nil, func(t *testing.T, l *lenders) {
		l.put("k", 300_000, "")
		reg := prometheus.NewRegistry()
		if err := l.nodes["a"].RegisterMetrics(reg); err != nil {
			t.Fatal(err)
		}
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]float64{}
		for _, f := range families {
			if m := f.GetMetric()[0]; m.GetGauge() != nil {
				got[f.GetName()] = m.GetGauge().GetValue()
			} else {
				got[f.GetName()] = m.GetCounter().GetValue()
			}
		}
		if got["squall_lender_lent_bytes"] != lentBytes || got["squall_lender_used_bytes"] == 0 || got["squall_lender_columns"] != 1 {
			t.Fatalf("%v", maps.Collect(maps.All(got)))
		}
	})
}

// TestVersionsFromLentMemory: over a real store, what a node's cache cannot keep comes from the memory of others from its
// third read on, and is never a version that was overwritten.
func TestVersionsFromLentMemory(t *testing.T) {
	ctx, c := start(t, cluster.Config{Server: server(t), Executors: 4, Executor: cluster.ExecutorConfig{CacheBytes: 4 << 20, Lend: cluster.Lend{Most: lentBytes}}})
	node := c.Executors()[0]
	if err := node.Objects().Settle(ctx); err != nil {
		t.Fatal(err)
	}
	const key = "k"
	for n := range 3 {
		want := bytes.Repeat([]byte{byte(n), 'a', 'b'}, 1<<20)
		if err := c.Client.Put(ctx, key, want); err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(30 * time.Second)
		for first, hits := true, uint64(0); ; first = false {
			v, err := node.Cache.Get(ctx, key)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := value.As[[]byte](v); err != nil || !bytes.Equal(b, want) {
				t.Fatalf("version %d: %d other bytes, %v", n, len(b), err)
			}
			got := uint64(0)
			for _, n := range c.Executors() { // the key's owner among them reads it for node
				h, _ := n.Cache.LentStats()
				got += h
			}
			if first {
				hits = got
			}
			if got > hits {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("version %d always comes from the store", n)
			}
		}
	}
}
