package profile

import (
	"math"
)

// A sketch counts positive numbers in buckets whose bounds grow by a constant factor, so that any quantile is right to
// sketchError of itself, and two sketches merge by adding (DDSketch: Masson, Rim and Lee, VLDB 2019). Half of what it
// knows is forgotten whenever it has counted sketchMemory numbers.
type sketch struct {
	counts map[int]float64 // by bucket
	total  float64
}

const (
	sketchError  = 0.02
	sketchMemory = 4096
	sketchLow    = 1e-4 // numbers outside are counted as these
	sketchHigh   = 1e5
)

var sketchBase = math.Log((1 + sketchError) / (1 - sketchError))

func bucket(x float64) int {
	if math.IsNaN(x) {
		x = 1
	}
	return int(math.Ceil(math.Log(min(max(x, sketchLow), sketchHigh)) / sketchBase))
}

func (s *sketch) add(x float64) {
	for s.total >= sketchMemory {
		s.total = 0
		for b, n := range s.counts {
			s.counts[b] = n / 2
			s.total += n / 2
		}
	}
	if s.counts == nil {
		s.counts = map[int]float64{}
	}
	s.counts[bucket(x)]++
	s.total++
}

func (s *sketch) merge(o *sketch) {
	if s.counts == nil {
		s.counts = map[int]float64{}
	}
	for b, n := range o.counts {
		s.counts[b] += n
	}
	s.total += o.total
}

// quantile of what was counted; 1 where there is nothing.
func (s *sketch) quantile(q float64) float64 {
	rest, last := q*s.total, 0
	for b := bucket(sketchLow); b <= bucket(sketchHigh); b++ {
		if n := s.counts[b]; n > 0 {
			last = b
			if rest -= n; rest <= 0 {
				break
			}
		}
	}
	// The middle of a bucket, by ratio to its bounds.
	return math.Exp(float64(last)*sketchBase) * (1 - sketchError)
}
