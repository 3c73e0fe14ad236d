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
	"github.com/squall-faas/squall/value"
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

// visitExactly counts as visit does, and misses nobody: it writes only if the key still has the revision that it read,
// and else reads again.
func visitExactly(ctx context.Context, store kvs.Store, page string) error {
	key := kvs.Key("visits/" + page)
	for {
		e, err := store.Get(ctx, key)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		n := 0
		if e.Revision != 0 { // 0 is what a key that is not there has
			if n, err = value.As[int](e.Value); err != nil {
				return err
			}
		}
		next, err := value.Of(n + 1)
		if err != nil {
			return err
		}
		_, err = store.CompareAndSet(ctx, key, next, e.Revision, kvs.PutOptions{})
		if !fault.Is(err, fault.Conflict) {
			return err
		}
	}
}

func run(ctx context.Context, w io.Writer) (err error) {
	s, err := squall.Open(ctx, squall.Config{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if _, err := s.Register(ctx, "visit", client.Native(visit)); err != nil {
		return err
	}

	// One after the other on one executor: each call sees what the last one wrote.
	for range 3 {
		n, err := client.Call[int](ctx, s.Client, "visit", "home")
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "home: visit %d\n", n)
	}

	// At once: the counts get lost in one another.
	const visitors = 20
	if err := atOnce(visitors, func() error { _, err := client.Call[int](ctx, s.Client, "visit", "busy"); return err }); err != nil {
		return err
	}
	n, err := client.Get[int](ctx, s.Client, "visits/busy")
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "busy: %d of %d visits counted by reading and writing\n", n, visitors)

	// At once, by compare-and-set: none is lost.
	if err := atOnce(visitors, func() error { return visitExactly(ctx, s.Store(), "exact") }); err != nil {
		return err
	}
	if n, err = client.Get[int](ctx, s.Client, "visits/exact"); err != nil {
		return err
	}
	fmt.Fprintf(w, "exact: %d of %d visits counted by compare-and-set\n", n, visitors)

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
	if err := c.Put(ctx, "session/ann", "logged in", time.Second); err != nil {
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
