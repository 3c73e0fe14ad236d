package cluster_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/internal/bus"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// TestCollectorLost kills the executor that has the last node: what was finished before is not run again.
func TestCollectorLost(t *testing.T) {
	inWorld(t, "abc", func(t *testing.T, w *world) {
		first, g := 0, newGate()
		w.on("a", "first", client.Native(func(_ fn.Context, x int) (int, error) { first++; return x + 1, nil }))
		w.on("bc", "last", client.Native(func(c fn.Context, x int) (int, error) { return x * 10, g.wait(c) }))
		w.dag(func(b *dag.Builder) dag.Ref { return b.Call("l", "last", b.Call("f", "first", b.Input("x"))) })
		f := call[int](w.ctx, w, 1)
		<-g.began
		w.memory.Network.Crash(w.busy("bc"))
		<-g.began
		close(g.open)
		if y, err := f.get(); err != nil || y != 20 {
			t.Fatalf("y = %d, %v", y, err)
		}
		if first != 1 {
			t.Errorf("the first node ran %d times", first)
		}
		if f.took > 2*time.Second {
			t.Errorf("it took %v", f.took)
		}
	})
}

// busy names the one of the executors that has run something.
func (w *world) busy(names string) string {
	w.t.Helper()
	for _, name := range names {
		if w.nodes[string(name)].Invocations() > 0 {
			return string(name)
		}
	}
	w.t.Fatalf("none of %s has run anything", names)
	return ""
}

// TestUpstreamLost kills an executor whose output was passed on already, and one whose output was not.
func TestUpstreamLost(t *testing.T) {
	inWorld(t, "abcd", func(t *testing.T, w *world) {
		var firsts atomic.Int64
		slow, last := newGate(), newGate()
		w.on("ab", "first", client.Native(func(_ fn.Context, x int) (int, error) { firsts.Add(1); return x + 1, nil }))
		w.on("c", "slow", client.Native(func(c fn.Context, x int) (int, error) { return x, slow.wait(c) }))
		w.on("d", "last", client.Native2(func(c fn.Context, x, y int) (int, error) { return x*10 + y, last.wait(c) }))
		w.dag(func(b *dag.Builder) dag.Ref {
			x := b.Input("x")
			return b.Call("l", "last", b.Call("f", "first", x), b.Call("s", "slow", x))
		})
		f := call[int](w.ctx, w, 1)
		<-slow.began
		synctest.Wait() // the first's output is on the executor of the last by now
		w.memory.Network.Crash(w.busy("ab"))
		time.Sleep(3 * time.Second)
		close(slow.open)
		<-last.began
		close(last.open)
		if y, err := f.get(); err != nil || y != 21 {
			t.Fatalf("y = %d, %v", y, err)
		}
		if n := firsts.Load(); n != 1 {
			t.Errorf("the first node ran %d times, though its output was where it was needed", n)
		}
	})
}

// TestMapHomeLost kills the home of a Map whose items run on three executors.
func TestMapHomeLost(t *testing.T) { testMapLoss(t, true) }

// TestMapHelperLost kills an executor that has nothing of the run but items of a Map.
func TestMapHelperLost(t *testing.T) { testMapLoss(t, false) }

func testMapLoss(t *testing.T, home bool) {
	inWorld(t, "abc", func(t *testing.T, w *world) {
		g := newGate()
		where := map[string]bool{}
		var mu sync.Mutex
		w.on("abc", "square", client.Native(func(c fn.Context, x int) (int, error) {
			return x * x, g.wait(c)
		}))
		w.dag(func(b *dag.Builder) dag.Ref { return b.Map("m", "square", b.Input("x")) })
		const items = 20
		var xs []int
		for x := range items {
			xs = append(xs, x)
		}
		f := call[[]int](w.ctx, w, xs)
		for range 6 { // three executors of two slots
			<-g.began
		}
		mu.Lock()
		for name, n := range w.nodes {
			if n.Invocations() != 2 {
				t.Errorf("%s runs %d items", name, n.Invocations())
			}
			where[name] = true
		}
		mu.Unlock()
		victim := ""
		for name := range where {
			if w.isHome(name) == home {
				victim = name
			}
		}
		w.memory.Network.Crash(victim)
		time.Sleep(2 * time.Second)
		close(g.open)
		ys, err := f.get()
		if err != nil || len(ys) != items {
			t.Fatalf("%v, %v", ys, err)
		}
		for x, y := range ys {
			if y != x*x {
				t.Errorf("item %d gave %d", x, y)
			}
		}
		if f.took > 10*time.Second {
			t.Errorf("it took %v", f.took)
		}
	})
}

// isHome tells whether the only open run has its part on an executor, and not only items.
func (w *world) isHome(name string) bool {
	members, err := w.client.Members(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, m := range members {
		if m.Heartbeat.From.Name == name {
			return m.Heartbeat.Runs > 0
		}
	}
	w.t.Fatalf("%s is no member", name)
	return false
}

// TestMapHelperLostTwice has helpers of a Map die one after another while others join: the numbers that the run knows
// its executors by stay true through recoveries.
func TestMapHelperLostTwice(t *testing.T) {
	inSpecialWorld(t, "abcd", func(w *world) { w.cfg.Crashes = 10 }, func(t *testing.T, w *world) {
		g := newGate()
		square := client.Native(func(c fn.Context, x int) (int, error) { return x * x, g.wait(c) })
		w.on("abcd", "square", square)
		w.dag(func(b *dag.Builder) dag.Ref { return b.Map("m", "square", b.Input("x")) })
		xs := make([]int, 50)
		for x := range xs {
			xs[x] = x
		}
		f := call[[]int](w.ctx, w, xs)
		for range 8 {
			<-g.began
		}
		time.Sleep(time.Second)
		killed := 0
		for _, name := range []string{"a", "b", "c", "d"} {
			if w.isHome(name) || killed == 2 {
				continue
			}
			killed++
			w.memory.Network.Crash(name)
			w.add(fmt.Sprintf("new%d", killed))
			w.nodes[string(rune('0'+killed))] = w.nodes[fmt.Sprintf("new%d", killed)]
			w.on(string(rune('0'+killed)), "square", square)
			time.Sleep(2 * time.Second)
		}
		close(g.open)
		ys, err := f.get()
		if begun := 8 + len(g.began); begun > len(xs)+20 {
			t.Errorf("%d items were begun %d times", len(xs), begun)
		}
		if err != nil || len(ys) != len(xs) {
			t.Fatalf("%v, %v", ys, err)
		}
		for x, y := range ys {
			if y != x*x {
				t.Errorf("item %d gave %d", x, y)
			}
		}
	})
}

// TestBigValuesAndLoss passes a megabyte from executor to executor and loses one on the way.
func TestBigValuesAndLoss(t *testing.T) {
	inWorld(t, "abc", func(t *testing.T, w *world) {
		g := newGate()
		firsts := 0
		w.on("a", "double", client.Native(func(_ fn.Context, x []byte) ([]byte, error) { firsts++; return append(x, x...), nil }))
		w.on("bc", "reverse", client.Native(func(c fn.Context, x []byte) ([]byte, error) {
			if err := g.wait(c); err != nil {
				return nil, err
			}
			y := bytes.Clone(x)
			for i := range y {
				y[i] = x[len(x)-1-i]
			}
			return y, nil
		}))
		w.dag(func(b *dag.Builder) dag.Ref { return b.Call("r", "reverse", b.Call("d", "double", b.Input("x"))) })
		big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
		f := call[[]byte](w.ctx, w, big)
		<-g.began
		w.memory.Network.Crash(w.busy("bc"))
		<-g.began
		close(g.open)
		y, err := f.get()
		if err != nil || len(y) != 2<<20 || !strings.HasPrefix(string(y), "fedcba9876543210fedc") {
			t.Fatalf("%d bytes %.20q, %v", len(y), y, err)
		}
		if firsts != 1 {
			t.Errorf("the first node ran %d times", firsts)
		}
	})
}

// TestZombie cuts an executor off while it runs something: the run moves on, and the executor, back again, is told
// that it was declared dead, lets go and joins as another.
func TestZombie(t *testing.T) {
	inWorld(t, "ab", func(t *testing.T, w *world) {
		g := newGate()
		w.on("ab", "slow", client.Native(func(c fn.Context, x int) (int, error) { return x * 10, g.wait(c) }))
		w.dag(func(b *dag.Builder) dag.Ref { return b.Call("s", "slow", b.Input("x")) })
		f := call[int](w.ctx, w, 1)
		<-g.began
		zombie := w.busy("ab")
		before := w.lifeOf(zombie)
		w.memory.Network.Isolate(zombie)
		<-g.began // elsewhere
		if len(g.ended) > 0 {
			t.Error("the call on the zombie has ended, though it cannot know")
		}
		w.memory.Network.Heal(zombie)
		if err := <-g.ended; err == nil {
			t.Error("the call on the zombie has ended well")
		}
		time.Sleep(time.Second)
		if after := w.lifeOf(zombie); after <= before {
			t.Errorf("incarnation %d after %d", after, before)
		}
		close(g.open)
		if y, err := f.get(); err != nil || y != 10 {
			t.Fatalf("y = %d, %v", y, err)
		}
		ran := w.nodes[zombie].Invocations()
		for range 4 {
			if y, err := call[int](w.ctx, w, 2).get(); err != nil || y != 20 {
				t.Fatalf("y = %d, %v", y, err)
			}
		}
		if w.nodes[zombie].Invocations() == ran {
			t.Error("it takes no work again")
		}
	})
}

func (w *world) lifeOf(name string) uint64 {
	w.t.Helper()
	members, err := w.client.Members(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, m := range members {
		if m.Heartbeat.From.Name == name {
			return m.Heartbeat.From.Incarnation
		}
	}
	return 0
}

// TestZombieFinishes has the zombie finish what it ran while it is cut off. The caller gets one answer.
func TestZombieFinishes(t *testing.T) {
	for _, opts := range [][]client.CallOption{nil, {client.Durable()}} {
		inWorld(t, "ab", func(t *testing.T, w *world) {
			g := newGate()
			var n atomic.Int64
			w.on("ab", "slow", client.Native(func(c fn.Context, _ int) (int64, error) { k := n.Add(1); return k, g.wait(c) }))
			w.dag(func(b *dag.Builder) dag.Ref { return b.Call("s", "slow", b.Input("x")) })
			f := call[int64](w.ctx, w, 1, opts...)
			<-g.began
			zombie := w.busy("ab")
			w.memory.Network.Isolate(zombie)
			<-g.began
			close(g.open) // both return, the zombie unheard
			y, err := f.get()
			if err != nil || opts == nil && y != 2 {
				t.Errorf("y = %d, %v", y, err)
			}
			w.memory.Network.Heal()
			time.Sleep(5 * time.Second)
			if open := w.co.Open(); open != 0 {
				t.Errorf("%d runs are open", open)
			}
		})
	}
}

// TestZombieHome cuts the home of a Map off, and it comes back while the run goes on elsewhere, on those who had helped
// it before: that it lets go of the run must not end it there.
func TestZombieHome(t *testing.T) {
	inWorld(t, "abc", func(t *testing.T, w *world) {
		g := newGate()
		w.on("abc", "square", client.Native(func(c fn.Context, x int) (int, error) { return x * x, g.wait(c) }))
		w.dag(func(b *dag.Builder) dag.Ref { return b.Map("m", "square", b.Input("x")) })
		xs := make([]int, 20)
		for x := range xs {
			xs[x] = x
		}
		f := call[[]int](w.ctx, w, xs)
		for range 6 {
			<-g.began
		}
		home := ""
		for name := range w.nodes {
			if w.isHome(name) {
				home = name
			}
		}
		w.memory.Network.Isolate(home)
		time.Sleep(5 * time.Second)
		w.memory.Network.Heal()
		time.Sleep(5 * time.Second)
		close(g.open)
		ys, err := f.get()
		if err != nil || len(ys) != len(xs) {
			t.Fatalf("%v, %v", ys, err)
		}
		if f.took > 15*time.Second {
			t.Errorf("it took %v", f.took)
		}
	})
}

// TestOneWayPartition has an executor that hears and is not heard: no livelock.
func TestOneWayPartition(t *testing.T) {
	inWorld(t, "ab", func(t *testing.T, w *world) {
		g := newGate()
		w.on("ab", "slow", client.Native(func(c fn.Context, x int) (int, error) { return x * 10, g.wait(c) }))
		w.dag(func(b *dag.Builder) dag.Ref { return b.Call("s", "slow", b.Input("x")) })
		f := call[int](w.ctx, w, 1)
		<-g.began
		mute := w.busy("ab")
		w.memory.Network.PartitionOneWay(mute, "")
		<-g.began
		close(g.open)
		if y, err := f.get(); err != nil || y != 10 {
			t.Fatalf("y = %d, %v", y, err)
		}
		w.memory.Network.Heal()
		time.Sleep(5 * time.Second)
		if members, up := w.co.Executors(); members != 2 || up != 2 {
			t.Errorf("%d members, %d up", members, up)
		}
	})
}

// TestLeaving closes executors without draining them, one after another: nobody is to blame, and no call fails.
func TestLeaving(t *testing.T) {
	inWorld(t, "abcd", func(t *testing.T, w *world) {
		g := newGate()
		w.on("abcd", "slow", client.Native(func(c fn.Context, x int) (int, error) { return x * 10, g.wait(c) }))
		w.dag(func(b *dag.Builder) dag.Ref { return b.Call("s", "slow", b.Input("x")) })
		f := call[int](w.ctx, w, 1)
		for range 3 {
			<-g.began
			for _, name := range []string{"a", "b", "c", "d"} {
				if n := w.nodes[name]; n != nil && n.Invocations() > 0 {
					if err := n.Close(); err != nil {
						t.Error(err)
					}
					delete(w.nodes, name)
					break
				}
			}
		}
		<-g.began
		close(g.open)
		if y, err := f.get(); err != nil || y != 10 {
			t.Fatalf("y = %d, %v", y, err)
		}
	})
}

// TestPoison calls a function that takes its executor down each time, beside others that do no harm.
func TestPoison(t *testing.T) {
	inWorld(t, "abcd", func(t *testing.T, w *world) {
		g := newGate()
		poison := make(chan string, 10)
		for _, name := range []string{"a", "b", "c", "d"} {
			w.on(name, "poison", client.Native(func(c fn.Context, x int) (int, error) {
				poison <- name
				<-c.Done()
				return 0, c.Err()
			}))
			w.on(name, "slow", client.Native(func(c fn.Context, x int) (int, error) { return x * 10, g.wait(c) }))
		}
		type result struct {
			y   int
			err error
		}
		results := make(chan result)
		for i := range 4 {
			go func() {
				y, err := client.Call[int](w.ctx, w.client, "slow", i)
				results <- result{y - 10*i, err}
			}()
		}
		for range 4 {
			<-g.began
		}
		failed := make(chan error)
		go func() {
			_, err := client.Call[int](w.ctx, w.client, "poison", 1)
			failed <- err
		}()
		killed := 0
		for done := false; !done; {
			select {
			case name := <-poison:
				killed++
				time.Sleep(100 * time.Millisecond)
				w.memory.Network.Crash(name)
			case err := <-failed:
				done = true
				if !fault.Is(err, fault.ExecutorCrashed) {
					t.Errorf("poison: %v", err)
				}
			}
		}
		if killed != 2 {
			t.Errorf("%d executors died of it", killed)
		}
		close(g.open)
		for range 4 {
			if r := <-results; r.err != nil || r.y != 0 {
				t.Errorf("a neighbour: off by %d, %v", r.y, r.err)
			}
		}
	})
}

// TestPoisonItem is the same with an item of a Map, which kills helpers that have nothing else of the run.
func TestPoisonItem(t *testing.T) {
	inWorld(t, "abcd", func(t *testing.T, w *world) {
		poison := make(chan string, 10)
		for _, name := range []string{"a", "b", "c", "d"} {
			w.on(name, "item", client.Native(func(c fn.Context, x int) (int, error) {
				if x == 7 {
					poison <- name
					<-c.Done()
				}
				return x, c.Err()
			}))
		}
		w.dag(func(b *dag.Builder) dag.Ref { return b.Map("m", "item", b.Input("x")) })
		f := call[[]int](w.ctx, w, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
		for done := false; !done; {
			select {
			case name := <-poison:
				w.memory.Network.Crash(name)
			case <-f.done:
				done = true
			}
		}
		if _, err := f.get(); !fault.Is(err, fault.ExecutorCrashed) {
			t.Errorf("poison: %v", err)
		}
	})
}

// TestReplyLost loses the answers to a caller for a while: it asks again and gets the outcome, also where it is the
// owner's own.
func TestReplyLost(t *testing.T) {
	inWorld(t, "ab", func(t *testing.T, w *world) {
		w.on("a", "fine", client.Native(func(_ fn.Context, x int) (int, error) { return x + 1, nil }))
		w.on("a", "bad", client.Native(func(_ fn.Context, x int) (int, error) { return 0, fmt.Errorf("no \xff today") }))
		stop := w.memory.Network.Inject(bus.Rule{To: "client", Subject: "squall.default.reply.>", Drop: 1})
		type answer struct {
			y   int
			err error
		}
		got := map[string]chan answer{"fine": make(chan answer, 1), "bad": make(chan answer, 1)}
		for name, ch := range got {
			go func() {
				y, err := client.Call[int](w.ctx, w.client, name, 1)
				ch <- answer{y, err}
			}()
		}
		time.Sleep(2500 * time.Millisecond)
		stop()
		if a := <-got["fine"]; a.err != nil || a.y != 2 {
			t.Errorf("fine: %d, %v", a.y, a.err)
		}
		if a := <-got["bad"]; !fault.Is(a.err, fault.FunctionError) || !strings.Contains(a.err.Error(), "today") {
			t.Errorf("bad: %v", a.err)
		}

		// The owner itself ends a run that nobody can run, and its answer is lost.
		if err := w.nodes["a"].Close(); err != nil {
			t.Fatal(err)
		}
		stop = w.memory.Network.Inject(bus.Rule{To: "client", Subject: "squall.default.reply.>", Drop: 1})
		failed := make(chan error)
		go func() {
			_, err := client.Call[int](w.ctx, w.client, "fine", 1)
			failed <- err
		}()
		time.Sleep(2500 * time.Millisecond)
		stop()
		if err := <-failed; !fault.Is(err, fault.NoExecutor) {
			t.Errorf("without an executor: %v", err)
		}
	})
}

// failing is a Store that does not take offloaded values, or run records, while a test says so.
type failing struct {
	kvs.Store
	offload, records atomic.Bool
}

func (s *failing) refuses(k kvs.Key) error {
	if s.offload.Load() && strings.HasPrefix(string(k), "off/") || s.records.Load() && strings.HasPrefix(string(k), wire.RunPrefix) {
		return fault.New(fault.Unavailable, "the store is not there")
	}
	return nil
}

func (s *failing) Put(ctx context.Context, k kvs.Key, v value.Value, o kvs.PutOptions) (kvs.Revision, error) {
	if err := s.refuses(k); err != nil {
		return 0, err
	}
	return s.Store.Put(ctx, k, v, o)
}

func (s *failing) CompareAndSet(ctx context.Context, k kvs.Key, v value.Value, expect kvs.Revision, o kvs.PutOptions) (kvs.Revision, error) {
	if err := s.refuses(k); err != nil {
		return 0, err
	}
	return s.Store.CompareAndSet(ctx, k, v, expect, o)
}

func inFailingWorld(t *testing.T, names string, test func(t *testing.T, w *world, s *failing)) {
	var s *failing
	inSpecialWorld(t, names, func(w *world) {
		s = &failing{Store: w.memory.Join("").System}
		w.system = s
	}, func(t *testing.T, w *world) { test(t, w, s) })
}

// TestValueCannotBePassed: an executor that is not the collector cannot pass a value on; the caller hears of it, and
// not at its deadline.
func TestValueCannotBePassed(t *testing.T) {
	inFailingWorld(t, "ab", func(t *testing.T, w *world, s *failing) {
		w.on("a", "big", client.Native(func(fn.Context, int) ([]byte, error) { return make([]byte, 1<<20), nil }))
		w.on("b", "length", client.Native(func(_ fn.Context, x []byte) (int, error) { return len(x), nil }))
		w.dag(func(b *dag.Builder) dag.Ref { return b.Call("l", "length", b.Call("b", "big", b.Input("x"))) })
		if y, err := call[int](w.ctx, w, 1).get(); err != nil || y != 1<<20 {
			t.Fatalf("y = %d, %v", y, err)
		}
		s.offload.Store(true)
		f := call[int](w.ctx, w, 1, client.Durable()) // others' values go past the store
		if _, err := f.get(); !fault.Is(err, fault.Unavailable) || fault.From(err).Node != "b" {
			t.Errorf("%v", err)
		}
		if f.took > time.Second {
			t.Errorf("it took %v", f.took)
		}
	})
}

// TestRecordLater has the store refuse run records when a durable run ends: its outcome is recorded when the store is
// back.
func TestRecordLater(t *testing.T) {
	inFailingWorld(t, "ab", func(t *testing.T, w *world, s *failing) {
		g := newGate()
		w.on("a", "slow", client.Native(func(c fn.Context, x int) (int, error) { return x * 10, g.wait(c) }))
		w.dag(func(b *dag.Builder) dag.Ref { return b.Call("s", "slow", b.Input("x")) })
		run, err := w.client.StartDAG(w.ctx, "g", client.Inputs{"x": 1}, client.Durable())
		if err != nil {
			t.Fatal(err)
		}
		<-g.began
		s.records.Store(true)
		close(g.open)
		time.Sleep(30 * time.Second)
		if state, err := run.Poll(w.ctx); err != nil || state.Done() {
			t.Errorf("poll: %+v, %v", state, err)
		}
		s.records.Store(false)
		out, err := run.Get(w.ctx)
		if err != nil {
			t.Fatal(err)
		}
		if y, _ := client.Output[int](out, "y"); y != 10 {
			t.Errorf("y = %d", y)
		}
	})
}

// TestServerRestarts has every node lose its connection at once, as when the one NATS server restarts: the coordinator
// is back first, and finds nobody yet at the executors' inboxes. Nobody is taken for dead, and nothing runs twice.
func TestServerRestarts(t *testing.T) {
	for _, away := range []time.Duration{200 * time.Millisecond, time.Second, 8 * time.Second} {
		inWorld(t, "ab", func(t *testing.T, w *world) {
			g := newGate()
			w.on("ab", "slow", client.Native(func(c fn.Context, x int) (int, error) { return x * 10, g.wait(c) }))
			w.dag(func(b *dag.Builder) dag.Ref { return b.Call("s", "slow", b.Input("x")) })
			f := call[int](w.ctx, w, 1, client.Durable()) // a sync caller would give up after some seconds
			<-g.began
			nodes := []string{"coordinator", "a", "b"}
			for _, n := range nodes {
				w.memory.Network.Disconnect(n)
			}
			time.Sleep(away)
			for _, n := range nodes {
				w.memory.Network.Heal(n)
				time.Sleep(150 * time.Millisecond)
			}
			time.Sleep(5 * time.Second)
			select {
			case <-g.began:
				t.Errorf("%v: the function runs again", away)
			default:
			}
			close(g.open)
			if y, err := f.get(); err != nil || y != 10 {
				t.Errorf("%v: %d, %v", away, y, err)
			}
		})
	}
}
