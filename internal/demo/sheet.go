package demo

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	_ "image/jpeg" // what decode reads
	"image/png"
	"io"
	"math"

	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/internal/demo/picture"
)

// maxPixels bounds what decode takes: a header of a few bytes can promise any size.
const maxPixels = 16 << 20

// decode reads a JPEG or a PNG.
func decode(_ fn.Context, data []byte) (picture.Image, error) {
	head, _, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return picture.Image{}, unreadable(err)
	}
	if int64(head.Width)*int64(head.Height) > maxPixels {
		return picture.Image{}, fmt.Errorf("an image of %d by %d pixels: at most %d are taken", head.Width, head.Height, maxPixels)
	}
	m, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return picture.Image{}, unreadable(err)
	}
	size := m.Bounds().Size()
	flat := image.NewRGBA(image.Rectangle{Max: size})
	draw.Draw(flat, flat.Rect, m, m.Bounds().Min, draw.Src)
	return picture.Image{Width: size.X, Height: size.Y, Pix: flat.Pix}, nil
}

func unreadable(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return fmt.Errorf("the image is truncated: %w", err)
	}
	return fmt.Errorf("the image is damaged: %w", err)
}

// join puts the three on one sheet, a PNG: the thumbnail over the histogram, the edges beside them.
func join(_ fn.Context, thumbnail picture.Image, h picture.Histogram, edges picture.Image) ([]byte, error) {
	const gap, width, height = 8, 256, 96
	left := max(thumbnail.Width, width)
	sheet := image.NewRGBA(image.Rect(0, 0, 3*gap+left+edges.Width, 2*gap+max(thumbnail.Height+gap+height, edges.Height)))
	draw.Draw(sheet, sheet.Rect, image.White, image.Point{}, draw.Src)
	paste(sheet, gap, gap, thumbnail)
	paste(sheet, 2*gap+left, gap, edges)
	chart(sheet, gap, 2*gap+thumbnail.Height, height, h)
	var out bytes.Buffer
	if err := png.Encode(&out, sheet); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func paste(on *image.RGBA, x, y int, m picture.Image) {
	src := &image.RGBA{Pix: m.Pix, Stride: 4 * m.Width, Rect: image.Rect(0, 0, m.Width, m.Height)}
	draw.Draw(on, src.Rect.Add(image.Pt(x, y)), src, image.Point{}, draw.Over)
}

// chart draws h with its top left corner at x, y. Heights grow with the root of the counts, or one flat background
// would leave nothing of the rest to be seen; where colours overlap they darken.
func chart(on *image.RGBA, x, y, height int, h picture.Histogram) {
	most := int32(1)
	for i := range 256 {
		most = max(most, h.Red[i], h.Green[i], h.Blue[i])
	}
	tall := func(n int32) int { return int(math.Sqrt(float64(n)/float64(most))*float64(height) + 0.5) }
	for i := range 256 {
		red, green, blue := tall(h.Red[i]), tall(h.Green[i]), tall(h.Blue[i])
		for up := range height {
			c := color.RGBA{255, 255, 255, 255}
			if up < red {
				c.G, c.B = c.G-90, c.B-90
			}
			if up < green {
				c.R, c.B = c.R-90, c.B-90
			}
			if up < blue {
				c.R, c.G = c.R-90, c.G-90
			}
			on.SetRGBA(x+i, y+height-1-up, c)
		}
	}
}
