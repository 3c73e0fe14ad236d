package hlc

import (
	"sync/atomic"
	"time"
)

// MaxAhead is how far ahead of the wall clock a stamp may be and still be merged. It is twice MaxSkew: two nodes that may
// both write are never further apart than that.
const MaxAhead = 500 * time.Millisecond

// Clock makes the stamps of one node. It is safe for concurrent use and takes no lock: all it knows is the time of the
// latest stamp that it has made or merged.
type Clock struct {
	last atomic.Uint64
	node uint64
	now  func() time.Time
}

// New makes the clock of a node. Two nodes that live at the same time must not have the same number. now is the wall
// clock, which may jump either way; nil is time.Now.
func New(node uint64, now func() time.Time) *Clock {
	if now == nil {
		now = time.Now
	}
	return &Clock{node: node, now: now}
}

// Node is the number that every stamp of this clock carries.
func (c *Clock) Node() uint64 { return c.node }

// Wall is the wall clock.
func (c *Clock) Wall() time.Time { return c.now() }

// Now gives a stamp that is strictly greater than all that this clock has made or merged before.
func (c *Clock) Now() Stamp {
	wall := micros(c.now()) << logicalBits
	for {
		last := c.last.Load()
		next := max(wall, last+1)
		if c.last.CompareAndSwap(last, next) {
			return Stamp{Time: next, Node: c.node}
		}
	}
}

// Observe merges a stamp that another node made: all later stamps of this clock are greater. It is false, and nothing is
// merged, where s is more than MaxAhead ahead of the wall clock: one node whose clock is wrong must not take the fleet's
// along.
func (c *Clock) Observe(s Stamp) bool {
	if s.Time>>logicalBits > micros(c.now())+uint64(MaxAhead/time.Microsecond) {
		return false
	}
	for {
		last := c.last.Load()
		if s.Time <= last || c.last.CompareAndSwap(last, s.Time) {
			return true
		}
	}
}
