package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/demo/words"
)

// Config of the demo. The zero Config reads the Go installation and prints nothing.
type Config struct {
	// Dir of Go source that the identifiers are counted in; "" is the Go installation.
	Dir string
	// Images is the directory of the JPEGs and PNGs; "" is src/image/testdata of the Go installation, and the broken
	// PNGs beside it.
	Images string
	// Limit is how many files of Dir are read; 0 is all.
	Limit int
	// Out is where the pictures are written; "" is a new directory among the temporary ones, which is kept.
	Out string
	// Listen is where the HTTP gateway listens, host:port; "" is any free port of 127.0.0.1.
	Listen string
	// Lent has the executors keep nothing for each other, and count bundles of files: tallies of those are too large for a
	// message, and go through memory that lenders lend.
	Lent bool
	// Stay keeps the cluster up after the DAGs have run, until the context ends.
	Stay bool

	Stdout   io.Writer    // what the demo did; nil discards
	Progress io.Writer    // progress bars; nil for none
	Logger   *slog.Logger // the cluster's; nil discards
}

// Report is what the demo did.
type Report struct {
	Identifiers Identifiers
	Photo       Photo
	Took        time.Duration
}

// Identifiers is what came of the DAG of that name.
type Identifiers struct {
	Tally words.Tally   // the Reduce's result, which equals the count in one thread
	Top   []words.Entry // the most frequent ones
	Lent  Lent          // zero without Config.Lent
}

// Photo is what came of the DAG of that name.
type Photo struct {
	Written []string  // paths of the sheets
	Failed  []Failure // images that could not be worked on
}

// Failure is an image whose run failed.
type Failure struct {
	Name string // below the directory of the images
	Err  *fault.Error
}

// executors is how many nodes the demo's cluster has.
const executors = 3

// runTime bounds the run over all files: a slow machine may take its time, a hang may not.
const runTime = 15 * time.Minute

// Run runs the demo and prints what it does; it takes a minute on two cores. Errors are *fault.Error:
// invalid_argument where there is no input or no source to build, internal where the cluster's count is not the one
// of a single thread.
func Run(ctx context.Context, cfg Config) (r *Report, err error) {
	began := time.Now()
	p := newPrinter(cfg.Stdout, cfg.Progress)
	root, files, images, err := inputs(ctx, cfg)
	if err != nil {
		return nil, err
	}
	wordsDir, err := sourceDir("internal/demo/words")
	if err != nil {
		return nil, err
	}
	pictureDir, err := sourceDir("internal/demo/picture")
	if err != nil {
		return nil, err
	}
	if cfg.Out == "" {
		cfg.Out, err = os.MkdirTemp("", "squall-demo-photo-")
		defer func() {
			if err != nil {
				_ = os.Remove(cfg.Out) // only if nothing was written to it
			}
		}()
	} else {
		err = os.MkdirAll(cfg.Out, 0o755)
	}
	if err != nil {
		return nil, fault.New(fault.InvalidArgument, "directory of the pictures: name one that can be written with --out: %w", err)
	}

	p.line("A cluster in this process: NATS with JetStream, a coordinator, %d executors, an HTTP gateway", executors)
	h, err := open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	p.phase("start", h.took, "every write on disk, in %s, before it is acknowledged", h.dir)
	if cfg.Lent {
		p.line("  %d lenders take the intermediates that do not fit a message: executors keep nothing for each other.", lenders)
	}

	r = &Report{}
	d := &demo{house: h, printer: p, lent: cfg.Lent}
	if err = d.register(ctx, wordsDir, pictureDir); err != nil {
		return nil, err
	}
	if r.Identifiers, err = d.identifiers(ctx, root, files); err != nil {
		return nil, err
	}
	if r.Photo, err = d.photo(ctx, images, cfg.Out); err != nil {
		return nil, err
	}
	if err = d.web(ctx, d.refs); err != nil {
		return nil, err
	}
	r.Took = time.Since(began)
	d.head("Done in %s", short(r.Took))
	if !cfg.Stay {
		d.line("The cluster ends now; with --stay it stays up to be tried.")
		return r, nil
	}
	d.line("The cluster stays up. Ctrl-C ends it.")
	<-ctx.Done()
	return r, nil
}

// demo is one run of it.
type demo struct {
	*house
	*printer
	refs []client.Ref // the files of identifiers, or bundles of them, in the store
	lent bool         // Config.Lent
}

// short prints a duration to three figures or so.
func short(t time.Duration) string {
	switch {
	case t >= 10*time.Second:
		return t.Round(100 * time.Millisecond).String()
	case t >= time.Second:
		return t.Round(10 * time.Millisecond).String()
	case t >= time.Millisecond:
		return t.Round(10 * time.Microsecond).String()
	}
	return t.Round(100 * time.Nanosecond).String()
}

// megabytes prints a size.
func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// follow shows the invocations on all executors as they happen, up to most, until stop is called; stop may be called
// twice.
func (d *demo) follow(what string, most int) (stop func()) {
	b, before := d.bar(what, int64(most), false), d.invocations()
	done := make(chan struct{})
	var shown sync.WaitGroup
	shown.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				b.set(int(d.invocations() - before))
			case <-done:
				return
			}
		}
	})
	return sync.OnceFunc(func() {
		close(done)
		shown.Wait()
		b.end()
	})
}

// executors prints what each executor has done so far.
func (d *demo) executors() {
	w := d.table("executor", "calls so far", "reads from its cache", "from the store", "held in memory")
	for _, e := range d.Executors() {
		s := e.Cache.Stats()
		w.row(e.Name(), e.Invocations(), s.Hits, s.Reads, megabytes(s.Bytes))
	}
	w.end()
}
