package ycsb

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestZeta(t *testing.T) {
	for _, n := range []int64{1, 2, 999, 1000, 1001, 123_456} {
		sum := 0.0
		for i := int64(1); i <= n; i++ {
			sum += math.Pow(float64(i), -ZipfTheta)
		}
		if got := zeta(n, ZipfTheta); math.Abs(got-sum) > 1e-9 {
			t.Errorf("zeta(%d) = %v, want %v", n, got, sum)
		}
	}
	// The constant that stands in YCSB's ScrambledZipfianGenerator.
	if got := zeta(scrambledItems, ZipfTheta); math.Abs(got-26.46902820178302) > 1e-9 {
		t.Errorf("zeta(10^10) = %v", got)
	}
}

// TestZipf holds frequencies against the exact probabilities: those of the first two ranks up to chance, and the sums of
// the others up to what Gray's method leaves out.
func TestZipf(t *testing.T) {
	const draws = 200_000
	for _, n := range []int64{1, 2, 3, 10, 1000, 1_000_000} {
		z, r := newZipf(n, ZipfTheta), newRand(1, 2)
		count := map[int64]int{}
		for range draws {
			x := z.next(r)
			if x < 0 || x >= n {
				t.Fatalf("rank %d of %d", x, n)
			}
			count[x]++
		}
		near := func(what string, got int, p, slack float64) {
			if diff := math.Abs(float64(got)/draws - p); diff > slack+5*math.Sqrt(p*(1-p)/draws) {
				t.Errorf("%d ranks: %s came %d times in %d, its probability is %.4f", n, what, got, draws, p)
			}
		}
		near("rank 0", count[0], 1/zeta(n, ZipfTheta), 0)
		if n > 1 {
			near("rank 1", count[1], math.Pow(2, -ZipfTheta)/zeta(n, ZipfTheta), 0)
		}
		below := 0
		for upTo, rank := int64(10), int64(0); upTo < n; upTo *= 10 {
			for ; rank < upTo; rank++ {
				below += count[rank]
			}
			near("those below "+format(float64(upTo)), below, zeta(upTo, ZipfTheta)/zeta(n, ZipfTheta), 0.025)
		}
	}
}

// TestZipfGrows holds that ranks added one by one give what they give at once.
func TestZipfGrows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, more := rapid.Int64Range(1, 5000).Draw(t, "n"), rapid.Int64Range(0, 5000).Draw(t, "more")
		grown := newZipf(n, ZipfTheta)
		grown.resize(n + more)
		if fresh := newZipf(n+more, ZipfTheta); grown != fresh {
			t.Fatalf("%+v, want %+v", grown, fresh)
		}
	})
}
