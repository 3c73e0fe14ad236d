package bench

import (
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	vgdraw "gonum.org/v1/plot/vg/draw"

	"github.com/squall-faas/squall/internal/reclaim"
)

// What is drawn of the paper's cost model: requests and dollars an hour, both by their logarithm.
const (
	costFrom, costTo   = 100.0, 2e6
	costLeast, costTop = 0.1, 100.0
)

// costPlot draws what a pool of lenders costs an hour by the rate of requests, beside the provisioned cache, and where they
// cross.
func costPlot(file string) error {
	return savePlot(file, 7*vg.Inch, 4.4*vg.Inch, func(canvas vgdraw.Canvas) {
		costPanel(reclaim.PricesOf2019(), reclaim.PaperPool()).Draw(vgdraw.Crop(canvas, vg.Points(6), -vg.Points(14), vg.Points(6), -vg.Points(6)))
	})
}

func costPanel(prices reclaim.Prices, pool reclaim.Lambdas) *plot.Plot {
	p := logPlot()
	p.Title.Text = fmt.Sprintf("InfiniCache's cost model: %d functions of %v GB, prices of 2019", pool.Functions, pool.GB)
	p.X.Label.Text, p.Y.Label.Text = "requests an hour", "dollars an hour"
	p.X.Tick.Marker = plot.ConstantTicks{{Value: 1e2, Label: "100"}, {Value: 1e3, Label: "1,000"}, {Value: 1e4, Label: "10,000"}, {Value: 1e5, Label: "100,000"}, {Value: 1e6, Label: "1,000,000"}}
	p.Y.Tick.Marker = plot.ConstantTicks{{Value: 0.1, Label: "0.1"}, {Value: 1, Label: "1"}, {Value: 10, Label: "10"}, {Value: 100, Label: "100"}}

	cost := func(requests float64) float64 {
		serving, warm, sync := pool.HourlyCost(prices, requests)
		return serving + warm + sync
	}
	blue, orange, dark := color.RGBA{0x00, 0x72, 0xb2, 0xff}, color.RGBA{0xd5, 0x5e, 0x00, 0xff}, color.RGBA{0x22, 0x22, 0x22, 0xff}
	line := func(c color.Color, dashes []vg.Length, xy ...plotter.XY) *plotter.Line {
		return &plotter.Line{XYs: xy, LineStyle: vgdraw.LineStyle{Color: c, Width: vg.Points(1.5), Dashes: dashes}}
	}
	var curve, marks plotter.XYs
	for x := costFrom; x < costTo; x *= 1.05 {
		curve = append(curve, plotter.XY{X: x, Y: cost(x)})
	}
	curve = append(curve, plotter.XY{X: costTo, Y: cost(costTo)})
	for _, x := range costRates {
		if x >= costFrom { // a logarithm has no room for no requests
			marks = append(marks, plotter.XY{X: x, Y: cost(x)})
		}
	}
	lent := line(blue, nil, curve...)
	points := &plotter.Scatter{XYs: marks, GlyphStyle: vgdraw.GlyphStyle{Color: blue, Radius: vg.Points(2.6), Shape: vgdraw.CircleGlyph{}}}
	provided := line(orange, nil, plotter.XY{X: costFrom, Y: prices.Provided}, plotter.XY{X: costTo, Y: prices.Provided})
	p.Add(lent, points, provided)
	p.Legend.Add("lent memory", lent, points)
	p.Legend.Add("provisioned cache", provided)
	p.Legend.Top, p.Legend.Left, p.Legend.XOffs, p.Legend.YOffs = true, true, vg.Points(6), -vg.Points(4)
	p.Legend.Padding = vg.Points(3)
	if at := pool.Crossover(prices); at > costFrom && at < costTo {
		p.Add(line(dark, []vg.Length{vg.Points(3), vg.Points(3)}, plotter.XY{X: at, Y: costLeast}, plotter.XY{X: at, Y: prices.Provided}))
		style := p.X.Tick.Label
		style.XAlign, style.YAlign = vgdraw.XRight, vgdraw.YBottom
		p.Add(&plotter.Labels{
			XYs: plotter.XYs{{X: at, Y: costLeast}}, Labels: []string{costCrossover(at)},
			TextStyle: []vgdraw.TextStyle{style}, Offset: vg.Point{X: -vg.Points(4), Y: vg.Points(4)},
		})
	}
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = costFrom, costTo, costLeast, costTop
	return p
}

// costCrossover says where the lines cross, to a thousand requests.
func costCrossover(at float64) string {
	n := int(math.Round(at / 1000))
	return fmt.Sprintf("equal at %d,000 requests an hour", n)
}
