package client_test

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/internal/cluster"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/lattice"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open starts a cluster in memory, and gives two clients of it: sessions of their own.
func open(t *testing.T) (a, b *client.Client, c *cluster.Cluster) {
	t.Helper()
	c, err := cluster.Start(t.Context(), cluster.Config{NoWasm: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, c.Close()) })
	b, err = client.Over(c.Memory.Join("other"), nil, nil)
	check(t, err)
	t.Cleanup(func() { check(t, b.Close()) })
	return c.Client, b, c
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func fails(t *testing.T, err error, code fault.Code) {
	t.Helper()
	if !fault.Is(err, code) {
		t.Fatalf("got %v, want %s", err, code)
	}
}

func texts(t *testing.T, c *client.Client, key string, opts ...client.KVOption) []string {
	t.Helper()
	vs, err := c.Siblings(t.Context(), key, opts...)
	check(t, err)
	out := make([]string, len(vs))
	for i, v := range vs {
		check(t, v.Into(&out[i]))
	}
	return out
}

func TestPutGetDelete(t *testing.T) {
	a, b, _ := open(t)
	ctx := t.Context()
	for i := range 3 {
		check(t, a.Put(ctx, "k", i))
		n, err := client.Get[int](ctx, b, "k", client.Consistency(client.Strong))
		if err != nil || n != i {
			t.Fatal(n, err)
		}
		check(t, b.Put(ctx, "k", i, client.Consistency(client.Strong)))
	}
	rev, err := a.Write(ctx, "ttl", "x", client.TTL(time.Hour), client.Create(), client.WriteAck(kvs.Cached))
	check(t, err)
	e, err := b.Version(ctx, "ttl")
	if err != nil || e.Revision != rev || time.Until(e.Expires) < 59*time.Minute {
		t.Fatal(e, err)
	}
	fails(t, b.Put(ctx, "ttl", "y", client.Create()), fault.Conflict)
	check(t, b.Put(ctx, "ttl", "y", client.IfRevision(rev)))
	fails(t, a.Put(ctx, "ttl", "z", client.IfRevision(rev)), fault.Conflict)
	fails(t, a.Delete(ctx, "ttl", client.IfRevision(rev)), fault.Conflict)
	check(t, a.Delete(ctx, "ttl"))
	check(t, a.Delete(ctx, "ttl"))
	_, err = b.Get(ctx, "ttl")
	fails(t, err, fault.NotFound)
	fails(t, a.Put(ctx, "k", make(chan int)), fault.WrongType)
	fails(t, a.Put(ctx, "", 1), fault.InvalidKey)
	fails(t, a.Put(ctx, "k", 1, client.Consistency(99)), fault.Unsupported)
}

func TestSiblings(t *testing.T) {
	a, b, _ := open(t)
	ctx, sk := t.Context(), client.Consistency(client.SK)
	check(t, a.Put(ctx, "cart", "apple", sk))
	check(t, b.Put(ctx, "cart", "bread", sk))
	if got := texts(t, a, "cart"); !reflect.DeepEqual(got, []string{"bread", "apple"}) {
		t.Fatalf("%q", got)
	}
	if s, err := client.Get[string](ctx, b, "cart"); err != nil || s != "bread" {
		t.Fatal(s, err)
	}
	check(t, a.Put(ctx, "cart", "both", sk)) // has read them
	if got := texts(t, b, "cart", client.Consistency(client.Strong)); !reflect.DeepEqual(got, []string{"both"}) {
		t.Fatalf("%q", got)
	}
	_, err := b.Siblings(ctx, "nothing")
	fails(t, err, fault.NotFound)
}

func TestUpdate(t *testing.T) {
	a, b, _ := open(t)
	ctx := t.Context()
	var wg sync.WaitGroup
	for _, c := range []*client.Client{a, b} {
		for range 16 {
			wg.Go(func() {
				if _, err := client.Add(ctx, c, "n", 2); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	for range 3 { // once
		_, err := client.Add(ctx, b, "n", 100, client.IdempotencyKey("order 7"))
		check(t, err)
	}
	if n, err := client.Get[int](ctx, a, "n"); err != nil || n != 164 {
		t.Fatal(n, err)
	}
	op, err := lattice.ParseOp("field", "hits", "add", "1")
	check(t, err)
	_, err = a.Update(ctx, "map", op)
	check(t, err)
	m, err := client.Get[map[string]int](ctx, b, "map")
	if err != nil || m["hits"] != 1 {
		t.Fatal(m, err)
	}
	_, err = client.Add(ctx, a, "map", 1)
	fails(t, err, fault.WrongType)
}

func TestTransact(t *testing.T) {
	a, b, _ := open(t)
	ctx := t.Context()
	var wg sync.WaitGroup
	for _, c := range []*client.Client{a, b} {
		for range 8 {
			wg.Go(func() {
				err := c.Transact(ctx, func(x *client.Transaction) error {
					n, err := client.In[int](ctx, x, "n{t}")
					if err != nil && !fault.Is(err, fault.NotFound) {
						return err
					}
					return errors.Join(x.Put(ctx, "n{t}", n+1), x.Put(ctx, "last{t}", n+1), x.Delete(ctx, "old{t}"))
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	for _, key := range []string{"n{t}", "last{t}"} {
		if n, err := client.Get[int](ctx, a, key); err != nil || n != 16 {
			t.Fatal(key, n, err)
		}
	}
	fails(t, a.Transact(ctx, func(x *client.Transaction) error {
		_, err := x.Get(ctx, "n{t}")
		return errors.Join(err, x.Put(ctx, "elsewhere", 1))
	}), fault.TxnCrossShard)
}

// A call's level and acknowledgement reach its function.
func TestCallOptions(t *testing.T) {
	a, _, _ := open(t)
	ctx := t.Context()
	_, err := a.Register(ctx, "put", client.Native2(func(c fn.Context, key string, n int) (int, error) {
		return n, errors.Join(fn.Put(c, key+"1", n), fn.Put(c, key+"2", n))
	}))
	check(t, err)
	for n := range 5 {
		_, err = a.CallValue(ctx, "put", []any{"k", n}, client.WriteAck(kvs.Stored))
		check(t, err)
		if got, err := client.Get[int](ctx, a, "k2"); err != nil || got != n {
			t.Fatalf("stored, and %d is read where %d was written: %v", got, n, err)
		}
	}
	_, err = a.CallValue(ctx, "put", []any{"k", 1}, client.Consistency(client.Txn))
	fails(t, err, fault.TxnCrossShard)
	_, err = a.CallValue(ctx, "put", []any{"k{x}", 1}, client.Consistency(client.Txn))
	check(t, err)
	run, err := a.Start(ctx, "put", []any{"k", 1}, client.Consistency(client.Txn))
	check(t, err)
	wait, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if _, err = run.Get(wait); err == nil {
		t.Fatal("the level of a run that was started is lost")
	}
	_, err = a.CallValue(ctx, "put", []any{"k", 1}, client.Consistency(99))
	fails(t, err, fault.Unsupported)
	_, err = a.CallValue(ctx, "put", []any{"k", 1}, client.WriteAck(99))
	fails(t, err, fault.InvalidArgument)
}

func TestApp(t *testing.T) {
	a, _, _ := open(t)
	ctx := t.Context()
	f := client.Native(func(_ fn.Context, n int) (int, error) { return n, nil })
	_, err := a.Register(ctx, "f", f, client.App("shop"))
	check(t, err)
	all, err := a.Functions(ctx)
	if err != nil || len(all) != 1 || all[0].App != "shop" {
		t.Fatal(all, err)
	}
	if n, err := client.Call[int](ctx, a, "f", 7); err != nil || n != 7 {
		t.Fatal(n, err)
	}
	_, err = a.Register(ctx, "f", f, client.App("no/way"))
	fails(t, err, fault.InvalidName)
}
