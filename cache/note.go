package cache

import (
	"context"

	"github.com/squall-faas/squall/kvs"
)

// note is kept under a key while reads or writes of it are under way. Its shard's lock guards it.
type note struct {
	users   int          // reads of the store, writes
	seen    kvs.Revision // what is lower is not to be cached
	barrier uint64       // what began before it was raised is not to be cached
	flight  *flight      // that a Get which begins now may join, or nil
}

// flight is one read of the store for all who missed the key.
type flight struct {
	cancel  context.CancelFunc
	waiters int    // guarded by the shard's lock
	barrier uint64 // the note's, when the flight began

	done chan struct{} // closed when what follows is set
	got  *version
	err  error
}

// noteLocked gives the note under key for one more user.
func (s *shard) noteLocked(key kvs.Key) *note {
	n := s.notes[key]
	if n == nil {
		n = new(note)
		s.notes[key] = n
	}
	n.users++
	return n
}

// releaseLocked takes one user away.
func (s *shard) releaseLocked(key kvs.Key, n *note) {
	if n.users--; n.users == 0 {
		delete(s.notes, key)
	}
}

// pass records that the store has gone past every revision below floor: a Get that begins now does not join a read that
// may have been before that, though what the read brings may still be new enough to be cached.
func (n *note) pass(floor kvs.Revision) {
	n.seen = max(n.seen, floor)
	n.flight = nil
}

// learnLocked takes into account that the store has, or had since barrier was read, key at revision r. It caches v,
// which may be nil, if nothing newer is known, and in any case leaves nothing older in the cache.
func (c *Cache) learnLocked(s *shard, h uint64, key kvs.Key, n *note, r kvs.Revision, v *version, barrier uint64) {
	n.pass(r)
	if v != nil && r >= n.seen && barrier == n.barrier {
		c.installLocked(s, h, v)
	}
	if have := s.versionLocked(h, key); have != nil && have.entry.Revision < r {
		c.dropLocked(s, s.cells[h])
	}
}

// learnDeletedLocked takes into account that key is not there, or not as it was, at a revision that nobody has said:
// nothing that is cached or under way may be cached from here on.
func (c *Cache) learnDeletedLocked(s *shard, h uint64, key kvs.Key, n *note) {
	n.pass(0)
	n.barrier++
	if s.versionLocked(h, key) != nil {
		c.dropLocked(s, s.cells[h])
	}
}
