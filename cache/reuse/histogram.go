package reuse

import "math/bits"

// histogram counts accesses by their reuse distance in bytes. Its buckets are 1/fine of their distance wide, so a
// cliff in the curve is off by some three percent at most.
type histogram [histogramBuckets]float64

const (
	fineBits         = 5
	fine             = 1 << fineBits // buckets to a doubling
	histogramBits    = 50            // distances end here: a pebibyte
	histogramBuckets = (histogramBits - fineBits + 1) * fine
	maxDistance      = 1<<histogramBits - 1
)

// bucket of a distance: the distance itself below 2 × fine, then its leading bits.
func bucket(distance uint64) int {
	shift := max(bits.Len64(distance)-fineBits-1, 0)
	return shift*fine + int(distance>>shift)
}

// bounds of a bucket: the distances from low up to, and without, high.
func bounds(bucket int) (low, high int64) {
	if bucket < 2*fine {
		return int64(bucket), int64(bucket) + 1
	}
	shift := bucket/fine - 1
	lead := int64(bucket - shift*fine)
	return lead << shift, (lead + 1) << shift
}

func (h *histogram) add(distance uint64, weight float64) {
	h[bucket(min(distance, maxDistance))] += weight
}

func (h *histogram) scale(by float64) {
	for i := range h {
		h[i] *= by
	}
}

// curve turns the counts into the share of accesses that hit, of seen sampled accesses which stand for all. Where the
// sample has too many or too few of the very hot keys, it has the wrong number of accesses altogether, and the
// difference goes to the shortest distances, where such keys are (SHARDS-adj, §3.4 of the paper).
func (h *histogram) curve(seen, all float64) Curve {
	if seen <= 0 || all <= 0 {
		return Curve{}
	}
	var points []Point
	sum, end := all-seen, int64(-1)
	for i, n := range h {
		if n == 0 {
			continue
		}
		low, high := bounds(i)
		if low != end {
			points = append(points, Point{low, sum / all})
		}
		sum += n
		points = append(points, Point{high, sum / all})
		end = high
	}
	if len(points) > 0 {
		points[0].Hits = 0
	}
	return NewCurve(all, points)
}
