package kvstest

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/squall-faas/squall/kvs"
)

// Faults are how likely it is, from 0 to 1, that something happens to a push.
type Faults struct {
	Lose      float64
	Duplicate float64 // the copy meets its own delay and reordering
	Delay     float64 // by up to Longest
	Reorder   float64 // behind the next push, or by Longest if none comes
	// Longest delay; default 50 ms.
	Longest time.Duration
}

// Faulty is a Store whose feeds are faulty. Everything else is the Store's own.
type Faulty struct {
	kvs.Store
	seed   uint64
	faults Faults

	mu    sync.Mutex // guards what follows
	feeds uint64
	fired map[string]int
}

// FaultyFeeds makes the feeds of s lose, duplicate, delay and reorder pushes. What happens to the n-th push of the m-th
// feed depends on seed, n and m alone.
func FaultyFeeds(s kvs.Store, seed uint64, faults Faults) *Faulty {
	if faults.Longest == 0 {
		faults.Longest = 50 * time.Millisecond
	}
	return &Faulty{Store: s, seed: seed, faults: faults, fired: make(map[string]int)}
}

// Fired counts the faults so far: "lose", "duplicate", "delay", "reorder".
func (s *Faulty) Fired() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]int, len(s.fired))
	for what, n := range s.fired {
		all[what] = n
	}
	return all
}

func (s *Faulty) fire(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fired[what]++
}

// Follow opens a faulty feed.
func (s *Faulty) Follow(ctx context.Context) (kvs.Feed, error) {
	inner, err := s.Store.Follow(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.feeds++
	x := &mangler{s: s, r: rand.New(rand.NewPCG(s.seed, s.feeds))}
	s.mu.Unlock()
	return newRelay(inner, x.run), nil
}

// mangler is what happens to the pushes of one feed.
type mangler struct {
	s    *Faulty
	r    *rand.Rand
	held []heldPush
}

type heldPush struct {
	kvs.Push
	due    time.Time
	behind bool // goes when another has gone
}

func (x *mangler) run(in <-chan kvs.Push, out func(kvs.Push)) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case p, ok := <-in:
			if !ok {
				return
			}
			x.take(p, out)
		case <-timer.C:
		}
		if next := x.release(out); !next.IsZero() {
			timer.Reset(time.Until(next))
		}
	}
}

// take decides about one push. It draws the same number of times for each.
func (x *mangler) take(p kvs.Push, out func(kvs.Push)) {
	f := x.s.faults
	lose, duplicate := x.r.Float64() < f.Lose, x.r.Float64() < f.Duplicate
	for range 2 {
		delay, reorder, share := x.r.Float64() < f.Delay, x.r.Float64() < f.Reorder, x.r.Float64()
		switch {
		case lose:
		case delay:
			x.s.fire("delay")
			x.held = append(x.held, heldPush{Push: p, due: time.Now().Add(time.Duration(share * float64(f.Longest)))})
		case reorder:
			x.s.fire("reorder")
			x.held = append(x.held, heldPush{Push: p, due: time.Now().Add(f.Longest), behind: true})
		default:
			out(p)
			for i := range x.held {
				if x.held[i].behind {
					x.held[i].due = time.Time{}
				}
			}
		}
		if lose {
			x.s.fire("lose")
		} else if duplicate {
			x.s.fire("duplicate")
		}
		if lose || !duplicate {
			for range 3 {
				x.r.Float64()
			}
			return
		}
		duplicate = false
	}
}

// release lets go what is due and tells when the next is.
func (x *mangler) release(out func(kvs.Push)) (next time.Time) {
	now := time.Now()
	kept := x.held[:0]
	for _, h := range x.held {
		if !h.due.After(now) {
			out(h.Push)
			continue
		}
		kept = append(kept, h)
		if next.IsZero() || h.due.Before(next) {
			next = h.due
		}
	}
	x.held = kept
	return next
}

// relay is a Feed that passes on another's pushes, through a function of its own.
type relay struct {
	kvs.Feed
	out     chan kvs.Push
	done    chan struct{}
	dropped atomic.Uint64
}

// newRelay starts run on the pushes of inner; it returns when in is closed.
func newRelay(inner kvs.Feed, run func(in <-chan kvs.Push, out func(kvs.Push))) *relay {
	r := &relay{Feed: inner, out: make(chan kvs.Push, kvs.FeedBuffer), done: make(chan struct{})}
	go func() {
		defer close(r.done)
		defer close(r.out)
		run(inner.Changes(), func(p kvs.Push) {
			select {
			case r.out <- p:
			default: // nobody takes them
				r.dropped.Add(1)
			}
		})
	}()
	return r
}

// Changes are the pushes that got through.
func (r *relay) Changes() <-chan kvs.Push { return r.out }

// Dropped counts the pushes that found a buffer full, as other feeds do.
func (r *relay) Dropped() uint64 {
	n := r.dropped.Load()
	if inner, ok := r.Feed.(interface{ Dropped() uint64 }); ok {
		n += inner.Dropped()
	}
	return n
}

// Close ends both feeds.
func (r *relay) Close() {
	r.Feed.Close()
	<-r.done
}
