package reuse

import (
	"cmp"
	"slices"
	"sort"
)

// Point of a Curve: a cache of so many bytes answers this share of the accesses.
type Point struct {
	Bytes int64
	Hits  float64 // 0 to 1
}

// Curve says which share of an application's accesses would hit in an LRU cache of each size; a miss-ratio curve turned
// over. It never falls. The zero Curve knows nothing, and says that nothing hits. Immutable.
//
// A cache with TinyLFU admission is not LRU, and mostly does better: where LRU's curve has a cliff (a loop that does not
// quite fit), TinyLFU keeps a part of the loop and so follows the chord over the cliff. Split looks at chords.
type Curve struct {
	points   []Point // ascending in both; straight lines between, nothing before, level after
	accesses float64
}

// NewCurve makes a Curve through points, in any order, of so many accesses. Shares outside 0 to 1 are cut off, and one
// that is less than that of a smaller cache is raised to it.
func NewCurve(accesses float64, points []Point) Curve {
	points = slices.Clone(points)
	slices.SortStableFunc(points, func(a, b Point) int { return cmp.Compare(a.Bytes, b.Bytes) })
	out, top := points[:0], 0.0
	for _, p := range points {
		p.Bytes = max(p.Bytes, 0)
		if p.Hits > top { // false for NaN
			top = min(p.Hits, 1)
		}
		p.Hits = top
		n := len(out)
		if n >= 2 && out[n-1].Hits == p.Hits && out[n-2].Hits == p.Hits { // level: its ends are enough
			out[n-1] = p
			continue
		}
		out = append(out, p)
	}
	return Curve{points: out, accesses: accesses}
}

// HitRatio is the share of accesses that hit in a cache of so many bytes.
func (c Curve) HitRatio(bytes int64) float64 {
	i := sort.Search(len(c.points), func(i int) bool { return c.points[i].Bytes > bytes })
	if i == 0 {
		return 0
	}
	p := c.points[i-1]
	if i == len(c.points) {
		return p.Hits
	}
	q := c.points[i]
	return p.Hits + (q.Hits-p.Hits)*float64(bytes-p.Bytes)/float64(q.Bytes-p.Bytes)
}

// Accesses is how many accesses the curve stands on, older ones counted less.
func (c Curve) Accesses() float64 { return c.accesses }

// Points are the curve's corners. Do not write to them.
func (c Curve) Points() []Point { return c.points }

// Enough is the size from which on a cache gains nothing more.
func (c Curve) Enough() int64 {
	for i, p := range c.points {
		if p.Hits == c.points[len(c.points)-1].Hits {
			return c.points[i].Bytes
		}
	}
	return 0
}
