package cluster_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
)

// TestCoordinatorGone stops the only coordinator: open sync calls end in outcome_unknown within ten seconds, and those
// whose executors finish meanwhile are answered. New calls find nobody.
func TestCoordinatorGone(t *testing.T) {
	inWorld(t, "ab", func(t *testing.T, w *world) {
		g := newGate()
		w.on("ab", "slow", client.Native(func(c fn.Context, x int) (int, error) { return x * 10, g.wait(c) }))
		w.on("ab", "short", client.Native(func(c fn.Context, x int) (int, error) {
			time.Sleep(500 * time.Millisecond)
			return x * 10, nil
		}))
		w.dag(func(b *dag.Builder) dag.Ref { return b.Call("s", "slow", b.Input("x")) })
		f := call[int](w.ctx, w, 1)
		<-g.began
		short := make(chan error, 1)
		go func() {
			y, err := client.Call[int](w.ctx, w.client, "short", 1)
			if err == nil && y != 10 {
				t.Errorf("short gave %d", y)
			}
			short <- err
		}()
		time.Sleep(100 * time.Millisecond)
		if err := w.co.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-short; err != nil {
			t.Errorf("a call whose executor finished: %v", err)
		}
		if _, err := f.get(); !fault.Is(err, fault.OutcomeUnknown) || !fault.From(err).Retryable() {
			t.Errorf("an open call: %v", err)
		}
		if f.took > 10*time.Second {
			t.Errorf("it took %v", f.took)
		}
		began := time.Now()
		if _, err := client.Call[int](w.ctx, w.client, "short", 1); !fault.Is(err, fault.Unreachable) {
			t.Errorf("a new call: %v", err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
		close(g.open)
		w.startCoordinator()
		time.Sleep(time.Second) // heartbeats
		if y, err := client.Call[int](w.ctx, w.client, "short", 2); err != nil || y != 20 {
			t.Errorf("after its restart: %d, %v", y, err)
		}
	})
}

// TestCallDuringRestart calls while no coordinator is there for a moment: the call looks for one.
func TestCallDuringRestart(t *testing.T) {
	inWorld(t, "a", func(t *testing.T, w *world) {
		w.on("a", "inc", client.Native(func(_ fn.Context, x int) (int, error) { return x + 1, nil }))
		if err := w.co.Close(); err != nil {
			t.Fatal(err)
		}
		got := make(chan error)
		go func() {
			_, err := client.Call[int](w.ctx, w.client, "inc", 1)
			got <- err
		}()
		time.Sleep(time.Second)
		w.startCoordinator()
		if err := <-got; err != nil {
			t.Error(err)
		}
	})
}

// TestDurableOutlivesItsCoordinator stops the coordinator under durable runs: one goes on at its executor and ends
// before there is another, one is taken over. Each has one outcome, and whoever waited gets it.
func TestDurableOutlivesItsCoordinator(t *testing.T) {
	inWorld(t, "ab", func(t *testing.T, w *world) {
		early, late := newGate(), newGate()
		var n atomic.Int64
		w.on("ab", "early", client.Native(func(c fn.Context, _ int) (int64, error) { return n.Add(1), early.wait(c) }))
		w.on("ab", "late", client.Native(func(c fn.Context, _ int) (int64, error) { return n.Add(1), late.wait(c) }))
		type waiting struct {
			run *client.Run
			got chan int64
		}
		start := func(name string) waiting {
			run, err := w.client.Start(w.ctx, name, []any{1}, client.Durable())
			if err != nil {
				t.Fatal(err)
			}
			r := waiting{run, make(chan int64, 1)}
			go func() {
				out, err := run.Get(w.ctx)
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
				y, _ := client.Output[int64](out, "result")
				r.got <- y
			}()
			return r
		}
		a, b := start("early"), start("late")
		<-early.began
		<-late.began
		synctest.Wait()
		if err := w.co.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		close(early.open)
		time.Sleep(5 * time.Second)
		w.startCoordinator()
		<-late.began // the new owner has it run again
		close(late.open)
		for name, r := range map[string]waiting{"early": a, "late": b} {
			first := <-r.got
			for range 3 {
				out, err := r.run.Get(w.ctx)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if y, _ := client.Output[int64](out, "result"); y != first {
					t.Errorf("%s: outcome %d after %d", name, y, first)
				}
			}
			if s, err := r.run.Poll(w.ctx); err != nil || !s.Done() {
				t.Errorf("%s: poll %+v, %v", name, s, err)
			}
		}
		time.Sleep(5 * time.Second)
		if open := w.co.Open(); open != 0 {
			t.Errorf("%d runs are open", open)
		}
	})
}

// TestAdoptedWhileItEnds has a durable run end at its executor in the very moment in which another coordinator takes
// it over and places it there again.
func TestAdoptedWhileItEnds(t *testing.T) {
	for after := range 8 {
		inWorld(t, "a", func(t *testing.T, w *world) {
			g := newGate()
			w.on("a", "slow", client.Native(func(c fn.Context, x int) (int, error) { return x * 10, g.wait(c) }))
			run, err := w.client.Start(w.ctx, "slow", []any{1}, client.Durable())
			if err != nil {
				t.Fatal(err)
			}
			<-g.began
			if err := w.co.Close(); err != nil {
				t.Fatal(err)
			}
			go func() {
				time.Sleep(time.Duration(after) * 20 * time.Millisecond)
				close(g.open)
			}()
			w.startCoordinator()
			out, err := run.Get(w.ctx)
			if err != nil {
				t.Fatal(err)
			}
			if y, _ := client.Output[int](out, "result"); y != 10 {
				t.Errorf("y = %d", y)
			}
		})
	}
}

// TestDurableOutlivesAllExecutors crashes every executor; the run waits for another.
func TestDurableOutlivesAllExecutors(t *testing.T) {
	inWorld(t, "a", func(t *testing.T, w *world) {
		g := newGate()
		slow := client.Native(func(c fn.Context, x int) (int, error) { return x * 10, g.wait(c) })
		w.on("a", "slow", slow)
		run, err := w.client.Start(w.ctx, "slow", []any{1}, client.Durable())
		if err != nil {
			t.Fatal(err)
		}
		<-g.began
		w.memory.Network.Crash("a")
		time.Sleep(30 * time.Second)
		w.add("b")
		w.on("b", "slow", slow)
		<-g.began
		close(g.open)
		out, err := run.Get(w.ctx)
		if err != nil {
			t.Fatal(err)
		}
		if y, _ := client.Output[int](out, "result"); y != 10 {
			t.Errorf("y = %d", y)
		}
	})
}

// TestNoExecutor calls while none is up: no_executor after a wait, or the result where one comes in time, also when
// it is in the middle of a run that a node loses its last executor.
func TestNoExecutor(t *testing.T) {
	inWorld(t, "ab", func(t *testing.T, w *world) {
		inc := client.Native(func(_ fn.Context, x int) (int, error) { return x + 1, nil })
		g := newGate()
		slow := client.Native(func(c fn.Context, x int) (int, error) { return x * 10, g.wait(c) })
		w.on("a", "inc", inc)
		w.on("b", "slow", slow)
		w.dag(func(b *dag.Builder) dag.Ref { return b.Call("s", "slow", b.Call("i", "inc", b.Input("x"))) })
		f := call[int](w.ctx, w, 1)
		<-g.began
		w.memory.Network.Crash("b")
		time.Sleep(1200 * time.Millisecond) // it is found dead after half a second or so; the run waits another
		w.add("c")
		w.on("c", "slow", slow)
		<-g.began
		close(g.open)
		if y, err := f.get(); err != nil || y != 20 {
			t.Errorf("%d, %v", y, err)
		}

		for _, name := range []string{"a", "c"} {
			if err := w.nodes[name].Close(); err != nil {
				t.Fatal(err)
			}
		}
		f = call[int](w.ctx, w, 1)
		if _, err := f.get(); !fault.Is(err, fault.NoExecutor) || !fault.From(err).Retryable() {
			t.Errorf("without an executor: %v", err)
		}
		if f.took < time.Second || f.took > 2*time.Second {
			t.Errorf("it took %v", f.took)
		}
		got := make(chan error)
		go func() {
			y, err := client.Call[int](w.ctx, w.client, "inc", 1)
			if err == nil && y != 2 {
				t.Errorf("inc(1) = %d", y)
			}
			got <- err
		}()
		time.Sleep(500 * time.Millisecond)
		d := w.add("d")
		if _, err := d.client.Register(w.ctx, "inc", inc); err != nil {
			t.Fatal(err)
		}
		if err := <-got; err != nil {
			t.Errorf("one came in time: %v", err)
		}
	})
}

// TestCancelSurvivesALoss cancels a run whose executor is dead already, though nobody knows: the run ends cancelled
// and is not run again.
func TestCancelSurvivesALoss(t *testing.T) {
	inWorld(t, "ab", func(t *testing.T, w *world) {
		g := newGate()
		w.on("ab", "slow", client.Native(func(c fn.Context, x int) (int, error) { return x * 10, g.wait(c) }))
		run, err := w.client.Start(w.ctx, "slow", []any{1}, client.Durable())
		if err != nil {
			t.Fatal(err)
		}
		<-g.began
		w.memory.Network.Crash(w.busy("ab"))
		if err := run.Cancel(w.ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := run.Get(w.ctx); !fault.Is(err, fault.Cancelled) {
			t.Errorf("%v", err)
		}
		if len(g.began) != 0 {
			t.Error("it was run again")
		}
	})
}

// TestVersions registers a function again while a run is under way: the run keeps the version it began with, also
// when it is recovered.
func TestVersions(t *testing.T) {
	inWorld(t, "abc", func(t *testing.T, w *world) {
		g := newGate()
		one := func(_ fn.Context, x int) (int, error) { return x + 1, nil }
		w.on("ab", "slow", client.Native(func(c fn.Context, x int) (int, error) { return x * 10, g.wait(c) }))
		w.on("c", "after", client.Native(one))
		w.dag(func(b *dag.Builder) dag.Ref { return b.Call("a", "after", b.Call("s", "slow", b.Input("x"))) })
		f := call[int](w.ctx, w, 1)
		<-g.began
		w.on("c", "after", client.Native(func(_ fn.Context, x int) (int, error) { return x + 2, nil }))
		w.memory.Network.Crash(w.busy("ab"))
		<-g.began
		close(g.open)
		if y, err := f.get(); err != nil || y != 11 {
			t.Errorf("a run that began before: %d, %v", y, err)
		}
		if y, err := call[int](w.ctx, w, 1).get(); err != nil || y != 12 {
			t.Errorf("a run that began after: %d, %v", y, err)
		}
	})
}
