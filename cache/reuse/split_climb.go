package reuse

// climbAll gives left grains to whoever saves the most misses a grain with them, looking over level stretches: along the
// concave hull of each curve, as far as what is left reaches (Qureshi & Patt, MICRO '06, "lookahead"). Where curves are
// concave nothing saves more; else what is lost is less than the one step saves that had to be cut short, which among
// many applications is little.
func climbAll(apps []App, floor, grain, left int64) []int64 {
	steps := make([]climb, len(apps))
	for i, a := range apps {
		steps[i] = newClimb(a, floor, grain, left)
	}
	for left > 0 {
		best := -1
		for i := range steps {
			steps[i].look(left)
			if g := steps[i].slope; g > 0 && (best < 0 || g > steps[best].slope) {
				best = i
			}
		}
		if best < 0 {
			break
		}
		left -= steps[best].take()
	}
	out := make([]int64, len(apps))
	for i := range out {
		out[i] = steps[i].at
	}
	return out
}

// climb is the way up one application's curve, in grains above the floor.
type climb struct {
	grains []int64   // where the curve has its corners, ascending from 0
	gains  []float64 // what is saved there, beside the floor
	of     func(grains int64) float64

	at    int64 // where it stands
	index int   // of the last corner at or below at
	to    int64 // the next step's end, if slope is not 0
	slope float64
	seen  int64 // what was left when it looked; 0: has to look
}

func newClimb(a App, floor, grain, most int64) climb {
	base := a.Curve.HitRatio(floor)
	c := climb{of: func(n int64) float64 { return a.Rate * (a.Curve.HitRatio(floor+n*grain) - base) }}
	add := func(n int64) {
		if n >= 0 && n <= most && (len(c.grains) == 0 || n > c.grains[len(c.grains)-1]) {
			c.grains = append(c.grains, n)
			c.gains = append(c.gains, c.of(n))
		}
	}
	add(0)
	// Between two corners the curve is a line, on which the steepest way up from a point below ends at the first whole
	// grain, or at the last.
	for _, p := range a.Curve.Points() {
		if p.Bytes > floor {
			n := (p.Bytes - floor) / grain
			add(n)
			add(n + 1)
		}
	}
	return c
}

// look finds the steepest way up that is no longer than left.
func (c *climb) look(left int64) {
	if c.seen > 0 && (c.slope == 0 || c.to-c.at <= left) {
		return // what was steepest still is
	}
	c.seen, c.slope = left, 0
	from := c.of(c.at)
	consider := func(to int64, gain float64) {
		// The longer one of two that are equally steep, so that it has to look less often.
		if s := (gain - from) / float64(to-c.at); s > 0 && s >= c.slope {
			c.slope, c.to = s, to
		}
	}
	for i := c.index; i < len(c.grains); i++ {
		if c.grains[i]-c.at > left {
			break
		}
		if c.grains[i] > c.at {
			consider(c.grains[i], c.gains[i])
		}
	}
	consider(c.at+left, c.of(c.at+left))
}

// take goes the way that look found, and gives its length.
func (c *climb) take() int64 {
	n := c.to - c.at
	c.at, c.seen = c.to, 0
	for c.index+1 < len(c.grains) && c.grains[c.index+1] <= c.at {
		c.index++
	}
	return n
}
