package cache

import (
	"context"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

// Get returns the value under key, from memory where it is held, else from its owner among the peers or from the store, on
// which it blocks until ctx ends; several Gets of one key that is not held wait for one read. It allocates nothing on a
// hit, and does not look at ctx then. Errors are the store's: not_found where there is none, and unavailable once the
// cache is closed.
func (l *Cachelet) Get(ctx context.Context, key kvs.Key) (value.Value, error) {
	v, err := l.find(ctx, key)
	if err != nil {
		return value.Value{}, err
	}
	return v.Value, nil
}

// Entry is Get with what else is known of the version. Revision is 0 for one that is not stored yet; Written is zero for
// one that this node wrote itself.
func (l *Cachelet) Entry(ctx context.Context, key kvs.Key) (kvs.Entry, error) {
	v, err := l.find(ctx, key)
	if err != nil {
		return kvs.Entry{}, err
	}
	return v.entry(), nil
}

func (l *Cachelet) find(ctx context.Context, key kvs.Key) (*item, error) {
	h := l.c.hash(key)
	every := l.sampler.draw()
	if v := l.hit(h, key, every, 0); v != nil {
		return v, nil
	}
	return l.behind(ctx, l.c.shard(h), h, key, every)
}

// hit is what the front has of a key, nil for nothing. every is of how many Gets it takes note with this one, 0 for none; see
// front.get for more.
func (l *Cachelet) hit(h uint64, key kvs.Key, every uint32, more int) *item {
	v := l.c.front.get(h, key, more)
	if v == nil || v.expired() {
		return nil
	}
	l.touch(h, v.cost)
	if every != 0 {
		l.hear(l.c.shard(h), h, v, every)
	}
	return v
}

// took takes note of a hit behind the front.
func (l *Cachelet) took(s *shard, h uint64, v *item, every uint32) {
	l.touch(h, v.cost)
	if every != 0 {
		l.hear(s, h, v, every)
	}
}

// behind looks behind the front: into the table, at what is pending, and then joins or begins a read.
func (l *Cachelet) behind(ctx context.Context, s *shard, h uint64, key kvs.Key, every uint32) (*item, error) {
	c := l.c
	if err := key.Check(); err != nil {
		return nil, err
	}
	l = l.live()
	s.mu.Lock()
	if v := c.broughtForthLocked(s, h, key); v != nil {
		s.mu.Unlock()
		l.took(s, h, v, every)
		return present(v)
	}
	f, err := l.missLocked(ctx, s, h, key, false)
	s.mu.Unlock()
	if every != 0 {
		l.hear(s, h, nil, every)
	}
	if err != nil {
		return nil, err
	}
	return present2(c.wait(ctx, f))
}

// broughtForthLocked is hereLocked, and has the front give it from now on where it may.
func (c *Cache) broughtForthLocked(s *shard, h uint64, key kvs.Key) *item {
	v := c.hereLocked(s, h, key)
	if v != nil && !v.dirty {
		c.front.putLocked(h, v)
	}
	return v
}

// hereLocked is what Gets see of a key: its pending view, or the version in the table; nil for neither.
func (c *Cache) hereLocked(s *shard, h uint64, key kvs.Key) *item {
	if p := s.pending[key]; p != nil {
		return p.view
	}
	cl := s.cellLocked(h, key)
	if cl == nil {
		return nil
	}
	v := cl.version.Load()
	if v.expired() {
		c.dropLocked(s, cl)
		return nil
	}
	return v
}

// present is what a reader gets of an item.
func present(it *item) (*item, error) {
	if it.Absent || it.expired() {
		return nil, notFound(it.Key)
	}
	return it, nil
}

func present2(it *item, err error) (*item, error) {
	if err != nil {
		return nil, err
	}
	return present(it)
}

// look is find where absent is an answer too.
func (l *Cachelet) look(ctx context.Context, key kvs.Key) (*item, error) {
	it, err := l.find(ctx, key)
	if fault.Is(err, fault.NotFound) {
		return absent(key), nil
	}
	return it, err
}

// absent is an item for a key that is not there.
func absent(key kvs.Key) *item { return &item{Version: *version.None(key)} }

// fresh reads the store whatever is held, for those to whom that may be too old.
func (l *Cachelet) fresh(ctx context.Context, key kvs.Key) (*item, error) {
	if err := key.Check(); err != nil {
		return nil, err
	}
	l = l.live()
	h := l.c.hash(key)
	s := l.c.shard(h)
	s.mu.Lock()
	if n := s.notes[key]; n != nil {
		n.flight = nil // it may have read already
	}
	f, err := l.missLocked(ctx, s, h, key, true)
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return l.c.wait(ctx, f)
}

// missLocked joins or begins a read.
func (l *Cachelet) missLocked(ctx context.Context, s *shard, h uint64, key kvs.Key, fromStore bool) (*flight, error) {
	c := l.c
	s.misses.Add(1)
	l.misses.Add(1)
	l.use()
	if c.closed.Load() {
		return nil, errClosed()
	}
	if err := ctx.Err(); err != nil {
		return nil, fault.From(err)
	}
	if n := s.notes[key]; n != nil && n.flight != nil {
		n.flight.waiters++
		return n.flight, nil
	}
	// The read is for all who wait, so it does not end with the one who began it; it has that one's values, for
	// traces.
	reading, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f := &flight{visit: c.visitLocked(s, h, key), cancel: cancel, waiters: 1, done: make(chan struct{})}
	f.n.flight = f
	f.followed = c.interest.begin(h, key)
	c.work.Go(func() {
		defer cancel()
		stop := context.AfterFunc(c.life, cancel)
		defer stop()
		l.fly(reading, f, fromStore)
	})
	return f, nil
}

func (c *Cache) wait(ctx context.Context, f *flight) (*item, error) {
	select {
	case <-f.done:
		return f.got, f.err
	case <-ctx.Done():
		f.quit()
		return nil, fault.From(ctx.Err())
	}
}

// quit takes one waiter away; with the last one the read ends.
func (f *flight) quit() {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	if f.waiters--; f.waiters > 0 {
		return
	}
	if f.n.flight == f {
		f.n.flight = nil
	}
	f.cancel()
}

// fly reads a key, from its owner among the peers where that is good enough, else from the store.
func (l *Cachelet) fly(ctx context.Context, f *flight, fromStore bool) {
	defer close(f.done)
	c := l.c
	got, err := l.read(ctx, &f.visit, fromStore)
	if lost := awaitFollowed(ctx, f.followed); err == nil { // what changes from here on is pushed
		err = lost
	}
	switch {
	case err == nil:
		c.cover(&got.Version)
		f.got = got
	case c.life.Err() != nil:
		f.err = errClosed()
	default:
		f.err = fault.From(err)
	}
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	defer f.endLocked()
	// Other reads of the key may be under way that began earlier or later, but read before this one. So what this one
	// brings counts like a change.
	if f.err != nil {
		if f.n.flight == f {
			f.n.flight = nil
		}
		return
	}
	f.broughtLocked(got, l)
	if p := f.s.pending[f.key]; p != nil { // written meanwhile
		f.got = p.view
	}
}

// read gets a key. What is not there is an item that is absent.
func (l *Cachelet) read(ctx context.Context, v *visit, fromStore bool) (*item, error) {
	c := l.c
	if !fromStore {
		if it := l.askPeer(ctx, v); it != nil {
			return it, nil
		}
	}
	v.s.reads.Add(1)
	e, err := c.fromStore(ctx, v.key)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	it := absent(v.key)
	if err == nil {
		if it, err = v.item(e); err != nil {
			return nil, err
		}
	}
	// A replica of the store may be behind what is known here.
	if v.s.belowFloor(&it.Version) {
		v.s.reads.Add(1)
		if e, err = c.store.Current(ctx, v.key); err != nil {
			return nil, err
		}
		return v.item(e)
	}
	return it, nil
}
