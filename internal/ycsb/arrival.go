package ycsb

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"time"
)

// The arrival processes.
const (
	Poisson = "poisson"
	Bursty  = "bursty"
	Trace   = "trace"
)

// Arrival is how the operations of an open loop arrive. Constant, Poisson, or
//
//   - Bursty: a Poisson process whose rate changes between two values (a Markov-modulated Poisson process); half of the
//     operations come in bursts of Burst times the mean rate, which last BurstLength on average.
//   - Trace: the sum of many sources, shaped like the published trace of Azure Functions (Shahrad et al., Serverless in
//     the Wild, ATC 2020). It keeps these of its properties: popularity is so skewed that a fifth of the sources makes
//     nearly all calls (zipfian, exponent 1.5); what is between two calls of one source varies more than in a Poisson
//     process (lognormal, Sigma, a coefficient of variation of sqrt(exp(Sigma²)-1)); and over a day, which lasts Period here,
//     the rate swings around a constant base. It is not the trace: no timers, and no change from day to day.
type Arrival struct {
	Kind        string
	Burst       float64
	BurstLength time.Duration
	Sources     int
	Sigma       float64
	Period      time.Duration
	Swing       float64
}

const (
	burstShare    = 0.5 // of the operations come in bursts
	traceExponent = 1.5
)

func readArrival(r *reader) Arrival {
	const second = float64(time.Second)
	a := Arrival{
		Kind:  r.text("arrival", Poisson, Constant, Poisson, Bursty, Trace),
		Burst: r.number("arrival.burst", 8, 1, 1000), BurstLength: time.Duration(r.number("arrival.burstlength", 1, 0.001, 3600) * second),
		Sources: int(r.integer("arrival.sources", 100, 1, 100_000)), Sigma: r.number("arrival.sigma", 1.5, 0, 3),
		Period: time.Duration(r.number("arrival.period", 60, 0.1, 864_000) * second), Swing: r.number("arrival.swing", 0.5, 0, 1),
	}
	return a
}

// Arrivals gives the times at which operations are due, from 0 on, never falling, at a mean rate. Not safe for concurrent
// use.
type Arrivals struct {
	next func() float64 // seconds
}

// Next is when the next operation is due, from the beginning of the run.
func (a *Arrivals) Next() time.Duration { return time.Duration(a.next() * float64(time.Second)) }

// Start makes the process for so many operations per second, which must be positive; the same seed gives the same times.
func (a Arrival) Start(rate float64, seed uint64) *Arrivals {
	r := newRand(seed, 0xa221a1)
	switch a.Kind {
	case Constant:
		n := 0.0
		return &Arrivals{func() float64 { n++; return (n - 1) / rate }}
	case Bursty:
		return &Arrivals{a.bursty(r, rate)}
	case Trace:
		return &Arrivals{a.trace(r, rate)}
	}
	at := 0.0
	return &Arrivals{func() float64 { at += r.ExpFloat64() / rate; return at }}
}

// bursty spends burstShare/Burst of the time in bursts.
func (a Arrival) bursty(r *rand.Rand, rate float64) func() float64 {
	share := burstShare / a.Burst
	fast, slow := a.Burst*rate, rate*(1-burstShare)/(1-share)
	in := a.BurstLength.Seconds()
	out := in * (1 - share) / share
	at, burst := 0.0, false
	end := r.ExpFloat64() * out // of the present state
	return func() float64 {
		for need := r.ExpFloat64(); ; { // operations of a process of rate one
			now := slow
			if burst {
				now = fast
			}
			if need <= (end-at)*now {
				at += need / now
				return at
			}
			need -= (end - at) * now
			at, burst = end, !burst
			if burst {
				end += r.ExpFloat64() * in
			} else {
				end += r.ExpFloat64() * out
			}
		}
	}
}

// source is one of a trace: its next call, in operational time, in which the rate does not swing.
type source struct {
	at, gap float64 // gap is the mean time between two calls
}

type sources []source

func (s sources) Len() int           { return len(s) }
func (s sources) Less(i, j int) bool { return s[i].at < s[j].at }
func (s sources) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }
func (s *sources) Push(x any)        { *s = append(*s, x.(source)) }
func (s *sources) Pop() any          { panic("a source never ends") }

func (a Arrival) trace(r *rand.Rand, rate float64) func() float64 {
	total := 0.0
	for i := range a.Sources {
		total += math.Pow(float64(i+1), -traceExponent)
	}
	// A lognormal of mean 1 has mu = -sigma²/2.
	gap := func() float64 { return math.Exp(a.Sigma*r.NormFloat64() - a.Sigma*a.Sigma/2) }
	s := make(sources, a.Sources)
	for i := range s {
		s[i].gap = total / math.Pow(float64(i+1), -traceExponent) / rate
		s[i].at = s[i].gap * a.residual(r)
	}
	heap.Init(&s)
	return func() float64 {
		at := s[0].at
		s[0].at += s[0].gap * gap()
		heap.Fix(&s, 0)
		return a.warp(at)
	}
}

// residual is what is left, at a moment chosen at random, of a gap of mean 1: a gap drawn in proportion to its length,
// which of a lognormal is one of the same sigma and a mean shifted by sigma², cut at a point of it. So the process begins
// as if it had been running for ever.
func (a Arrival) residual(r *rand.Rand) float64 {
	return math.Exp(a.Sigma*r.NormFloat64()+a.Sigma*a.Sigma/2) * r.Float64()
}

// warp takes operational time to real time: the inverse of t - Swing·P/2π·sin(2πt/P), the integral of the rate 1 -
// Swing·cos(2πt/P), by Newton's method inside bounds.
func (a Arrival) warp(operational float64) float64 {
	if a.Swing == 0 {
		return operational
	}
	period := a.Period.Seconds()
	turn := 2 * math.Pi / period
	low, high := operational-a.Swing/turn, operational+a.Swing/turn
	t := operational
	for range 60 {
		diff := t - a.Swing/turn*math.Sin(turn*t) - operational
		if math.Abs(diff) < 1e-12*(1+operational) {
			break
		}
		if diff > 0 {
			high = t
		} else {
			low = t
		}
		t -= diff / (1 - a.Swing*math.Cos(turn*t))
		if !(t > low && t < high) {
			t = (low + high) / 2
		}
	}
	return max(t, 0)
}
