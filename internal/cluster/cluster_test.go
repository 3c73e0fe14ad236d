package cluster_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/internal/cluster"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

func increment(_ fn.Context, x int) (int, error) { return x + 1, nil }
func square(_ fn.Context, x int) (int, error)    { return x * x, nil }
func add(_ fn.Context, a, b int) (int, error)    { return a + b, nil }

// start gives a cluster in memory, which ends with the test.
func start(t testing.TB, cfg cluster.Config) (context.Context, *cluster.Cluster) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	cfg.NoWasm = true
	c, err := cluster.Start(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return ctx, c
}

func register(ctx context.Context, t testing.TB, c *cluster.Cluster, name string, impl client.Impl) {
	t.Helper()
	if _, err := c.Client.Register(ctx, name, impl); err != nil {
		t.Fatalf("register %s: %v", name, err)
	}
}

func registerDAG(ctx context.Context, t testing.TB, c *cluster.Cluster, b *dag.Builder) {
	t.Helper()
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Client.RegisterDAG(ctx, g); err != nil {
		t.Fatal(err)
	}
}

func compose() *dag.Builder {
	b := dag.New("compose")
	b.Output("y", b.Call("sq", "square", b.Call("inc", "increment", b.Input("x"))))
	return b
}

func TestCompose(t *testing.T) {
	ctx, c := start(t, cluster.Config{Executors: 3})
	register(ctx, t, c, "increment", client.Native(increment))
	register(ctx, t, c, "square", client.Native(square))
	registerDAG(ctx, t, c, compose())
	for x := range 100 {
		out, err := c.Client.CallDAG(ctx, "compose", client.Inputs{"x": x})
		if err != nil {
			t.Fatal(err)
		}
		if y, err := client.Output[int](out, "y"); err != nil || y != (x+1)*(x+1) {
			t.Fatalf("compose(%d) = %d, %v", x, y, err)
		}
	}
	if n, err := client.Call[int](ctx, c.Client, "increment", 41); err != nil || n != 42 {
		t.Fatalf("increment(41) = %d, %v", n, err)
	}
}

func TestMapReduce(t *testing.T) {
	ctx, c := start(t, cluster.Config{Executors: 3})
	register(ctx, t, c, "square", client.Native(square))
	register(ctx, t, c, "add", client.Native2(add))
	b := dag.New("squares")
	b.Output("sum", b.Reduce("sum", "add", b.Map("squares", "square", b.Input("xs"))))
	registerDAG(ctx, t, c, b)
	for _, n := range []int{1, 2, 3, 100, 1000} {
		xs, want := make([]int, n), 0
		for i := range xs {
			xs[i] = i
			want += i * i
		}
		out, err := c.Client.CallDAG(ctx, "squares", client.Inputs{"xs": xs})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := client.Output[int](out, "sum"); err != nil || got != want {
			t.Fatalf("squares of %d: %d, want %d, %v", n, got, want, err)
		}
	}
	if _, err := c.Client.CallDAG(ctx, "squares", client.Inputs{"xs": []int{}}); !fault.Is(err, fault.InvalidArgument) {
		t.Fatalf("reduce of an empty list: %v", err)
	}
}

// TestStateAndReferences reads and writes through the cache, and resolves references before a call.
func TestStateAndReferences(t *testing.T) {
	ctx, c := start(t, cluster.Config{}) // one executor: another's cache hears of a write a moment later
	register(ctx, t, c, "words", client.Native(func(_ fn.Context, text string) (int, error) {
		return len(strings.Fields(text)), nil
	}))
	register(ctx, t, c, "bump", client.Native(func(c fn.Context, key string) (int, error) {
		n, err := fn.Get[int](c, key)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return 0, err
		}
		return n + 1, fn.Put(c, key, n+1)
	}))
	if err := c.Client.Put(ctx, "text", "three little words"); err != nil {
		t.Fatal(err)
	}
	if n, err := client.Call[int](ctx, c.Client, "words", client.Ref("text")); err != nil || n != 3 {
		t.Fatalf("words of a reference: %d, %v", n, err)
	}
	if _, err := client.Call[int](ctx, c.Client, "words", client.Ref("nowhere")); !fault.Is(err, fault.NotFound) {
		t.Fatalf("words of a missing reference: %v", err)
	}
	for want := 1; want <= 5; want++ {
		// A function's writes are stored after it has returned, unless the caller asks for more.
		bumped, err := c.Client.CallValue(ctx, "bump", []any{"counter"}, client.WriteAck(kvs.Stored))
		if err != nil {
			t.Fatalf("bump: %v", err)
		}
		if n, err := value.As[int](bumped); err != nil || n != want {
			t.Fatalf("bump: %d, want %d, %v", n, want, err)
		}
		if n, err := client.Get[int](ctx, c.Client, "counter"); err != nil || n != want {
			t.Fatalf("get: %d, want %d, %v", n, want, err)
		}
	}
}

// TestCallsFromFunctions has functions call functions more levels deep than there are slots: who waits gives its slot
// back.
func TestCallsFromFunctions(t *testing.T) {
	ctx, c := start(t, cluster.Config{Executor: cluster.ExecutorConfig{Slots: 2}})
	register(ctx, t, c, "countdown", client.Native(func(c fn.Context, n int) (int, error) {
		if n == 0 {
			return 0, nil
		}
		below, err := fn.Call[int](c, "countdown", n-1)
		return below + 1, err
	}))
	if n, err := client.Call[int](ctx, c.Client, "countdown", 20); err != nil || n != 20 {
		t.Fatalf("countdown: %d, %v", n, err)
	}
	if _, err := client.Call[int](ctx, c.Client, "countdown", 1000); !fault.Is(err, fault.DepthExceeded) {
		t.Fatalf("countdown without an end: %v", err)
	}
}

func TestFailures(t *testing.T) {
	ctx, c := start(t, cluster.Config{})
	register(ctx, t, c, "fails", client.Native(func(_ fn.Context, x int) (int, error) { return 0, fmt.Errorf("no %d today", x) }))
	register(ctx, t, c, "panics", client.Native(func(fn.Context, int) (int, error) { panic("ouch") }))
	register(ctx, t, c, "increment", client.Native(increment))
	for name, code := range map[string]fault.Code{"fails": fault.FunctionError, "panics": fault.FunctionPanic, "missing": fault.UnknownFunction, "a.b": fault.InvalidName} {
		_, err := client.Call[int](ctx, c.Client, name, 1)
		if !fault.Is(err, code) {
			t.Errorf("%s: %v, want %s", name, err, code)
		}
		if n, err := client.Call[int](ctx, c.Client, "increment", 1); err != nil || n != 2 {
			t.Fatalf("after %s: %d, %v", name, n, err)
		}
	}
	if _, err := client.Call[int](ctx, c.Client, "increment", 1, 2); !fault.Is(err, fault.WrongArity) {
		t.Errorf("arity: %v", err)
	}
	if _, err := client.Call[int](ctx, c.Client, "increment", "one"); !fault.Is(err, fault.WrongType) {
		t.Errorf("type: %v", err)
	}
	if _, err := c.Client.StartDAG(ctx, "nosuch", nil); !fault.Is(err, fault.UnknownDAG) {
		t.Errorf("async call of a missing DAG: %v", err)
	}
}

// TestRetry has a node fail twice and succeed at the third try.
func TestRetry(t *testing.T) {
	ctx, c := start(t, cluster.Config{})
	var tries atomic.Int64
	register(ctx, t, c, "flaky", client.Native(func(_ fn.Context, x int) (int, error) {
		if tries.Add(1) < 3 {
			return 0, fmt.Errorf("not yet")
		}
		return x, nil
	}))
	b := dag.New("patient")
	b.Output("y", b.Call("f", "flaky", b.Input("x"), dag.Retries(3, time.Millisecond)))
	registerDAG(ctx, t, c, b)
	out, err := c.Client.CallDAG(ctx, "patient", client.Inputs{"x": 7})
	if err != nil {
		t.Fatal(err)
	}
	if y, _ := client.Output[int](out, "y"); y != 7 || tries.Load() != 3 {
		t.Fatalf("y = %d after %d tries", y, tries.Load())
	}
}

// TestCancel ends a run by its caller's context, by its future, and by its deadline.
func TestCancel(t *testing.T) {
	ctx, c := start(t, cluster.Config{Executors: 2})
	began, ended := make(chan string, 8), make(chan error, 8)
	register(ctx, t, c, "wait", client.Native(func(c fn.Context, _ int) (int, error) {
		began <- c.RunID()
		<-c.Done()
		ended <- c.Err()
		return 0, c.Err()
	}))
	b := dag.New("waits")
	b.Output("y", b.Call("w", "wait", b.Input("x")))
	registerDAG(ctx, t, c, b)

	callCtx, cancel := context.WithCancel(ctx)
	errs := make(chan error, 1)
	go func() {
		_, err := c.Client.CallDAG(callCtx, "waits", client.Inputs{"x": 1})
		errs <- err
	}()
	<-began
	cancel()
	if err := <-errs; !fault.Is(err, fault.Cancelled) {
		t.Errorf("cancelled call: %v", err)
	}
	<-ended // the function was told

	run, err := c.Client.StartDAG(ctx, "waits", client.Inputs{"x": 1})
	if err != nil {
		t.Fatal(err)
	}
	if id := <-began; id != run.ID() {
		t.Errorf("run %s began as %s", run.ID(), id)
	}
	if s, err := run.Poll(ctx); err != nil || s.Done() {
		t.Errorf("poll: %+v, %v", s, err)
	}
	if err := run.Cancel(ctx); err != nil {
		t.Errorf("cancel: %v", err)
	}
	if _, err := run.Get(ctx); !fault.Is(err, fault.Cancelled) {
		t.Errorf("cancelled run: %v", err)
	}
	<-ended

	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	_, err = c.Client.CallDAG(short, "waits", client.Inputs{"x": 1})
	if !fault.Is(err, fault.DeadlineExceeded) {
		t.Errorf("deadline: %v", err)
	}
	<-began
	<-ended
}

// TestFutures starts durable and plain async runs and gets their outputs from another client's point of view.
func TestFutures(t *testing.T) {
	ctx, c := start(t, cluster.Config{Executors: 2})
	register(ctx, t, c, "increment", client.Native(increment))
	register(ctx, t, c, "square", client.Native(square))
	registerDAG(ctx, t, c, compose())
	for _, opts := range [][]client.CallOption{nil, {client.Durable()}} {
		run, err := c.Client.StartDAG(ctx, "compose", client.Inputs{"x": 4}, opts...)
		if err != nil {
			t.Fatal(err)
		}
		attached, err := c.Client.Attach(ctx, run.ID())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range []*client.Run{run, attached} {
			out, err := r.Get(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if y, err := client.Output[int](out, "y"); err != nil || y != 25 {
				t.Errorf("y = %d, %v", y, err)
			}
		}
		if s, err := run.Poll(ctx); err != nil || !s.Done() {
			t.Errorf("poll: %+v, %v", s, err)
		}
	}
	out, err := c.Client.CallDAG(ctx, "compose", client.Inputs{"x": 4}, client.Durable(), client.IdempotencyKey("k"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.Client.CallDAG(ctx, "compose", client.Inputs{"x": 5}, client.Durable(), client.IdempotencyKey("k"))
	if err != nil {
		t.Fatal(err)
	}
	if y, _ := client.Output[int](again, "y"); out.Run() != again.Run() || y != 25 {
		t.Errorf("the same idempotency key gave run %s with %d, then %s", again.Run(), y, out.Run())
	}
}

// TestManyAtOnce has many callers at once: each gets its own answers, and no run stays open.
func TestManyAtOnce(t *testing.T) {
	ctx, c := start(t, cluster.Config{Executors: 3})
	register(ctx, t, c, "increment", client.Native(increment))
	register(ctx, t, c, "square", client.Native(square))
	registerDAG(ctx, t, c, compose())
	errs := make(chan error, 32)
	for w := range 32 {
		go func() {
			for i := range 200 {
				x := w*1000 + i
				out, err := c.Client.CallDAG(ctx, "compose", client.Inputs{"x": x})
				if err == nil {
					var y int
					if y, err = client.Output[int](out, "y"); err == nil && y != (x+1)*(x+1) {
						err = fmt.Errorf("compose(%d) = %d", x, y)
					}
				}
				if err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	var all []error
	for range 32 {
		if err := <-errs; err != nil {
			all = append(all, err)
		}
	}
	if len(all) > 0 {
		t.Fatalf("%d callers failed, the first: %v", len(all), all[0])
	}
	if open := c.Coordinator().Open(); open > 0 {
		deadline := time.Now().Add(5 * time.Second)
		for c.Coordinator().Open() > 0 && time.Now().Before(deadline) {
			if _, err := c.Client.Runs(ctx, 1); err != nil {
				t.Fatal(err)
			}
		}
		if open := c.Coordinator().Open(); open > 0 {
			t.Errorf("%d runs are still open", open)
		}
	}
}

func BenchmarkCompose(b *testing.B) {
	ctx, c := start(b, cluster.Config{})
	register(ctx, b, c, "increment", client.Native(increment))
	register(ctx, b, c, "square", client.Native(square))
	registerDAG(ctx, b, c, compose())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Client.CallDAG(ctx, "compose", client.Inputs{"x": 3}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkChain16(b *testing.B) {
	ctx, c := start(b, cluster.Config{})
	register(ctx, b, c, "increment", client.Native(increment))
	d := dag.New("chain")
	last := d.Input("x")
	for i := range 16 {
		last = d.Call(fmt.Sprintf("n%d", i), "increment", last)
	}
	d.Output("y", last)
	registerDAG(ctx, b, c, d)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Client.CallDAG(ctx, "chain", client.Inputs{"x": 3}); err != nil {
			b.Fatal(err)
		}
	}
}

// TestGoexit has a function end its goroutine: its call fails, its slot comes back.
func TestGoexit(t *testing.T) {
	ctx, c := start(t, cluster.Config{Executor: cluster.ExecutorConfig{Slots: 2}})
	register(ctx, t, c, "leaves", client.Native(func(fn.Context, int) (int, error) { runtime.Goexit(); return 0, nil }))
	register(ctx, t, c, "increment", client.Native(increment))
	for range 5 {
		if _, err := client.Call[int](ctx, c.Client, "leaves", 1); !fault.Is(err, fault.FunctionExited) {
			t.Fatal(err)
		}
	}
	if n, err := client.Call[int](ctx, c.Client, "increment", 1); err != nil || n != 2 {
		t.Fatalf("%d, %v", n, err)
	}
}
