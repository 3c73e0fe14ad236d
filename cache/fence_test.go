package cache

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

// fenceOf raises the fence of a writer: what carries an earlier one is refused from here on.
func (s *stage) fenceOf(t testing.TB, writer string) kvs.Fence {
	t.Helper()
	f, err := s.Fence(context.Background(), writer)
	must(t, err)
	return f
}

// TestFencedNode: of a node that was declared dead no write is stored any more, by whichever way it comes; it is told once,
// drops what waits, refuses what comes, and goes on when it has a new fence.
func TestFencedNode(t *testing.T) {
	write := func(m version.Mutation, ack kvs.Ack) func(*Cache) error {
		return func(c *Cache) error { _, err := c.Main().Write(context.Background(), m, ack); return err }
	}
	session := func(level kvs.Level) func(*Cache) error {
		return func(c *Cache) error {
			ctx := context.Background()
			s, err := c.Begin(SessionConfig{Run: "r", Level: level, Ack: kvs.Stored, Last: true, Buffer: level == kvs.LWW})
			if err != nil {
				return err
			}
			if err := s.Put(ctx, "k", value.MustOf(1), PutOptions{}); err != nil {
				return err
			}
			state, err := s.Finish(ctx)
			if err == nil && level == kvs.Transaction {
				err = c.CommitTransaction(ctx, "r", state, false)
			}
			return err
		}
	}
	ways := map[string]func(*Cache) error{
		"put":    write(version.Mutation{Kind: version.Assign, Key: "k", Value: value.MustOf(1)}, kvs.Stored),
		"delete": write(version.Mutation{Kind: version.Remove, Key: "k"}, kvs.Stored),
		"update": write(version.Mutation{Kind: version.Update, Key: "n", Op: addOp(1)}, kvs.Stored),
		"strong": write(version.Mutation{Kind: version.Assign, Key: "k", Value: value.MustOf(1), Wins: true}, kvs.Stored),
	}
	for _, level := range kvs.Levels() {
		ways[level.String()] = session(level)
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			var told atomic.Int64
			c := startWith(t, Config{Store: s, Fenced: func() { told.Add(1) }})
			put(t, s, "k", 0)
			c.SetFence(s.fenceOf(t, "node"))
			must(t, way(c))
			put(t, s, "k", 7) // others do its work
			old := s.inStore(t, "n")
			next := s.fenceOf(t, "node")
			wantCode(t, way(c), fault.Fenced)
			wantCode(t, way(c), fault.Fenced)
			_, err := c.Main().PutWith(t.Context(), "k", value.MustOf(1), kvs.PutOptions{}, kvs.Cached)
			wantCode(t, err, fault.Fenced)
			s.wantInt(t, "k", 7)
			if got := s.inStore(t, "n"); got.Revision != old.Revision {
				t.Fatalf("n is at revision %d, and was at %d", got.Revision, old.Revision)
			}
			if n := told.Load(); n != 1 {
				t.Fatalf("told %d times", n)
			}
			_, err = c.Get(t.Context(), "k") // it may read
			must(t, err)
			c.SetFence(next)
			must(t, way(c))
			if n := told.Load(); n != 1 {
				t.Fatalf("told %d times", n)
			}
			c.inspectQuiet(t)
		})
	}
}

// TestFenceDropsWhatWaits: what was acknowledged as cached under an earlier fence is not stored under a later one; what waits
// for the store ends as fenced.
func TestFenceDropsWhatWaits(t *testing.T) {
	s := newStage(t)
	c := start(t, s, 0)
	put(t, s, "k", 0)
	c.SetFence(s.fenceOf(t, "node"))
	wantInt(t, c, "k", 0)
	s.refuse.Store(true)
	cached(t, c, "k", 1)
	wantInt(t, c, "k", 1)
	stored := make(chan error, 1)
	go func() { _, err := c.Put(context.Background(), "other", value.MustOf(1)); stored <- err }()
	until(t, "both wait", func() bool { return c.Stats().Dirty > 2*writeBytes })
	c.SetFence(kvs.Fence{Writer: "node", Marks: []uint64{9}})
	wantCode(t, <-stored, fault.Fenced)
	if d := c.Stats().Dirty; d != 0 {
		t.Fatalf("%d bytes wait", d)
	}
	s.refuse.Store(false)
	wantInt(t, c, "k", 0)
	s.wantInt(t, "k", 0)
	wantNone(t, c, "other")
	c.inspectQuiet(t)
}

// TestFenceComesAgain: to be given the fence that it has changes nothing for a node.
func TestFenceComesAgain(t *testing.T) {
	s := newStage(t)
	c := start(t, s, 0)
	f := s.fenceOf(t, "node")
	c.SetFence(f)
	under, letGo := s.holdWrites()
	cached(t, c, "k", 1)
	<-under
	c.SetFence(f)
	letGo()
	must(t, c.Flush(t.Context()))
	s.wantInt(t, "k", 1)
	c.inspectQuiet(t)
}
