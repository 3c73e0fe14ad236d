package cache

import (
	"context"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// Get returns the value under key, from memory where it is held, else from the store, on which it blocks until ctx
// ends; several Gets of one key that is not held wait for one read. It allocates nothing on a hit, and does not look
// at ctx then. Errors are the store's: not_found where there is none, and unavailable once the cache is closed.
func (c *Cache) Get(ctx context.Context, key kvs.Key) (value.Value, error) {
	v, err := c.find(ctx, key)
	if err != nil {
		return value.Value{}, err
	}
	return v.entry.Value, nil
}

// Entry is Get with what else is known of the version. Written is zero for one that this node wrote itself and has
// not heard of from the store yet.
func (c *Cache) Entry(ctx context.Context, key kvs.Key) (kvs.Entry, error) {
	v, err := c.find(ctx, key)
	if err != nil {
		return kvs.Entry{}, err
	}
	return v.entry, nil
}

func (c *Cache) find(ctx context.Context, key kvs.Key) (*version, error) {
	h := c.hash(key)
	s := c.shard(h)
	c.hear(s, h)
	if v := c.front.get(h, key); v != nil {
		s.hits.Add(1)
		return v, nil
	}
	return c.behind(ctx, s, h, key)
}

// behind looks behind the front: into the table, and then joins or begins a read of the store.
func (c *Cache) behind(ctx context.Context, s *shard, h uint64, key kvs.Key) (*version, error) {
	if err := key.Check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	if v := s.versionLocked(h, key); v != nil {
		c.front.putLocked(h, v)
		s.mu.Unlock()
		s.hits.Add(1)
		return v, nil
	}
	s.misses.Add(1)
	if c.closed.Load() {
		s.mu.Unlock()
		return nil, errClosed()
	}
	if err := ctx.Err(); err != nil {
		s.mu.Unlock()
		return nil, fault.From(err)
	}
	f := c.joinLocked(ctx, s, h, key)
	s.mu.Unlock()
	select {
	case <-f.done:
		return f.got, f.err
	case <-ctx.Done():
		c.quit(s, key, f)
		return nil, fault.From(ctx.Err())
	}
}

// joinLocked gives the flight of key for one more waiter, and begins it where there is none to join.
func (c *Cache) joinLocked(ctx context.Context, s *shard, h uint64, key kvs.Key) *flight {
	if n := s.notes[key]; n != nil && n.flight != nil {
		n.flight.waiters++
		return n.flight
	}
	n := s.noteLocked(key)
	// The read is for all who wait, so it does not end with the one who began it; it has that one's values, for
	// traces.
	reading, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f := &flight{cancel: cancel, waiters: 1, barrier: n.barrier, done: make(chan struct{})}
	n.flight = f
	s.reads.Add(1)
	c.work.Go(func() {
		defer cancel()
		stop := context.AfterFunc(c.life, cancel)
		defer stop()
		c.fly(reading, s, h, key, n, f)
	})
	return f
}

// quit takes one waiter away; with the last one the read ends.
func (c *Cache) quit(s *shard, key kvs.Key, f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.waiters--; f.waiters > 0 {
		return
	}
	if n := s.notes[key]; n != nil && n.flight == f {
		n.flight = nil
	}
	f.cancel()
}

func (c *Cache) fly(ctx context.Context, s *shard, h uint64, key kvs.Key, n *note, f *flight) {
	defer close(f.done)
	e, err := c.store.Get(ctx, key)
	if err == nil {
		f.got, err = newVersion(e)
	}
	switch {
	case err == nil:
	case c.life.Err() != nil:
		f.err = errClosed()
	default:
		f.err = fault.From(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// Other reads of the key may be under way that began earlier or later, but read before this one. So what this one
	// brings counts like a change.
	switch {
	case f.err == nil:
		c.learnLocked(s, h, key, n, e.Revision, f.got, f.barrier)
	case fault.Is(f.err, fault.NotFound):
		c.learnDeletedLocked(s, h, key, n) // whenever that was, it was before now
	case n.flight == f:
		n.flight = nil
	}
	s.releaseLocked(key, n)
}
