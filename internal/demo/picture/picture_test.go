package picture_test

import (
	"testing"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/demo/picture"
)

// plain is one colour, with another in the right half.
func plain(w, h int, left, right [4]byte) picture.Image {
	m := picture.Image{Width: w, Height: h}
	for range h {
		for x := range w {
			c := left
			if x >= w/2 {
				c = right
			}
			m.Pix = append(m.Pix, c[:]...)
		}
	}
	return m
}

var black, white = [4]byte{0, 0, 0, 255}, [4]byte{255, 255, 255, 255}

func TestThumbnail(t *testing.T) {
	for _, c := range []struct{ w, h, wantW, wantH int }{{10, 8, 10, 8}, {640, 320, 64, 32}, {100, 300, 21, 64}, {5000, 1, 64, 1}} {
		got, err := picture.Thumbnail(nil, plain(c.w, c.h, black, white))
		if err != nil || got.Width != c.wantW || got.Height != c.wantH || len(got.Pix) != 4*c.wantW*c.wantH {
			t.Errorf("%d by %d: %d by %d with %d bytes, %v", c.w, c.h, got.Width, got.Height, len(got.Pix), err)
			continue
		}
		if last := len(got.Pix) - 4; got.Pix[0] != 0 || got.Pix[last] != 255 || got.Pix[last+3] != 255 {
			t.Errorf("%d by %d: begins with %v, ends with %v", c.w, c.h, got.Pix[:4], got.Pix[last:])
		}
	}
}

func TestCount(t *testing.T) {
	h, err := picture.Count(nil, plain(4, 2, [4]byte{1, 2, 3, 255}, [4]byte{1, 7, 9, 255}))
	if err != nil || h.Red[1] != 8 || h.Green[2] != 4 || h.Green[7] != 4 || h.Blue[9] != 4 {
		t.Errorf("%+v, %v", h, err)
	}
}

func TestEdges(t *testing.T) {
	e, err := picture.Edges(nil, plain(8, 3, black, white))
	if err != nil {
		t.Fatal(err)
	}
	for x := range 8 {
		want := byte(0)
		if x == 3 || x == 4 {
			want = 255
		}
		if got := e.Pix[4*(8+x)]; got != want {
			t.Errorf("column %d is %d, want %d", x, got, want)
		}
	}
}

// TestNoImage refuses sizes that do not fit the pixels.
func TestNoImage(t *testing.T) {
	for _, m := range []picture.Image{{}, {Width: -1, Height: -1, Pix: make([]byte, 4)}, {Width: 2, Height: 2, Pix: make([]byte, 15)}} {
		_, e1 := picture.Thumbnail(nil, m)
		_, e2 := picture.Count(nil, m)
		_, e3 := picture.Edges(nil, m)
		for _, err := range []error{e1, e2, e3} {
			if !fault.Is(err, fault.InvalidArgument) {
				t.Errorf("%d by %d with %d bytes: %v", m.Width, m.Height, len(m.Pix), err)
			}
		}
	}
}
