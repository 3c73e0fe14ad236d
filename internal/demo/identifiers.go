package demo

import (
	"context"
	"fmt"
	"maps"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/demo/words"
)

// putsAtOnce is how many files are on their way to the store at a time: enough to share an fsync.
const putsAtOnce = 64

// identifiers counts the identifiers of all files on the cluster, and then in one thread.
func (d *demo) identifiers(ctx context.Context, root string, files []file) (Identifiers, error) {
	d.head("identifiers: %d .go files under %s", len(files), root)
	put := d.put
	if d.lent {
		put = d.putBundles
	}
	refs, bytes, err := put(ctx, "demo/identifiers/", files)
	if err != nil {
		return Identifiers{}, err
	}
	d.refs = refs
	r, err := d.countAll(ctx, refs)
	if err != nil {
		return r, err
	}
	began := time.Now()
	alone, err := d.countAlone(ctx, files, bytes)
	if err != nil {
		return r, err
	}
	if !equal(r.Tally, alone) {
		return r, fault.New(fault.Internal, "the cluster counted %d identifiers in %d files, one thread %d in %d: please report this",
			len(r.Tally.Counts), r.Tally.Files, len(alone.Counts), alone.Files)
	}
	d.phase("check", time.Since(began), "one thread counts the same: all %d identifiers are equal", len(alone.Counts))
	occurrences := 0
	for _, n := range alone.Counts {
		occurrences += n
	}
	d.line("  %d occurrences of %d identifiers; %d files have something that is no Go. The top %d:", occurrences, len(alone.Counts), alone.Flawed, len(r.Top))
	for i := 0; i < len(r.Top); i += 5 {
		row := "   "
		for _, e := range r.Top[i:min(i+5, len(r.Top))] {
			row += fmt.Sprintf("%12s %-7d", e.Word, e.Count)
		}
		d.line("%s", row)
	}
	return r, nil
}

// put stores each file under a key, and gives the references to them.
func (d *demo) put(ctx context.Context, prefix string, files []file) (refs []client.Ref, bytes int64, err error) {
	for _, f := range files {
		bytes += f.size
	}
	began := time.Now()
	b := d.bar("put", bytes, true)
	defer b.end()
	refs = make([]client.Ref, len(files))
	puts, ctx := errgroup.WithContext(ctx)
	puts.SetLimit(putsAtOnce)
	for i, f := range files {
		refs[i] = client.Ref(prefix + f.name)
		puts.Go(func() error {
			data, err := os.ReadFile(f.path)
			if err != nil {
				return fault.New(fault.InvalidArgument, "read the input: %w", err)
			}
			defer b.add(len(data))
			return d.Client.Put(ctx, string(refs[i]), data)
		})
	}
	if err := puts.Wait(); err != nil {
		return nil, 0, err
	}
	b.end()
	d.phase("put", time.Since(began), "%d files, %s, each under a key of the store", len(files), megabytes(bytes))
	return refs, bytes, nil
}

// countAll runs the DAG.
func (d *demo) countAll(ctx context.Context, refs []client.Ref) (r Identifiers, err error) {
	began, lent := time.Now(), d.lentSoFar()
	stop := d.follow("run", 2*len(refs)) // a count of each file, the merges of their tallies, and the top
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, runTime)
	defer cancel()
	out, err := d.Client.CallDAG(ctx, "identifiers", client.Inputs{"files": refs}, client.Trace())
	if err != nil {
		return r, err
	}
	if r.Tally, err = client.Output[words.Tally](out, "sum"); err != nil {
		return r, err
	}
	if r.Top, err = client.Output[[]words.Entry](out, "top"); err != nil {
		return r, err
	}
	stop()
	d.phase("run", time.Since(began), "%d calls on %d executors", calls(out.Stats()), executors)
	d.nodes(out.Stats(), "count", "sum", "top")
	d.executors()
	r.Lent = d.lentSince(lent)
	return r, nil
}

// countAlone is the count that the cluster's is held against: one thread, one map, the files themselves.
func (d *demo) countAlone(ctx context.Context, files []file, bytes int64) (words.Tally, error) {
	b := d.bar("check", bytes, true)
	defer b.end()
	t := words.Tally{Counts: map[string]int{}}
	for _, f := range files {
		if ctx.Err() != nil {
			return t, fault.From(context.Cause(ctx))
		}
		data, err := os.ReadFile(f.path)
		if err != nil {
			return t, fault.New(fault.InvalidArgument, "read the input: %w", err)
		}
		t.Add(data)
		b.add(len(data))
	}
	return t, nil
}

func equal(a, b words.Tally) bool {
	return a.Files == b.Files && a.Bytes == b.Bytes && a.Flawed == b.Flawed && maps.Equal(a.Counts, b.Counts)
}
