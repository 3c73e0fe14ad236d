package cache

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// TestGather: writes that nobody waits for are stored together, and soon; who waits, for a write or for all of them, waits
// no longer for that.
func TestGather(t *testing.T) { synctest.Test(t, testGather) }

func testGather(t *testing.T) {
	s := newStage(t)
	c := start(t, s, 0)
	n := 0
	write := func(ack kvs.Ack) {
		t.Helper()
		n++
		if _, err := c.Main().PutWith(t.Context(), kvs.Key(fmt.Sprint("key ", n)), value.MustOf(n), kvs.PutOptions{}, ack); err != nil {
			t.Fatal(err)
		}
	}
	type stats struct{ batches, writes int64 }
	want := func(what string, began time.Time, took time.Duration, batches int64, writes int64) {
		t.Helper()
		synctest.Wait()
		if got := (stats{s.batches.Swap(0), s.written.Swap(0)}); got != (stats{batches, writes}) {
			t.Errorf("%s: %+v, want %d batches of %d writes", what, got, batches, writes)
		}
		if got := time.Since(began); got != took {
			t.Errorf("%s took %v, want %v", what, got, took)
		}
	}
	for _, burst := range []int{1, 100} {
		began := time.Now()
		for range burst {
			write(kvs.Cached)
			synctest.Wait() // the lane has had its chance
		}
		want("a burst so far", began, 0, 0, 0)
		time.Sleep(gatherFor)
		want("a burst", began, gatherFor, 1, int64(burst))

		began = time.Now()
		for range burst {
			write(kvs.Cached)
			synctest.Wait()
		}
		must(t, c.Flush(t.Context()))
		want("a burst and a Flush", began, 0, 1, int64(burst))

		for range burst {
			write(kvs.Cached)
			synctest.Wait()
		}
		write(kvs.Stored)
		want("a burst, and one that is waited for", began, 0, 1, int64(burst)+1)
	}
	began := time.Now()
	for range batchKeys {
		write(kvs.Cached)
		synctest.Wait()
	}
	want("a full batch", began, 0, 1, batchKeys)
	c.inspectQuiet(t)
}

// TestGatherTime: a burst waits a moment; a flow for as long as what was acknowledged is stored in three quarters of the time that it may
// take, and no longer where the store takes that time itself.
func TestGatherTime(t *testing.T) {
	now := time.Now()
	const age = 48 * time.Millisecond
	for _, tc := range []struct {
		name string
		past past
		want time.Duration
	}{
		{"the first batch", past{}, gatherFor},
		{"after a small one", past{flowKeys - 1, time.Millisecond, now}, gatherFor},
		{"in a flow", past{flowKeys, 10 * time.Millisecond, now}, 26 * time.Millisecond},
		{"to a slow store", past{1000, 35 * time.Millisecond, now}, gatherFor},
		{"to one that is slower still", past{1000, time.Second, now}, gatherFor},
		{"after a flow", past{1000, 10 * time.Millisecond, now.Add(-age - 1)}, gatherFor},
	} {
		if got := tc.past.gatherTime(now, age); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
	if got := (past{}).gatherTime(now, 8*time.Millisecond); got != time.Millisecond {
		t.Errorf("where little may be lost: %v", got)
	}
}

// TestGatherFlow writes a key each half millisecond to a store that takes ten milliseconds for a batch: batches are fewer than
// the store could take, nobody waits, and nothing is as old as it may be.
func TestGatherFlow(t *testing.T) { synctest.Test(t, testGatherFlow) }

func testGatherFlow(t *testing.T) {
	const each, takes, writes = time.Millisecond / 2, 10 * time.Millisecond, 2000
	s := newStage(t)
	s.set(func() {
		s.write = func(_ []kvs.Write, plain func() ([]kvs.Result, error)) ([]kvs.Result, error) {
			time.Sleep(takes)
			return plain()
		}
	})
	c := start(t, s, 0)
	began := time.Now()
	var oldest time.Duration
	for n := range writes {
		if _, err := c.Main().PutWith(t.Context(), kvs.Key(fmt.Sprint("key ", n)), value.MustOf(n), kvs.PutOptions{}, kvs.Cached); err != nil {
			t.Fatal(err)
		}
		c.dirty.mu.Lock()
		if since := c.dirty.oldestLocked(); !since.IsZero() {
			oldest = max(oldest, time.Since(since))
		}
		c.dirty.mu.Unlock()
		time.Sleep(each)
	}
	if took := time.Since(began); took != writes*each {
		t.Errorf("%d writes took %v: some waited", writes, took)
	}
	if most := c.cfg.MaxDirtyAge; oldest > most {
		t.Errorf("the oldest write that was not stored was %v old, at most %v are allowed", oldest, most)
	}
	must(t, c.Flush(t.Context()))
	// From the first write of a batch until it is stored three quarters of the age pass; the next one gathers meanwhile.
	period := c.cfg.MaxDirtyAge*3/4 - takes
	if got, most := s.batches.Load(), int64(writes*each/period)+5; got > most {
		t.Errorf("%d batches of %d writes, want %d or fewer", got, writes, most)
	}
	c.inspectQuiet(t)
}
