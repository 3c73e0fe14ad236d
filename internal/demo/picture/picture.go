// Package picture works on small images: the functions of the demo's second DAG. It imports no codec, so that what is
// built of it for WebAssembly stays small.
package picture

import (
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
)

// Image is a picture in memory: Pix holds red, green, blue and opacity of each pixel, a byte each, row by row.
type Image struct {
	Width  int    `cbor:"width"`
	Height int    `cbor:"height"`
	Pix    []byte `cbor:"pix"`
}

func (m Image) check() error {
	if m.Width <= 0 || m.Height <= 0 || len(m.Pix) != 4*m.Width*m.Height {
		return fault.New(fault.InvalidArgument, "an image of %d by %d pixels has %d bytes: expected four for each pixel", m.Width, m.Height, len(m.Pix))
	}
	return nil
}

// Histogram tells how many pixels have each intensity, by colour.
type Histogram struct {
	Red   []int32 `cbor:"red"`
	Green []int32 `cbor:"green"`
	Blue  []int32 `cbor:"blue"`
}

// side is the longest side of a thumbnail in pixels.
const side = 64

// Thumbnail shrinks m until neither side is longer than 64 pixels; each pixel is the mean of those it stands for.
func Thumbnail(_ fn.Context, m Image) (Image, error) {
	if err := m.check(); err != nil {
		return Image{}, err
	}
	long := max(m.Width, m.Height)
	if long <= side {
		return m, nil
	}
	t := Image{Width: max(1, m.Width*side/long), Height: max(1, m.Height*side/long)}
	t.Pix = make([]byte, 0, 4*t.Width*t.Height)
	for y := range t.Height {
		top, bottom := y*m.Height/t.Height, (y+1)*m.Height/t.Height
		for x := range t.Width {
			left, right := x*m.Width/t.Width, (x+1)*m.Width/t.Width
			var sum [4]int
			for row := top; row < bottom; row++ {
				line := m.Pix[4*(row*m.Width+left) : 4*(row*m.Width+right)]
				for i := 0; i+3 < len(line); i += 4 {
					for c := range sum {
						sum[c] += int(line[i+c])
					}
				}
			}
			n := (bottom - top) * (right - left)
			for _, s := range sum {
				t.Pix = append(t.Pix, byte((s+n/2)/n))
			}
		}
	}
	return t, nil
}

// Count gives m's histogram.
func Count(_ fn.Context, m Image) (Histogram, error) {
	if err := m.check(); err != nil {
		return Histogram{}, err
	}
	h := Histogram{make([]int32, 256), make([]int32, 256), make([]int32, 256)}
	for i := 0; i+3 < len(m.Pix); i += 4 {
		h.Red[m.Pix[i]]++
		h.Green[m.Pix[i+1]]++
		h.Blue[m.Pix[i+2]]++
	}
	return h, nil
}

// Edges shows where m's brightness changes: the magnitude of its gradient by Sobel's operator, in grey.
func Edges(_ fn.Context, m Image) (Image, error) {
	if err := m.check(); err != nil {
		return Image{}, err
	}
	grey := make([]int, m.Width*m.Height)
	for i := range grey {
		p := m.Pix[4*i : 4*i+3]
		grey[i] = (299*int(p[0]) + 587*int(p[1]) + 114*int(p[2])) / 1000 // the luma of ITU-R BT.601
	}
	at := func(x, y int) int {
		return grey[min(max(y, 0), m.Height-1)*m.Width+min(max(x, 0), m.Width-1)]
	}
	e := Image{m.Width, m.Height, make([]byte, 0, len(m.Pix))}
	for y := range m.Height {
		for x := range m.Width {
			dx := at(x+1, y-1) + 2*at(x+1, y) + at(x+1, y+1) - at(x-1, y-1) - 2*at(x-1, y) - at(x-1, y+1)
			dy := at(x-1, y+1) + 2*at(x, y+1) + at(x+1, y+1) - at(x-1, y-1) - 2*at(x, y-1) - at(x+1, y-1)
			v := byte(min(max(dx, -dx)+max(dy, -dy), 255))
			e.Pix = append(e.Pix, v, v, v, 255)
		}
	}
	return e, nil
}
