package load

import "sync/atomic"

// budget deals the operations of a closed loop out to workers, in portions, so that they do not meet on one word of memory
// for each. Safe for concurrent use.
type budget struct {
	left    atomic.Int64
	endless bool
	portion int64
}

// newBudget deals out so many operations, 0 for no end, to so many workers in calls of perCall.
func newBudget(operations int64, workers, perCall int) *budget {
	b := &budget{endless: operations == 0}
	b.left.Store(operations)
	// Small enough that nobody is left with much when the others are done.
	b.portion = min(max(operations/int64(workers)/32, 1), 256)
	b.portion = (b.portion + int64(perCall) - 1) / int64(perCall) * int64(perCall)
	return b
}

// take gives the next portion; 0 where nothing is left.
func (b *budget) take() int64 {
	if b.endless {
		return b.portion
	}
	left := b.left.Add(-b.portion)
	return max(min(b.portion, left+b.portion), 0)
}
