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

	mu      sync.Mutex // guards what follows; no call into ristretto that may block, or that calls back, is made under it
	open    bool       // versions are taken in
	cells   map[uint64]*cell
	notes   map[kvs.Key]*note
	pending map[kvs.Key]*pending
	floors  map[kvs.Key]floor
	// distrust is until when peers are not asked: so long floors had to be forgotten. Unix nanoseconds.
	distrust int64

	_ [64]byte // keeps two shards' counters off one cache line
}

// cell is where one key's current version is, for ristretto and the table. A cell that has lost its version stays
// without; the key gets another cell when it comes back.
type cell struct {
	hash    uint64
	home    *Cachelet // whose bytes these are: of the application that read the key first
	version atomic.Pointer[item]
	queued  atomic.Bool // ristretto has yet to ask what it costs
	// known is the last check after which nothing of the key can have been missed that the next one would not find, by its
	// number; 0 where that is not known. The shard's lock guards it.
	known uint64
}

// drain waits until nobody is inside ristretto for a Get who does not know that it is to be closed.
func (s *shard) drain() {
	for s.hearing.Load() != 0 {
		runtime.Gosched()
	}
}

// versionLocked is the version of key in the table, or nil.
func (s *shard) versionLocked(h uint64, key kvs.Key) *item {
	if cl := s.cellLocked(h, key); cl != nil {
		return cl.version.Load()
	}
	return nil
}

// cellLocked is the cell of key, or nil.
func (s *shard) cellLocked(h uint64, key kvs.Key) *cell {
	if cl := s.cells[h]; cl != nil && cl.version.Load().Key == key {
		return cl
	}
	return nil
}

// wantedLocked reports whether this node wants to hear of changes of key.
func (s *shard) wantedLocked(h uint64, key kvs.Key) bool {
	return s.notes[key] != nil || s.pending[key] != nil || s.cellLocked(h, key) != nil
}

// installLocked makes v current, unless there is a newer version, it does not fit, or another key has its hash. Where v
// is the view of what is pending, it replaces whatever is there. It reports whether v, or the same version, is in the
// table now.
func (c *Cache) installLocked(s *shard, h uint64, v *item, home *Cachelet) bool {
	if !s.open {
		return false
	}
	p := s.pending[v.Key]
	if p != nil && v != p.view {
		return false
	}
	cl := s.cells[h]
	if cl != nil && cl.version.Load().Key != v.Key {
		return false
	}
	if cl == nil {
		if v.Absent || p == nil && !s.admitsLocked(&v.Version) {
			return false
		}
		return c.enterLocked(s, h, v, home)
	}
	old := cl.version.Load()
	switch {
	case p != nil: // v decides
	case v.Absent && v.Revision != 0 && v.Revision < old.Revision: // a delete from before
		return false
	case v.Absent:
	case old.Same(&v.Version) && !old.Written.IsZero():
		old.confirm(v.at.Load())
		cl.known = max(cl.known, v.gen)
		return true
	case old.Same(&v.Version): // and v knows more
	case !v.Newer(&old.Version):
		return false
	}
	if v.Absent || !c.replaceLocked(s, cl, v) {
		c.dropLocked(s, cl)
		return false
	}
	return true
}

// replaceLocked puts v into a cell; false where it does not fit.
func (c *Cache) replaceLocked(s *shard, cl *cell, v *item) bool {
	old := cl.version.Load()
	more := v.cost - old.cost
	// Growth beyond what ristretto keeps would never be evicted: it makes room for newcomers only.
	if v.cost > c.limits.entry || more > 0 && (c.queued.Load() >= c.limits.queue || !c.reserve(cl.home, more, false)) {
		return false
	}
	if more < 0 {
		c.reserve(cl.home, more, false)
	}
	c.front.removeLocked(cl.hash, old)
	if !v.dirty {
		v.keep(c, old)
	}
	v.heard.Store(old.heard.Load())
	v.last.Store(old.last.Load())
	cl.known = max(cl.known, v.gen)
	v.enter(c)
	cl.version.Store(v)
	old.leave(c)
	if more != 0 && !cl.queued.Load() && c.queued.Load() < c.limits.queue {
		c.tell(s, cl)
	}
	return true
}

// enterLocked makes a cell for a key that the table does not have.
func (c *Cache) enterLocked(s *shard, h uint64, v *item, home *Cachelet) bool {
	if v.cost > c.limits.entry || home.gone.Load() {
		return false
	}
	if c.queued.Load() >= c.limits.queue || !c.reserve(home, v.cost, true) {
		c.refused.Add(1) // ristretto is behind: what it knows is worth more than what is new
		return false
	}
	cl := &cell{hash: h, home: home, known: v.gen}
	v.enter(c)
	cl.version.Store(v)
	cl.queued.Store(true)
	s.cells[h] = cl
	c.tell(s, cl)
	return true
}

// reserve counts n more bytes for a cachelet if that is within its limit and the node's, or if n is negative. A newcomer
// may use what ristretto has yet to decide about; growth of what is there may not.
func (c *Cache) reserve(home *Cachelet, n int64, newcomer bool) bool {
	all, own := c.bytes.Add(n), home.bytes.Add(n)
	if n <= 0 {
		return true
	}
	soft := home.capacity.Load()
	limit, most := soft, c.limits.soft
	if newcomer {
		limit, most = soft+soft/7, c.limits.hard // one application may take all that is between the node's own limits
	}
	if all+c.pins.outside.Load() > most || own > limit {
		c.bytes.Add(-n)
		home.bytes.Add(-n)
		return false
	}
	return true
}

// fits reports whether n more bytes are within the node's bound.
func (c *Cache) fits(n int64) bool { return n <= c.room() }

// tell lets ristretto know of a cell, or that its cost has changed. It does not block, and calls back later, on
// ristretto's goroutine.
func (c *Cache) tell(s *shard, cl *cell) {
	c.queued.Add(1)
	cl.home.queued.Add(1)
	if !cl.home.policy.Set(cl.hash, cl, 0) {
		c.queued.Add(-1)
		cl.home.queued.Add(-1)
		c.forgetLocked(s, cl)
	}
}

// dequeued is ristretto's question for the cost of a cell that leaves its buffer.
func (c *Cache) dequeued(cl *cell) int64 {
	c.queued.Add(-1)
	cl.home.queued.Add(-1)
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
	v.leave(c)
	delete(s.cells, cl.hash)
	c.bytes.Add(-v.cost)
	cl.home.bytes.Add(-v.cost)
	if s.open {
		c.departLocked(s, &v.Version)
		c.interest.lookLocked(s, cl.hash, v.Key)
	}
	return true
}

// dropLocked is forgetLocked for a reason that ristretto does not know. Its Del could block, and could hit the cell
// that comes after this one; so it is told that the cell costs next to nothing, and evicts it in its own time.
func (c *Cache) dropLocked(s *shard, cl *cell) {
	if c.forgetLocked(s, cl) && !cl.queued.Load() && c.queued.Load() < c.limits.queue {
		c.tell(s, cl)
	}
}

// admit opens or closes the table to versions. Either way what is under way is not cached.
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

// shed drops so many bytes of what is in the table, or of one cachelet's part of it: what comes first, which is as good as
// at random. Ristretto evicts by worth, but only when something new comes, and what a node is short of now is memory.
func (c *Cache) shed(over int64, home *Cachelet) {
	for i := range c.shards {
		s := &c.shards[i]
		share := over / int64(len(c.shards)-i)
		s.mu.Lock()
		for _, cl := range s.cells {
			if share <= 0 {
				break
			}
			if home == nil || cl.home == home {
				n := cl.version.Load().cost
				c.dropLocked(s, cl)
				share, over = share-n, over-n
			}
		}
		s.mu.Unlock()
	}
}
