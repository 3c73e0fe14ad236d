package cluster_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
)

// lasting is a function that holds its slot for so many milliseconds.
var lasting = client.Native(func(c fn.Context, ms int) (int, error) {
	select {
	case <-time.After(time.Duration(ms) * time.Millisecond):
		return ms, nil
	case <-c.Done():
		return 0, c.Err()
	}
})

// single makes the world's DAG one call of a function.
func (w *world) single(function string) {
	w.t.Helper()
	w.dag(func(b *dag.Builder) dag.Ref { return b.Call("n", function, b.Input("x")) })
}

// TestNothingWaitsBehindLongJobs has long jobs hold all slots but one, of functions that look like short ones: short jobs go
// through that one, wherever it is.
func TestNothingWaitsBehindLongJobs(t *testing.T) {
	inWorld(t, "abcd", func(t *testing.T, w *world) {
		w.on("abcd", "job", lasting)
		w.single("job")
		for range 200 { // executors learn that jobs are short, and grant credits ahead
			if _, err := call[int](w.ctx, w, 1).get(); err != nil {
				t.Fatal(err)
			}
		}
		var long []*future[int]
		for range 7 {
			long = append(long, call[int](w.ctx, w, 30_000))
		}
		synctest.Wait()
		var short []*future[int]
		for range 100 {
			short = append(short, call[int](w.ctx, w, 1))
		}
		for i, f := range short {
			if _, err := f.get(); err != nil || f.took > 500*time.Millisecond {
				t.Errorf("short job %d: %v after %v", i, err, f.took)
			}
		}
		for _, f := range long {
			if _, err := f.get(); err != nil || f.took > 31*time.Second {
				t.Errorf("long job: %v after %v", err, f.took)
			}
		}
	})
}

// TestPartsMoveFromStuckExecutors has a run's next node be planned for an executor whose slots are then held by long jobs: it
// is taken to another that has a slot, and what ran before does not run again.
func TestPartsMoveFromStuckExecutors(t *testing.T) {
	inWorld(t, "abc", func(t *testing.T, w *world) {
		g := newGate()
		var mu sync.Mutex
		firsts := 0
		w.on("a", "first", client.Native(func(c fn.Context, x int) (int, error) {
			mu.Lock()
			firsts++
			mu.Unlock()
			return x + 1, g.wait(c)
		}))
		w.on("bc", "second", client.Native(func(_ fn.Context, x int) (int, error) { return x * x, nil }))
		w.on("b", "block", lasting)
		w.dag(func(b *dag.Builder) dag.Ref { return b.Call("s", "second", b.Call("f", "first", b.Input("x"))) })
		var runs []*future[int]
		for range 2 { // one with its second node on b, one on c
			runs = append(runs, call[int](w.ctx, w, 2))
		}
		for range 2 {
			<-g.began
		}
		for range 2 {
			go func() { _, _ = client.Call[int](w.ctx, w.client, "block", 60_000) }()
		}
		<-time.After(time.Second)
		began := time.Now()
		close(g.open)
		for _, f := range runs {
			if y, err := f.get(); err != nil || y != 9 {
				t.Errorf("y = %d, %v", y, err)
			}
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v, and c was free", took)
		}
		if firsts != 2 {
			t.Errorf("the first function ran %d times", firsts)
		}
	})
}

// TestQueuedCallsWhenTheOnlyExecutorDies has 10,000 calls wait for a slot when the only executor dies: each ends in one error
// that says so, or runs when another comes in time; and nothing is left of them.
func TestQueuedCallsWhenTheOnlyExecutorDies(t *testing.T) {
	for _, rescued := range []bool{false, true} {
		t.Run(fmt.Sprintf("rescued=%v", rescued), func(t *testing.T) {
			inSpecialWorld(t, "a", func(w *world) { w.cfg.Crashes = 10 }, func(t *testing.T, w *world) {
				w.on("a", "job", lasting)
				w.single("job")
				calls := 10_000
				if rescued { // they all run, which takes its time
					calls = 2_000
				}
				var all []*future[int]
				for range 2 { // what holds the slots
					all = append(all, call[int](w.ctx, w, 5_000))
				}
				synctest.Wait()
				for range calls - 2 {
					all = append(all, call[int](w.ctx, w, 1))
				}
				<-time.After(100 * time.Millisecond)
				if n := w.co.Waiting(); n < calls-100 {
					t.Errorf("%d calls wait", n)
				}
				w.memory.Network.Crash("a")
				if rescued {
					w.add("b")
					w.on("b", "job", lasting)
				}
				codes := map[fault.Code]int{}
				for _, f := range all {
					_, err := f.get()
					code := fault.Code("")
					if err != nil {
						code = fault.From(err).Code
						if !strings.Contains(err.Error(), "executor") {
							t.Fatalf("it does not say what to do: %v", err)
						}
					}
					codes[code]++
				}
				want := fault.NoExecutor
				if rescued {
					want = ""
				}
				if codes[want] != calls {
					t.Errorf("ends: %v, want %d × %q", codes, calls, want)
				}
				<-time.After(time.Second)
				if w.co.Open() != 0 || w.co.Waiting() != 0 {
					t.Errorf("%d runs are open and %d wait", w.co.Open(), w.co.Waiting())
				}
			})
		})
	}
}

// TestQueueIsBounded refuses what does not fit into the queue, with a hint when to try again; who is cancelled leaves it.
func TestQueueIsBounded(t *testing.T) {
	inSpecialWorld(t, "a", func(w *world) { w.cfg.MaxQueue = 20 }, func(t *testing.T, w *world) {
		w.on("a", "job", lasting)
		w.single("job")
		var all []*future[int]
		for range 100 {
			all = append(all, call[int](w.ctx, w, 3_000))
			synctest.Wait()
		}
		refused := 0
		for _, f := range all {
			if _, err := f.get(); fault.Is(err, fault.Overloaded) {
				refused++
				if fault.From(err).RetryAfter <= 0 || f.took > time.Second {
					t.Fatalf("refused after %v: %v", f.took, err)
				}
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if refused < 40 || refused > 80 {
			t.Errorf("%d of 100 were refused", refused)
		}
		if w.co.Waiting() != 0 {
			t.Errorf("%d wait", w.co.Waiting())
		}
	})
}

// TestPriorityOfCalls has calls wait for one executor: those of a higher priority go first.
func TestPriorityOfCalls(t *testing.T) {
	inWorld(t, "a", func(t *testing.T, w *world) {
		var mu sync.Mutex
		var order []int
		w.on("a", "job", client.Native(func(_ fn.Context, x int) (int, error) {
			<-time.After(100 * time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			order = append(order, x)
			return x, nil
		}))
		w.single("job")
		for range 40 {
			if _, err := call[int](w.ctx, w, 0).get(); err != nil { // they are known to be long
				t.Fatal(err)
			}
		}
		order = nil
		var all []*future[int]
		for i, p := range []int{0, 0, 0, 0, -5, -5, 0, 0, 5, 5} {
			all = append(all, call[int](w.ctx, w, p*100+i, client.Priority(p)))
			synctest.Wait()
		}
		for _, f := range all {
			if _, err := f.get(); err != nil {
				t.Fatal(err)
			}
		}
		at := func(least, most int) (sum int) {
			for i, x := range order {
				if x >= least && x <= most {
					sum += i
				}
			}
			return sum
		}
		if low := at(-600, -400); low != 8+9 {
			t.Errorf("the low ones are not last: %v", order)
		}
		if high := at(400, 600); high > 2+3+4 {
			t.Errorf("the high ones are not first: %v", order)
		}
		if _, err := call[int](w.ctx, w, 1, client.Priority(11)).get(); !fault.Is(err, fault.InvalidArgument) {
			t.Error(err)
		}
	})
}

// TestStaleDigest has calls go where their key is said to be cached, and it is not, or is another version: they read what is
// stored.
func TestStaleDigest(t *testing.T) {
	inWorld(t, "ab", func(t *testing.T, w *world) {
		w.on("ab", "size", client.Native(func(_ fn.Context, x []byte) (int, error) { return len(x), nil }))
		w.single("size")
		put := func(n int) {
			t.Helper()
			if err := w.client.Put(w.ctx, "k", make([]byte, n)); err != nil {
				t.Fatal(err)
			}
		}
		want := func(n int) {
			t.Helper()
			if y, err := call[int](w.ctx, w, client.Ref("k")).get(); err != nil || y != n {
				t.Errorf("%d bytes, %v, want %d", y, err, n)
			}
		}
		put(300_000)
		want(300_000)
		<-time.After(5 * time.Second) // it is in a digest
		ran := w.nodes["a"].Invocations()
		for range 10 {
			want(300_000)
			<-time.After(20 * time.Millisecond) // its end is reported
		}
		if n := w.nodes["a"].Invocations() - ran; n != 0 && n != 10 {
			t.Errorf("%d of 10 calls went where their key is not", n)
		}
		put(200_000)
		<-time.After(10 * time.Millisecond) // the caches have heard, the scheduler has not
		want(200_000)
		holder := "a"
		if w.nodes["a"].Invocations() == 0 {
			holder = "b"
		}
		w.memory.Network.Crash(holder)
		want(200_000)
	})
}
