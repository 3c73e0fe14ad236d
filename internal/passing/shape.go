package passing

import (
	"context"
	"sync"
	"time"
)

// bucket holds what passes through a resource to its rate. Chunks of several transfers take turns, so that they share it.
type bucket struct {
	mu   sync.Mutex
	rate float64 // bytes per second; 0 is without bound
	free time.Time
}

// take books room for n bytes, and gives the time when they have passed.
func (b *bucket) take(now time.Time, n int) time.Time {
	if b.rate == 0 {
		return now
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.free.Before(now) {
		b.free = now
	}
	b.free = b.free.Add(time.Duration(float64(n) / b.rate * 1e9))
	return b.free
}

// until waits for a time, or the context's end.
func until(ctx context.Context, at time.Time) error {
	d := time.Until(at)
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
