package profile

import (
	"math"
	"slices"
)

// Estimate is a prediction with what it is worth. The true value lies between Low and High about eight times in ten,
// where the future is like the past. N is how many observations it rests on; with 0 all is zero, and the caller has to
// know better.
type Estimate struct {
	Value, Low, High float64
	N                int
}

// line is y = at + slope·x.
type line struct{ slope, at float64 }

func (l line) y(x float64) float64 { return l.at + l.slope*x }

// repeatedMedian fits a line (Siegel 1982). Where all x are one, the line is level.
func repeatedMedian(x, y []float64) line {
	slopes, each := make([]float64, 0, len(x)), make([]float64, 0, len(x))
	for i := range x {
		each = each[:0]
		for j := range x {
			if x[i] != x[j] {
				each = append(each, (y[j]-y[i])/(x[j]-x[i]))
			}
		}
		if len(each) > 0 {
			slopes = append(slopes, middle(each))
		}
	}
	var l line
	if len(slopes) > 0 {
		l.slope = middle(slopes)
	}
	rest := each[:0]
	for i := range x {
		rest = append(rest, y[i]-l.slope*x[i])
	}
	l.at = middle(rest)
	return l
}

// middle is the median; it sorts its argument, which must not be empty.
func middle(x []float64) float64 {
	slices.Sort(x)
	if n := len(x); n%2 == 0 {
		return x[n/2-1]/2 + x[n/2]/2
	}
	return x[len(x)/2]
}

// quantile of sorted, non-empty x, by linear interpolation.
func quantile(x []float64, q float64) float64 {
	at := q * float64(len(x)-1)
	i := min(int(at), len(x)-1)
	j := min(i+1, len(x)-1)
	return x[i] + (x[j]-x[i])*(at-float64(i))
}

// model predicts one quantity from another.
type model struct {
	line
	power    bool      // the line is between logarithms
	ratios   []float64 // what was over what this model says, sorted
	from, to float64   // the range of x seen
	least    float64   // of y, that a line may not fall below half of: a falling one would end in nothing
	n        int
}

// fit chooses between the two families. x and y are at least 0 and of one length.
func fit(x, y []float64) model {
	if len(x) == 0 {
		return model{}
	}
	m := model{from: slices.Min(x), to: slices.Max(x), least: slices.Min(y), n: len(x)}
	straight, power := m, m
	straight.line = repeatedMedian(x, y)
	lx, ly := make([]float64, len(x)), make([]float64, len(x))
	for i := range x {
		lx[i], ly[i] = math.Log1p(x[i]), math.Log1p(y[i])
	}
	power.line, power.power = repeatedMedian(lx, ly), true
	if a, b := straight.judge(x, y), power.judge(x, y); b < a-1e-9 {
		return power
	}
	return straight
}

// judge sets the ratios, and gives the median distance of their logarithms from 0.
func (m *model) judge(x, y []float64) float64 {
	m.ratios = make([]float64, len(x))
	off := make([]float64, len(x))
	for i := range x {
		m.ratios[i] = (y[i] + 1) / (m.value(x[i]) + 1)
		off[i] = math.Abs(math.Log(m.ratios[i]))
	}
	slices.Sort(m.ratios)
	return middle(off)
}

// value is the model's value; never negative, always finite.
func (m *model) value(x float64) float64 {
	v := m.y(x)
	if m.power {
		v = math.Expm1(min(m.y(math.Log1p(x)), 60))
	}
	return min(max(v, m.least/2), math.MaxInt64/4)
}

// predict gives the value for x and an interval: the middle 80 % of what the ratios were, wider where there are few of
// them, and wider where x lies outside of what was seen. With one size seen, nobody can tell a constant from a
// proportion: the interval spans both.
func (m *model) predict(x float64) Estimate {
	if m.n == 0 {
		return Estimate{}
	}
	v := m.value(x)
	few := 1 + 2/float64(m.n)
	grow := 1 + 3/float64(m.n)
	up := max(math.Pow(max(quantile(m.ratios, 0.9), 1), grow), few)
	down := max(math.Pow(max(1/quantile(m.ratios, 0.1), 1), grow), few)
	out := 1.0
	switch {
	case x > m.to:
		out = (x + 1) / (m.to + 1)
	case x < m.from:
		out = (m.from + 1) / (x + 1)
	}
	if m.from != m.to {
		out = math.Sqrt(out)
	}
	return Estimate{Value: v, Low: v / (down * out), High: v * up * out, N: m.n}
}
