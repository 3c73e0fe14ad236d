package cache

import (
	"sync/atomic"
	"time"

	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
)

// A floor is the revision below which a key's versions are too old for this node, whoever has them: a peer, a replica of the
// store, a read that was slow. There are two reasons for one.
//
// What is held is a causal cut (Bailis et al., Bolt-on Causal Consistency, SIGMOD '13; Cloudburst §5.3): before a version
// becomes visible, older versions of what it depends on leave the cache, and may not come back. What they are replaced by is
// not fetched: dependencies are stored before what depends on them, so whoever misses one reads it, or a later one.
//
// And no Get gives an older version than one before it, also where that one has left the cache and a peer is asked.
//
// A floor is needed for as long as something older may be about: what caches hold is confirmed more often than that.
type floor struct {
	revision kvs.Revision
	until    int64  // unix nanoseconds
	stored   uint64 // of a dependency, a stamp's time by which it was stored
}

// floorLocked sets a floor. Where there are too many, any of them is forgotten, and what it was good for is had in a dearer
// way: by confirming everything (Cache.after), and by asking no peers.
func (c *Cache) floorLocked(s *shard, key kvs.Key, f floor) {
	old, known := s.floors[key]
	if known && old.revision >= f.revision {
		return
	}
	if s.floors == nil {
		s.floors = make(map[kvs.Key]floor)
	}
	if !known && len(s.floors) >= c.limits.floors {
		for key, f := range s.floors {
			delete(s.floors, key)
			raise(&c.after, f.stored)
			s.distrust = max(s.distrust, f.until)
			break
		}
	}
	f.stored = max(f.stored, old.stored)
	s.floors[key] = f
}

// raise sets a to x where that is more.
func raise(a *atomic.Uint64, x uint64) {
	for old := a.Load(); x > old && !a.CompareAndSwap(old, x); {
		old = a.Load()
	}
}

// admitsLocked reports whether a version is new enough. One that is not there is, where nobody says how new that is.
func (s *shard) admitsLocked(v *version.Version) bool {
	return len(s.floors) == 0 || v.Revision == 0 || v.Revision >= s.floors[v.Key].revision
}

// belowFloor reports whether a version that was just read is too old; none at all is, where there is known to be one.
func (s *shard) belowFloor(v *version.Version) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.floors[v.Key]
	return ok && v.Revision < f.revision
}

// departLocked is for a version that leaves the cache, or that could not be taken in. If it is young, a peer may have an
// older one.
func (c *Cache) departLocked(s *shard, v *version.Version) {
	if c.cfg.Peers == nil || v.Revision == 0 {
		return
	}
	now := time.Now()
	if v.Written.IsZero() || now.Sub(v.Written) < version.Horizon {
		c.floorLocked(s, apart(v.Key), floor{revision: v.Revision, until: now.Add(version.Horizon).UnixNano()})
	}
}

// cover makes room for a version in the cut, before it becomes visible.
func (c *Cache) cover(v *version.Version) {
	if c.cfg.Break == BreakCover {
		return
	}
	raise(&c.after, v.After)
	if len(v.Deps) == 0 {
		return
	}
	until := time.Now().Add(version.Horizon).UnixNano()
	for _, d := range v.Deps {
		h := c.hash(d.Key)
		s := c.shard(h)
		s.mu.Lock()
		c.outdateLocked(s, h, d.Key, d.Revision)
		c.floorLocked(s, d.Key, floor{revision: d.Revision, until: until, stored: d.Time})
		s.mu.Unlock()
	}
}

// outdateLocked drops what is older than a revision of which no more is known.
func (c *Cache) outdateLocked(s *shard, h uint64, key kvs.Key, r kvs.Revision) {
	if n := s.notes[key]; n != nil {
		n.pass(r)
	}
	if p := s.pending[key]; p != nil {
		if p.passed = max(p.passed, r); p.base != nil && p.base.Revision < r {
			p.base = nil // asked anew when its turn comes
		}
		return
	}
	if cl := s.cellLocked(h, key); cl != nil && cl.version.Load().Revision < r {
		c.dropLocked(s, cl)
	}
}
