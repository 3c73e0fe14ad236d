package cluster_test

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

// stored is what the store has under key, as an int; -1 for nothing.
func (w *world) stored(key string) int {
	w.t.Helper()
	got, err := w.client.Store().GetMany(w.ctx, []kvs.Key{kvs.Key(key)})
	if err != nil {
		w.t.Fatal(err)
	}
	v, err := version.Open(got[0])
	if err != nil {
		w.t.Fatal(err)
	}
	if v.Absent {
		return -1
	}
	n, err := value.As[int](v.Value)
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// TestEffectsOnce kills executors in the middle of functions that have written already: what they have added counts once
// all the same.
func TestEffectsOnce(t *testing.T) {
	for _, durable := range []bool{false, true} {
		t.Run(fmt.Sprintf("durable=%v", durable), func(t *testing.T) {
			inWorld(t, "abc", func(t *testing.T, w *world) {
				g := newGate()
				var ran atomic.Int64
				w.on("abc", "bump", client.Native(func(c fn.Context, x int) (int, error) {
					ran.Add(1)
					if _, err := c.UpdateValue("n", lattice.Op{Kind: lattice.Add, Arg: value.MustOf(x)}); err != nil {
						return 0, err
					}
					return x, g.wait(c)
				}))
				w.dag(func(b *dag.Builder) dag.Ref { return b.Call("b", "bump", b.Input("x")) })
				var opts []client.CallOption
				if durable {
					opts = append(opts, client.Durable())
				}
				f := call[int](w.ctx, w, 5, opts...)
				<-g.began
				time.Sleep(time.Second) // it is stored by now, if it is to be stored at once
				if n := w.stored("n"); durable != (n == -1) {
					t.Fatalf("the store has %d while the function runs", n)
				}
				w.memory.Network.Crash(w.busy("abc"))
				<-g.began
				close(g.open)
				if y, err := f.get(); err != nil || y != 5 {
					t.Fatalf("y = %d, %v", y, err)
				}
				time.Sleep(time.Second)
				if n := w.stored("n"); n != 5 || ran.Load() != 2 {
					t.Errorf("%d executions have counted as %d, want 5", ran.Load(), n)
				}
			})
		})
	}
}

// TestEffectsOfWhoIsGone: an invocation of a durable run has written and returned, and its executor dies before anybody
// hears of it. It is not executed again where its effects are recorded; its output is the recorded one.
func TestEffectsOfWhoIsGone(t *testing.T) {
	inSpecialWorld(t, "abc", func(w *world) { w.cfg.Crashes = 1 << 20 }, func(t *testing.T, w *world) {
		g := newGate()
		var ran atomic.Int64
		w.on("a", "write", client.Native(func(c fn.Context, x int) (int, error) {
			n := int(ran.Add(1))
			return n, fn.Put(c, "k", n)
		}))
		w.on("bc", "last", client.Native(func(c fn.Context, x int) (int, error) { return x * 10, g.wait(c) }))
		w.dag(func(b *dag.Builder) dag.Ref { return b.Call("l", "last", b.Call("w", "write", b.Input("x"))) })
		f := call[int](w.ctx, w, 1, client.Durable())
		<-g.began
		// Everybody who has anything of the run is gone: it begins with nothing but its record.
		for _, name := range []string{"a", "b", "c"} {
			w.memory.Network.Crash(name)
		}
		time.Sleep(5 * time.Second)
		w.add("d")
		w.on("d", "write", client.Native(func(c fn.Context, x int) (int, error) {
			n := int(ran.Add(1))
			return n, fn.Put(c, "k", n)
		}))
		w.on("d", "last", client.Native(func(c fn.Context, x int) (int, error) { return x * 10, nil }))
		if y, err := f.get(); err != nil || y != 10 {
			t.Fatalf("y = %d, %v: want what the first execution has written and given", y, err)
		}
		if n := w.stored("k"); n != 1 || ran.Load() != 1 {
			t.Errorf("after %d executions the store has %d", ran.Load(), n)
		}
	})
}

// TestZombiesWritesAreFenced: an executor that was given up for dead, and can still reach the store, writes nothing any
// more, though by its clock it would win.
func TestZombiesWritesAreFenced(t *testing.T) {
	inWorld(t, "ab", func(t *testing.T, w *world) {
		g := newGate()
		where := make(chan error, 2)
		var zombie string
		for i, name := range []string{"a", "b"} {
			w.on(name, "write", client.Native(func(c fn.Context, x int) (int, error) {
				g.began <- name
				<-g.open // deaf to its end
				if name == zombie {
					time.Sleep(50 * time.Millisecond) // it writes last, and so would win
				}
				err := c.PutValue("k", value.MustOf(i+1), fn.PutOptions{Ack: "stored"})
				where <- err
				return i + 1, err
			}))
		}
		w.dag(func(b *dag.Builder) dag.Ref { return b.Call("w", "write", b.Input("x")) })
		f := call[int](w.ctx, w, 1)
		zombie = <-g.began
		w.memory.Network.Isolate(zombie)
		heir := <-g.began
		if heir == zombie {
			t.Fatalf("%s runs it again", heir)
		}
		close(g.open)
		errs := []error{<-where, <-where}
		y, err := f.get()
		if err != nil {
			t.Fatal(err)
		}
		if want := map[string]int{"a": 1, "b": 2}[heir]; y != want || w.stored("k") != want {
			t.Errorf("the run gave %d and the store has %d, want %d by %s", y, w.stored("k"), want, heir)
		}
		refused := 0
		for _, err := range errs {
			if fault.Is(err, fault.Fenced) || fault.Is(err, fault.Cancelled) {
				refused++
			}
		}
		if refused != 1 {
			t.Errorf("the writes ended with %v", errs)
		}
		w.memory.Network.Heal()
		time.Sleep(10 * time.Second)
		if _, up := w.co.Executors(); up != 2 {
			t.Errorf("%d executors take work after the zombie is back", up)
		}
		if y, err := call[int](w.ctx, w, 1).get(); err != nil || w.stored("k") != y {
			t.Errorf("afterwards: %d, %v, the store has %d", y, err, w.stored("k"))
		}
	})
}

// TestSnapshotsAreReleased: what is kept for a run goes when the run ends, also when it dies.
func TestSnapshotsAreReleased(t *testing.T) {
	inWorld(t, "abc", func(t *testing.T, w *world) {
		g := newGate()
		for i := range 4 {
			if err := w.client.Put(w.ctx, "k"+strconv.Itoa(i), i); err != nil {
				t.Fatal(err)
			}
		}
		read := func(c fn.Context, x int) (int, error) {
			for i := range 4 {
				n, err := fn.Get[int](c, "k"+strconv.Itoa(i))
				if err != nil {
					return 0, err
				}
				x += n
			}
			return x, nil
		}
		w.on("a", "first", client.Native(read))
		w.on("b", "second", client.Native(read))
		w.on("c", "join", client.Native2(func(c fn.Context, x, y int) (int, error) {
			n, err := read(c, x+y)
			if err != nil {
				return 0, err
			}
			return n, g.wait(c)
		}))
		w.dag(func(b *dag.Builder) dag.Ref {
			x := b.Input("x")
			return b.Call("j", "join", b.Call("f", "first", x), b.Call("s", "second", x))
		})
		held := func() (n int) {
			for _, x := range w.nodes {
				n += x.Cache.PinnedRuns()
			}
			return n
		}
		for _, level := range []client.Level{client.RR, client.DSC} {
			f := call[int](w.ctx, w, 0, client.Consistency(level))
			<-g.began
			if held() == 0 {
				t.Errorf("%v: nothing is kept for a run under way", level)
			}
			g.open <- struct{}{}
			if y, err := f.get(); err != nil || y != 18 {
				t.Fatalf("%v: %d, %v", level, y, err)
			}
			time.Sleep(time.Second)
			if n := held(); n != 0 {
				t.Errorf("%v: %d snapshots are kept after the end", level, n)
			}
			// The client and the run's last executor go away in the middle.
			ctx, cancel := context.WithTimeout(w.ctx, 20*time.Second)
			f = call[int](ctx, w, 0, client.Consistency(level))
			<-g.began
			cancel()
			if _, err := f.get(); err == nil {
				t.Errorf("%v: a cancelled run succeeded", level)
			}
			<-g.ended
			time.Sleep(2 * time.Minute)
			if n := held(); n != 0 {
				t.Errorf("%v: %d snapshots are kept of a run that was cancelled", level, n)
			}
		}
		for name, x := range w.nodes {
			if n := x.Cache.Stats().Pinned; n != 0 {
				t.Errorf("%s counts %d bytes as pinned", name, n)
			}
		}
	})
}

// TestTransactionOverNodes moves money in a DAG of two nodes, debit and credit, on different executors, many at a time: the
// sum never changes, and nobody sees half of it.
func TestTransactionOverNodes(t *testing.T) {
	inWorld(t, "abcd", func(t *testing.T, w *world) {
		const accounts, calls = 3, 60
		key := func(i int) string { return "{bank}" + strconv.Itoa(i) }
		for i := range accounts {
			if err := w.client.Put(w.ctx, key(i), 100); err != nil {
				t.Fatal(err)
			}
		}
		change := func(c fn.Context, key string, by int) error {
			n, err := fn.Get[int](c, key)
			if err != nil {
				return err
			}
			return fn.Put(c, key, n+by)
		}
		w.on("ab", "debit", client.Native(func(c fn.Context, x []int) ([]int, error) { return x, change(c, key(x[0]), -x[2]) }))
		w.on("cd", "credit", client.Native(func(c fn.Context, x []int) (int, error) {
			if err := change(c, key(x[1]), x[2]); err != nil {
				return 0, err
			}
			sum := 0
			for i := range accounts {
				n, err := fn.Get[int](c, key(i))
				if err != nil {
					return 0, err
				}
				sum += n
			}
			return sum, nil
		}))
		w.dag(func(b *dag.Builder) dag.Ref { return b.Call("c", "credit", b.Call("d", "debit", b.Input("x"))) })
		var wg sync.WaitGroup
		var done atomic.Int64
		for i := range calls {
			wg.Go(func() {
				y, err := call[int](w.ctx, w, []int{i % accounts, (i + 1 + i/accounts%2) % accounts, i%7 + 1}, client.Consistency(client.Txn)).get()
				switch {
				case fault.Is(err, fault.TxnConflict): // it met others again and again, and wrote nothing
				case err != nil:
					t.Error(err)
				case y != accounts*100:
					t.Errorf("a transaction saw %d in all accounts together", y)
				default:
					done.Add(1)
				}
			})
		}
		wg.Wait()
		sum := 0
		for i := range accounts {
			sum += w.stored(key(i))
		}
		if sum != accounts*100 || done.Load() < calls/2 {
			t.Errorf("after %d of %d transactions %d are left", done.Load(), calls, sum)
		}
		t.Logf("%d of %d committed", done.Load(), calls)
		w.on("a", "cross", client.Native(func(c fn.Context, x int) (int, error) {
			if err := fn.Put(c, "{one}", x); err != nil {
				return 0, err
			}
			return x, fn.Put(c, "{another}", x)
		}))
		_, err := w.client.CallValue(w.ctx, "cross", []any{1}, client.Consistency(client.Txn))
		if !fault.Is(err, fault.TxnCrossShard) {
			t.Errorf("a transaction over two tags: %v", err)
		}
	})
}

// TestOneVersionOfEachKey: the items of a Map, on three executors, and what comes after it see one version of a key while
// others write it all the time.
func TestOneVersionOfEachKey(t *testing.T) {
	for _, level := range []client.Level{client.RR, client.DSC} {
		t.Run(level.String(), func(t *testing.T) {
			inWorld(t, "abc", func(t *testing.T, w *world) {
				if err := w.client.Put(w.ctx, "k", 0); err != nil {
					t.Fatal(err)
				}
				w.on("abc", "read", client.Native(func(c fn.Context, x int) (int, error) {
					n, err := fn.Get[int](c, "k")
					select { // others write meanwhile
					case <-time.After(3 * time.Millisecond):
					case <-c.Done():
					}
					return n, err
				}))
				w.on("abc", "all", client.Native(func(c fn.Context, xs []int) ([]int, error) {
					n, err := fn.Get[int](c, "k")
					return append(xs, n), err
				}))
				w.on("abc", "write", client.Native(func(c fn.Context, x int) (int, error) {
					if _, err := fn.Get[int](c, "k"); err != nil {
						return 0, err
					}
					return x, fn.Put(c, "k", x)
				}))
				w.dag(func(b *dag.Builder) dag.Ref { return b.Call("a", "all", b.Map("m", "read", b.Input("x"))) })
				stop := make(chan struct{})
				var wg sync.WaitGroup
				wg.Go(func() {
					for i := 1; ; i++ {
						select {
						case <-stop:
							return
						case <-time.After(time.Millisecond):
						}
						if _, err := w.client.CallValue(w.ctx, "write", []any{i}, client.Consistency(level)); err != nil {
							t.Error(err)
							return
						}
					}
				})
				several := map[int]bool{}
				for range 30 {
					y, err := call[[]int](w.ctx, w, make([]int, 24), client.Consistency(level)).get()
					if err != nil {
						t.Fatal(err)
					}
					for _, n := range y {
						if n != y[0] {
							t.Fatalf("one run saw %v", y)
						}
					}
					several[y[0]] = true
				}
				close(stop)
				wg.Wait()
				if len(several) < 5 {
					t.Errorf("in all runs together only %d versions were seen: nothing was shown", len(several))
				}
			})
		})
	}
}

// TestWrongClock: a node whose clock is minutes off may not write, and says so; the others go on, and its clock takes
// nobody's along.
func TestWrongClock(t *testing.T) {
	wrong := map[string]time.Duration{"d": 10 * time.Minute, "c": 100 * time.Millisecond}
	inSpecialWorld(t, "abcd", func(w *world) { w.wrong = wrong }, func(t *testing.T, w *world) {
		time.Sleep(2 * time.Second) // a few heartbeats
		for _, name := range []string{"a", "b", "c", "d"} {
			w.on(name, "on-"+name, client.Native(func(c fn.Context, x int) (int, error) { return x, fn.Put(c, "k", x) }))
			_, err := w.client.CallValue(w.ctx, "on-"+name, []any{1})
			if wrong := fault.Is(err, fault.ClockSkew); wrong != (name == "d") || err != nil && !wrong {
				t.Errorf("a write on %s: %v", name, err)
			}
			if got := w.metric(name, "squall_executor_clock_skew_seconds"); math.Abs(got-w.wrong[name].Seconds()) > 0.1 {
				t.Errorf("by its metrics %s is %v s ahead", name, got)
			}
		}
		for i, name := range []string{"c", "a", "b", "c", "a"} {
			if _, err := w.client.CallValue(w.ctx, "on-"+name, []any{10 + i}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(200 * time.Millisecond)
			if n := w.stored("k"); n != 10+i {
				t.Errorf("after a write of %d on %s the store has %d", 10+i, name, n)
			}
		}
	})
}

// metric reads a figure of a node.
func (w *world) metric(node, name string) float64 {
	w.t.Helper()
	registry := prometheus.NewRegistry()
	if err := w.nodes[node].RegisterMetrics(registry); err != nil {
		w.t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	w.t.Fatalf("%s has no %s", node, name)
	return 0
}

// TestKilledWithDirtyWrites: of writes that were acknowledged as cached a killed node loses the last moments' at most, and
// of those that were stored none.
func TestKilledWithDirtyWrites(t *testing.T) {
	inWorld(t, "a", func(t *testing.T, w *world) {
		w.on("a", "write", client.Native2(func(c fn.Context, key string, ack string) (int, error) {
			return 0, c.PutValue(key, value.MustOf(1), fn.PutOptions{Ack: ack})
		}))
		for i := range 20 {
			for _, ack := range []string{"cached", "stored", "durable"} {
				if _, err := w.client.CallValue(w.ctx, "write", []any{ack + strconv.Itoa(i), ack}); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(60 * time.Millisecond)
		}
		if _, err := w.client.CallValue(w.ctx, "write", []any{"stored-last", "stored"}); err != nil {
			t.Fatal(err)
		}
		w.memory.Network.Crash("a")
		w.nodes["a"].Cache.Kill()
		synctest.Wait()
		for i := range 20 {
			for _, ack := range []string{"cached", "stored", "durable"} {
				if w.stored(ack+strconv.Itoa(i)) != 1 {
					t.Errorf("%s%d is lost", ack, i)
				}
			}
		}
		if w.stored("stored-last") != 1 {
			t.Error("what was acknowledged as stored is lost")
		}
	})
}
