package cluster_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/internal/profile"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// TestProfilesAreLearntAndKept: an executor learns from the runs of a function how long they take and how large their
// results are, and stores that; another one begins with it, and hedges by it what it has never run.
func TestProfilesAreLearntAndKept(t *testing.T) {
	const takes = 20 * time.Millisecond
	inWorld(t, "a", func(t *testing.T, w *world) {
		var hang atomic.Bool
		impl := client.Native(func(c fn.Context, n int) ([]byte, error) {
			if hang.CompareAndSwap(true, false) {
				<-c.Done()
				return nil, c.Err()
			}
			time.Sleep(takes) // of virtual time
			return make([]byte, n), nil
		})
		w.on("a", "f", impl)
		b := dag.New("hedged")
		b.Output("y", b.Call("f", "f", b.Input("n"), dag.Hedge(0.9)))
		g, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.client.RegisterDAG(w.ctx, g); err != nil {
			t.Fatal(err)
		}
		for range 40 {
			if _, err := w.client.CallValue(w.ctx, "f", []any{1000}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(15 * time.Second) // it is stored every ten
		e, err := w.join("reader").System.Get(w.ctx, kvs.Key(wire.ProfileKey("a")))
		if err != nil {
			t.Fatal(err)
		}
		raw, err := value.As[[]byte](e.Value)
		if err != nil {
			t.Fatal(err)
		}
		book, err := profile.Decode(raw)
		if err != nil || len(book.Versions()) != 1 {
			t.Fatalf("%v, %v", book.Versions(), err)
		}
		p := book.Known(book.Versions()[0]).Predict(9)
		if p.Took.N < 30 || time.Duration(p.Took.Value) != takes || p.Out.Value < 900 || p.Out.Value > 1100 {
			t.Fatalf("f is known to be %+v", p)
		}

		w.memory.Network.Crash("a")
		for _, name := range []string{"b", "c"} {
			w.add(name)
			w.on(name, "f", impl)
		}
		time.Sleep(10 * time.Second) // a is given up
		hang.Store(true)
		began := time.Now()
		if _, err := w.client.CallDAG(w.ctx, "hedged", client.Inputs{"n": 1}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < takes || took > time.Second || hang.Load() {
			t.Fatalf("the second try came after %v", took)
		}
	})
}
