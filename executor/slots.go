package executor

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/sched"
)

// slots bounds how many functions run at once. Who waits is served in order, so that nothing waits behind a long job
// while a core idles (Kaffes '19).
type slots struct {
	size     int
	maxQueue int
	freed    func() // called when a slot or a place in the queue has come free; nil for none

	mu      sync.Mutex // guards what follows
	busy    int
	queue   []chan struct{} // waiters, the oldest at head; nil where one has given up
	head    int
	waiting int // in queue, without those that have given up
	pace    sched.Pace
}

func newSlots(size, maxQueue int) *slots { return &slots{size: size, maxQueue: maxQueue} }

// acquire waits for a slot; overloaded at once when too many wait already, the cause of ctx's end at its end.
func (s *slots) acquire(ctx context.Context) error { return s.acquireOr(ctx, nil) }

// waiter is who waits for a slot and may have somewhere else to go.
type waiter interface {
	// spent hears that it has a slot, or stands in line.
	spent()
	// giveBack is asked when no slot has come free for sched.StuckAfter, and after another while again. Its error ends the wait.
	giveBack() error
}

// acquireOr is acquire for a waiter; nil for one that has nowhere to go.
func (s *slots) acquireOr(ctx context.Context, who waiter) error {
	turn, err := s.enqueue(s.maxQueue)
	if who != nil {
		who.spent()
	}
	if err != nil {
		return err
	}
	if turn == nil {
		return s.stillWanted(ctx)
	}
	var stuck <-chan time.Time
	if who != nil {
		t := time.NewTicker(sched.StuckAfter)
		defer t.Stop()
		stuck = t.C
	}
	for waits := true; waits; {
		select {
		case <-turn:
			return s.stillWanted(ctx)
		case <-ctx.Done():
			waits = false
		case <-stuck:
			if !s.stuck(time.Now()) {
				continue
			}
			if err := who.giveBack(); err != nil {
				if !s.leave(turn) {
					s.release() // the slot came at the same moment: pass it on
				}
				return err
			}
		}
	}
	if !s.leave(turn) {
		s.release() // the slot came at the same moment: pass it on
	}
	return context.Cause(ctx)
}

// stillWanted passes a slot on whose taker has no more use for it: a run that is cancelled frees the slots that its own
// queue waits for, and nothing of it may begin then.
func (s *slots) stillWanted(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	s.release()
	return context.Cause(ctx)
}

// acquireAlways waits for a slot whatever happens: for a function that gave its own back for a while.
func (s *slots) acquireAlways() {
	if turn, _ := s.enqueue(math.MaxInt); turn != nil {
		<-turn
	}
}

// enqueue takes a free slot, or a place in the queue.
func (s *slots) enqueue(most int) (turn chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy < s.size {
		s.pace.Taken(time.Now(), s.busy)
		s.busy++
		return nil, nil
	}
	if s.waiting >= most {
		return nil, fault.New(fault.Overloaded, "%d invocations wait for a slot on this executor already: try again later", s.waiting).
			With(func(e *fault.Error) { e.RetryAfter = time.Second })
	}
	turn = make(chan struct{}, 1)
	s.queue = append(s.queue, turn)
	s.waiting++
	return turn, nil
}

// leave gives up a place in the queue; false when its turn has come already.
func (s *slots) leave(turn chan struct{}) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := s.head; i < len(s.queue); i++ {
		if s.queue[i] == turn {
			s.queue[i] = nil // release skips it
			s.waiting--
			if places := len(s.queue) - s.head; places > 64 && s.waiting < places/2 {
				kept := slices.DeleteFunc(s.queue[s.head:], func(turn chan struct{}) bool { return turn == nil })
				s.queue = s.queue[:s.head+len(kept)]
			}
			return true
		}
	}
	return false
}

// release gives a slot to the oldest waiter, or back.
func (s *slots) release() {
	s.handOn()
	if s.freed != nil {
		s.freed()
	}
}

func (s *slots) handOn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pace.Given(time.Now(), s.busy)
	for s.head < len(s.queue) {
		turn := s.queue[s.head]
		s.queue[s.head] = nil
		s.head++
		if turn != nil {
			s.waiting--
			turn <- struct{}{}
			s.compactLocked()
			return
		}
	}
	s.compactLocked()
	s.busy--
}

// compactLocked keeps the queue from growing past what it holds.
func (s *slots) compactLocked() {
	if s.head == len(s.queue) {
		s.queue, s.head = s.queue[:0], 0
	} else if s.head > 1024 && s.head > len(s.queue)/2 {
		n := copy(s.queue, s.queue[s.head:])
		clear(s.queue[n:])
		s.queue, s.head = s.queue[:n], 0
	}
}

// load tells how many slots are busy and how many invocations wait.
func (s *slots) load() (busy, queued int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.busy, s.waiting
}

// stuck reports whether every slot is held, and has been for long.
func (s *slots) stuck(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pace.Stuck(now, s.busy, s.size)
}

// state tells what there is to plan by: the load, how long an invocation holds its slot, 0 where that is not known, and
// whether all slots are held by long ones.
func (s *slots) state(now time.Time) (busy, queued int, mean time.Duration, stuck bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.busy, s.waiting, s.pace.Mean(now, s.busy), s.pace.Stuck(now, s.busy, s.size)
}
