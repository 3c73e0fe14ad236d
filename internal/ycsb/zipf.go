package ycsb

import (
	"math"
	"math/rand/v2"
)

// zipf draws ranks from 0 on, rank r in proportion to 1/(r+1)^theta, by the method of Gray et al., Quickly Generating
// Billion-Record Synthetic Databases, SIGMOD 1994, §3: exact for the first two ranks, close for the others. The number
// of ranks may change between draws.
type zipf struct {
	theta, alpha, zeta2, half float64

	n          int64
	zetan, eta float64
}

// ZipfTheta is YCSB's skew.
const ZipfTheta = 0.99

func newZipf(n int64, theta float64) zipf {
	z := zipf{theta: theta, alpha: 1 / (1 - theta), zeta2: zeta(2, theta), half: 1 + math.Pow(0.5, theta)}
	z.resize(n)
	return z
}

func (z *zipf) resize(n int64) {
	if n == z.n {
		return
	}
	z.n, z.zetan = n, zeta(n, z.theta)
	z.eta = 1 // up to two ranks nothing is left to be drawn by it
	if n > 2 {
		z.eta = (1 - math.Pow(2/float64(n), 1-z.theta)) / (1 - z.zeta2/z.zetan)
	}
}

func (z *zipf) next(r *rand.Rand) int64 {
	u := r.Float64()
	switch uz := u * z.zetan; {
	case uz < 1:
		return 0
	case uz < z.half:
		return min(1, z.n-1)
	}
	return min(int64(float64(z.n)*math.Pow(z.eta*u-z.eta+1, z.alpha)), z.n-1)
}

// zetaExact is up to where zeta adds up term by term.
const zetaExact = 1000

// zeta is the sum of 1/i^theta for i from 1 to n. Past zetaExact terms the rest comes from the Euler–Maclaurin formula,
// whose error there is below 1e-12: YCSB's sum over ten thousand million terms in a moment.
func zeta(n int64, theta float64) float64 {
	sum := 0.0
	for i := int64(1); i <= min(n, zetaExact); i++ {
		sum += math.Pow(float64(i), -theta)
	}
	if n <= zetaExact {
		return sum
	}
	a, b := float64(zetaExact), float64(n)
	sum += (math.Pow(b, 1-theta) - math.Pow(a, 1-theta)) / (1 - theta)
	sum += (math.Pow(b, -theta) - math.Pow(a, -theta)) / 2
	return sum - theta*(math.Pow(b, -theta-1)-math.Pow(a, -theta-1))/12
}
