package load

import (
	"cmp"
	"image/color"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// throughputPlot draws the operations of each second: of each case the run in the middle; and errors, where there are some.
func (r *Report) throughputPlot() *plot.Plot {
	groups := measured(r)
	p := newPlot("Throughput, "+r.Workload, "time, s", "operations per second")
	top, last, drawn := 0., 0., 0
	for n, g := range groups[:min(len(groups), maxLines)] {
		run := g.middle()
		ops, errs := run.perSecond()
		if len(ops) < 2 {
			continue
		}
		drawn++
		c, dash := stroke(n)
		line(p, g.name, ops, c, dash)
		for i := range ops {
			top, last = max(top, ops[i].Y, errs[i].Y), max(last, ops[i].X)
		}
		if run.Errors > 0 {
			line(p, g.name+", errors", errs, c, dashes)
		}
	}
	if drawn == 0 {
		return nil
	}
	p.X.Min, p.X.Max = 0, math.Ceil(last)
	p.Y.Min, p.Y.Max, p.Y.Tick.Marker = 0, max(top, 1)*(1.1+0.06*float64(drawn)), countTicks{}
	title(p, len(groups), maxLines)
	p.Legend.Top, p.Legend.XOffs, p.Legend.YOffs = true, -vg.Points(6), -vg.Points(6)
	return p
}

// middle is the run of a case whose throughput is the median, or the one below.
func (g group) middle() *Run {
	runs := slices.SortedFunc(slices.Values(g.runs), func(a, b *Run) int { return cmp.Compare(a.Throughput, b.Throughput) })
	return runs[(len(runs)-1)/2]
}

// perSecond are a run's operations and errors over time, each second at its middle. A last second that is not whole is left
// out: it would look like a collapse.
func (r *Run) perSecond() (ops, errs plotter.XYs) {
	for _, s := range r.Series {
		if float64(s.Second+1) > r.Seconds+0.05 {
			break
		}
		x := float64(s.Second) + 0.5
		ops = append(ops, plotter.XY{X: x, Y: float64(s.Ops)})
		errs = append(errs, plotter.XY{X: x, Y: float64(s.Errors)})
	}
	return ops, errs
}

// loadPlot draws latency against the target rate: of each family of cases that differ in nothing else, the median and the
// 99th percentile from the intended start. nil where no family has two rates.
func (r *Report) loadPlot() *plot.Plot {
	type family struct {
		name     string
		p50, p99 plotter.XYs
	}
	var all []family
	for _, g := range measured(r) {
		run := *g.runs[0]
		rate := run.Offered
		if rate == 0 {
			continue
		}
		run.Offered = 0
		i := slices.IndexFunc(all, func(f family) bool { return f.name == run.CaseName() })
		if i < 0 {
			all, i = append(all, family{name: run.CaseName()}), len(all)
		}
		at := func(of func(*Operation) float64) plotter.XY {
			return plotter.XY{X: rate, Y: max(median(g.over(g.sum(), of)), 0.01)}
		}
		all[i].p50 = append(all[i].p50, at(func(o *Operation) float64 { return o.Latency.P50 }))
		all[i].p99 = append(all[i].p99, at(func(o *Operation) float64 { return o.Latency.P99 }))
	}
	all = slices.DeleteFunc(all, func(f family) bool { return len(f.p50) < 2 })
	if len(all) == 0 {
		return nil
	}
	p := newPlot("Latency against offered load, "+r.Workload, "target rate, operations per second", "latency from the intended start, logarithmic")
	low, high, last := math.Inf(1), 0., 0.
	for n, f := range all[:min(len(all), colours)] {
		for _, xy := range []plotter.XYs{f.p50, f.p99} {
			slices.SortFunc(xy, func(a, b plotter.XY) int { return cmp.Compare(a.X, b.X) })
			for _, at := range xy {
				low, high, last = min(low, at.Y), max(high, at.Y), max(last, at.X)
			}
		}
		c, _ := stroke(n)
		marked(p, f.name+", p50", f.p50, c, nil)
		marked(p, f.name+", p99", f.p99, c, dashes)
	}
	title(p, len(all), colours)
	p.X.Min, p.X.Max, p.X.Tick.Marker = 0, last*1.04, countTicks{}
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, timeTicks{}
	p.Y.Min, p.Y.Max = math.Pow(10, math.Floor(math.Log10(low)*3)/3), math.Pow(10, math.Ceil(math.Log10(high)*3+0.5)/3)
	p.Legend.Top, p.Legend.Left, p.Legend.XOffs, p.Legend.YOffs = true, true, vg.Points(6), -vg.Points(6)
	return p
}

// marked is a line with its points.
func marked(p *plot.Plot, label string, xy plotter.XYs, c color.Color, dash []vg.Length) {
	l, s, err := plotter.NewLinePoints(xy)
	if err != nil {
		return // it has no points that can be drawn
	}
	l.Color, l.Width, l.Dashes = c, vg.Points(1.6), dash
	s.Color, s.Radius, s.Shape = c, vg.Points(2.6), draw.CircleGlyph{}
	p.Add(l, s)
	p.Legend.Add(label, l)
}

// countTicks are round numbers, thousands and millions by letter.
type countTicks struct{}

// Ticks implements plot.Ticker.
func (countTicks) Ticks(low, high float64) []plot.Tick {
	step := math.Pow(10, math.Floor(math.Log10(max(high-low, 1e-9))))
	for _, by := range []float64{0.1, 0.2, 0.5, 1} {
		if (high-low)/(step*by) <= 8 {
			step *= by
			break
		}
	}
	var out []plot.Tick
	for i := math.Ceil(low / step); i*step <= high*1.0001; i++ {
		out = append(out, plot.Tick{Value: i * step, Label: countLabel(i * step)})
	}
	return out
}

func countLabel(x float64) string {
	unit := ""
	switch {
	case x >= 1e6:
		x, unit = x/1e6, " M"
	case x >= 1e3:
		x, unit = x/1e3, " k"
	}
	return strconv.FormatFloat(x, 'g', 4, 64) + unit
}
