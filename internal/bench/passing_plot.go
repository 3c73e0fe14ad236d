package bench

import (
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	vgdraw "gonum.org/v1/plot/vg/draw"

	"github.com/squall-faas/squall/dag/planner"
)

// passingPlotFan is the fan-out that is drawn.
const passingPlotFan = 16

// passingLines are what is drawn: the best plan that takes one path for everything, and the planner's. Colours are told apart
// by the colour-blind too (Okabe and Ito 2008).
var passingLines = []struct {
	label string
	c     color.RGBA
	shape vgdraw.GlyphDrawer
	of    func(*passingResult) float64
}{
	{"only local", color.RGBA{0x00, 0x9e, 0x73, 0xff}, vgdraw.BoxGlyph{}, func(r *passingResult) float64 { return r.only[planner.Local] }},
	{"only direct", color.RGBA{0xd5, 0x5e, 0x00, 0xff}, vgdraw.TriangleGlyph{}, func(r *passingResult) float64 { return r.only[planner.Direct] }},
	{"only remote", color.RGBA{0x00, 0x72, 0xb2, 0xff}, vgdraw.RingGlyph{}, func(r *passingResult) float64 { return r.only[planner.Remote] }},
	{"planner", color.RGBA{0x22, 0x22, 0x22, 0xff}, vgdraw.CircleGlyph{}, func(r *passingResult) float64 { return r.planner }},
}

// passingPlot draws, for each DAG and fleet, how much longer than the best of all plans each kind of plan takes, by the size
// of the data.
func passingPlot(results []passingResult, file string) error {
	var plots [][]*plot.Plot
	top := 1.0
	for _, d := range passingDAGs {
		var row []*plot.Plot
		for _, f := range passingFleets {
			p, highest := passingPanel(results, d, f)
			top = max(top, highest)
			row = append(row, p)
		}
		plots = append(plots, row)
	}
	for i, row := range plots {
		for k, p := range row {
			p.Y.Min, p.Y.Max = 0.93, top*1.08
			if i == len(plots)-1 {
				p.X.Label.Text = "data"
			}
			if k == 0 {
				p.Y.Label.Text = "time, best plan = 1"
			}
		}
	}
	legend := &plots[0][0].Legend
	legend.Top, legend.Left, legend.XOffs, legend.YOffs = true, true, vg.Points(6), -vg.Points(4)
	return savePlot(file, 10*vg.Inch, 8.4*vg.Inch, func(canvas vgdraw.Canvas) {
		tiles := vgdraw.Tiles{
			Rows: len(plots), Cols: len(passingFleets), PadX: vg.Points(12), PadY: vg.Points(12),
			PadTop: vg.Points(6), PadBottom: vg.Points(6), PadLeft: vg.Points(6), PadRight: vg.Points(10),
		}
		for i, row := range plot.Align(plots, tiles, canvas) {
			for k, at := range row {
				plots[i][k].Draw(at)
			}
		}
	})
}

func passingPanel(results []passingResult, d, f string) (*plot.Plot, float64) {
	p := logPlot()
	p.Title.Text = d + ", " + map[string]string{"fast": "fast links", "slow": "slow links", "disks": "contended disks"}[f]
	p.Y.Tick.Marker = plot.ConstantTicks{{Value: 1, Label: "1"}, {Value: 1.5, Label: "1.5"}, {Value: 2, Label: "2"}, {Value: 3, Label: "3"}, {Value: 5, Label: "5"}, {Value: 8, Label: "8"}, {Value: 12, Label: "12"}}
	var ticks plot.ConstantTicks
	highest := 1.0
	for n, l := range passingLines {
		var xy plotter.XYs
		for i := range results {
			r := &results[i]
			if r.cell.dag != d || r.cell.fleet != f || r.cell.fan != passingPlotFan {
				continue
			}
			if n == 0 {
				ticks = append(ticks, plot.Tick{Value: float64(r.cell.bytes), Label: roundBytes(r.cell.bytes)})
			}
			if y := l.of(r) / r.oracle; !math.IsInf(y, 0) {
				xy = append(xy, plotter.XY{X: float64(r.cell.bytes), Y: y})
				highest = max(highest, y)
			}
		}
		line, points, err := plotter.NewLinePoints(xy)
		if err != nil {
			continue // no plan of this kind
		}
		line.Color, line.Width = l.c, vg.Points(1.5)
		points.Color, points.Shape, points.Radius = l.c, l.shape, vg.Points(2.6)
		p.Add(line, points)
		if d == passingDAGs[0] && f == passingFleets[0] {
			p.Legend.Add(l.label, line, points)
		}
	}
	p.X.Tick.Marker = ticks
	return p, highest
}
