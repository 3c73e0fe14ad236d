package cluster_test

import (
	"context"
	"testing"
	"time"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/cluster"
)

// TestWasm registers a Go package's functions, which are built for WebAssembly, and composes them with native ones.
func TestWasm(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute) // the first build compiles Go's library
	defer cancel()
	c, err := cluster.Start(ctx, cluster.Config{Executors: 1, WasmCache: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, symbol := range []string{"Increment", "Spin", "Bump"} {
		if _, err := c.Client.Register(ctx, symbol, client.GoPackage("testdata/guest", symbol).WithTimeout(500*time.Millisecond)); err != nil {
			t.Fatal(err)
		}
	}
	register(ctx, t, c, "square", client.Native(square))
	b := dag.New("mixed")
	b.Output("y", b.Call("sq", "square", b.Call("inc", "Increment", b.Input("x"))))
	registerDAG(ctx, t, c, b)
	out, err := c.Client.CallDAG(ctx, "mixed", client.Inputs{"x": 2})
	if err != nil {
		t.Fatal(err)
	}
	if y, err := client.Output[int](out, "y"); err != nil || y != 9 {
		t.Fatalf("y = %d, %v", y, err)
	}
	if _, err := client.Call[int](ctx, c.Client, "Spin", 1); !fault.Is(err, fault.DeadlineExceeded) {
		t.Errorf("a guest that never returns: %v", err)
	}
	for want := 1; want <= 3; want++ {
		if n, err := client.Call[int](ctx, c.Client, "Bump", "n"); err != nil || n != want {
			t.Fatalf("bump: %d, %v", n, err)
		}
	}
	if _, err := c.Client.Register(ctx, "bad", client.Wasm([]byte("no module"))); !fault.Is(err, fault.InvalidModule) {
		t.Errorf("a module that is none: %v", err)
	}
}
