package bench

import (
	"errors"
	"image/color"
	"io"
	"os"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	vgdraw "gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/squall-faas/squall/fault"
)

// plotDPI is the resolution of a PNG.
const plotDPI = 192

// plotForm is "svg" or "png", by a file's ending; invalid_argument for any other.
func plotForm(file string) (string, error) {
	switch form := strings.ToLower(strings.TrimPrefix(filepath.Ext(file), ".")); form {
	case "svg", "png":
		return form, nil
	}
	return "", fault.New(fault.InvalidArgument, "plot to %s: name a file that ends in .svg or .png", file)
}

// savePlot writes what draw draws to a file, as SVG or PNG by its ending; invalid_argument where that cannot be.
func savePlot(file string, width, height vg.Length, draw func(vgdraw.Canvas)) error {
	form, err := plotForm(file)
	if err != nil {
		return err
	}
	var c interface {
		vg.CanvasSizer
		io.WriterTo
	}
	if form == "svg" {
		c = vgsvg.New(width, height)
	} else {
		c = vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(plotDPI))}
	}
	canvas := vgdraw.New(c)
	canvas.FillPolygon(color.White, []vg.Point{{}, {X: canvas.Max.X}, canvas.Max, {Y: canvas.Max.Y}})
	draw(canvas)
	f, err := os.Create(file)
	if err != nil {
		return fault.New(fault.InvalidArgument, "write the plot: %w", err)
	}
	_, err = c.WriteTo(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return fault.New(fault.Unavailable, "write the plot: %w", err)
	}
	return nil
}

// logPlot is an empty plot in our style, both of its axes logarithmic.
func logPlot() *plot.Plot {
	p := plot.New()
	for _, s := range []*vgdraw.TextStyle{&p.Title.TextStyle, &p.X.Label.TextStyle, &p.Y.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label, &p.Legend.TextStyle} {
		s.Font.Variant, s.Font.Size = "Sans", vg.Points(9)
	}
	p.Title.TextStyle.Font.Size, p.Title.Padding = vg.Points(10.5), vg.Points(4)
	p.BackgroundColor = color.White
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	grid := plotter.NewGrid()
	grey := color.RGBA{0xe2, 0xe2, 0xe2, 0xff}
	grid.Vertical.Color, grid.Horizontal.Color = grey, grey
	p.Add(grid)
	return p
}
