package cluster_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/internal/cluster"
	"github.com/squall-faas/squall/value"
)

// loser gives functions for a branch that loses: they wait until their context ends.
type loser struct {
	begun, ended atomic.Int64
	running      chan struct{} // one for each that has begun
	over         chan struct{} // one for each that has ended
}

func newLoser() *loser {
	return &loser{running: make(chan struct{}, 64), over: make(chan struct{}, 64)}
}

func (l *loser) wait(c fn.Context, x int) (int, error) {
	l.begun.Add(1)
	l.running <- struct{}{}
	<-c.Done()
	l.ended.Add(1)
	l.over <- struct{}{}
	return x, c.Err()
}

// await takes n out of a channel before the test's context ends.
func await(ctx context.Context, what <-chan struct{}, n int) error {
	for range n {
		select {
		case <-what:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// TestLosersAreCancelled: a join of any is met by a branch that returns once the other one, a Map over all executors, is
// under way; and the node behind the join returns only when every invocation of the loser has had its context ended, on
// every executor, while the run goes on.
func TestLosersAreCancelled(t *testing.T) {
	const items = 6
	ctx, c := start(t, cluster.Config{Executors: 3, Executor: cluster.ExecutorConfig{Slots: 4}})
	l := newLoser()
	register(ctx, t, c, "lose", client.Native(l.wait))
	register(ctx, t, c, "win", client.Native(func(_ fn.Context, x int) (string, error) { return "won", await(ctx, l.running, items) }))
	register(ctx, t, c, "length", client.Native(func(_ fn.Context, xs []int) (string, error) { return fmt.Sprint(len(xs)), nil }))
	register(ctx, t, c, "after", client.Native(func(_ fn.Context, who string) (string, error) { return who, await(ctx, l.over, items) }))
	b := dag.New("race")
	lost := b.Call("length", "length", b.Map("lose", "lose", b.Input("xs")))
	b.Output("y", b.Call("after", "after", dag.Any(lost, b.Call("win", "win", b.Input("x")))))
	registerDAG(ctx, t, c, b)
	out, err := c.Client.CallDAG(ctx, "race", client.Inputs{"x": 1, "xs": make([]int, items)})
	if err != nil {
		t.Fatal(err)
	}
	if y, err := client.Output[string](out, "y"); err != nil || y != "won" {
		t.Fatalf("y = %q, %v", y, err)
	}
	if begun, ended := l.begun.Load(), l.ended.Load(); begun != items || ended != items {
		t.Errorf("%d losers began and %d were cancelled, want %d", begun, ended, items)
	}
	for _, n := range c.Executors() {
		if n.Stuck() > 0 {
			t.Errorf("%s says that %d functions are stuck", n.Name(), n.Stuck())
		}
	}
}

// TestKOfN: as many parts as are needed arrive, with where they come from; failures beside them are none of the run.
func TestKOfN(t *testing.T) {
	ctx, c := start(t, cluster.Config{Executors: 3})
	register(ctx, t, c, "square", client.Native(func(_ fn.Context, x int) (int, error) {
		if x == 3 {
			return 0, fault.New(fault.InvalidArgument, "three is refused")
		}
		return x * x, nil
	}))
	register(ctx, t, c, "list", client.Native(func(_ fn.Context, parts []fn.Part) (string, error) {
		indexes, values, err := fn.PartsOf[int](parts)
		return fmt.Sprint(indexes, values), err
	}))
	for k := 1; k <= 5; k++ {
		name := fmt.Sprintf("k%d", k)
		b := dag.New(name)
		x := b.Input("xs")
		var squares []dag.Ref
		for i := range 5 {
			squares = append(squares, b.Call(fmt.Sprintf("s%d", i), "square", i+1, dag.After(x)))
		}
		b.Output("y", b.Call("list", "list", dag.KOf(k, squares...)))
		registerDAG(ctx, t, c, b)
		out, err := c.Client.CallDAG(ctx, name, client.Inputs{"xs": 0})
		if k == 5 {
			if !fault.Is(err, fault.InvalidArgument) || !strings.Contains(err.Error(), "node list needs 5 of its 5 sources, and 1 failed; the first: three is refused") {
				t.Errorf("5 of 5 gives %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		y, err := client.Output[string](out, "y")
		if err != nil || strings.Count(y, " ") != 2*k-1 || strings.Contains(y, "9") || k == 4 && y != "[0 1 3 4] [1 4 16 25]" {
			t.Errorf("%d of 5 gives %q, %v", k, y, err)
		}
	}
}

// TestConditions: one of two branches runs, and what the other would have given is null.
func TestConditions(t *testing.T) {
	ctx, c := start(t, cluster.Config{Executors: 3})
	type report struct {
		Status string `json:"status"`
		Size   int    `json:"size"`
	}
	register(ctx, t, c, "inspect", client.Native(func(_ fn.Context, x int) (report, error) {
		if x < 0 {
			return report{"bad", -x}, nil
		}
		return report{"ok", x}, nil
	}))
	register(ctx, t, c, "keep", client.Native(func(_ fn.Context, x int) (string, error) { return fmt.Sprint("kept ", x), nil }))
	register(ctx, t, c, "mend", client.Native(func(_ fn.Context, r report) (string, error) { return fmt.Sprint("mended ", r.Size), nil }))
	register(ctx, t, c, "tell", client.Native2(func(_ fn.Context, kept, mended *string) (string, error) {
		if kept != nil && mended != nil || kept == nil && mended == nil {
			return "", fault.New(fault.InvalidArgument, "one of two branches has to run")
		}
		if kept != nil {
			return *kept, nil
		}
		return *mended, nil
	}))
	b := dag.New("check")
	x := b.Input("x")
	r := b.Call("inspect", "inspect", x)
	kept := b.Call("keep", "keep", x, dag.OnlyIf(r, dag.Field("status").Equals("ok")))
	mended := b.Call("mend", "mend", dag.When(r, dag.AllOf(dag.Field("status").NotEquals("ok"), dag.Field("size").Less(10))))
	b.Output("told", b.Call("tell", "tell", kept, mended))
	b.Output("mended", mended)
	registerDAG(ctx, t, c, b)
	for x, want := range map[int][2]any{5: {"kept 5", nil}, -5: {"mended 5", "mended 5"}, -50: {nil, nil}} {
		out, err := c.Client.CallDAG(ctx, "check", client.Inputs{"x": x})
		if err != nil {
			t.Fatal(err)
		}
		for i, name := range []string{"told", "mended"} {
			if got, err := client.Output[any](out, name); err != nil || got != want[i] {
				t.Errorf("of %d %s is %v, %v; want %v", x, name, got, err, want[i])
			}
		}
	}
}

// TestHedge: the first try of a call, and of an item, hangs; a second one on another executor returns, and the first is
// cancelled. Both write, and one of the writes counts.
func TestHedge(t *testing.T) {
	late := func(string, int64, float64) (time.Duration, bool) { return 20 * time.Millisecond, true }
	ctx, c := start(t, cluster.Config{Executors: 3, Executor: cluster.ExecutorConfig{Slots: 2, Late: late}})
	var tries atomic.Int64
	cancelled := make(chan struct{}, 8)
	register(ctx, t, c, "slow", client.Native(func(c fn.Context, x int) (int, error) {
		if _, err := fn.Add(c, "count", 1); err != nil {
			return 0, err
		}
		if x == 1 && tries.Add(1) == 1 {
			<-c.Done()
			cancelled <- struct{}{}
			return 0, c.Err()
		}
		return 10 * x, nil
	}))
	b := dag.New("call")
	b.Output("y", b.Call("slow", "slow", b.Input("x"), dag.Hedge(0.9)))
	registerDAG(ctx, t, c, b)
	m := dag.New("map")
	m.Output("y", m.Map("slow", "slow", m.Input("x"), dag.Hedge(0.9)))
	registerDAG(ctx, t, c, m)

	out, err := c.Client.CallDAG(ctx, "call", client.Inputs{"x": 1})
	if err != nil {
		t.Fatal(err)
	}
	if y, err := client.Output[int](out, "y"); err != nil || y != 10 || tries.Load() != 2 {
		t.Fatalf("y = %d after %d tries, %v", y, tries.Load(), err)
	}
	if err := await(ctx, cancelled, 1); err != nil {
		t.Fatal("the loser was not cancelled")
	}
	tries.Store(0)
	if out, err = c.Client.CallDAG(ctx, "map", client.Inputs{"x": []int{0, 1, 2}}); err != nil {
		t.Fatal(err)
	}
	if y, err := client.Output[[]int](out, "y"); err != nil || !slices.Equal(y, []int{0, 10, 20}) {
		t.Fatalf("y = %v, %v", y, err)
	}
	if err := await(ctx, cancelled, 1); err != nil {
		t.Fatal("the loser was not cancelled")
	}
	for n := 0; n != 4; { // writes are acknowledged by the caches, and stored a little later
		v, err := c.Client.Get(ctx, "count")
		if err == nil {
			n, err = value.As[int](v)
		}
		if err != nil && !fault.Is(err, fault.NotFound) || n > 4 {
			t.Fatalf("4 invocations have counted %d, %v", n, err)
		}
	}
}
