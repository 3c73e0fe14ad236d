package cache

import "github.com/squall-faas/squall/kvs"

// Each calls yield for each key in the table with the bytes that its version takes, in no order. A 64th of the table is locked
// at a time: yield must not block, nor call the cache. What is only pinned, or not stored yet, is left out.
func (c *Cache) Each(yield func(key kvs.Key, size int64)) {
	for i := range c.shards {
		c.shards[i].each(yield)
	}
}

func (s *shard) each(yield func(key kvs.Key, size int64)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, cl := range s.cells {
		if v := cl.version.Load(); v != nil {
			yield(v.Key, v.cost)
		}
	}
}

// Turnover counts what has come into the table or left it, roughly: while it stays the same, so do the keys that Each gives.
func (c *Cache) Turnover() uint64 {
	n := c.evictions.Load() + c.refused.Load() + c.pushes.Load() + uint64(c.bytes.Load())
	for i := range c.shards {
		n += c.shards[i].misses.Load()
	}
	return n
}
