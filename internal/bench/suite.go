package bench

import (
	"context"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/squall-faas/squall/fault"
)

// Options are what all suites take. Only Launch must be given.
type Options struct {
	Launch  Launch
	Release string // of Squall, for the report

	Quick bool // little of everything, to see that it all runs: figures of no worth
	// Only names the cases to measure, with * for any part of a name: "floor", "compose_same/32", "*_chain"; a name
	// without its number means all of that name. None means all.
	Only []string

	Dir      string        // of the suite's files, in a directory made and removed; "" is the system's for temporary files
	Profiles string        // directory for a CPU profile of each process; "" writes none
	Progress io.Writer     // nil is silent
	Limit    time.Duration // of the whole suite; 0 is 15 minutes
}

const suiteLimit = 15 * time.Minute

// suite is one run of a suite.
type suite struct {
	Options
	fleet    *fleet
	progress *Progress
	report   *Report
	dir      string
	shards   int // of the stores of its stages; 0 is the default
}

// run has measure fill a report, and ends all that it started. cases are the names that Only may match.
func (o Options) run(ctx context.Context, name string, cases []string, targets []Target, measure func(context.Context, *suite) error) (r *Report, err error) {
	if err := checkPatterns(o.Only, cases); err != nil {
		return nil, err
	}
	limit := o.Limit
	if limit == 0 {
		limit = suiteLimit
	}
	// A context that is cancelled at the limit, and has no deadline: the calls would take it for theirs.
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	over := time.AfterFunc(limit, func() {
		stop(fault.New(fault.DeadlineExceeded, "the benchmark was not done after %v: give it more time, or less to do", limit))
	})
	defer over.Stop()

	dir, err := os.MkdirTemp(o.Dir, "squall-bench-")
	if err != nil {
		return nil, fault.New(fault.InvalidArgument, "directory for the benchmark: %w", err)
	}
	s := &suite{
		Options: o, dir: dir, fleet: newFleet(ctx, o.Launch, o.Profiles), progress: NewProgress(o.Progress),
		report: &Report{Suite: name, Env: environment(o.Release), Ratios: map[string]float64{}, Targets: targets},
	}
	s.report.Env["quick"], s.report.Env["durability"] = o.Quick, "durable"
	if fs := filesystem(dir); fs != "" {
		s.report.Env["store_filesystem"] = fs
	}
	defer func() {
		s.progress.End()
		s.fleet.Close()
		if e := os.RemoveAll(dir); e != nil && err == nil {
			err = fault.New(fault.Unavailable, "remove the benchmark's directory: %w", e)
		}
		if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(cause, context.Canceled) {
			err = cause
		}
	}()
	if o.Profiles != "" {
		end, err := profile(filepath.Join(o.Profiles, "client.pprof"))
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, end()) }()
	}
	if err := measure(ctx, s); err != nil {
		return nil, err
	}
	return s.report, nil
}

// numbered is the name of one of several like cases.
func numbered(name string, n int) string { return name + "/" + strconv.Itoa(n) }

// checkPatterns refuses patterns that none of the cases could match.
func checkPatterns(only, cases []string) error {
	for _, p := range only {
		known := slices.ContainsFunc(cases, func(name string) bool {
			group, _, _ := strings.Cut(p, "/")
			ok, err := path.Match(group, name)
			return ok && err == nil
		})
		if !known {
			return fault.New(fault.InvalidArgument, "no case matches %q: the cases are %s", p, strings.Join(cases, ", "))
		}
	}
	return nil
}

// wants reports whether a case is to be measured.
func (o *Options) wants(name string) bool {
	group, _, _ := strings.Cut(name, "/")
	return len(o.Only) == 0 || slices.ContainsFunc(o.Only, func(p string) bool {
		whole, _ := path.Match(p, name) // a bad pattern was refused before
		part, _ := path.Match(p, group)
		return whole || part
	})
}

// wanted reports whether any case of these groups is to be measured.
func (o *Options) wanted(groups ...string) bool {
	return len(o.Only) == 0 || slices.ContainsFunc(o.Only, func(p string) bool {
		group, _, _ := strings.Cut(p, "/")
		return slices.ContainsFunc(groups, func(name string) bool { ok, _ := path.Match(group, name); return ok })
	})
}

// size is full, or quick in quick mode.
func (o *Options) size(full, quick int) int {
	if o.Quick {
		return quick
	}
	return full
}

// alternate runs parts in rounds, every other round backwards, so that whatever else the machine does hits all alike.
func (s *suite) alternate(ctx context.Context, what string, rounds int, parts []func(ctx context.Context, round int) error) error {
	s.progress.Begin(what, rounds*len(parts))
	order := slices.Clone(parts)
	for round := range rounds {
		for _, part := range order {
			if err := part(ctx, round); err != nil {
				return err
			}
			s.progress.Step(1)
		}
		slices.Reverse(order)
	}
	return nil
}
