package executor

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/fault"
)

var errEnough = errors.New("waited enough")

// TestSlotsProperties holds slots to a queue that a child understands: who waits is served in order, nobody is served
// beyond the size, and a place that is given up is nobody's.
func TestSlotsProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		size, most := rapid.IntRange(1, 3).Draw(rt, "size"), rapid.IntRange(0, 5).Draw(rt, "queue")
		s := newSlots(size, most)
		busy := 0
		var line []chan struct{} // who waits, in order
		served := func(turn chan struct{}) bool {
			select {
			case <-turn:
				return true
			default:
				return false
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"enqueue": func(rt *rapid.T) {
				turn, err := s.enqueue(most)
				switch {
				case busy < size:
					if turn != nil || err != nil {
						rt.Fatalf("%d of %d busy, and yet: %v, %v", busy, size, turn, err)
					}
					busy++
				case len(line) >= most:
					if !fault.Is(err, fault.Overloaded) || fault.From(err).RetryAfter == 0 {
						rt.Fatalf("%d wait, and yet: %v", len(line), err)
					}
				case turn == nil || err != nil:
					rt.Fatalf("no place in the queue: %v", err)
				default:
					line = append(line, turn)
				}
			},
			"leave": func(rt *rapid.T) {
				if len(line) == 0 {
					return
				}
				i := rapid.IntRange(0, len(line)-1).Draw(rt, "who")
				if !s.leave(line[i]) {
					rt.Fatal("who waits cannot leave")
				}
				line = append(line[:i], line[i+1:]...)
			},
			"release": func(rt *rapid.T) {
				if busy == 0 {
					return
				}
				s.release()
				if len(line) == 0 {
					busy--
					return
				}
				if !served(line[0]) {
					rt.Fatal("the first in line is not served")
				}
				if s.leave(line[0]) {
					rt.Fatal("who was served can leave")
				}
				line = line[1:]
			},
			"": func(rt *rapid.T) {
				for _, turn := range line {
					if served(turn) {
						rt.Fatal("somebody was served before their turn")
					}
				}
				if b, q := s.load(); b != busy || q != len(line) {
					rt.Fatalf("load is %d and %d, want %d and %d", b, q, busy, len(line))
				}
			},
		})
	})
}

// TestSlotsUnderStress has many take and give back, give up while they wait, and insist.
func TestSlotsUnderStress(t *testing.T) {
	const size = 3
	s := newSlots(size, 1<<20)
	var running, most, done atomic.Int64
	hold := func() {
		n := running.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		if n > size {
			t.Errorf("%d of %d slots are taken", n, size)
		}
		running.Add(-1)
		done.Add(1)
	}
	var work sync.WaitGroup
	for w := range uint64(16) {
		work.Go(func() {
			rng := rand.New(rand.NewPCG(w, 1))
			for range 2000 {
				switch rng.IntN(3) {
				case 0:
					s.acquireAlways()
				case 1:
					if err := s.acquire(context.Background()); err != nil {
						t.Error(err)
						return
					}
				case 2:
					ctx, cancel := context.WithCancelCause(context.Background())
					go cancel(errEnough)
					if err := s.acquire(ctx); err != nil {
						if !errors.Is(err, errEnough) {
							t.Error(err)
						}
						continue
					}
				}
				hold()
				s.release()
			}
		})
	}
	work.Wait()
	if busy, queued := s.load(); busy != 0 || queued != 0 {
		t.Errorf("at the end %d are busy and %d wait", busy, queued)
	}
	for range size { // none was lost
		if err := s.acquire(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if busy, _ := s.load(); busy != size {
		t.Errorf("%d busy, want %d", busy, size)
	}
	if done.Load() == 0 || most.Load() == 0 {
		t.Error("nothing ran")
	}
}

// TestSlotsForgetWhoLeft has many come and give up while one holds the only slot: the queue does not grow with them, and
// they count for nothing.
func TestSlotsForgetWhoLeft(t *testing.T) {
	s := newSlots(1, 3)
	s.acquireAlways()
	for range 100_000 {
		turn, err := s.enqueue(3)
		if err != nil {
			t.Fatal(err)
		}
		if !s.leave(turn) {
			t.Fatal("who waits cannot leave")
		}
	}
	if n := len(s.queue); n > 1000 {
		t.Errorf("%d places are kept", n)
	}
	s.release()
	if busy, queued := s.load(); busy != 0 || queued != 0 {
		t.Errorf("at the end %d are busy and %d wait", busy, queued)
	}
}

// TestSlotsOfACancelledRun: where a run is cancelled whose own invocations hold the slots that others of it wait for, the
// slots that come free by that are passed on, and none of the others begins.
func TestSlotsOfACancelledRun(t *testing.T) {
	for range 100 { // who waits sees both at once, and would take either
		synctest.Test(t, func(t *testing.T) {
			s := newSlots(2, 10)
			s.acquireAlways()
			s.acquireAlways()
			ctx, cancel := context.WithCancel(t.Context())
			var work sync.WaitGroup
			for range 4 {
				work.Go(func() {
					if err := s.acquire(ctx); !errors.Is(err, context.Canceled) {
						t.Errorf("waiting: %v", err)
					}
				})
			}
			synctest.Wait()
			cancel()
			s.release()
			s.release()
			work.Wait()
			if err := s.acquire(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("with a slot free: %v", err)
			}
			if busy, queued := s.load(); busy != 0 || queued != 0 {
				t.Errorf("at the end %d are busy and %d wait", busy, queued)
			}
		})
	}
}

// TestSlotsInOrder has waiters served in the order in which they came.
func TestSlotsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(1, 5000)
		s.acquireAlways()
		var mu sync.Mutex
		var order []int
		var work sync.WaitGroup
		for i := range 3000 {
			work.Go(func() {
				if i%7 == 3 { // gives up
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					if err := s.acquire(ctx); !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("%d: %v", i, err)
					}
					return
				}
				if err := s.acquire(t.Context()); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
				s.release()
			})
			synctest.Wait()
		}
		time.Sleep(2 * time.Second)
		s.release()
		work.Wait()
		for i := 1; i < len(order); i++ {
			if order[i] < order[i-1] {
				t.Fatalf("%d was served before %d", order[i-1], order[i])
			}
		}
		if busy, queued := s.load(); busy != 0 || queued != 0 {
			t.Errorf("at the end %d are busy and %d wait", busy, queued)
		}
	})
}

func BenchmarkSlots(b *testing.B) {
	s := newSlots(2, 16)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.acquire(context.Background()); err != nil {
			b.Fatal(err)
		}
		s.release()
	}
}
