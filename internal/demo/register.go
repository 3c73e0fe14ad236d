package demo

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/internal/demo/picture"
	"github.com/squall-faas/squall/internal/demo/words"
)

// register makes the functions and the two DAGs known. The functions that arrive at run time, as Go packages, are
// built to WebAssembly here.
func (d *demo) register(ctx context.Context, wordsDir, pictureDir string) error {
	began := time.Now()
	var all errgroup.Group
	count := "Count"
	if d.lent {
		count = "CountAll"
	}
	for name, impl := range map[string]client.Impl{
		"count":     client.GoPackage(wordsDir, count),
		"thumbnail": client.GoPackage(pictureDir, "Thumbnail"),
	} {
		all.Go(func() error { _, err := d.Client.Register(ctx, name, impl); return err })
	}
	if err := all.Wait(); err != nil {
		return err
	}
	d.phase("build", time.Since(began), "2 Go packages to WebAssembly: count, thumbnail")

	began = time.Now()
	var warm any = []byte("package warm")
	if d.lent {
		warm = [][]byte{[]byte("package warm")}
	}
	all.Go(func() error { _, err := d.Client.CallValue(ctx, "count", []any{warm}); return err })
	all.Go(func() error {
		_, err := d.Client.CallValue(ctx, "thumbnail", []any{picture.Image{Width: 1, Height: 1, Pix: make([]byte, 4)}})
		return err
	})
	if err := all.Wait(); err != nil {
		return err
	}
	d.phase("compile", time.Since(began), "to machine code, at the first call of each; kept on disk for the next time")

	began = time.Now()
	for name, impl := range map[string]client.Impl{
		"merge":     client.Native2(words.Merge),
		"top":       client.Native(words.Top),
		"decode":    client.Native(decode),
		"histogram": client.Native(picture.Count),
		"edges":     client.Native(picture.Edges),
		"join":      client.Native3(join),
	} {
		all.Go(func() error { _, err := d.Client.Register(ctx, name, impl); return err })
	}
	if err := all.Wait(); err != nil {
		return err
	}
	for _, build := range []func() (*dag.Graph, error){identifiers, photo} {
		g, err := build()
		if err == nil {
			_, err = d.Client.RegisterDAG(ctx, g)
		}
		if err != nil {
			return err
		}
	}
	d.phase("register", time.Since(began), "6 Go funcs of this program, 2 DAGs")
	return nil
}

func identifiers() (*dag.Graph, error) {
	b := dag.New("identifiers")
	counts := b.Map("count", "count", b.Input("files")) // one call per file
	sum := b.Reduce("sum", "merge", counts)
	b.Output("sum", sum)
	b.Output("top", b.Call("top", "top", sum))
	return b.Build()
}

func photo() (*dag.Graph, error) {
	b := dag.New("photo")
	image := b.Call("decode", "decode", b.Input("image"))
	b.Output("sheet", b.Call("join", "join",
		b.Call("thumbnail", "thumbnail", image),
		b.Call("histogram", "histogram", image),
		b.Call("edges", "edges", image)))
	return b.Build()
}
