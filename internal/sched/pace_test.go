package sched

import (
	"testing"
	"time"
)

func TestWindow(t *testing.T) {
	for _, tc := range []struct {
		slots int
		mean  time.Duration
		stuck bool
		want  int
	}{
		{4, 0, false, 36},                     // nothing is known
		{4, time.Microsecond, false, 4 * 257}, // bounded
		{4, time.Millisecond, false, 44},      // as many as 10 ms take
		{4, 11 * time.Millisecond, false, 4},  // the report is sooner
		{4, time.Microsecond, true, 4},        // but for what runs now
	} {
		if got := Window(tc.slots, tc.mean, tc.stuck); got != tc.want {
			t.Errorf("%d slots of %v, stuck %v: %d, want %d", tc.slots, tc.mean, tc.stuck, got, tc.want)
		}
	}
}

// TestPace measures jobs one after the other, several at a time, and one that does not end.
func TestPace(t *testing.T) {
	var p Pace
	now := epoch
	if m := p.Mean(now, 0); m != 0 || p.Stuck(now, 0, 1) {
		t.Errorf("nothing is known: %v", m)
	}
	close := func(what string, got, want time.Duration) {
		t.Helper()
		if got < want*9/10 || got > want*11/10 {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	for range 100 { // one at a time, with as long a pause in between
		p.Taken(now, 0)
		now = now.Add(2 * time.Millisecond)
		p.Given(now, 1)
		now = now.Add(2 * time.Millisecond)
	}
	close("one at a time", p.Mean(now, 0), 2*time.Millisecond)
	for i := range 4 {
		p.Taken(now, i)
	}
	for range 400 { // four slots, of which one changes hands each millisecond
		now = now.Add(time.Millisecond)
		p.Given(now, 4)
		p.Taken(now, 3)
	}
	close("four at a time", p.Mean(now, 4), 4*time.Millisecond)
	if p.Stuck(now.Add(StuckAfter-1), 4, 4) || !p.Stuck(now.Add(StuckAfter), 4, 4) || p.Stuck(now.Add(time.Hour), 3, 4) {
		t.Error("stuck is when all slots are held for long")
	}
	now = now.Add(time.Second)
	if m := p.Mean(now, 4); m < 100*time.Millisecond {
		t.Errorf("four run for a second, and the mean is %v", m)
	}
}
