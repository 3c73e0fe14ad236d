package caller

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/bus"
)

// search paces the attempts to find a coordinator: one that restarts is back within a second or two.
type search struct {
	pace  *backoff.ExponentialBackOff
	until time.Time
}

func newSearch() *search { return &search{} }

// again waits before the next attempt; false when it is time to give up.
func (s *search) again(ctx context.Context) bool {
	if s.pace == nil {
		s.pace = backoff.NewExponentialBackOff()
		s.pace.InitialInterval = 50 * time.Millisecond
		s.pace.MaxInterval = 400 * time.Millisecond
		s.until = time.Now().Add(findCoordinator)
	}
	if time.Now().After(s.until) {
		return false
	}
	select {
	case <-time.After(s.pace.NextBackOff()):
		return true
	case <-ctx.Done():
		return false
	}
}

// unreachable turns what the bus says into what a caller can act on.
func unreachable(err error) error {
	switch {
	case errors.Is(err, bus.ErrNoResponders):
		return fault.New(fault.Unreachable, "no coordinator answers: start one with `squall coordinator`, or check the server and namespace: %w", err)
	case errors.Is(err, bus.ErrTooLarge):
		return fault.New(fault.TooLarge, "the request exceeds what one message may carry: %w", err)
	case errors.Is(err, bus.ErrClosed):
		return fault.New(fault.Unreachable, "the connection is closed: connect again: %w", err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return fault.From(err)
	}
	return fault.New(fault.Unreachable, "the messaging layer refused the request: %w", err)
}

// withDefault gives ctx a deadline where it has none.
func withDefault(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, d)
}

// margin moves a run's deadline a little before its caller's, so that the cluster's own error, which names the nodes
// that have not finished, arrives before the caller stops listening.
func margin(deadline time.Time) time.Time {
	left := time.Until(deadline)
	return deadline.Add(-min(left/20, 50*time.Millisecond))
}
