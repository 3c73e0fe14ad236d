package demo

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/fault"
)

// outcome is what became of one image.
type outcome struct {
	sheet []byte
	stats []client.NodeStat
	err   *fault.Error // why the image could not be worked on
}

// photo runs the DAG on each image, and writes what comes of it to dir.
func (d *demo) photo(ctx context.Context, images []file, dir string) (Photo, error) {
	d.head("photo: %d JPEGs and PNGs", len(images))
	refs, _, err := d.put(ctx, "demo/photo/", images)
	if err != nil {
		return Photo{}, err
	}
	began := time.Now()
	outcomes, err := d.develop(ctx, refs)
	if err != nil {
		return Photo{}, err
	}
	took := time.Since(began)
	var r Photo
	var stats []client.NodeStat
	for i, o := range outcomes {
		stats = sum(stats, o.stats)
		if o.err != nil {
			r.Failed = append(r.Failed, Failure{images[i].name, o.err})
			continue
		}
		path := filepath.Join(dir, strings.ReplaceAll(images[i].name, "/", "_")+".sheet.png")
		if err := os.WriteFile(path, o.sheet, 0o644); err != nil {
			return r, fault.New(fault.InvalidArgument, "write a picture: name a directory with --out that can be written: %w", err)
		}
		r.Written = append(r.Written, path)
	}
	d.phase("run", took, "%d runs of the DAG, %d of them failed", len(images), len(r.Failed))
	d.nodes(stats, "decode", "thumbnail", "histogram", "edges", "join")
	d.line("  A failed call says why, and disturbs no other:")
	for _, f := range r.Failed {
		d.line("    %s: %v", f.Name, f.Err)
	}
	d.line("  A sheet of thumbnail, histogram and edges for each of the other %d:", len(r.Written))
	for _, path := range r.Written {
		d.line("    %s", path)
	}
	return r, nil
}

// develop runs the DAG on each image, several at a time. An image that cannot be worked on is no error.
func (d *demo) develop(ctx context.Context, refs []client.Ref) ([]outcome, error) {
	b := d.bar("run", int64(len(refs)), false)
	defer b.end()
	out := make([]outcome, len(refs))
	runs, ctx := errgroup.WithContext(ctx)
	runs.SetLimit(2 * executors)
	for i, ref := range refs {
		runs.Go(func() error {
			defer b.add(1)
			o, err := d.Client.CallDAG(ctx, "photo", client.Inputs{"image": ref}, client.Trace())
			if err == nil {
				out[i].stats = o.Stats()
				out[i].sheet, err = client.Output[[]byte](o, "sheet")
			}
			if errors.As(err, &out[i].err) && out[i].err.Code == fault.FunctionError {
				return nil
			}
			return err
		})
	}
	return out, runs.Wait()
}

// sum adds the times of one more run up, by node.
func sum(all, run []client.NodeStat) []client.NodeStat {
	for _, s := range run {
		i := 0
		for i < len(all) && all[i].Node != s.Node {
			i++
		}
		if i == len(all) {
			all = append(all, client.NodeStat{Node: s.Node})
		}
		all[i].Calls += s.Calls
		all[i].Again += s.Again
		all[i].Busy += s.Busy
		all[i].Wait += s.Wait
		all[i].Max = max(all[i].Max, s.Max)
	}
	return all
}
