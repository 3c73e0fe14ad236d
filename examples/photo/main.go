// Photo makes a thumbnail and a caption of each picture, side by side, and shows what becomes of a broken one.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/draw"
	_ "image/jpeg" // what decode reads
	"image/png"
	"io"
	"log"
	"os"
	"path/filepath"

	"github.com/squall-faas/squall"
	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fn"
)

// Image is a picture as it travels between functions: red, green, blue and opacity of each pixel. Between functions on
// one node nothing is copied; between nodes Pix travels as it is.
type Image struct {
	Width, Height int
	Pix           []byte
}

func decode(_ fn.Context, data []byte) (Image, error) {
	m, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return Image{}, fmt.Errorf("this is no picture that could be read: %w", err)
	}
	size := m.Bounds().Size()
	flat := image.NewRGBA(image.Rectangle{Max: size})
	draw.Draw(flat, flat.Rect, m, m.Bounds().Min, draw.Src)
	return Image{size.X, size.Y, flat.Pix}, nil
}

// thumbnail takes every fourth pixel of every fourth row, and makes a PNG of them.
func thumbnail(_ fn.Context, m Image) ([]byte, error) {
	const step = 4
	small := image.NewRGBA(image.Rect(0, 0, m.Width/step, m.Height/step))
	for y := range m.Height / step {
		for x := range m.Width / step {
			copy(small.Pix[small.PixOffset(x, y):][:4], m.Pix[4*(y*step*m.Width+x*step):])
		}
	}
	var out bytes.Buffer
	err := png.Encode(&out, small)
	return out.Bytes(), err
}

// tone names the colour that there is most of.
func tone(_ fn.Context, m Image) (string, error) {
	names := [...]string{"red", "green", "blue"}
	var sums [3]int
	for i := 0; i+3 < len(m.Pix); i += 4 {
		for c := range sums {
			sums[c] += int(m.Pix[i+c])
		}
	}
	most := 0
	for c := range sums {
		if sums[c] > sums[most] {
			most = c
		}
	}
	return names[most], nil
}

// Card is what comes of one picture.
type Card struct {
	Caption   string
	Thumbnail []byte
}

func join(_ fn.Context, m Image, thumbnail []byte, tone string) (Card, error) {
	return Card{fmt.Sprintf("%d by %d pixels, mostly %s", m.Width, m.Height, tone), thumbnail}, nil
}

func setup(ctx context.Context, c *client.Client) error {
	_, e1 := c.Register(ctx, "decode", client.Native(decode))
	_, e2 := c.Register(ctx, "thumbnail", client.Native(thumbnail))
	_, e3 := c.Register(ctx, "tone", client.Native(tone))
	_, e4 := c.Register(ctx, "join", client.Native3(join))
	b := dag.New("photo")
	m := b.Call("decode", "decode", b.Input("picture"))
	b.Output("card", b.Call("join", "join", m, b.Call("thumbnail", "thumbnail", m), b.Call("tone", "tone", m)))
	g, e5 := b.Build()
	if err := errors.Join(e1, e2, e3, e4, e5); err != nil {
		return err
	}
	_, err := c.RegisterDAG(ctx, g)
	return err
}

// run makes a card of each picture and writes the thumbnails to dir.
func run(ctx context.Context, w io.Writer, pictures []string, dir string) (err error) {
	s, err := squall.Open(ctx, squall.Config{Executors: 2})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := setup(ctx, s.Client); err != nil {
		return err
	}
	for _, path := range pictures {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name := filepath.Base(path)
		out, err := s.CallDAG(ctx, "photo", client.Inputs{"picture": data})
		if err != nil {
			fmt.Fprintf(w, "%s: %v\n", name, err) // the next picture is none the worse for it
			continue
		}
		card, err := client.Output[Card](out, "card")
		if err != nil {
			return err
		}
		small := filepath.Join(dir, name+".small.png")
		if err := os.WriteFile(small, card.Thumbnail, 0o644); err != nil {
			return err
		}
		fmt.Fprintf(w, "%s: %s; %s\n", name, card.Caption, small)
	}
	return nil
}

func main() {
	pictures := os.Args[1:]
	if len(pictures) == 0 {
		for _, dir := range []string{"testdata", "examples/photo/testdata"} {
			found, _ := filepath.Glob(filepath.Join(dir, "*")) // the pattern is a good one
			pictures = append(pictures, found...)
		}
	}
	dir, err := os.MkdirTemp("", "squall-photo-")
	if err == nil {
		err = run(context.Background(), os.Stdout, pictures, dir)
	}
	if err != nil {
		log.Fatal(err)
	}
}
