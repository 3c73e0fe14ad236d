package load

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// seriesDigits is how exact the percentiles of a second are: to a hundredth, so that a second takes little memory.
const seriesDigits = 2

// lateSeconds is how long a second's histogram is kept for workers that are late with it.
const lateSeconds = 120

// Point is one second of a run.
type Point struct {
	Second int     `json:"second"`
	Ops    int64   `json:"ops"`
	Errors int64   `json:"errors,omitempty"`
	P50    float64 `json:"p50_us,omitempty"` // from the intended start in an open loop
	P99    float64 `json:"p99_us,omitempty"`
}

// series gathers what workers did in each second. Safe for concurrent use.
type series struct {
	mu     sync.Mutex
	points []Point
	hists  map[int]*hdrhistogram.Histogram // of the seconds that are not settled
	done   int                             // seconds before it are settled
}

func newSeries() *series { return &series{hists: map[int]*hdrhistogram.Histogram{}} }

// add takes a worker's share of a second; it keeps nothing of h.
func (s *series) add(second int, h *hdrhistogram.Histogram, ops, errs int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.points) <= second {
		s.points = append(s.points, Point{Second: len(s.points)})
	}
	p := &s.points[second]
	p.Ops, p.Errors = p.Ops+ops, p.Errors+errs
	if second < s.done {
		return // its percentiles are told already
	}
	if s.hists[second] == nil {
		s.hists[second] = hdrhistogram.New(finest, longest, seriesDigits)
	}
	s.hists[second].Merge(h)
	for ; s.done < second-lateSeconds; s.done++ {
		s.settleLocked(s.done)
	}
}

func (s *series) settleLocked(second int) {
	h := s.hists[second]
	if h == nil || h.TotalCount() == 0 {
		return
	}
	p := &s.points[second]
	p.P50, p.P99 = micros(h.ValueAtQuantile(50)), micros(h.ValueAtQuantile(99))
	delete(s.hists, second)
}

// finish gives all points.
func (s *series) finish() []Point {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ; s.done < len(s.points); s.done++ {
		s.settleLocked(s.done)
	}
	return s.points
}

func micros(ns int64) float64 { return float64(ns) / float64(time.Microsecond) }
