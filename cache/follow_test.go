package cache

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

// TestWritesAreFollowed: nothing that a node writes is stored before the store's feed has been told of its key, so that the
// node hears of whatever comes after; nor is it cached before, whoever has stored it.
func TestWritesAreFollowed(t *testing.T) {
	session := func(level kvs.Level) func(context.Context, *Cache) error {
		return func(ctx context.Context, c *Cache) error {
			s, err := c.Begin(SessionConfig{Run: "r", Level: level, Ack: kvs.Stored, Last: true})
			if err != nil {
				return err
			}
			if err := s.Put(ctx, "{k}", value.MustOf(1), PutOptions{}); err != nil {
				return err
			}
			state, err := s.Finish(ctx)
			if err == nil && level == kvs.Transaction {
				err = c.CommitTransaction(ctx, "r", state, false)
			}
			return err
		}
	}
	for name, write := range map[string]func(context.Context, *Cache) error{
		"put": func(ctx context.Context, c *Cache) error { _, err := c.Put(ctx, "{k}", value.MustOf(1)); return err },
		"cached": func(ctx context.Context, c *Cache) error {
			_, err := c.Main().PutWith(ctx, "{k}", value.MustOf(1), kvs.PutOptions{}, kvs.Cached)
			if err == nil {
				err = c.Flush(ctx)
			}
			return err
		},
		"strong": func(ctx context.Context, c *Cache) error {
			_, err := c.Main().Write(ctx, version.Mutation{Kind: version.Assign, Key: "{k}", Value: value.MustOf(1), Wins: true}, kvs.Stored)
			return err
		},
		"rr": session(kvs.RepeatableRead), "sk": session(kvs.SingleKey), "mk": session(kvs.MultiKey),
		"dsc": session(kvs.DistributedSession), "txn": session(kvs.Transaction),
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			c := startWith(t, Config{Store: s, CheckEvery: time.Hour})
			asked, gate := make(chan struct{}, 10), make(chan struct{})
			var followed atomic.Bool
			s.set(func() {
				s.add = func(plain func()) {
					asked <- struct{}{}
					<-gate
					plain()
					followed.Store(true)
				}
				s.store = func(key kvs.Key) {
					if !followed.Load() {
						t.Errorf("%q is stored, and the feed does not know of it", key)
					}
				}
			})
			done := make(chan error, 1)
			go func() { done <- write(context.Background(), c) }()
			<-asked
			for range 100 { // what does not wait would be stored by now
				runtime.Gosched()
			}
			close(gate)
			must(t, <-done)
			s.set(func() { s.store = nil })
			rev := put(t, s, "{k}", 2)
			until(t, "push", func() bool { e, _ := c.Entry(t.Context(), "{k}"); return e.Revision == rev })
			c.inspectQuiet(t)
		})
	}
}

// TestReadsAreFollowed: what was read, in whichever way, is cached when changes of it will be heard.
func TestReadsAreFollowed(t *testing.T) {
	for name, read := range map[string]func(context.Context, *Cache) error{
		"get": func(ctx context.Context, c *Cache) error { _, err := c.Get(ctx, "k"); return err },
		"strong": func(ctx context.Context, c *Cache) error {
			_, err := c.Main().proven(ctx, "k")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			c := startWith(t, Config{Store: s, CheckEvery: time.Hour})
			put(t, s, "k", 1)
			asked, gate := make(chan struct{}, 10), make(chan struct{})
			s.set(func() { s.add = func(plain func()) { asked <- struct{}{}; <-gate; plain() } })
			done := make(chan error, 1)
			go func() { done <- read(context.Background(), c) }()
			<-asked
			for range 100 {
				runtime.Gosched()
			}
			if c.Contains("k") {
				t.Error("it is cached, and the feed does not know of it")
			}
			close(gate)
			must(t, <-done)
			wantInt(t, c, "k", 1)
			rev := put(t, s, "k", 2)
			until(t, "push", func() bool { e, _ := c.Entry(t.Context(), "k"); return e.Revision == rev })
			c.inspectQuiet(t)
		})
	}
}

// TestInterestEnds: a key that is wanted and not wanted again while the feed is busy is not followed in the end.
func TestInterestEnds(t *testing.T) {
	s := newStage(t)
	c := startWith(t, Config{Store: s, CheckEvery: time.Hour})
	put(t, s, "k", 1)
	for range 50 {
		wantInt(t, c, "k", 1)
		h := c.hash("k")
		sh := c.shard(h)
		sh.mu.Lock()
		c.dropLocked(sh, sh.cells[h]) // beside what the lane does about the read
		sh.mu.Unlock()
	}
	until(t, "no interest", func() bool { return !s.followed("k") })
}
