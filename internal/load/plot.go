package load

import (
	"fmt"
	"image/color"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/squall-faas/squall/fault"
)

// The size of plots, and what they are written as.
const (
	plotWidth  = 8 * vg.Inch
	plotHeight = 4.8 * vg.Inch
	margin     = vg.Inch / 8
)

var plotFormats = []string{"svg", "png"}

// palette tells lines apart for the colour-blind too (Okabe and Ito, Color Universal Design, 2008).
var palette = []color.RGBA{
	{0x00, 0x72, 0xb2, 0xff}, {0xd5, 0x5e, 0x00, 0xff}, {0x00, 0x9e, 0x73, 0xff}, {0xcc, 0x79, 0xa7, 0xff},
	{0xe6, 0x9f, 0x00, 0xff}, {0x56, 0xb4, 0xe9, 0xff}, {0x44, 0x44, 0x44, 0xff},
}

var (
	grey   = color.RGBA{0xdd, 0xdd, 0xdd, 0xff}
	dashes = []vg.Length{vg.Points(5), vg.Points(3)}
	dots   = []vg.Length{vg.Points(1.5), vg.Points(2.5)}
)

// colours is how many lines of one kind can be told apart, maxLines how many with a second kind.
const (
	colours  = 7
	maxLines = 2 * colours
)

// stroke is how the n-th line is drawn.
func stroke(n int) (color.Color, []vg.Length) {
	c := palette[n%colours]
	if n < colours {
		return c, nil
	}
	return c, []vg.Length{vg.Points(9), vg.Points(2.5), vg.Points(2), vg.Points(2.5)}
}

// title says where only some of so many lines are drawn.
func title(p *plot.Plot, lines, most int) {
	if lines > most {
		p.Title.Text += fmt.Sprintf(", the first %d of %d", most, lines)
	}
}

// Plots draws what the report has into a directory, each as SVG and PNG, and gives the files: latency.* is the distribution of
// latency, throughput.* the operations of each second, load.* the latency against the target rate, where runs have several.
func (r *Report) Plots(dir string) ([]string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fault.New(fault.Unavailable, "directory of the plots: %w: name another one", err)
	}
	var files []string
	for _, p := range []struct {
		name string
		draw func() *plot.Plot
	}{{"latency", r.latencyPlot}, {"throughput", r.throughputPlot}, {"load", r.loadPlot}} {
		drawn := p.draw()
		if drawn == nil {
			continue
		}
		for _, format := range plotFormats {
			w, err := draw.NewFormattedCanvas(plotWidth, plotHeight, format)
			if err != nil {
				return files, fault.New(fault.Internal, "draw %s: %w", p.name, err)
			}
			drawn.Draw(draw.Crop(draw.New(w), margin, -margin, margin, -margin))
			path := filepath.Join(dir, p.name+"."+format)
			if err := WriteFile(path, func(f io.Writer) error { _, err := w.WriteTo(f); return err }); err != nil {
				return files, err
			}
			files = append(files, path)
		}
	}
	return files, nil
}

func newPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	for _, s := range []*draw.TextStyle{&p.Title.TextStyle, &p.X.Label.TextStyle, &p.Y.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label, &p.Legend.TextStyle} {
		s.Font.Variant, s.Font.Size = "Sans", vg.Points(10)
	}
	p.Title.TextStyle.Font.Size, p.Title.Padding = vg.Points(13), vg.Points(8)
	p.X.Padding, p.Y.Padding = 0, 0
	p.X.Label.Padding, p.Y.Label.Padding = vg.Points(4), vg.Points(4)
	p.Legend.Padding, p.Legend.ThumbnailWidth = vg.Points(3), vg.Points(24)
	p.BackgroundColor = color.White
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = grey, grey
	p.Add(grid)
	return p
}

// line adds one with its legend; "" has none.
func line(p *plot.Plot, label string, xy plotter.XYs, c color.Color, dash []vg.Length) {
	l, err := plotter.NewLine(xy)
	if err != nil {
		return // it has no points that can be drawn
	}
	l.Color, l.Width, l.Dashes = c, vg.Points(1.6), dash
	p.Add(l)
	if label != "" {
		p.Legend.Add(label, l)
	}
}

// latencyPlot draws distributions of latency: of each operation where there is one case, of all operations of each case
// where there are several. The scale of the shares stretches the tail: each nine takes the same room.
func (r *Report) latencyPlot() *plot.Plot {
	groups := measured(r)
	if len(groups) == 0 {
		return nil
	}
	p := newPlot("Latency, "+r.Workload, "latency, logarithmic", "share of operations that took no longer")
	low, high, top, n := math.Inf(1), 0., 0., 0
	add := func(label string, g group, op string, service bool, dash []vg.Length, c color.Color) {
		xy := g.distribution(op, service)
		if len(xy) == 0 {
			return
		}
		for _, at := range xy {
			low, high, top = min(low, at.X), max(high, at.X), max(top, at.Y)
		}
		line(p, label, xy, c, dash)
	}
	for _, g := range groups[:min(len(groups), maxLines)] {
		ops := g.ops()
		if len(groups) > 1 {
			ops = []string{g.sum()}
		}
		for _, op := range ops[:min(len(ops), maxLines)] {
			label := g.name
			if len(groups) == 1 {
				label = op
			}
			c, dash := stroke(n % maxLines)
			add(label, g, op, false, dash, c)
			if g.runs[0].Loop == "open" && len(groups) == 1 && op != Call {
				add(label+", from actual start", g, op, true, dots, c)
			}
			n++
		}
	}
	if high == 0 {
		return nil
	}
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, timeTicks{}
	p.X.Min, p.X.Max = math.Pow(10, math.Floor(math.Log10(low)*3)/3), math.Pow(10, math.Ceil(math.Log10(high)*3)/3)
	p.Y.Min, p.Y.Max, p.Y.Tick.Marker = 0, max(top*1.02, 2), nines{}
	if len(groups) == 1 {
		p.Title.Text += ", " + groups[0].name
	}
	title(p, len(groups), maxLines)
	p.Legend.Top, p.Legend.Left, p.Legend.XOffs, p.Legend.YOffs = true, true, vg.Points(8), -vg.Points(6)
	return p
}

// sum is the operation that stands for all of a case.
func (g group) sum() string {
	for _, op := range g.ops() {
		if op == All {
			return op
		}
	}
	return g.ops()[0]
}

// distribution is that of all runs of a case, in microseconds by nines.
func (g group) distribution(op string, service bool) plotter.XYs {
	all := newHistogram()
	for _, run := range g.runs {
		if o := run.Op(op); o != nil {
			l := &o.Latency
			if service {
				l = o.Service
			}
			if l != nil && l.histogram() != nil {
				all.Merge(l.histogram())
			}
		}
	}
	n := all.TotalCount()
	if n == 0 {
		return nil
	}
	const step = 0.02
	last := min(math.Log10(float64(n)), 5) // a share of which there is less than one operation says nothing
	var xy plotter.XYs
	for y := 0.; y <= last; y += step {
		q := 100 * (1 - math.Pow(10, -y))
		xy = append(xy, plotter.XY{X: max(micros(all.ValueAtQuantile(q)), 0.01), Y: y})
	}
	return xy
}

// nines are the ticks of shares that are -log10(1-share).
type nines struct{}

// Ticks implements plot.Ticker.
func (nines) Ticks(_, top float64) []plot.Tick {
	out := []plot.Tick{{Value: 0, Label: "0 %"}, {Value: -math.Log10(0.5), Label: "50 %"}}
	for n := 1; float64(n) <= top; n++ {
		label := "90 %"
		if n > 1 {
			label = strings.TrimSuffix("99."+strings.Repeat("9", n-2), ".") + " %"
		}
		out = append(out, plot.Tick{Value: float64(n), Label: label})
	}
	return out
}

// timeTicks are those of a logarithmic axis of microseconds, in the units that people use.
type timeTicks struct{}

// Ticks implements plot.Ticker.
func (timeTicks) Ticks(low, high float64) []plot.Tick {
	wide := high/low > 1e3
	var out []plot.Tick
	for x := math.Pow(10, math.Floor(math.Log10(low))); x <= high*1.0001; x *= 10 {
		for m := 1.; m < 10; m++ {
			v := x * m
			if v < low*0.9999 || v > high*1.0001 {
				continue
			}
			label := ""
			if m == 1 || !wide && (m == 2 || m == 5) {
				label = microLabel(v)
			}
			if m == 1 || label != "" {
				out = append(out, plot.Tick{Value: v, Label: label})
			}
		}
	}
	return out
}

func microLabel(us float64) string {
	unit := "µs"
	switch {
	case us < 0.9999:
		us, unit = us*1e3, "ns"
	case us >= 0.9999e6:
		us, unit = us/1e6, "s"
	case us >= 0.9999e3:
		us, unit = us/1e3, "ms"
	}
	return strconv.FormatFloat(us, 'g', 3, 64) + " " + unit
}
