package cache

import (
	"context"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
)

// proven gives what the store has, proven to have been current during the call. What is not there is an item that is
// absent.
func (l *Cachelet) proven(ctx context.Context, key kvs.Key) (*item, error) {
	c := l.c
	if c.closed.Load() {
		return nil, errClosed()
	}
	v := c.visit(key)
	v.s.reads.Add(1)
	e, err := c.store.Current(ctx, key)
	if err != nil {
		v.end()
		return nil, err
	}
	it, err := v.item(e)
	if err != nil {
		v.end()
		return nil, err
	}
	v.brought(it, l.live())
	return it, nil
}

// stored is look for those who may not see what is not stored yet: they wait until it is.
func (l *Cachelet) stored(ctx context.Context, key kvs.Key) (*item, error) {
	for {
		it, err := l.find(ctx, key)
		switch {
		case err == nil && !it.dirty:
			return it, nil
		case err != nil && !fault.Is(err, fault.NotFound):
			return nil, err
		case err != nil && !l.c.isPending(key):
			return absent(key), nil
		}
		if err := l.c.settled(ctx, key); err != nil {
			return nil, err
		}
	}
}

// isPending reports whether writes of key are not stored yet.
func (c *Cache) isPending(key kvs.Key) bool {
	s := c.shard(c.hash(key))
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pending[key] != nil
}

// settled waits for a batch, after which what is pending under key may be stored.
func (c *Cache) settled(ctx context.Context, key kvs.Key) error {
	c.dirty.mu.Lock()
	progress, refusal, closed := c.dirty.progress, c.dirty.refusal, c.dirty.closed
	c.dirty.mu.Unlock()
	switch {
	case closed != nil:
		return closed
	case !c.isPending(key):
		return nil
	}
	c.dirty.watch()
	defer c.dirty.unwatch()
	select {
	case <-progress:
		return nil
	case <-ctx.Done():
		if refusal != nil {
			return fault.New(fault.Unavailable, "key %.64q has a write here that the store does not take: %w", string(key), refusal)
		}
		return fault.From(ctx.Err())
	}
}

// confirmed is stored for those who rely on how old the version can be (session.Staleness), and on what this node has given
// out before (cover).
func (l *Cachelet) confirmed(ctx context.Context, key kvs.Key, after uint64) (*item, error) {
	it, err := l.stored(ctx, key)
	if err != nil || l.c.current(it, after) {
		return it, err
	}
	return l.again(ctx, key, 0)
}

// again reads the store for those to whom what is held is too old: from whoever answers the first time, which may be a
// replica, and after that with proof.
func (l *Cachelet) again(ctx context.Context, key kvs.Key, tries int) (*item, error) {
	if tries > 0 {
		return l.proven(ctx, key)
	}
	it, err := l.fresh(ctx, key)
	if err == nil && it.dirty {
		return l.stored(ctx, key)
	}
	return it, err
}

// storeCausal stores one write, after what it depends on, and then shows it: what is there is read, the write is applied
// to it, and stored if it is still there.
func (l *Cachelet) storeCausal(ctx context.Context, m *version.Mutation) (*version.Version, error) {
	c := l.c
	if err := c.mayWrite(); err != nil {
		return nil, err
	}
	at := c.visit(m.Key)
	it, err := l.tryCausal(ctx, m, &at)
	if err != nil {
		at.end()
		return nil, err
	}
	at.brought(it, l.live())
	return &it.Version, nil
}

func (l *Cachelet) tryCausal(ctx context.Context, m *version.Mutation, at *visit) (*item, error) {
	c := l.c
	var base *version.Version // nil: not known for certain
	if it := c.peek(m.Key); it != nil && !it.dirty {
		base = &it.Version
	}
	for {
		known := base != nil
		if !known {
			entries, err := c.store.GetMany(ctx, []kvs.Key{m.Key})
			if err != nil {
				return nil, err
			}
			it, err := at.item(entries[0])
			if err != nil {
				return nil, err
			}
			base = &it.Version
		}
		if c.cfg.Break == BreakSiblings {
			m.Context = base.Clock()
		}
		next, changed, err := version.Apply(base, m)
		switch {
		case known && (err != nil || !changed): // what is cached may be long gone
			base = nil
			continue
		case err != nil:
			return nil, err
		case !changed:
			return itemOf(base, at.began)
		}
		if err := awaitFollowed(ctx, at.followed); err != nil {
			return nil, err
		}
		got, err := c.storeOne(ctx, base, next)
		if err == nil {
			it, err := itemOf(got, at.began)
			if err != nil {
				return nil, err
			}
			it.gen = at.gen
			return it, nil
		}
		if !fault.Is(err, fault.Conflict) || ctx.Err() != nil {
			return nil, err
		}
		base = nil
	}
}

// storeOne stores next where the store has base; conflict where it has something else.
func (c *Cache) storeOne(ctx context.Context, base, next *version.Version) (*version.Version, error) {
	expect := expected(base)
	if c.cfg.Break == BreakCompareAndSet {
		expect = kvs.AnyRevision
	}
	w, err := next.Write(expect)
	if err != nil {
		return nil, err
	}
	fence := c.fence.Load()
	results, err := c.store.WriteMany(ctx, []kvs.Write{w}, *fence)
	if err == nil {
		err = results[0].Err
	}
	if err != nil {
		c.refusedBy(fence, err)
		return nil, err
	}
	return next.Stored(results[0].Revision), nil
}

// peek gives what the table has, without a read.
func (c *Cache) peek(key kvs.Key) *item {
	h := c.hash(key)
	if v := c.front.get(h, key, 0); v != nil {
		return v
	}
	s := c.shard(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.versionLocked(h, key)
}
