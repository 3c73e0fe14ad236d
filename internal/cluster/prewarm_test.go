package cluster_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/internal/cluster"
	"github.com/squall-faas/squall/kvs"
)

// TestPrewarm: a node that takes another's place has read what the applications used before anybody asks for it.
func TestPrewarm(t *testing.T) {
	ctx, c := start(t, cluster.Config{})
	const keys = 50
	for _, app := range []string{"", "shop"} {
		name := "sum" + app
		sum := client.Native(func(c fn.Context, app string) (int, error) {
			total := 0
			for i := range keys {
				n, err := fn.Get[int](c, fmt.Sprint(app, i))
				if err != nil {
					return 0, err
				}
				total += n
			}
			return total, nil
		})
		if _, err := c.Client.Register(ctx, name, sum, client.App(app)); err != nil {
			t.Fatal(err)
		}
		for i := range keys {
			if err := c.Client.Put(ctx, fmt.Sprint(app, i), i); err != nil {
				t.Fatal(err)
			}
		}
		for range 100 { // hits are sampled
			if n, err := client.Call[int](ctx, c.Client, name, app); err != nil || n != keys*(keys-1)/2 {
				t.Fatal(n, err)
			}
		}
	}
	if err := c.Executors()[0].Close(); err != nil {
		t.Fatal(err)
	}
	fresh, err := c.AddExecutor(ctx)
	if err != nil {
		t.Fatal(err)
	}
	held := func(app string) (n int) {
		for i := range keys {
			if fresh.Cache.Contains(kvs.Key(fmt.Sprint(app, i))) {
				n++
			}
		}
		return n
	}
	until := time.After(10 * time.Second)
	for held("") < keys/2 {
		select {
		case <-until:
			t.Fatalf("%d keys of the main application were read ahead", held(""))
		case <-time.After(time.Millisecond):
		}
	}
	if _, err := client.Call[int](ctx, c.Client, "sumshop", "shop"); err != nil {
		t.Fatal(err)
	}
}
