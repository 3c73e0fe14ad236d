package cluster_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/internal/cluster"
	"github.com/squall-faas/squall/value"
)

// TestHedgedEffects: both tries of a hedged invocation write, different values under one key and a key of their own each, and
// both return, deaf to the end of their contexts. What is stored is what that try has written whose output the run gives, and
// nothing of the other's.
func TestHedgedEffects(t *testing.T) {
	for _, c := range []struct {
		name    string
		order   []int // of the tries' returns; the run's end lies between two
		unheard bool  // the executors do not hear of each other while that happens
		want    int   // the try that counts; 0 is either
	}{
		{name: "first", order: []int{1, 2}, want: 1},
		{name: "second", order: []int{2, 1}, want: 2},
		{name: "second unheard of", order: []int{2, 1}, unheard: true, want: 2},
		{name: "both"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { hedgedEffects(t, c.order, c.unheard, c.want) })
		})
	}
}

func hedgedEffects(t *testing.T, order []int, unheard bool, want int) {
	late := func(string, int64, float64) (time.Duration, bool) { return 20 * time.Millisecond, true }
	ctx, c := start(t, cluster.Config{Executors: 2, Executor: cluster.ExecutorConfig{Slots: 2, Late: late}})
	var tries atomic.Int64
	began, returned := make(chan int, 8), make(chan int, 8)
	let := map[int]chan struct{}{1: make(chan struct{}), 2: make(chan struct{})}
	own := func(try int) string { return fmt.Sprintf("of-%d", try) }
	register(ctx, t, c, "write", client.Native(func(c fn.Context, _ int) (int, error) {
		try := int(tries.Add(1))
		if err := fn.Put(c, "k", try); err != nil {
			return 0, err
		}
		if err := fn.Put(c, own(try), try); err != nil {
			return 0, err
		}
		began <- try
		<-let[try]
		returned <- try
		return try, nil
	}))
	b := dag.New("g")
	b.Output("y", b.Call("w", "write", b.Input("x"), dag.Hedge(0.9)))
	registerDAG(ctx, t, c, b)
	y, done := 0, make(chan error, 1)
	go func() {
		out, err := c.Client.CallDAG(ctx, "g", client.Inputs{"x": 1})
		if err == nil {
			y, err = client.Output[int](out, "y")
		}
		done <- err
	}()
	for try := 1; try <= 2; try++ {
		select {
		case got := <-began:
			if got != try {
				t.Fatalf("try %d began, want %d", got, try)
			}
		case <-ctx.Done():
			close(let[1])
			close(let[2])
			t.Fatalf("try %d does not begin", try)
		}
	}
	if unheard {
		c.Memory.Network.Partition("executor-1", "executor-2")
	}
	if order == nil {
		close(let[1])
		close(let[2])
	} else {
		close(let[order[0]])
		synctest.Wait()
		if !unheard {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			done <- nil
		}
		close(let[order[1]])
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for range 2 {
		select {
		case <-returned:
		case <-ctx.Done():
			t.Fatal("a try does not return")
		}
	}
	c.Memory.Network.Heal()
	time.Sleep(time.Second) // writes are stored a little later
	if y < 1 || y > 2 || want != 0 && y != want {
		t.Fatalf("the run gives the output of try %d, want that of %d", y, want)
	}
	get := func(key string) int {
		v, err := c.Client.Get(ctx, key)
		if fault.Is(err, fault.NotFound) {
			return 0
		}
		n := 0
		if err == nil {
			n, err = value.As[int](v)
		}
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if k, won, lost := get("k"), get(own(y)), get(own(3-y)); k != y || won != y || lost != 0 {
		t.Errorf("the run gives the output of try %d; stored are k = %d, %s = %d and %s = %d", y, k, own(y), won, own(3-y), lost)
	}
	if n := tries.Load(); n != 2 {
		t.Errorf("%d tries", n)
	}
}
