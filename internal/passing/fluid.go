package passing

import (
	"math"
)

// flow is a transfer under way: bytes that pass through several resources at once.
type flow struct {
	through []int
	weight  float64 // transfers between tasks that it stands for
	left    float64 // bytes
	rate    float64 // bytes per second
	done    func()
}

// fluid is all transfers under way, with the capacities of what they pass through.
type fluid struct {
	capacity []float64 // bytes per second by resource; Inf is without bound
	flows    []*flow
	room     []float64 // scratch
	weights  []float64
}

// share gives each flow its max-min fair rate by progressive filling: all rates grow alike until a resource is full, then
// those of the flows through it stay, and so on.
func (f *fluid) share() {
	copy(f.room, f.capacity)
	open := 0
	for _, x := range f.flows {
		x.rate = -1
		open++
	}
	for open > 0 {
		clear(f.weights)
		for _, x := range f.flows {
			if x.rate < 0 {
				for _, r := range x.through {
					f.weights[r] += x.weight
				}
			}
		}
		least, at := math.Inf(1), -1
		for r, w := range f.weights {
			if w > 0 && f.room[r]/w < least {
				least, at = f.room[r]/w, r
			}
		}
		for _, x := range f.flows {
			if x.rate >= 0 || at >= 0 && !passes(x, at) {
				continue
			}
			open--
			if at < 0 {
				x.rate = math.Inf(1)
				continue
			}
			x.rate = least * x.weight
			for _, r := range x.through {
				f.room[r] = max(0, f.room[r]-x.rate)
			}
		}
	}
}

func passes(x *flow, r int) bool {
	for _, t := range x.through {
		if t == r {
			return true
		}
	}
	return false
}

// next is how long it takes until the first flow ends.
func (f *fluid) next() float64 {
	least := math.Inf(1)
	for _, x := range f.flows {
		if math.IsInf(x.rate, 1) || x.left <= 0 {
			return 0
		}
		least = min(least, x.left/x.rate)
	}
	return least
}

// pass lets time go by, and gives the flows that have ended.
func (f *fluid) pass(seconds float64) (ended []*flow) {
	keep := f.flows[:0]
	for _, x := range f.flows {
		if math.IsInf(x.rate, 1) {
			x.left = 0
		} else {
			x.left -= x.rate * seconds
		}
		// What is left to rounding must not keep a flow alive: late in a run, the time that it needs is less than the clock
		// can tell.
		if x.left <= 1e-6 || x.left <= x.rate*1e-9 {
			ended = append(ended, x)
		} else {
			keep = append(keep, x)
		}
	}
	clear(f.flows[len(keep):])
	f.flows = keep
	return ended
}
