package cache

import (
	"time"

	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
)

// met takes the stamp of a version that came from elsewhere into account: what is written here from now on is later.
func (c *Cache) met(v *version.Version) { c.cfg.Clock.Observe(v.Stamp) }

// apply takes a pushed change to the store into account.
func (c *Cache) apply(p kvs.Push) {
	h := c.hash(p.Key)
	s := c.shard(h)
	if !c.concerns(s, h, p.Key, p.Revision) {
		return
	}
	if p.Partial {
		s.mu.Lock()
		defer s.mu.Unlock()
		c.outdateLocked(s, h, p.Key, p.Revision)
		return
	}
	// It was current when it was written; of now a push that may be late says nothing.
	c.take(s, h, p.Entry, p.Written, 0)
}

// concerns reports whether a change is news to anybody here. Reads under way learn of it.
func (c *Cache) concerns(s *shard, h uint64, key kvs.Key, r kvs.Revision) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.notes[key]; n != nil {
		n.pass(r)
	}
	if p := s.pending[key]; p != nil {
		return p.base == nil || p.base.Revision < r
	}
	// Not where it is only being read: this may be from before a Delete of ours, whose revision is not known.
	if v := s.versionLocked(h, key); v != nil {
		return v.Revision < r
	}
	c.interest.lookLocked(s, h, key)
	return false
}

// take puts a change of a key that is held into its place. It was current at a moment; gen is the last check that had
// ended then, 0 where that is not known.
func (c *Cache) take(s *shard, h uint64, e kvs.Entry, at time.Time, gen uint64) {
	it, err := newItem(e, at)
	if err == nil {
		it.gen = gen
		c.met(&it.Version)
		c.cover(&it.Version)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.notes[e.Key]; n != nil {
		n.pass(e.Revision)
	}
	if err != nil {
		c.log.Debug("a change cannot be read", "key", string(e.Key), "err", err)
		c.outdateLocked(s, h, e.Key, e.Revision)
		return
	}
	if p := s.pending[e.Key]; p != nil {
		c.rebaseLocked(s, h, p, &it.Version)
		return
	}
	if cl := s.cellLocked(h, e.Key); cl != nil {
		c.installLocked(s, h, it, cl.home)
		c.outdateLocked(s, h, e.Key, e.Revision) // where it did not fit
	}
}
