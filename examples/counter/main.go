// Counter keeps state: functions read and write it through their node's cache.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"sync"
	"time"

	"github.com/squall-faas/squall"
	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/kvs"
)

// visit counts one more visit of a page. It reads and then writes, which is not atomic: of two calls at the same time
// both may read 4 and write 5.
func visit(c fn.Context, page string) (int, error) {
	n, err := fn.Get[int](c, "visits/"+page)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return 0, err
	}
	return n + 1, fn.Put(c, "visits/"+page, n+1)
}

// visitExactly counts as visit does, and misses nobody: additions merge, whoever makes them and in whatever order.
func visitExactly(c fn.Context, page string) (int64, error) { return fn.Add(c, "visits/"+page, 1) }

// visitTwo counts a visit of two pages, of both or neither. Keys of one transaction share what stands in braces.
func visitTwo(ctx context.Context, c *client.Client) error {
	return c.Transact(ctx, func(t *client.Transaction) error {
		for _, page := range []string{"visits/left{both}", "visits/right{both}"} {
			n, err := client.In[int](ctx, t, page)
			if err != nil && !fault.Is(err, fault.NotFound) {
				return err
			}
			if err := t.Put(ctx, page, n+1); err != nil {
				return err
			}
		}
		return nil
	})
}

func run(ctx context.Context, w io.Writer) (err error) {
	s, err := squall.Open(ctx, squall.Config{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for name, impl := range map[string]client.Impl{"visit": client.Native(visit), "visit-exactly": client.Native(visitExactly)} {
		if _, err := s.Register(ctx, name, impl); err != nil {
			return err
		}
	}

	// One after the other on one executor: each call sees what the last one wrote.
	for range 3 {
		n, err := client.Call[int](ctx, s.Client, "visit", "home")
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "home: visit %d\n", n)
	}

	// At once: the counts get lost in one another. The functions' writes are acknowledged once they are stored, where the
	// client reads them.
	const visitors = 20
	call := func(function, page string) func() error {
		return func() error {
			_, err := s.CallValue(ctx, function, []any{page}, client.WriteAck(kvs.Stored))
			return err
		}
	}
	for _, way := range []struct {
		visit     func() error
		page, how string
	}{
		{call("visit", "busy"), "busy", "reading and writing"},
		{call("visit-exactly", "exact"), "exact", "adding"},
		{func() error { return visitTwo(ctx, s.Client) }, "left{both}", "transactions"},
	} {
		if err := atOnce(visitors, way.visit); err != nil {
			return err
		}
		n, err := client.Get[int](ctx, s.Client, "visits/"+way.page)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s: %d of %d visits counted by %s\n", way.page, n, visitors, way.how)
	}

	return expire(ctx, w, s.Client)
}

// expire puts a value that goes away by itself, and waits until it has.
func expire(ctx context.Context, w io.Writer, c *client.Client) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	changes, err := c.Store().Watch(ctx, "session/")
	if err != nil {
		return err
	}
	if err := c.Put(ctx, "session/ann", "logged in", client.TTL(time.Second)); err != nil {
		return err
	}
	state, err := client.Get[string](ctx, c, "session/ann")
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "ann is %s\n", state)
	for change := range changes {
		if change.Deleted {
			fmt.Fprintf(w, "ann is gone: the session lived for a second\n")
			return nil
		}
	}
	return errors.New("the watch ended before the session did")
}

// atOnce runs f n times at the same time.
func atOnce(n int, f func() error) error {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() { errs[i] = f() })
	}
	all.Wait()
	return errors.Join(errs...)
}

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}
