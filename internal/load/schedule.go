package load

import (
	"context"
	"time"

	"github.com/squall-faas/squall/internal/ycsb"
)

// schedule deals the calls of an open loop out to workers, each at the time it is due. One worker at a time waits for the
// next due time, the others wait for their turn: so a run has one timer, and no call waits behind a worker that is busy.
type schedule struct {
	turn     chan struct{} // who holds its token may touch what follows
	arrivals *ycsb.Arrivals
	perCall  int
	left     int64         // operations; negative for no bound
	warm     time.Duration // what is due before does not count
	end      time.Duration // what is due later is not done; 0 for no bound
	nap      func(time.Duration)
	due      time.Duration // of the next call, if drawn
	drawn    bool
	over     bool
}

// newSchedule deals out operations that are due between warm and end, 0 for no bound of either, and before them those that
// warm up.
func newSchedule(a *ycsb.Arrivals, perCall int, operations int64, warm, end time.Duration) *schedule {
	s := &schedule{turn: make(chan struct{}, 1), arrivals: a, perCall: perCall, left: operations, warm: warm, end: end, nap: nap}
	if operations == 0 {
		s.left = -1
	}
	s.turn <- struct{}{}
	return s
}

// next gives the next call: when it is due and how many operations it has, 0 where there are no more. It is called by whoever
// holds the turn.
func (s *schedule) next() (due time.Duration, n int) {
	if s.over || s.left == 0 {
		return 0, 0
	}
	if !s.drawn {
		for range s.perCall { // a call is due when its last operation is
			s.due = s.arrivals.Next()
		}
		s.drawn = true
	}
	if s.end > 0 && s.due >= s.end {
		s.over = true
		return 0, 0
	}
	n = s.perCall
	if s.left > 0 && s.due >= s.warm {
		n = int(min(s.left, int64(n)))
		s.left -= int64(n)
	}
	s.drawn = false
	return s.due, n
}

// claim waits until the next call is due; n is 0 where there are no more, or ctx has ended.
func (s *schedule) claim(ctx context.Context, began time.Time) (due time.Duration, n int) {
	select {
	case <-s.turn:
	case <-ctx.Done():
		return 0, 0
	}
	defer func() { s.turn <- struct{}{} }()
	if s.end > 0 && time.Since(began) >= s.end {
		return 0, 0 // what is due and not started stays so
	}
	due, n = s.next()
	if n == 0 || !s.sleepUntil(ctx, began.Add(due)) {
		return 0, 0
	}
	return due, n
}

// backlog counts the operations that were due by a time and that nobody has started, at most so many.
func (s *schedule) backlog(by time.Duration, most int64) int64 {
	<-s.turn
	defer func() { s.turn <- struct{}{} }()
	count := int64(0)
	for count < most {
		at, n := s.next()
		if n == 0 || at > by {
			break
		}
		count += int64(n)
	}
	return count
}

// coarse is how exactly the runtime's timers wake up, at worst: an idle process waits in whole milliseconds.
const coarse = 2 * time.Millisecond

// sleepUntil waits for a time, to some ten microseconds; false where ctx ended before.
func (s *schedule) sleepUntil(ctx context.Context, t time.Time) bool {
	if d := time.Until(t); d > coarse {
		timer := time.NewTimer(d - coarse)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return false
		}
	}
	for {
		d := time.Until(t)
		if d <= 0 {
			return true
		}
		s.nap(d)
	}
}
