package cache

import (
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/squall-faas/squall/kvs"
)

// follow applies what the store pushes until the cache closes. A lost watch empties the cache, which then passes
// everything through until another one stands.
func (c *Cache) follow(changes <-chan kvs.Entry) {
	for {
		for e := range changes {
			c.apply(e)
		}
		if c.life.Err() != nil {
			return
		}
		c.log.Warn("the store's watch was lost: nothing is cached until it is back")
		c.admit(false)
		c.policy.Clear() // nobody calls Set while the table is closed
		c.queued.Store(0)
		if changes = c.watchAgain(); changes == nil {
			return
		}
		c.admit(true)
		c.log.Info("the store is watched again")
	}
}

// watchAgain tries until it has a watch; nil once the cache is closed.
func (c *Cache) watchAgain() <-chan kvs.Entry {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 50*time.Millisecond, 5*time.Second
	for {
		changes, err := c.store.Watch(c.life, "")
		if err == nil {
			return changes
		}
		pause := time.NewTimer(wait.NextBackOff())
		select {
		case <-pause.C:
			c.log.Debug("the store cannot be watched yet", "err", err)
		case <-c.life.Done():
			pause.Stop()
			return nil
		}
	}
}

// apply takes one change to the store into account. Most concern keys that nobody here has asked for.
func (c *Cache) apply(e kvs.Entry) {
	h := c.hash(e.Key)
	s := c.shard(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.notes[e.Key]; n != nil {
		floor := e.Revision
		if e.Deleted {
			floor++ // an expiry has the revision of what expired
		}
		n.pass(floor)
	}
	held := s.versionLocked(h, e.Key)
	if held == nil {
		return // also while it is being read: e may be from before a Delete of ours, whose revision is not known
	}
	if !e.Deleted {
		if v, err := newVersion(e); err == nil {
			c.installLocked(s, h, v)
			return
		}
	}
	if held.entry.Revision <= e.Revision {
		c.dropLocked(s, s.cells[h])
	}
}
