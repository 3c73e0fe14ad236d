package coded

import (
	"context"

	"golang.org/x/sync/semaphore"

	"github.com/squall-faas/squall/fault"
)

// budget bounds the memory of stripes under way. One that is larger than all of it takes all of it.
type budget struct {
	most int64
	sem  *semaphore.Weighted
}

func newBudget(most int64) *budget { return &budget{most, semaphore.NewWeighted(most)} }

func (b *budget) take(ctx context.Context, n int64) (release func(), err error) {
	n = min(n, b.most)
	if err := b.sem.Acquire(ctx, n); err != nil {
		return nil, fault.From(context.Cause(ctx))
	}
	return func() { b.sem.Release(n) }, nil
}
