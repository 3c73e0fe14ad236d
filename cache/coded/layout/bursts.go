package layout

import (
	"maps"
	"math"
	"slices"
	"time"
)

const (
	burstWithin = time.Minute        // losses so near to each other are one burst: no repair comes between them
	burstMemory = 7 * 24 * time.Hour // the mean age of what is remembered
	// What is expected of a fleet before it was watched: that once a week a tenth of it goes at once. It counts as much as what
	// is seen in a day.
	burstPart  = 10
	burstEach  = 7 * 24 * time.Hour
	burstPrior = 24 * time.Hour
)

// Bursts learns how many lenders go at once, and how often, from each single loss. It is pure: the time comes in, and does
// not go back. The zero value has seen nothing. Not safe for concurrent use.
//
// A host that goes with all its lenders is no burst, for no object has more columns on one than it may lose. Neither is a
// loss of more than half of the fleet: either it is the observer who was cut off, or no parity would help.
type Bursts struct {
	began, at time.Time
	sizes     map[int]float64 // bursts seen, each counting for less the older it is
	open      map[string]int  // lenders that went in the burst under way, by host
	since     time.Time
	fleet     int // lenders before it
}

// Lost takes in that a lender went without a word, of a fleet that had so many with it.
func (b *Bursts) Lost(now time.Time, host string, lenders int) {
	b.pass(now)
	if b.open == nil {
		b.open, b.since, b.fleet = map[string]int{}, now, lenders
	}
	b.open[host]++
}

// pass ends the burst under way when it is over, and lets what was seen fade.
func (b *Bursts) pass(now time.Time) {
	if b.began.IsZero() {
		b.began, b.at, b.sizes = now, now, map[int]float64{}
	}
	fade := math.Exp(-now.Sub(b.at).Hours() / burstMemory.Hours())
	for n := range b.sizes {
		b.sizes[n] *= fade
	}
	b.at = now
	if b.open == nil || now.Sub(b.since) < burstWithin {
		return
	}
	lost := 0
	for _, n := range b.open {
		lost += n
	}
	if len(b.open) > 1 && 2*lost <= b.fleet {
		b.sizes[lost]++
	}
	b.open = nil
}

// Watch says that from now on whatever goes is reported.
func (b *Bursts) Watch(now time.Time) { b.pass(now) }

// Burst is how often in an hour so many lenders go at once.
type Burst struct {
	Lenders int
	Hourly  float64
}

// Rates gives what is to be expected of a fleet of so many lenders, by number of lenders.
func (b *Bursts) Rates(now time.Time, lenders int) []Burst {
	b.pass(now)
	memory := burstMemory.Hours()
	watched := memory * (1 - math.Exp(-now.Sub(b.began).Hours()/memory)) // hours, the older ones counting for less
	watched += burstPrior.Hours()
	rates := []Burst{{lenders / burstPart, burstPrior.Hours() / burstEach.Hours() / watched}}
	for _, n := range slices.Sorted(maps.Keys(b.sizes)) {
		rates = append(rates, Burst{n, b.sizes[n] / watched})
	}
	return rates
}

// losses gives how often in an hour an object of this code is lost, on a fleet whose lenders go at these rates: when a burst
// takes more of its columns than it has parity. Its columns are with lenders as if drawn at random.
func losses(c Code, lenders int, rates []Burst) (each float64) {
	for _, r := range rates {
		burst := min(r.Lenders, lenders)
		within := 0.0 // the chance that more of the columns are among those that go: hypergeometric
		for x := c.Parity + 1; x <= min(c.Width(), burst); x++ {
			if rest := c.Width() - x; rest <= lenders-burst {
				within += math.Exp(choose(burst, x) + choose(lenders-burst, rest) - choose(lenders, c.Width()))
			}
		}
		each += r.Hourly * within
	}
	return each
}

// choose is the logarithm of the binomial coefficient.
func choose(n, k int) float64 {
	f := func(n int) float64 { v, _ := math.Lgamma(float64(n) + 1); return v }
	return f(n) - f(k) - f(n-k)
}
