package hlc_test

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/internal/hlc"
)

var start = time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)

// wallClock is a wall clock that a test sets.
type wallClock struct{ at time.Time }

func (w *wallClock) now() time.Time { return w.at }

func TestStamp(t *testing.T) {
	s := hlc.At(start.Add(time.Microsecond), 42)
	if got := s.Wall(); !got.Equal(start.Add(time.Microsecond)) {
		t.Errorf("wall %v", got)
	}
	s.Time += 7
	if got := s.String(); got != "2026-01-02T15:04:05.000001Z+7@2a" {
		t.Errorf("written as %s", got)
	}
	inOrder := []hlc.Stamp{{}, {Node: 1}, hlc.At(time.Date(1901, 1, 1, 0, 0, 0, 0, time.UTC), 2), hlc.At(start, 1), hlc.At(start, 2), s, hlc.At(start.Add(time.Hour), 0), hlc.At(time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC), 0)}
	for i, a := range inOrder {
		for j, b := range inOrder {
			if c := a.Compare(b); c < 0 != (i < j) || c > 0 != (i > j) || a.Less(b) != (i < j) {
				t.Errorf("%v compared with %v is %d", a, b, c)
			}
		}
		if a.IsZero() != (i == 0) {
			t.Errorf("%v: zero is %t", a, a.IsZero())
		}
	}
}

// Whatever the wall clocks do, a node's stamps grow, and a stamp is greater than all that its node had seen.
func TestClockFollowsCausality(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const nodes = 3
		var clocks [nodes]*hlc.Clock
		var walls [nodes]wallClock
		var last [nodes]hlc.Stamp // the greatest stamp that the node has made or merged
		for i := range clocks {
			walls[i].at = start
			clocks[i] = hlc.New(uint64(i+1), walls[i].now)
		}
		var sent []hlc.Stamp
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			i := rapid.IntRange(0, nodes-1).Draw(t, "node")
			switch rapid.IntRange(0, 2).Draw(t, "what") {
			case 0:
				jump := rapid.IntRange(-2_000_000, 2_000_000).Draw(t, "µs")
				walls[i].at = walls[i].at.Add(time.Duration(jump) * time.Microsecond)
			case 1:
				s := clocks[i].Now()
				if !last[i].Less(s) || s.Time <= last[i].Time {
					t.Fatalf("node %d made %v after %v", i, s, last[i])
				}
				if s.Node != clocks[i].Node() || s.Wall().Before(walls[i].at) {
					t.Fatalf("node %d made %v at %v", i, s, walls[i].at)
				}
				if slices.Contains(sent, s) {
					t.Fatalf("%v was made twice", s)
				}
				last[i] = s
				sent = append(sent, s)
			case 2:
				if len(sent) == 0 {
					continue
				}
				s := rapid.SampledFrom(sent).Draw(t, "stamp")
				ahead := s.Wall().Sub(walls[i].at)
				if got := clocks[i].Observe(s); got != (ahead <= hlc.MaxAhead) {
					t.Fatalf("a stamp %v ahead is merged: %t", ahead, got)
				} else if got && last[i].Less(s) {
					last[i] = s
				}
			}
		}
	})
}

func TestObserveRefusesTheFuture(t *testing.T) {
	wall := wallClock{start}
	c := hlc.New(1, wall.now)
	if c.Observe(hlc.At(start.Add(hlc.MaxAhead+time.Microsecond), 2)) || c.Observe(hlc.Stamp{Time: ^uint64(0)}) {
		t.Error("a stamp from the future is merged")
	}
	if got := c.Now(); got != hlc.At(start, 1) {
		t.Errorf("what was refused moved the clock to %v", got)
	}
	near := hlc.At(start.Add(hlc.MaxAhead), 2)
	if !c.Observe(near) || !near.Less(c.Now()) {
		t.Error("a stamp that is just near enough is not merged")
	}
}

// The logical part carries into the time, and order is kept.
func TestLogicalCarries(t *testing.T) {
	wall := wallClock{start}
	c := hlc.New(1, wall.now)
	last := c.Now()
	for range 10_000 {
		s := c.Now()
		if !last.Less(s) {
			t.Fatalf("%v after %v", s, last)
		}
		last = s
	}
	if ahead := last.Wall().Sub(start); ahead != 2*time.Microsecond {
		t.Errorf("10,001 stamps of one microsecond end %v later", ahead)
	}
}

// Stamps made at once are all different, each goroutine's grow, and one made after an Observe returned is greater.
func TestClockConcurrent(t *testing.T) {
	const goroutines, each = 4, 2000
	c := hlc.New(1, nil)
	made := make([][]hlc.Stamp, goroutines)
	var observed atomic.Uint64
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				if i%100 == 0 {
					s := hlc.At(time.Now().Add(time.Millisecond), 2)
					if c.Observe(s) {
						observed.Store(s.Time)
					}
				}
				floor := observed.Load()
				s := c.Now()
				if s.Time <= floor {
					t.Errorf("%v was made after %d was merged", s, floor)
				}
				made[g] = append(made[g], s)
			}
		})
	}
	wg.Wait()
	var all []hlc.Stamp
	for _, m := range made {
		if !slices.IsSortedFunc(m, hlc.Stamp.Compare) {
			t.Error("a goroutine's stamps do not grow")
		}
		all = append(all, m...)
	}
	slices.SortFunc(all, hlc.Stamp.Compare)
	if n := len(slices.Compact(all)); n != goroutines*each {
		t.Errorf("%d stamps of %d are different", n, goroutines*each)
	}
}

func TestClockAllocatesNothing(t *testing.T) {
	c, other := hlc.New(1, nil), hlc.New(2, nil)
	if n := testing.AllocsPerRun(100, func() { c.Observe(other.Now()) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkNow(b *testing.B) {
	c := hlc.New(1, nil)
	b.ReportAllocs()
	for b.Loop() {
		c.Now()
	}
}

// BenchmarkTimeNow is what BenchmarkNow cannot go below.
func BenchmarkTimeNow(b *testing.B) {
	for b.Loop() {
		_ = time.Now()
	}
}

func BenchmarkObserve(b *testing.B) {
	c, s := hlc.New(1, nil), hlc.New(2, nil).Now()
	b.ReportAllocs()
	for b.Loop() {
		c.Observe(s)
	}
}
