package hlc_test

import (
	"testing"
	"time"
	"unsafe"
)

// stepped is t with its wall clock set by step and its monotonic reading left alone, as time.Now gives it after somebody
// set the clock. The package time has no way to make one, so it goes by the layout that time.Time documents: with the top bit
// of the first word set, 33 bits of seconds follow, then 30 of nanoseconds. TestStepped holds it against the real one.
func stepped(t time.Time, step time.Duration) time.Time {
	wall := (*uint64)(unsafe.Pointer(&t))
	*wall += uint64(step/time.Second) << 30
	return t
}

func TestStepped(t *testing.T) {
	before := time.Now()
	after := stepped(before, time.Minute)
	if mono, wall := after.Sub(before), after.Round(0).Sub(before.Round(0)); mono != 0 || wall != time.Minute {
		t.Fatalf("moved by %v and %v: the layout of time.Time has changed", mono, wall)
	}
}
