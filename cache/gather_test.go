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
