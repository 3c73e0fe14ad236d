package cache

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/squall-faas/squall/kvs"
)

const shardCount = 64

// shard is one part of the table.
type shard struct {
	hits    atomic.Uint64
	misses  atomic.Uint64
	reads   atomic.Uint64
	hearing atomic.Int64 // Gets of which ristretto hears just now

	mu    sync.Mutex // guards what follows; no call into ristretto that may block, or that calls back, is made under it
	open  bool       // a watch stands
	cells map[uint64]*cell
	notes map[kvs.Key]*note

	_ [64]byte // keeps two shards' counters off one cache line
}

// cell is where one key's current version is, for ristretto and the table. A cell that has lost its version stays
// without; the key gets another cell when it comes back.
type cell struct {
	hash    uint64
	version atomic.Pointer[version]
	queued  atomic.Bool // ristretto has yet to ask what it costs
}

// version is one version of one key; immutable.
type version struct {
	entry kvs.Entry
	cost  int64 // bytes

	_ [16]byte // 128 bytes in all: allocations of that size are aligned, so a key and its Value are in one cache line
}

// drain waits until nobody is inside ristretto for a Get who does not know that the cache is closed.
func (s *shard) drain() {
	for s.hearing.Load() != 0 {
		runtime.Gosched()
	}
}

// versionLocked is the version of key in the table, or nil.
func (s *shard) versionLocked(h uint64, key kvs.Key) *version {
	if cl := s.cells[h]; cl != nil {
		if v := cl.version.Load(); v.entry.Key == key {
			return v
		}
	}
	return nil
}

// install makes v current, unless there is a newer version, it does not fit, or another key has its hash.
func (c *Cache) installLocked(s *shard, h uint64, v *version) {
	if !s.open {
		return
	}
	cl := s.cells[h]
	if cl == nil {
		if v.cost > c.limits.entry {
			return
		}
		if c.queued.Load() >= queueLimit || !c.reserve(v.cost, c.limits.hard) {
			c.refused.Add(1) // ristretto is behind: what it knows is worth more than what is new
			return
		}
		cl = &cell{hash: h}
		cl.version.Store(v)
		cl.queued.Store(true)
		s.cells[h] = cl
		c.tell(s, cl)
		return
	}
	old := cl.version.Load()
	switch {
	case old.entry.Key != v.entry.Key, old.entry.Revision > v.entry.Revision:
		return
	case old.entry.Revision == v.entry.Revision && !old.entry.Written.IsZero():
		return
	}
	more := v.cost - old.cost
	// Growth beyond what ristretto keeps would never be evicted: it makes room for newcomers only.
	if v.cost > c.limits.entry || more != 0 && (c.queued.Load() >= queueLimit || !c.reserve(more, c.limits.soft)) {
		c.dropLocked(s, cl)
		return
	}
	c.front.removeLocked(cl.hash, old)
	cl.version.Store(v)
	if more != 0 && !cl.queued.Load() {
		c.tell(s, cl)
	}
}

// reserve counts n more bytes if that is within limit, or if n is negative.
func (c *Cache) reserve(n, limit int64) bool {
	if c.bytes.Add(n) > limit && n > 0 {
		c.bytes.Add(-n)
		return false
	}
	return true
}

// tell lets ristretto know of a cell, or that its cost has changed. It does not block, and calls back later, on
// ristretto's goroutine.
func (c *Cache) tell(s *shard, cl *cell) {
	c.queued.Add(1)
	if !c.policy.Set(cl.hash, cl, 0) {
		c.queued.Add(-1)
		c.forgetLocked(s, cl)
	}
}

// dequeued is ristretto's question for the cost of a cell that leaves its buffer.
func (c *Cache) dequeued(cl *cell) int64 {
	c.queued.Add(-1)
	cl.queued.Store(false) // before the load: who swaps the version later sees it, and tells again
	if v := cl.version.Load(); v != nil {
		return v.cost
	}
	return husk
}

// turnedOut is called by ristretto when it evicts or does not admit a cell. It may also be one that was dropped
// before, or a newcomer behind such a one in the buffer: then the key is simply missed once more.
func (c *Cache) turnedOut(cl *cell, count *atomic.Uint64) {
	if cl == nil || cl.version.Load() == nil {
		return
	}
	s := c.shard(cl.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.forgetLocked(s, cl) {
		count.Add(1)
	}
}

// forgetLocked takes a cell out of the table; false where it was out already.
func (c *Cache) forgetLocked(s *shard, cl *cell) bool {
	v := cl.version.Load()
	if v == nil {
		return false
	}
	c.front.removeLocked(cl.hash, v)
	cl.version.Store(nil)
	delete(s.cells, cl.hash)
	c.bytes.Add(-v.cost)
	return true
}

// dropLocked is forgetLocked for a reason that ristretto does not know. Its Del could block, and could hit the cell
// that comes after this one; so it is told that the cell costs next to nothing, and evicts it in its own time.
func (c *Cache) dropLocked(s *shard, cl *cell) {
	if c.forgetLocked(s, cl) && !cl.queued.Load() && c.queued.Load() < queueLimit {
		c.tell(s, cl)
	}
}

// admit opens or closes the table to new versions. Either way what is under way is not cached: changes may have been
// missed since it began.
func (c *Cache) admit(open bool) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.open = open
		for _, cl := range s.cells {
			c.forgetLocked(s, cl)
		}
		for _, n := range s.notes {
			n.flight = nil
			n.barrier++
		}
		s.mu.Unlock()
	}
}
