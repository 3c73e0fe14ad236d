package demo

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/draw"
	_ "image/jpeg" // what decode reads
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/internal/demo/picture"
)

// maxPixels bounds what decode takes: a header of a few bytes can promise any size.
const maxPixels = 16 << 20

// decode reads a JPEG or a PNG.
func decode(_ fn.Context, data []byte) (picture.Image, error) {
	head, _, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return picture.Image{}, err
	}
	if int64(head.Width)*int64(head.Height) > maxPixels {
		return picture.Image{}, fault.New(fault.TooLarge, "an image of %d by %d pixels: at most %d are taken", head.Width, head.Height, maxPixels)
	}
	m, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return picture.Image{}, err
	}
	size := m.Bounds().Size()
	flat := image.NewRGBA(image.Rectangle{Max: size})
	draw.Draw(flat, flat.Rect, m, m.Bounds().Min, draw.Src)
	return picture.Image{Width: size.X, Height: size.Y, Pix: flat.Pix}, nil
}

// join puts the three on one sheet, a PNG: the thumbnail over the histogram, the edges beside them.
func join(_ fn.Context, thumbnail picture.Image, h picture.Histogram, edges picture.Image) ([]byte, error) {
	const gap, width, height = 8, 256, 96
	left := max(thumbnail.Width, width)
	sheet := image.NewRGBA(image.Rect(0, 0, 3*gap+left+edges.Width, 2*gap+max(thumbnail.Height+gap+height, edges.Height)))
	draw.Draw(sheet, sheet.Rect, image.White, image.Point{}, draw.Src)
	paste(sheet, gap, gap, thumbnail)
	paste(sheet, 2*gap+left, gap, edges)
	most := int32(1)
	for i := range 256 {
		most = max(most, h.Red[i], h.Green[i], h.Blue[i])
	}
	floor := gap + thumbnail.Height + gap + height
	for i := range 256 {
		for _, bar := range []struct {
			n int32
			c color.RGBA
		}{{h.Red[i], color.RGBA{220, 60, 60, 255}}, {h.Green[i], color.RGBA{60, 160, 60, 255}}, {h.Blue[i], color.RGBA{60, 60, 220, 255}}} {
			y := floor - int(int64(bar.n)*height/int64(most))
			sheet.SetRGBA(gap+i, min(y, floor-1), bar.c)
		}
	}
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

// photo runs the DAG on each image, and writes what comes of it to dir.
func (d *demo) photo(ctx context.Context, images []file, dir string) (Photo, error) {
	d.head("photo: %d pictures of Go's own tests, some of which are broken", len(images))
	refs, _, err := d.put(ctx, "demo/photo/", images)
	if err != nil {
		return Photo{}, err
	}
	began := time.Now()
	b := d.bar("run", int64(len(images)), false)
	defer b.end()
	var (
		mu    sync.Mutex // guards stats
		stats = map[string]client.NodeStat{}
		order []string
		runs  errgroup.Group
	)
	sheets, failed := make([][]byte, len(images)), make([]*fault.Error, len(images))
	runs.SetLimit(2 * executors)
	for i := range images {
		runs.Go(func() error {
			defer b.add(1)
			out, err := d.Client.CallDAG(ctx, "photo", client.Inputs{"image": refs[i]}, client.Trace())
			if err == nil {
				sheets[i], err = client.Output[[]byte](out, "sheet")
			}
			if err != nil {
				if !errors.As(err, &failed[i]) || failed[i].Code != fault.FunctionError {
					return err // no fault of the image
				}
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			for _, s := range out.Stats() {
				sum, seen := stats[s.Node]
				if !seen {
					order = append(order, s.Node)
				}
				stats[s.Node] = client.NodeStat{Node: s.Node, Calls: sum.Calls + s.Calls, Again: sum.Again + s.Again,
					Busy: sum.Busy + s.Busy, Wait: sum.Wait + s.Wait, Max: max(sum.Max, s.Max)}
			}
			return nil
		})
	}
	if err := runs.Wait(); err != nil {
		return Photo{}, err
	}
	took := time.Since(began)
	b.end()
	var r Photo
	for i, sheet := range sheets {
		if failed[i] != nil {
			r.Failed = append(r.Failed, Failure{images[i].name, failed[i]})
			continue
		}
		path := filepath.Join(dir, strings.ReplaceAll(images[i].name, "/", "_")+".sheet.png")
		if err := os.WriteFile(path, sheet, 0o644); err != nil {
			return r, fault.New(fault.InvalidArgument, "write a picture: name a directory with --out that can be written: %w", err)
		}
		r.Written = append(r.Written, path)
	}
	d.phase("run", took, "%d calls of the DAG, %d failed", len(images), len(r.Failed))
	all := make([]client.NodeStat, len(order))
	for i, node := range order {
		all[i] = stats[node]
	}
	d.nodes(all)
	for _, f := range r.Failed {
		d.line("  failed: %s: %v", f.Name, f.Err)
	}
	d.line("  a sheet of each of the other %d (thumbnail, histogram, edges):", len(r.Written))
	for _, path := range r.Written {
		d.line("    %s", path)
	}
	return r, nil
}
