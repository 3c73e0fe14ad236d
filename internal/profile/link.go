package profile

import (
	"cmp"
	"math"
	"slices"
	"time"
)

const (
	// MaxTransfers is how many transfers a link's profile keeps.
	MaxTransfers = 32

	// small is what a transfer has at most that tells of latency; larger ones tell of bandwidth.
	small = 64 << 10

	// recent is how much less each transfer weighs than the next. The newest has 30 % of all weight, the newest two have
	// 51 %: one outlier does not move a weighted median, two in a row do.
	recent = 0.7

	// halfLife makes what is old weigh less than what is new even where there was little in between.
	halfLife = time.Minute
)

// Transfer is one transfer over a link as it was observed.
type Transfer struct {
	At    int64         `cbor:"1,keyasint"` // when it ended, in µs since 1970
	Bytes int64         `cbor:"2,keyasint"`
	Took  time.Duration `cbor:"3,keyasint"`
}

// Link is what is known of one direction between two ends. The zero Link knows nothing.
type Link struct {
	transfers []Transfer // by time
}

// LinkEstimate is what a transfer would meet. Either has N = 0 where no transfer told of it.
type LinkEstimate struct {
	Bandwidth Estimate // bytes per second, of one transfer that has the link to itself
	Latency   Estimate // nanoseconds until the first byte
}

// Observe adds a transfer. It is false for one that cannot have been.
func (l *Link) Observe(t Transfer) bool {
	if t.Bytes < 0 || t.Took <= 0 {
		return false
	}
	l.transfers = newestTransfers(append(l.transfers, t))
	return true
}

// Merge adds what another profile of the same link knows. It is commutative, associative and idempotent.
func (l *Link) Merge(o *Link) { l.transfers = newestTransfers(slices.Concat(l.transfers, o.transfers)) }

func newestTransfers(ts []Transfer) []Transfer {
	slices.SortFunc(ts, func(a, b Transfer) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Bytes, b.Bytes), cmp.Compare(a.Took, b.Took))
	})
	ts = slices.Compact(ts)
	return ts[max(0, len(ts)-MaxTransfers):]
}

// Estimate separates the two: small transfers tell of latency once the bandwidth is known, large ones of bandwidth once
// the latency is; two rounds of that settle it. Both are medians weighted by how recent a transfer is.
func (l *Link) Estimate() LinkEstimate {
	var e LinkEstimate
	for range 3 {
		e.Bandwidth = l.median(func(t Transfer) (float64, bool) {
			took := float64(t.Took) - e.Latency.Value
			// What is mostly latency says nothing of bandwidth.
			return float64(t.Bytes) / took * 1e9, t.Bytes > small && took > float64(t.Took)/4
		})
		e.Latency = l.median(func(t Transfer) (float64, bool) {
			took := float64(t.Took)
			if e.Bandwidth.Value > 0 {
				took -= float64(t.Bytes) / e.Bandwidth.Value * 1e9
			}
			return max(took, 1), t.Bytes <= small
		})
	}
	return e
}

// median is a weighted one of what of gives for each transfer that it is true for, with the weighted middle 80 % around.
func (l *Link) median(of func(Transfer) (float64, bool)) Estimate {
	type point struct{ x, weight float64 }
	var points []point
	var newest int64
	weight, total := 1.0, 0.0
	for _, t := range slices.Backward(l.transfers) {
		x, ok := of(t)
		if !ok {
			continue
		}
		if len(points) == 0 {
			newest = t.At
		}
		age := float64(newest) - float64(t.At) // floats, as the difference may overflow
		w := weight * math.Exp2(-age/float64(halfLife/time.Microsecond))
		weight *= recent
		points = append(points, point{x, w})
		total += w
	}
	if len(points) == 0 {
		return Estimate{}
	}
	slices.SortFunc(points, func(a, b point) int { return cmp.Compare(a.x, b.x) })
	at := func(q float64) float64 {
		rest := q * total
		for _, p := range points {
			if rest -= p.weight; rest <= 0 {
				return p.x
			}
		}
		return points[len(points)-1].x
	}
	few := 1 + 1/float64(len(points))
	v := at(0.5)
	return Estimate{Value: v, Low: min(at(0.1), v/few), High: max(at(0.9), v*few), N: len(points)}
}
