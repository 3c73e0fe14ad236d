package hlc_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/internal/hlc"
)

// However messages are delayed, the answer is off by no more than the longest of the peers' shortest delays.
func TestSkewIsAsGoodAsTheQuickestMessages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		offset := rapid.SliceOfN(rapid.IntRange(-5000, 5000), 2, 8).Draw(t, "offsets in ms")
		quickest := make([]time.Duration, len(offset))
		var s hlc.Skew
		at := start
		for round := range rapid.IntRange(1, 8).Draw(t, "rounds") {
			for i, ms := range offset {
				delay := time.Duration(rapid.IntRange(0, 400_000).Draw(t, "delay in µs")) * time.Microsecond
				if round == 0 || delay < quickest[i] {
					quickest[i] = delay
				}
				at = at.Add(time.Millisecond)
				s.Sample(fmt.Sprint(i), at.Add(time.Duration(ms)*time.Millisecond-delay), at)
			}
			at = at.Add(time.Duration(rapid.IntRange(0, 1000).Draw(t, "pause in ms")) * time.Millisecond)
		}
		got, peers := s.Offset(at)
		if peers != len(offset) {
			t.Fatalf("%d peers of %d", peers, len(offset))
		}
		truth := -median(append(offset, 0))
		if err := got - truth; err < 0 || err > slices.Max(quickest) {
			t.Fatalf("%v ahead of the median, is %v; quickest messages took %v", got, truth, quickest)
		}
	})
}

func median(ms []int) time.Duration {
	slices.Sort(ms)
	return time.Duration(ms[(len(ms)-1)/2]+ms[len(ms)/2]) * time.Millisecond / 2
}

// The window slides: a quick message counts for at most SkewWindow, and at least for seven eighths of it.
func TestSkewWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type sample struct {
			at   time.Time
			diff time.Duration
		}
		var seen []sample
		var s hlc.Skew
		at := start
		for range rapid.IntRange(1, 60).Draw(t, "samples") {
			at = at.Add(time.Duration(rapid.IntRange(1, 2500).Draw(t, "pause in ms")) * time.Millisecond)
			diff := time.Duration(rapid.IntRange(-1000, 0).Draw(t, "difference in ms")) * time.Millisecond
			seen = append(seen, sample{at, diff})
			s.Sample("a", at.Add(diff), at)
			s.Sample("b", at.Add(diff), at)
			low, high := diff, diff
			for _, x := range seen {
				if age := at.Sub(x.at); age < hlc.SkewWindow {
					high = max(high, x.diff)
					if age < hlc.SkewWindow*7/8 {
						low = max(low, x.diff)
					}
				}
			}
			got, peers := s.Offset(at)
			if peers != 2 || -got < low || -got > high {
				t.Fatalf("offset %v of %d peers, want %v to %v", -got, peers, low, high)
			}
		}
	})
}

func TestSkewNeedsTwoPeers(t *testing.T) {
	var s hlc.Skew
	hour := start.Add(time.Hour)
	for i, want := range []time.Duration{0, 0, -time.Hour, -time.Hour} {
		if got, peers := s.Offset(start); got != want || peers != i {
			t.Errorf("%v ahead of the median, %d peers; want %v, %d", got, peers, want, i)
		}
		s.Sample(fmt.Sprint(i), hour, start)
	}
}

func TestSkewForgets(t *testing.T) {
	var s hlc.Skew
	for i := range 3 {
		s.Sample(fmt.Sprint(i), start.Add(time.Hour), start)
	}
	later := start.Add(hlc.SkewForget)
	s.Sample("1", later, later)
	if got, peers := s.Offset(later); peers != 3 || got != -time.Hour/2 {
		t.Errorf("%v of %d peers: an estimate has to last until it is forgotten", got, peers)
	}
	s.Forget("2")
	if _, peers := s.Offset(later); peers != 2 {
		t.Errorf("%d peers after one was forgotten by name", peers)
	}
	if got, peers := s.Offset(later.Add(time.Millisecond)); peers != 1 || got != 0 {
		t.Errorf("%v of %d peers after one was forgotten for its age", got, peers)
	}
}

// A local clock that was set shows in times with monotonic readings, and moves the estimates at once.
func TestSkewNoticesLocalStep(t *testing.T) {
	local := time.Now() // with a monotonic reading, which Add moves along; stepped changes the wall clock alone
	var s hlc.Skew
	for i := range 3 {
		s.Sample(fmt.Sprint(i), local, local)
	}
	if got, _ := s.Offset(local); got != 0 {
		t.Fatalf("%v ahead before the step", got)
	}
	for _, step := range []time.Duration{time.Hour, -time.Hour - time.Second} {
		before, _ := s.Offset(local)
		local = stepped(local, step)
		if got, _ := s.Offset(local); got != before+step {
			t.Errorf("%v ahead after a step of %v, was %v", got, step, before)
		}
		if got, _ := s.Offset(local.Add(time.Second)); got != before+step {
			t.Errorf("%v ahead a second later", got)
		}
		local = local.Add(time.Second)
	}
}

// Whatever a peer says that its time is, and however many there are, nothing overflows and memory is bounded.
func TestSkewHostile(t *testing.T) {
	var s hlc.Skew
	far := []time.Time{time.Unix(1<<62, 0), time.Unix(-1<<62, 0), {}}
	for i := range hlc.MaxPeers + 100 {
		s.Sample(fmt.Sprint(i), far[i%len(far)], start)
	}
	got, peers := s.Offset(start)
	if peers != hlc.MaxPeers || got < hlc.MaxSkew {
		t.Errorf("%v ahead of %d peers, two thirds of which say that it is long ago", got, peers)
	}
	s.Sample("late", start, start.Add(hlc.SkewForget+time.Second)) // those of before make room
	if _, peers := s.Offset(start.Add(hlc.SkewForget + time.Second)); peers != 1 {
		t.Errorf("%d peers", peers)
	}
}
