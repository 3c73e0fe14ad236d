package reuse

// Split is exact for up to exactApps applications, on a grid of at most exactCells cells: some ten milliseconds for 64
// applications with a curve each that rises everywhere.
const (
	exactApps  = 64
	exactCells = 512
)

// exact gives each application so many of left grains that no other division saves more, by trying for one application
// after another each amount together with the best that those before make of the rest.
//
// To take the steepest step first, as for many applications, is not good enough for few: when the last byte that a
// loop needs has gone to somebody else for a trifle, the loop gets nothing, and to and fro with each epoch's noise.
func exact(apps []App, floor, grain, left int64) []int64 {
	cells := int(left)
	best := make([]float64, cells+1) // what the applications so far save with so many cells
	next := make([]float64, cells+1)
	taken := make([][]int32, len(apps))
	for i, a := range apps {
		// Only where the curve has risen is there a reason to take that much.
		type rise struct {
			cells int32
			gain  float64
		}
		var rises []rise
		base := a.Curve.HitRatio(floor)
		for n, last := 1, 0.0; n <= cells; n++ {
			if g := a.Rate * (a.Curve.HitRatio(floor+int64(n)*grain) - base); g > last {
				rises = append(rises, rise{int32(n), g})
				last = g
			}
		}
		taken[i] = make([]int32, cells+1)
		for c := range next {
			next[c] = best[c]
			for _, r := range rises {
				if int(r.cells) > c {
					break
				}
				if v := best[c-int(r.cells)] + r.gain; v > next[c] {
					next[c], taken[i][c] = v, r.cells
				}
			}
		}
		best, next = next, best
	}
	out := make([]int64, len(apps))
	c := cells
	for c > 0 && best[c-1] == best[cells] {
		c-- // nobody needs the rest
	}
	for i := len(apps) - 1; i >= 0; i-- {
		n := taken[i][c]
		out[i] = int64(n)
		c -= int(n)
	}
	return out
}
