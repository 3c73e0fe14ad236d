package cluster_test

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/internal/advice"
	"github.com/squall-faas/squall/internal/profile"
	"github.com/squall-faas/squall/internal/profile/archive"
)

// fanWidth is how many parts the fan-out below has.
const fanWidth = 4

// fan registers a DAG of one function, several others that take long on what it gives, and a join of theirs.
func (w *world) fan(on string, takes time.Duration, size int) {
	w.t.Helper()
	w.on(on, "first", client.Native(func(_ fn.Context, x int) ([]byte, error) { return bytes.Repeat([]byte{byte(x)}, size), nil }))
	w.on(on, "part", client.Native2(func(_ fn.Context, b []byte, n int) (int, error) {
		time.Sleep(takes) // of virtual time
		if len(b) != size {
			return 0, fmt.Errorf("%d bytes", len(b))
		}
		return int(b[0]) * n, nil
	}))
	w.on(on, "join", client.Native(func(_ fn.Context, parts []fn.Part) (sum int, err error) {
		_, values, err := fn.PartsOf[int](parts)
		for _, n := range values {
			sum += n
		}
		return sum, err
	}))
	w.dag(func(b *dag.Builder) dag.Ref {
		first := b.Call("first", "first", b.Input("x"))
		var parts []dag.Ref
		for n := range fanWidth {
			parts = append(parts, b.Call(fmt.Sprint("part", n), "part", first, n))
		}
		return b.Call("join", "join", dag.KOf(fanWidth, parts...))
	})
}

// ran is how many functions each executor has begun since the last call.
func (w *world) ran(since map[string]uint64) map[string]uint64 {
	out := map[string]uint64{}
	for name, n := range w.nodes {
		out[name] = n.Invocations() - since[name]
		since[name] += out[name]
	}
	return out
}

// learn lets what executors have observed be stored, and has the run after it planned.
func (w *world) learn(call func()) {
	w.t.Helper()
	time.Sleep(15 * time.Second) // of virtual time: they store what they have learnt every ten
	call()                       // asks
	synctest.Wait()              // it is planned
}

// TestAdviceIsFollowed: a DAG whose parts take long is kept on one executor at first, where they queue for its one slot. Once
// profiles tell how long, it is planned, and spread; what it gives stays right.
func TestAdviceIsFollowed(t *testing.T) {
	const takes = 100 * time.Millisecond
	for name, size := range map[string]int{"small values": 10, "values that are pulled": 1 << 20} {
		t.Run(name, func(t *testing.T) {
			inSpecialWorld(t, "abcd", func(w *world) { w.slots = 1 }, func(t *testing.T, w *world) {
				w.fan("abcd", takes, size)
				run := func() time.Duration {
					t.Helper()
					time.Sleep(time.Second) // of virtual time: the coordinator hears that the last run has ended
					f := call[int](w.ctx, w, 7)
					if y, err := f.get(); err != nil || y != 7*(0+1+2+3) {
						t.Fatalf("%d, %v", y, err)
					}
					return f.took
				}
				for range 6 {
					if took := run(); took < fanWidth*takes {
						t.Fatalf("before anything is known it took %v: the default rule spreads it, and this test shows nothing", took)
					}
				}
				w.learn(func() { run() })
				since := map[string]uint64{}
				w.ran(since)
				for range 3 {
					if took := run(); took > takes+takes/2 {
						t.Errorf("as advised it took %v", took)
					}
					for name, n := range w.ran(since) {
						if n == 0 || n > 3 {
							t.Errorf("%s ran %d functions", name, n)
						}
					}
				}
				if s := w.co.Advice(); s.Verdicts[advice.Given] == 0 || s.Looked < 3 || s.Followed != s.Looked {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// TestAdvisedPaths: where executors reach each other badly, a value that several of them need goes through the store, is written
// there once, and is what was passed.
func TestAdvisedPaths(t *testing.T) {
	inSpecialWorld(t, "abcd", func(w *world) { w.slots = 1 }, func(t *testing.T, w *world) {
		w.fan("abcd", 3*time.Second, 1<<20)
		run := func() {
			t.Helper()
			time.Sleep(time.Second) // of virtual time
			if y, err := call[int](w.ctx, w, 7).get(); err != nil || y != 7*(0+1+2+3) {
				t.Fatalf("%d, %v", y, err)
			}
		}
		for range 6 {
			run()
		}
		if n := w.offloaded(); n != 0 {
			t.Fatalf("%d values are in the store before any advice", n)
		}
		slow := &profile.Book{}
		for _, from := range "abcd" {
			for _, to := range "abcd" {
				slow.Link(profile.Pair{From: string(from), To: string(to)}).Observe(profile.Transfer{At: 1, Bytes: 10 << 20, Took: 10 * time.Second})
			}
		}
		if err := archive.Keep(w.ctx, w.join("teacher").System, "teacher", slow.Encode()); err != nil {
			t.Fatal(err)
		}
		w.learn(run)
		run() // where runs before have asked, the answer that knows of the links may be a run late
		before := w.offloaded()
		for n := 1; n <= 3; n++ {
			run()
			if got := w.offloaded() - before; got != n {
				t.Errorf("after %d runs as advised %d values were stored", n, got)
			}
		}
		if s := w.co.Advice(); s.Followed < 3 {
			t.Errorf("%+v", s)
		}
	})
}

// TestNoAdviceForChains: what would only wait for its data elsewhere stays on one executor, and so does what is not known.
func TestNoAdviceForChains(t *testing.T) {
	inSpecialWorld(t, "abc", func(w *world) { w.slots = 1 }, func(t *testing.T, w *world) {
		w.on("abc", "step", client.Native(func(_ fn.Context, x int) (int, error) {
			time.Sleep(10 * time.Millisecond)
			return x + 1, nil
		}))
		w.dag(func(b *dag.Builder) dag.Ref {
			return b.Call("c", "step", b.Call("b", "step", b.Call("a", "step", b.Input("x"))))
		})
		run := func() {
			t.Helper()
			time.Sleep(time.Second) // as above
			if y, err := call[int](w.ctx, w, 1).get(); err != nil || y != 4 {
				t.Fatalf("%d, %v", y, err)
			}
		}
		for range 6 {
			run()
		}
		w.learn(run)
		since := map[string]uint64{}
		w.ran(since)
		run()
		if ran := w.ran(since); ran["a"] != 3 && ran["b"] != 3 && ran["c"] != 3 {
			t.Errorf("the chain ran on %v", ran)
		}
		if s := w.co.Advice(); s.Verdicts[advice.Useless] == 0 || s.Verdicts[advice.Unknown] == 0 || s.Looked != 0 {
			t.Errorf("%+v", s)
		}
	})
}
