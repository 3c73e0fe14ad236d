package cluster_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/internal/bus"
	"github.com/squall-faas/squall/internal/offload"
)

const largeValue = 3 << 20

// large is a value that no message carries.
func large(x int) []byte { return bytes.Repeat([]byte{byte(x), 'a', 'b'}, largeValue/3) }

func checkLarge(b []byte, x int) error {
	if !bytes.Equal(b, large(x)) {
		return fmt.Errorf("%d bytes that are not the %d of %d", len(b), largeValue, x)
	}
	return nil
}

// checked is a graph that makes a value with a function and checks it with another.
func checked(function string) func(b *dag.Builder) dag.Ref {
	return func(b *dag.Builder) dag.Ref {
		x := b.Input("x")
		return b.Call("c", "check", b.Call("m", function, x), x)
	}
}

// offloaded is how many values are in the store.
func (w *world) offloaded() int {
	w.t.Helper()
	page, err := w.memory.Join("reader").System.List(w.ctx, offload.DefaultPrefix, "", 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	return len(page.Keys)
}

// held is what the executors hold for others.
func (w *world) held() (values int) {
	for _, n := range w.nodes {
		values += n.Hold.Stats().Values
	}
	return values
}

// TestLargeValues has every path of messages carry a value that is too large for one: a call's argument, the hop from one
// executor to another, the items of a Map and their results, mail, a function's own call, the reply, an async result, an
// error. Between executors nothing goes through the store, and when the run has ended nothing is held.
// TestSmallMessages has servers that take messages of 64 KiB: values of more than that go their way all the same, as arguments,
// between nodes, as items, and in replies to those who wait and to those who come later.
func TestSmallMessages(t *testing.T) {
	inSeededWorld(t, bus.Options{MaxPayload: 64 << 10}, "ab", nil, func(t *testing.T, w *world) {
		w.on("a", "twice", client.Native(func(_ fn.Context, b []byte) ([]byte, error) { return append(b, b...), nil }))
		w.on("b", "half", client.Native(func(_ fn.Context, b []byte) ([]byte, error) { return b[:len(b)/2], nil }))
		w.on("ab", "same", client.Native(func(_ fn.Context, b []byte) ([]byte, error) { return b, nil }))
		w.dag(func(b *dag.Builder) dag.Ref { return b.Call("half", "half", b.Call("twice", "twice", b.Input("x"))) })
		for _, n := range []int{10 << 10, 20 << 10, 40 << 10, 70 << 10, 200 << 10} {
			x := bytes.Repeat([]byte{byte(n >> 10)}, n)
			if y, err := client.Call[[]byte](w.ctx, w.client, "same", x); err != nil || !bytes.Equal(x, y) {
				t.Errorf("%d bytes there and back: %d bytes, %v", n, len(y), err)
			}
			if y, err := call[[]byte](w.ctx, w, x).get(); err != nil || !bytes.Equal(x, y) {
				t.Errorf("%d bytes between nodes: %d bytes, %v", n, len(y), err)
			}
		}
		w.dag(func(b *dag.Builder) dag.Ref { return b.Map("m", "same", b.Input("x")) })
		xs := make([][]byte, 20)
		for i := range xs {
			xs[i] = bytes.Repeat([]byte{byte(i)}, i*5<<10)
		}
		if ys, err := call[[][]byte](w.ctx, w, xs).get(); err != nil || !slices.EqualFunc(xs, ys, bytes.Equal) {
			t.Errorf("items: %d, %v", len(ys), err)
		}
	})
}

func TestLargeValues(t *testing.T) {
	inWorld(t, "abc", func(t *testing.T, w *world) {
		w.on("a", "make", client.Native(func(_ fn.Context, x int) ([]byte, error) { return large(x), nil }))
		w.on("b", "check", client.Native2(func(_ fn.Context, b []byte, x int) (int, error) { return len(b), checkLarge(b, x) }))
		w.on("c", "list", client.Native(func(_ fn.Context, n int) ([][]byte, error) {
			var out [][]byte
			for x := range n {
				out = append(out, large(x))
			}
			return out, nil
		}))
		w.on("ab", "item", client.Native(func(_ fn.Context, b []byte) ([]byte, error) {
			time.Sleep(time.Millisecond) // so that others get some
			return b, checkLarge(b, int(b[0]))
		}))
		w.on("c", "count", client.Native(func(_ fn.Context, bs [][]byte) (int, error) {
			n := 0
			for x, b := range bs {
				if err := checkLarge(b, x); err != nil {
					return 0, err
				}
				n += len(b)
			}
			return n, nil
		}))
		w.on("a", "fail", client.Native(func(_ fn.Context, x int) ([]byte, error) {
			return nil, fmt.Errorf("%d: %s", x, strings.Repeat("e", 4<<20))
		}))
		ctx := w.ctx
		settle := func(what string, inStore int) {
			t.Helper()
			time.Sleep(time.Second)
			synctest.Wait()
			if n := w.held(); n != 0 {
				t.Errorf("%s: %d values are still held", what, n)
			}
			if n := w.offloaded(); n != inStore {
				t.Errorf("%s: %d values in the store, want %d", what, n, inStore)
			}
		}

		w.dag(checked("make"))
		if n, err := call[int](ctx, w, 7).get(); err != nil || n != largeValue {
			t.Errorf("a hop: %d, %v", n, err)
		}
		settle("a hop", 0)

		w.dag(func(b *dag.Builder) dag.Ref {
			return b.Call("c", "count", b.Map("i", "item", b.Call("l", "list", b.Input("x"))))
		})
		if n, err := call[int](ctx, w, 9).get(); err != nil || n != 9*largeValue {
			t.Errorf("a Map: %d, %v", n, err)
		}
		if w.nodes["a"].Invocations() < 2 || w.nodes["b"].Invocations() < 2 {
			t.Error("the items of the Map did not spread")
		}
		settle("a Map", 0)

		// Clients are outside: what goes to them and comes from them is stored.
		if n, err := client.Call[int](ctx, w.client, "check", large(3), 3); err != nil || n != largeValue {
			t.Errorf("an argument: %d, %v", n, err)
		}
		settle("an argument", 1)
		if b, err := client.Call[[]byte](ctx, w.client, "make", 4); err != nil || checkLarge(b, 4) != nil {
			t.Errorf("a reply: %v, %v", err, checkLarge(b, 4))
		}
		settle("a reply", 2)
		run, err := w.client.Start(ctx, "make", []any{5})
		if err != nil {
			t.Fatal(err)
		}
		out, err := run.Get(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := client.Output[[]byte](out, "result"); err != nil || checkLarge(b, 5) != nil {
			t.Errorf("an async result: %v, %v", err, checkLarge(b, 5))
		}
		settle("an async result", 3)

		_, err = client.Call[[]byte](ctx, w.client, "fail", 6)
		if err == nil || !strings.Contains(err.Error(), "6: eee") || len(err.Error()) > 1<<20 {
			t.Errorf("an error: %.100v", err)
		}
		w.dag(checked("fail"))
		if _, err := call[int](ctx, w, 8).get(); err == nil || !strings.Contains(err.Error(), "8: eee") {
			t.Errorf("an error of another executor: %.100v", err)
		}
		settle("errors", 3)
	})
}

// TestPassedValueLost: a value is on its way as a reference when what it refers to is lost, with its node or without. The
// run goes on, and what it gives is right.
func TestPassedValueLost(t *testing.T) {
	for name, lose := range map[string]func(w *world, node string){
		"with its node": func(w *world, node string) {
			w.memory.Network.Crash(node)
			_ = w.nodes[node].Peers.Close()
		},
		"without": func(w *world, node string) { w.nodes[node].Hold.Clear() },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, "abc", func(t *testing.T, w *world) {
				var made atomic.Int64
				w.on("ab", "make", client.Native(func(_ fn.Context, x int) ([]byte, error) { made.Add(1); return large(x), nil }))
				w.on("c", "check", client.Native2(func(_ fn.Context, b []byte, x int) (int, error) { return len(b), checkLarge(b, x) }))
				w.dag(checked("make"))
				var undo []func()
				for _, from := range []string{"a", "b"} {
					undo = append(undo, w.memory.Network.Inject(bus.Rule{From: from, To: "c", MinDelay: 500 * time.Millisecond, MaxDelay: 500 * time.Millisecond}))
				}
				f := call[int](w.ctx, w, 7)
				time.Sleep(300 * time.Millisecond)
				node := w.busy("ab")
				if w.nodes[node].Hold.Stats().Values != 1 {
					t.Fatal("nothing is held")
				}
				lose(w, node)
				for _, u := range undo {
					u()
				}
				if n, err := f.get(); err != nil || n != largeValue {
					t.Fatalf("%d, %v", n, err)
				}
				if made.Load() != 2 {
					t.Errorf("it was made %d times", made.Load())
				}
				t.Logf("it took %v", f.took)
			})
		})
	}
}

// TestPassingCancelled: a run that is cancelled while a value is pulled ends, and holds nothing.
func TestPassingCancelled(t *testing.T) {
	inWorld(t, "ab", func(t *testing.T, w *world) {
		w.on("a", "make", client.Native(func(_ fn.Context, x int) ([]byte, error) { return large(x), nil }))
		w.on("b", "check", client.Native2(func(_ fn.Context, b []byte, x int) (int, error) { return len(b), checkLarge(b, x) }))
		w.dag(checked("make"))
		w.memory.Network.Inject(bus.Rule{From: "a", To: "b", MinDelay: 2 * time.Second, MaxDelay: 2 * time.Second})
		ctx, cancel := context.WithCancel(w.ctx)
		f := call[int](ctx, w, 7)
		time.Sleep(time.Second)
		if w.held() != 1 {
			t.Fatal("nothing is held")
		}
		cancel()
		if _, err := f.get(); !fault.Is(err, fault.Cancelled) {
			t.Errorf("%v", err)
		}
		time.Sleep(5 * time.Second)
		if n := w.held(); n != 0 {
			t.Errorf("%d values are still held", n)
		}
	})
}
