package ycsb_test

import (
	"math"
	"testing"
	"time"
)

// TestArrivals holds of each process: its mean rate, that times never fall, and how much its gaps vary (the coefficient of
// variation) and its counts (variance over mean in windows of a second).
func TestArrivals(t *testing.T) {
	const rate, n = 1000., 400_000
	for _, tc := range []struct {
		kind           string
		more           []string
		slack          float64 // of the rate
		cv, dispersion [2]float64
	}{
		{"constant", nil, 1e-5, [2]float64{0, 0.01}, [2]float64{0, 0.01}},
		{"poisson", nil, 0.01, [2]float64{0.98, 1.02}, [2]float64{0.7, 1.3}},
		{"bursty", []string{"arrival.burstlength=0.5"}, 0.1, [2]float64{1.2, 3}, [2]float64{100, 1e5}},
		{"trace", []string{"arrival.period=10"}, 0.1, [2]float64{1.05, 3}, [2]float64{20, 1e4}},
	} {
		w := workload(t, append([]string{"recordcount=1", "arrival=" + tc.kind}, tc.more...)...)
		a := w.Arrival.Start(rate, 11)
		var last time.Duration
		var sum, squares float64
		var windows []float64
		for range n {
			at := a.Next()
			if at < last {
				t.Fatalf("%s: %v comes after %v", tc.kind, at, last)
			}
			gap := (at - last).Seconds()
			sum, squares = sum+gap, squares+gap*gap
			for int(at/time.Second) >= len(windows) {
				windows = append(windows, 0)
			}
			windows[int(at/time.Second)]++
			last = at
		}
		if got := n / last.Seconds(); math.Abs(got/rate-1) > tc.slack {
			t.Errorf("%s: a rate of %.1f, want %.0f", tc.kind, got, rate)
		}
		mean := sum / n
		if cv := math.Sqrt(squares/n-mean*mean) / mean; cv < tc.cv[0] || cv > tc.cv[1] {
			t.Errorf("%s: the gaps' coefficient of variation is %.3f, want %v", tc.kind, cv, tc.cv)
		}
		windows = windows[:len(windows)-1] // the last one is cut
		var m, v float64
		for _, c := range windows {
			m += c / float64(len(windows))
		}
		for _, c := range windows {
			v += (c - m) * (c - m) / float64(len(windows))
		}
		if d := v / m; d < tc.dispersion[0] || d > tc.dispersion[1] {
			t.Errorf("%s: the dispersion of counts is %.3f, want %v", tc.kind, d, tc.dispersion)
		}
	}
}

// TestArrivalsRepeat holds that a seed gives the same times.
func TestArrivalsRepeat(t *testing.T) {
	for _, kind := range []string{"constant", "poisson", "bursty", "trace"} {
		w := workload(t, "recordcount=1", "arrival="+kind)
		a, b := w.Arrival.Start(50, 3), w.Arrival.Start(50, 3)
		for range 1000 {
			if x, y := a.Next(), b.Next(); x != y {
				t.Fatalf("%s: %v and %v", kind, x, y)
			}
		}
	}
}
