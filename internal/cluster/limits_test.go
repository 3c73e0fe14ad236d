package cluster_test

import (
	"context"
	"fmt"
	goruntime "runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
)

// TestIgnoredTimeout calls a native function that does not look at its context: its try fails at the node's timeout,
// the executor reports it and counts its slot as taken, until it returns.
func TestIgnoredTimeout(t *testing.T) {
	inWorld(t, "a", func(t *testing.T, w *world) {
		release := make(chan struct{})
		w.on("a", "stubborn", client.Native(func(_ fn.Context, x int) (int, error) { <-release; return x, nil }))
		w.on("a", "fine", client.Native(func(_ fn.Context, x int) (int, error) { return x + 1, nil }))
		w.dag(func(b *dag.Builder) dag.Ref {
			return b.Call("s", "stubborn", b.Input("x"), dag.Timeout(100*time.Millisecond))
		})
		a := w.nodes["a"]
		for stuck := 1; stuck <= 2; stuck++ {
			f := call[int](w.ctx, w, 1)
			if _, err := f.get(); !fault.Is(err, fault.DeadlineExceeded) || fault.From(err).Node != "s" {
				t.Errorf("stubborn: %v", err)
			}
			if f.took > time.Second {
				t.Errorf("it took %v", f.took)
			}
			if n := a.Stuck(); n != stuck {
				t.Errorf("%d functions are stuck, want %d", n, stuck)
			}
			if stuck == 1 {
				if y, err := client.Call[int](w.ctx, w.client, "fine", 1); err != nil || y != 2 {
					t.Errorf("beside it: %d, %v", y, err)
				}
			}
		}
		// Both slots are taken: the next call waits, and is served when one is back.
		short, cancel := context.WithTimeout(w.ctx, time.Second)
		defer cancel()
		if _, err := client.Call[int](short, w.client, "fine", 1); !fault.Is(err, fault.DeadlineExceeded) {
			t.Errorf("without a slot: %v", err)
		}
		close(release)
		synctest.Wait()
		if n := a.Stuck(); n != 0 {
			t.Errorf("%d functions are stuck after they returned", n)
		}
		for range 4 {
			if y, err := client.Call[int](w.ctx, w.client, "fine", 1); err != nil || y != 2 {
				t.Errorf("afterwards: %d, %v", y, err)
			}
		}
	})
}

// TestIgnoredTimeoutElsewhere is the same for items of a Map that run on another executor than its home.
func TestIgnoredTimeoutElsewhere(t *testing.T) {
	inWorld(t, "ab", func(t *testing.T, w *world) {
		release := make(chan struct{})
		w.on("ab", "stubborn", client.Native(func(_ fn.Context, x int) (int, error) { <-release; return x, nil }))
		w.dag(func(b *dag.Builder) dag.Ref {
			return b.Map("m", "stubborn", b.Input("x"), dag.Timeout(time.Second), dag.Retries(1, 10*time.Second))
		})
		f := call[[]int](w.ctx, w, []int{1, 2, 3, 4})
		time.Sleep(3 * time.Second)
		if a, b := w.nodes["a"].Stuck(), w.nodes["b"].Stuck(); a != 2 || b != 2 {
			t.Errorf("%d and %d functions are stuck", a, b)
		}
		close(release) // late results count as well: the tries after them are not made
		if ys, err := f.get(); err != nil || len(ys) != 4 {
			t.Errorf("%v, %v", ys, err)
		}
		if a, b := w.nodes["a"].Invocations(), w.nodes["b"].Invocations(); a+b != 4 {
			t.Errorf("%d and %d items were run", a, b)
		}
	})
}

// TestGoexitOfItems has native functions end their goroutine, at the home of a Map and elsewhere: the calls fail, the slots
// are free.
func TestGoexitOfItems(t *testing.T) {
	inWorld(t, "ab", func(t *testing.T, w *world) {
		w.on("ab", "exit", client.Native(func(_ fn.Context, x int) (int, error) {
			if x < 0 {
				goruntime.Goexit()
			}
			return x, nil
		}))
		w.dag(func(b *dag.Builder) dag.Ref { return b.Map("m", "exit", b.Input("x")) })
		for range 5 {
			f := call[[]int](w.ctx, w, []int{-1, -2, -3, -4, -5, -6})
			if _, err := f.get(); !fault.Is(err, fault.FunctionExited) {
				t.Errorf("exit: %v", err)
			}
			if f.took > time.Second {
				t.Errorf("it took %v", f.took)
			}
			if ys, err := call[[]int](w.ctx, w, []int{1, 2, 3, 4, 5, 6}).get(); err != nil || len(ys) != 6 {
				t.Errorf("afterwards: %v, %v", ys, err)
			}
		}
	})
}

// TestConcurrencyLimit calls a function that may run twice at once, on an executor of many slots.
func TestConcurrencyLimit(t *testing.T) {
	inSpecialWorld(t, "a", func(w *world) { w.slots = 16 }, func(t *testing.T, w *world) {
		var running, most atomic.Int64
		w.on("a", "limited", client.Native(func(_ fn.Context, x int) (int, error) {
			n := running.Add(1)
			defer running.Add(-1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			time.Sleep(100 * time.Millisecond)
			return x, nil
		}).WithConcurrency(2))
		began := time.Now()
		var work sync.WaitGroup
		for i := range 20 {
			work.Go(func() {
				if y, err := client.Call[int](w.ctx, w.client, "limited", i); err != nil || y != i {
					t.Errorf("limited(%d) = %d, %v", i, y, err)
				}
			})
		}
		work.Wait()
		if m := most.Load(); m != 2 {
			t.Errorf("%d ran at once, want 2", m)
		}
		if took := time.Since(began); took < time.Second || took > 1500*time.Millisecond {
			t.Errorf("it took %v", took)
		}
	})
}

// TestConcurrencyLimitOfAChain: a function's own limit holds for it, not for what follows it on the same slot.
func TestConcurrencyLimitOfAChain(t *testing.T) {
	inSpecialWorld(t, "a", func(w *world) { w.slots = 4 }, func(t *testing.T, w *world) {
		g := newGate()
		w.on("a", "limited", client.Native(func(_ fn.Context, x int) (int, error) { return x + 1, nil }).WithConcurrency(1))
		w.on("a", "slow", client.Native(func(c fn.Context, x int) (int, error) {
			y, err := fn.Call[int](c, "limited", x) // and it can call it
			if err != nil {
				return 0, err
			}
			return y, g.wait(c)
		}))
		w.dag(func(b *dag.Builder) dag.Ref { return b.Call("s", "slow", b.Call("l", "limited", b.Input("x"))) })
		one, two := call[int](w.ctx, w, 1), call[int](w.ctx, w, 2)
		<-g.began
		<-g.began // both are past the limited one
		close(g.open)
		if y, err := one.get(); err != nil || y != 3 {
			t.Errorf("%d, %v", y, err)
		}
		if y, err := two.get(); err != nil || y != 4 {
			t.Errorf("%d, %v", y, err)
		}
	})
}

func TestOutputLimit(t *testing.T) {
	inWorld(t, "ab", func(t *testing.T, w *world) {
		w.on("ab", "bytes", client.Native(func(_ fn.Context, n int) ([]byte, error) { return make([]byte, n), nil }).WithOutput(1000))
		w.dag(func(b *dag.Builder) dag.Ref { return b.Map("m", "bytes", b.Input("x")) })
		if y, err := client.Call[[]byte](w.ctx, w.client, "bytes", 900); err != nil || len(y) != 900 {
			t.Errorf("%d bytes, %v", len(y), err)
		}
		_, err := client.Call[[]byte](w.ctx, w.client, "bytes", 2000)
		if !fault.Is(err, fault.TooLarge) || fault.From(err).Function != "bytes" {
			t.Errorf("over the limit: %v", err)
		}
		if ys, err := call[[][]byte](w.ctx, w, []int{1, 2, 3, 4, 5, 900}).get(); err != nil || len(ys) != 6 {
			t.Errorf("items: %d, %v", len(ys), err)
		}
		_, err = call[[][]byte](w.ctx, w, []int{1, 2, 3, 4, 5, 2000}).get()
		if f := fault.From(err); !fault.Is(err, fault.TooLarge) || f.Item != 6 || f.Node != "m" {
			t.Errorf("an item over the limit: %v", err)
		}
	})
}

// TestCancelledMap cancels a Map whose items run on three executors: all of them hear of it, and none begins more.
func TestCancelledMap(t *testing.T) {
	inWorld(t, "abc", func(t *testing.T, w *world) {
		g := newGate()
		w.on("abc", "slow", client.Native(func(c fn.Context, x int) (int, error) { return x, g.wait(c) }))
		w.dag(func(b *dag.Builder) dag.Ref { return b.Map("m", "slow", b.Input("x")) })
		ctx, cancel := context.WithCancel(w.ctx)
		defer cancel()
		f := call[[]int](ctx, w, make([]int, 30))
		for range 6 {
			<-g.began
		}
		cancel()
		if _, err := f.get(); !fault.Is(err, fault.Cancelled) {
			t.Errorf("cancelled: %v", err)
		}
		for range 6 {
			if err := <-g.ended; err == nil {
				t.Error("an item ended well")
			}
		}
		time.Sleep(time.Minute / 4)
		for name, n := range w.nodes {
			if n.Invocations() != 2 {
				t.Errorf("%s has run %d items", name, n.Invocations())
			}
		}
		if open := w.co.Open(); open != 0 {
			t.Errorf("%d runs are open", open)
		}
		close(g.open)
		if ys, err := call[[]int](w.ctx, w, make([]int, 30)).get(); err != nil || len(ys) != 30 {
			t.Errorf("afterwards: %v, %v", ys, err)
		}
	})
}

// TestDrained takes executors away one by one while calls go on: none fails.
func TestDrained(t *testing.T) {
	inWorld(t, "abc", func(t *testing.T, w *world) {
		inc := client.Native(func(c fn.Context, x int) (int, error) {
			select {
			case <-time.After(time.Duration(x%7) * time.Millisecond):
				return x + 1, nil
			case <-c.Done():
				return 0, c.Err()
			}
		})
		sum := client.Native2(func(_ fn.Context, x, y int) (int, error) { return x + y, nil })
		w.on("abc", "inc", inc)
		w.on("abc", "sum", sum)
		w.dag(func(b *dag.Builder) dag.Ref {
			return b.Reduce("r", "sum", b.Map("m", "inc", b.Input("x")))
		})
		stop := make(chan struct{})
		var work sync.WaitGroup
		var calls atomic.Int64
		for k := range 6 {
			work.Go(func() {
				for i := k; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					calls.Add(1)
					if y, err := client.Call[int](w.ctx, w.client, "inc", i); err != nil || y != i+1 {
						t.Errorf("inc(%d) = %d, %v", i, y, err)
					}
					y, err := call[int](w.ctx, w, []int{i, i, i, i, i, i, i, i}).get()
					if err != nil || y != 8*(i+1) {
						t.Errorf("a Map of %d = %d, %v", i, y, err)
					}
				}
			})
		}
		for i, name := range []string{"a", "b", "c"} {
			time.Sleep(300 * time.Millisecond)
			next := w.add(fmt.Sprintf("next%d", i))
			w.nodes[string(rune('0'+i))] = next
			w.on(string(rune('0'+i)), "inc", inc)
			w.on(string(rune('0'+i)), "sum", sum)
			time.Sleep(300 * time.Millisecond)
			old := w.nodes[name]
			drain, cancel := context.WithTimeout(w.ctx, 10*time.Second)
			if err := old.Drain(drain); err != nil {
				t.Errorf("drain %s: %v", name, err)
			}
			cancel()
			if err := old.Close(); err != nil {
				t.Errorf("close %s: %v", name, err)
			}
		}
		time.Sleep(300 * time.Millisecond)
		close(stop)
		work.Wait()
		t.Logf("%d calls", calls.Load())
	})
}
