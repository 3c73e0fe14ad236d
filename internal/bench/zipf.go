package bench

import (
	"math"
	"math/rand/v2"
	"slices"
)

// zipf draws numbers below its size with YCSB's skew, the k-th most popular in proportion to 1/k^0.99. The popular
// ones are spread over the whole range.
type zipf struct {
	sum   []float64 // of the weights of the ranks up to here
	order []int     // numbers by rank
}

const zipfTheta = 0.99

func newZipf(n int) *zipf { return newZipfOf(n, zipfTheta) }

// newZipfOf has another skew, theta.
func newZipfOf(n int, theta float64) *zipf {
	z := &zipf{sum: make([]float64, n), order: rand.New(rand.NewPCG(1, 2)).Perm(n)}
	total := 0.0
	for i := range z.sum {
		total += math.Pow(float64(i+1), -theta)
		z.sum[i] = total
	}
	return z
}

// draw gives n numbers, the same for the same seed.
func (z *zipf) draw(seed uint64, n int) []int {
	r := rand.New(rand.NewPCG(seed, 3))
	out := make([]int, n)
	for i := range out {
		out[i] = z.next(r)
	}
	return out
}

// next draws one number.
func (z *zipf) next(r *rand.Rand) int {
	rank, _ := slices.BinarySearch(z.sum, r.Float64()*z.sum[len(z.sum)-1])
	return z.order[min(rank, len(z.order)-1)]
}
