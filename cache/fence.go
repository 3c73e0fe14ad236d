package cache

import (
	"slices"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
)

// SetFence makes every write from now on carry f. What was written under an earlier fence and is not stored is dropped: it
// ends as fenced.
func (c *Cache) SetFence(f kvs.Fence) {
	c.fencing.Lock()
	defer c.fencing.Unlock()
	if old := c.fence.Load(); old.Writer != "" && (old.Writer != f.Writer || !slices.Equal(old.Marks, f.Marks)) {
		why := kvs.Overtaken(old.Writer)
		c.fenced.Store(&why)
		c.dirty.drop(why)
	}
	c.fence.Store(&f)
	c.fenced.Store(nil)
}

// fencedOff is for a write under a fence that was refused: this node was declared dead, and others do its work. It refuses
// later writes until there is a new fence, tells the node, and drops everything that is not stored: who learns that his
// write was refused finds that the node knows.
func (c *Cache) fencedOff(fence *kvs.Fence, why error) {
	c.fencing.Lock()
	if c.fence.Load() != fence { // there is one, and what was written under this one was dropped
		c.fencing.Unlock()
		return
	}
	first := c.fenced.Swap(&why) == nil
	c.fencing.Unlock()
	if first {
		c.log.Warn("writes of this node are refused: it was declared dead", "err", why)
		if c.cfg.Fenced != nil {
			c.cfg.Fenced()
		}
	}
	c.fencing.Lock()
	defer c.fencing.Unlock()
	if c.fence.Load() == fence {
		c.dirty.drop(why)
	}
}

// refusedBy calls fencedOff where that is what a write of a batch of its own has met.
func (c *Cache) refusedBy(fence *kvs.Fence, err error) {
	if fault.Is(err, fault.Fenced) {
		c.fencedOff(fence, err)
	}
}
