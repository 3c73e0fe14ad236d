package load

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// TestSchedule holds of what is dealt out: due times never fall, every operation between warm-up and end is dealt once, and
// what nobody claimed is the backlog.
func TestSchedule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := workload(asTB(t), "recordcount=1", "arrival="+rapid.SampledFrom([]string{"constant", "poisson", "bursty", "trace"}).Draw(t, "arrival"))
		perCall := rapid.IntRange(1, 7).Draw(t, "perCall")
		operations := rapid.Int64Range(0, 200).Draw(t, "operations")
		warm := time.Duration(rapid.IntRange(0, 2).Draw(t, "warm")) * time.Second
		end := time.Duration(0)
		if operations == 0 || rapid.Bool().Draw(t, "bounded") {
			end = warm + time.Duration(rapid.IntRange(1, 3).Draw(t, "seconds"))*time.Second
		}
		seed := rapid.Uint64().Draw(t, "seed")
		s := newSchedule(w.Arrival.Start(50, seed), perCall, operations, warm, end)
		var last time.Duration
		counted := int64(0)
		for {
			due, n := s.next()
			if n == 0 {
				break
			}
			switch {
			case due < last:
				t.Fatalf("%v is due after %v", due, last)
			case end > 0 && due >= end:
				t.Fatalf("%v is due after the end", due)
			case n > perCall:
				t.Fatalf("a call of %d", n)
			}
			if due >= warm {
				counted += int64(n)
			}
			last = due
		}
		if operations > 0 && counted > operations || end == 0 && counted != operations {
			t.Fatalf("%d operations of %d", counted, operations)
		}
		all := newSchedule(w.Arrival.Start(50, seed), perCall, 0, 0, time.Minute)
		by := time.Duration(rapid.IntRange(0, 5000).Draw(t, "by")) * time.Millisecond
		due := int64(0)
		for a := w.Arrival.Start(50, seed); ; due++ {
			if a.Next() > by {
				break
			}
		}
		if got := all.backlog(by, 1e6); got != due/int64(perCall)*int64(perCall) {
			t.Fatalf("a backlog of %d, %d were due", got, due)
		}
	})
}

// asTB lets rapid's T stand for a testing.TB where only Fatal and Helper are used.
func asTB(t *rapid.T) testing.TB { return rapidTB{T: t} }

type rapidTB struct {
	testing.TB
	T *rapid.T
}

func (r rapidTB) Helper()           {}
func (r rapidTB) Fatal(args ...any) { r.T.Fatal(args...) }

// TestBudget holds that portions add up to what there is, whoever takes them, in whole calls but for the last.
func TestBudget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		operations := rapid.Int64Range(1, 5000).Draw(t, "operations")
		workers, perCall := rapid.IntRange(1, 40).Draw(t, "workers"), rapid.IntRange(1, 120).Draw(t, "perCall")
		b := newBudget(operations, workers, perCall)
		var mu sync.Mutex
		var all sync.WaitGroup
		sum, odd := int64(0), 0
		for range workers {
			all.Go(func() {
				for n := b.take(); n > 0; n = b.take() {
					mu.Lock()
					if sum += n; n%int64(perCall) != 0 {
						odd++
					}
					mu.Unlock()
				}
			})
		}
		all.Wait()
		if sum != operations || odd > 1 {
			t.Fatalf("%d of %d, %d portions are no whole calls", sum, operations, odd)
		}
	})
	if newBudget(0, 3, 10).take() < 10 {
		t.Error("no end is no operations")
	}
}

// TestProgress holds that a run tells of itself, a line each ten seconds where there is no terminal.
func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b strings.Builder
		p := NewProgress(&b)
		p.Name("squall, run")
		_, err := Do(t.Context(), Config{Workload: workload(t, "recordcount=10"), Target: newFake(t, takes(10*time.Millisecond)), Duration: 25 * time.Second, Progress: p})
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(b.String()), "\n")
		if len(lines) != 3 || lines[0] != "squall, run" || !strings.Contains(lines[1], "10 s, ") || !strings.Contains(lines[1], "100 op/s, 0 errors") {
			t.Errorf("%q", lines)
		}
	})
}
