package cache

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

const (
	// manyKeys is how many keys the store is asked for at a time.
	manyKeys = 256
	// manyTogether is from how many keys on one request to the store is cheaper than one each to their owners.
	manyTogether = 4
	// manyFlights is how many keys are read at a time of those that go their own way.
	manyFlights = 16
)

// GetMany is Get of several keys. Of what is not held a few are read as Get does, through their owners among the peers; more
// are read from the store together. Values stand by their keys' places; null where there is none.
func (l *Cachelet) GetMany(ctx context.Context, keys []kvs.Key) ([]value.Value, error) {
	out := make([]value.Value, len(keys))
	var missed []int
	for i, key := range keys {
		if it := l.held(key); it == nil {
			missed = append(missed, i)
		} else if !it.Absent {
			out[i] = it.Value
		}
	}
	if len(missed) == 0 {
		return out, nil
	}
	return out, l.findMany(ctx, keys, missed, out)
}

// held is what find would give without reading, absent too; nil where it would read, or fail.
func (l *Cachelet) held(key kvs.Key) *item {
	c := l.c
	h := c.hash(key)
	every := l.sampler.draw()
	if v := l.hit(h, key, every, 0); v != nil {
		return v
	}
	if key.Check() != nil {
		return nil
	}
	s := c.shard(h)
	s.mu.Lock()
	v := c.broughtForthLocked(s, h, key)
	s.mu.Unlock()
	if v != nil {
		l.took(s, h, v, every)
	}
	return v
}

// findMany fills in what is not held of keys.
func (l *Cachelet) findMany(ctx context.Context, keys []kvs.Key, missed []int, out []value.Value) error {
	together, apart := l.separate(keys, missed)
	for len(together) > 0 {
		some := together[:min(len(together), manyKeys)]
		together = together[len(some):]
		names := make([]kvs.Key, len(some))
		for j, i := range some {
			names[j] = keys[i]
		}
		got, err := l.readMany(ctx, names)
		if err != nil {
			return fault.From(err)
		}
		for j, it := range got {
			switch i := some[j]; {
			case it == nil:
				apart = append(apart, i)
			case !it.Absent && !it.expired():
				out[i] = it.Value
			}
		}
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(manyFlights)
	for _, i := range apart {
		g.Go(func() error {
			it, err := l.look(gctx, keys[i])
			if err == nil && !it.Absent {
				out[i] = it.Value
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		if ctx.Err() != nil {
			return fault.From(ctx.Err())
		}
		return err
	}
	return nil
}

// separate tells which of the missed keys are read together from the store, and which go their own way: few, those of which a
// read is under way, and those that are in keys a second time.
func (l *Cachelet) separate(keys []kvs.Key, missed []int) (together, apart []int) {
	if len(missed) < manyTogether {
		return nil, missed
	}
	seen := make(map[kvs.Key]bool, len(missed))
	for _, i := range missed {
		key := keys[i]
		if seen[key] || key.Check() != nil || l.flying(key) {
			apart = append(apart, i)
			continue
		}
		seen[key] = true
		together = append(together, i)
	}
	return together, apart
}

// flying reports whether a read of the key is under way.
func (l *Cachelet) flying(key kvs.Key) bool {
	s := l.c.shard(l.c.hash(key))
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.notes[key]
	return n != nil && n.flight != nil
}

// readMany reads keys, each once, from the store with one request, and caches what it finds. Items stand by their keys' places,
// absent ones too; nil for one that has to be read on its own: the store's replica was behind, or it does not decode.
func (l *Cachelet) readMany(ctx context.Context, keys []kvs.Key) ([]*item, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	c := l.c
	if c.closed.Load() {
		return nil, errClosed()
	}
	if err := ctx.Err(); err != nil {
		return nil, fault.From(err)
	}
	l = l.live()
	l.use()
	visits := c.visits(keys)
	for i := range visits {
		visits[i].s.misses.Add(1)
		l.misses.Add(1)
	}
	entries, err := c.store.GetMany(ctx, keys)
	out := make([]*item, len(keys))
	for i := range visits {
		v := &visits[i]
		if err != nil {
			v.end()
			continue
		}
		v.s.reads.Add(1)
		it, err := v.item(entries[i])
		if err != nil || v.s.belowFloor(&it.Version) {
			v.end() // whoever reads it is told
			continue
		}
		v.brought(it, l)
		out[i] = it
	}
	return out, err
}
