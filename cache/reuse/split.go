package reuse

// DefaultGrain is the unit in which Split gives out bytes.
const DefaultGrain = 1 << 20

// App is what Split knows of one application.
type App struct {
	Curve Curve
	// Rate of its accesses, each as dear as the others' when it misses; multiply it where an application's misses cost
	// more than those of others. Not negative.
	Rate float64
	// Have is what it may hold now; 0 where it is new.
	Have int64
}

// Terms of a Split.
type Terms struct {
	Budget int64 // bytes in all
	Floor  int64 // each has at least this, or an equal part of a Budget that is too small for that
	// Grain is what bytes above the floor come in multiples of, 0 means DefaultGrain; a multiple of it where the budget has
	// more than some hundred grains.
	Grain int64

	// To move memory costs misses, and curves are noisy. All stays as it is, if that meets Budget and Floor, unless more
	// than Still of the budget, such as 0.05, would change hands, and hits would rise by more than Gain of all accesses,
	// such as 0.005.
	Still, Gain float64
}

// Split divides a budget so that the fewest accesses miss: how many bytes each application may hold, in their order.
// The sum is never over the budget. Bytes with which nobody would save anything are given out evenly, as room to grow.
//
// Up to 64 applications it is exact, cliffs and all; for more it goes along the concave hulls of their curves, as
// Cliffhanger (Cidon et al., NSDI '16) and Talus (Beckmann & Sanchez, HPCA '15) do.
func Split(apps []App, t Terms) []int64 {
	if len(apps) == 0 {
		return nil
	}
	n := int64(len(apps))
	budget, grain := max(t.Budget, 0), t.Grain
	if grain <= 0 {
		grain = DefaultGrain
	}
	floor := min(max(t.Floor, 0), budget/n)
	divide := climbAll
	if n <= exactApps {
		divide = exact
		if cells := (budget - n*floor) / grain; cells > exactCells {
			grain *= (cells + exactCells - 1) / exactCells
		}
	}
	left := (budget - n*floor) / grain
	out := divide(apps, floor, grain, left)
	for _, grains := range out {
		left -= grains
	}
	for i := range out {
		// What nobody needs: to each the same, the first ones a grain more.
		more := left / n
		if int64(i) < left%n {
			more++
		}
		out[i] = floor + (out[i]+more)*grain
	}
	if stays(apps, out, floor, budget, t) {
		for i, a := range apps {
			out[i] = a.Have
		}
	}
	return out
}

// stays reports whether too little would change for anything to.
func stays(apps []App, want []int64, floor, budget int64, t Terms) bool {
	var sum, gained, lost int64
	var rate, hits float64
	for i, a := range apps {
		if a.Have < floor || a.Have <= 0 {
			return false
		}
		sum += a.Have
		gained += max(want[i]-a.Have, 0)
		lost += max(a.Have-want[i], 0)
		rate += a.Rate
		hits += a.Rate * (a.Curve.HitRatio(want[i]) - a.Curve.HitRatio(a.Have))
	}
	return sum <= budget && (float64(max(gained, lost)) <= t.Still*float64(budget) || t.Gain > 0 && hits <= t.Gain*rate)
}
