package gateway

import (
	"context"
	"sync"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/caller"
	"github.com/squall-faas/squall/internal/id"
)

// flights makes all waits for one run one wait: requests with one Idempotency-Key, and all who ask for a run's end.
type flights struct {
	mu     sync.Mutex // guards what follows
	open   map[id.Run]*flight
	closed bool

	flying sync.WaitGroup
}

// flight is one wait, shared by its users.
type flight struct {
	users int
	keep  bool // goes on without users
	ended bool // its last user has left
	leave context.CancelFunc
	done  chan struct{} // closed once the outcome is set

	result *caller.Result
	err    error
}

func newFlights() *flights { return &flights{open: map[id.Run]*flight{}} }

// join waits for run's flight, which is begun with fly where there is none. When ctx ends it leaves; the last to leave
// ends fly's context, unless somebody asked to keep it up: then fly must bound itself. mine tells that fly was begun.
func (f *flights) join(ctx context.Context, run id.Run, keep bool, fly func(context.Context) (*caller.Result, error)) (r *caller.Result, mine bool, err error) {
	for {
		w, mine, err := f.board(ctx, run, keep, fly)
		if err != nil {
			return nil, false, err
		}
		select {
		case <-w.done:
			f.mu.Lock()
			again := w.ended
			f.mu.Unlock()
			if again {
				continue // it had been given up before we came
			}
			return w.result, mine, w.err
		case <-ctx.Done():
			f.mu.Lock()
			defer f.mu.Unlock()
			if w.users--; w.users == 0 && !w.keep {
				w.ended = true
				w.leave()
			}
			return nil, mine, fault.From(ctx.Err())
		}
	}
}

func (f *flights) board(ctx context.Context, run id.Run, keep bool, fly func(context.Context) (*caller.Result, error)) (w *flight, mine bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, false, fault.New(fault.Unavailable, "the gateway is being stopped: ask another, or later")
	}
	w = f.open[run]
	mine = w == nil
	if mine {
		w = &flight{done: make(chan struct{})}
		f.open[run] = w
		ctx, w.leave = context.WithCancel(context.WithoutCancel(ctx))
		f.flying.Go(func() {
			result, err := fly(ctx)
			f.mu.Lock()
			defer f.mu.Unlock()
			w.leave()
			w.result, w.err = result, err
			delete(f.open, run)
			close(w.done)
		})
	}
	w.users++
	w.keep = w.keep || keep
	return w, mine, nil
}

// close waits until every flight has ended; that they do is up to who closes the Caller.
func (f *flights) close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.flying.Wait()
}
