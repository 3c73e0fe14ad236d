package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/squall-faas/squall"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/cputime"
	"github.com/squall-faas/squall/internal/load"
	"github.com/squall-faas/squall/internal/ycsb"
)

// loadCommands adds the commands of package load to squall bench.
func (a *app) loadCommands(bench *cobra.Command) *cobra.Command {
	bench.AddCommand(a.benchYCSBCommand(), a.benchCompareCommand(), a.benchExecutorCommand())
	return bench
}

// ycsbRun is squall bench ycsb.
type ycsbRun struct {
	*app
	files, overrides []string
	perCall          []int
	rates            []float64
	open, closed     bool
	integrity        bool
	save, hdr, plots string
	pids             map[string]int
	targets          targetFlags
	plan             load.Plan
}

func (a *app) benchYCSBCommand() *cobra.Command {
	r := &ycsbRun{app: a}
	cmd := &cobra.Command{
		Use:   "ycsb [load|run]",
		Short: "YCSB workloads, and DAGs, against Squall, JetStream and Redis",
		Long: `Loads the records of a workload and runs it, or only one of both. Workload files are YCSB's, with properties of Squall's own
(docs/cli.md). Several targets, numbers of operations a call and rates are measured beside each other, in rounds.

With a rate the loop is open: operations are due at the times that the workload's arrival process gives, and latency counts
from then. Without, each thread makes the next call when the last one is answered.

Ctrl-C ends a run and prints what was measured until then.`,
		Example: `  squall bench ycsb -P examples/ycsb/workloads/workloada -p recordcount=100000 --threads 32 --duration 30s
  squall bench ycsb -P workloadc --target squall,jetstream,redis --target functions:1,functions:100 --repeat 5 --save c.json
  squall bench ycsb run -P workloadb --rate 1000,2000,4000,8000 --duration 30s --plots plots
  squall bench ycsb -P examples/ycsb/workloads/dag-chain --target functions --rate 200 --duration 30s
  squall bench ycsb run -P workloadc --target null --threads 32 --duration 5s     # what the generator itself can do`,
		Args:        cobra.MaximumNArgs(1),
		Annotations: map[string]string{alsoForm: "hdr"},
		RunE: func(cmd *cobra.Command, args []string) error {
			phase := ""
			if len(args) > 0 {
				phase = args[0]
			}
			return r.run(cmd.Context(), phase)
		},
	}
	r.flags(cmd.Flags())
	return cmd
}

func (r *ycsbRun) flags(f *pflag.FlagSet) {
	f.StringArrayVarP(&r.files, "workload", "P", nil, "property `file` of the workload; of several, later ones win")
	f.StringArrayVarP(&r.overrides, "property", "p", nil, "`name=value` of a property, which wins over the files")
	f.IntSliceVar(&r.perCall, "ops-per-call", nil, "operations of one call (default squall.ops of the workload, 1)")
	f.IntVar(&r.plan.Threads, "threads", 0, "callers at the same time (default threadcount of the workload, 1)")
	f.Float64SliceVar(&r.rates, "rate", nil, "operations per second that are due, an open loop; several are measured one after the other (default target of the workload)")
	f.BoolVar(&r.open, "open", false, "insist on an open loop: refuse to run without a rate")
	f.BoolVar(&r.closed, "closed", false, "a closed loop, whatever target the workload names")
	f.DurationVar(&r.plan.Duration, "duration", 0, "of each run (default maxexecutiontime of the workload, or until operationcount is done)")
	f.DurationVar(&r.plan.Warmup, "warmup", 0, "before each run, not measured")
	f.IntVar(&r.plan.Repeat, "repeat", 1, "runs of each case; compare needs three or more")
	f.Uint64Var(&r.plan.Seed, "seed", 0, "of what is done (default drawn)")
	f.BoolVar(&r.integrity, "integrity", false, "verify what is read, and read back what was acknowledged (dataintegrity)")
	f.BoolVar(&r.plan.StopOnError, "stop-on-error", false, "end at the first error, instead of counting errors")
	f.StringVar(&r.save, "save", "", "`file` for the result as JSON, for squall bench compare")
	f.StringVar(&r.hdr, "hdr", "", "`file` for the latencies as HdrHistogram log")
	f.StringVar(&r.plots, "plots", "", "`directory` for plots, as SVG and PNG")
	f.StringToIntVar(&r.pids, "pid", nil, "`name=PID` of a process whose CPU time counts, beside this one's and that of the executors it starts")
	r.targets.flags(f)
}

func (r *ycsbRun) run(ctx context.Context, phase string) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	if r.set.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.set.Timeout)
		defer cancel()
	}
	switch phase {
	case "", "load", "run":
		r.plan.Loads, r.plan.Runs = phase != "run", phase != "load"
	default:
		return fault.New(fault.InvalidArgument, "no phase %q: write load, run, or nothing for both", phase)
	}
	w, err := r.workload()
	if err != nil {
		return err
	}
	r.plan.Workload = w
	if err := r.loops(w); err != nil {
		return err
	}
	if w.DAG != nil && w.InsertCount == 0 {
		r.plan.Loads = false
	}
	var pids []int
	if r.plan.Targets, r.plan.PerCall, pids, err = r.targets.open(ctx, r.app, w, r.perCall); err != nil {
		return errors.Join(err, r.targets.close())
	}
	pids = append(pids, os.Getpid())
	for _, pid := range r.pids {
		pids = append(pids, pid)
	}
	if r.plan.CPU, err = cpuOf(pids); err != nil {
		return errors.Join(err, r.targets.close())
	}
	r.plan.Progress = load.NewProgress(r.errs)
	report := load.NewReport(r.name(), w.Properties, squall.Version)
	err = r.plan.Do(ctx, report)
	if err == nil && ctx.Err() != nil {
		err = fault.New(fault.CodeOf(ctx.Err()), "the run was interrupted: the results are of what was done until then: %w", ctx.Err())
	}
	err = errors.Join(err, r.targets.close())
	if len(report.Runs) == 0 {
		return err
	}
	return r.write(report, err)
}

// workload reads the files and what the command line says over them.
func (r *ycsbRun) workload() (*ycsb.Workload, error) {
	var p ycsb.Properties
	if len(r.files)+len(r.overrides) == 0 {
		return nil, fault.New(fault.InvalidArgument, "no workload: name a file with -P, such as examples/ycsb/workloads/workloada")
	}
	for _, f := range r.files {
		if err := p.ReadFile(f); err != nil {
			return nil, err
		}
	}
	for _, o := range r.overrides {
		if err := p.Override(o); err != nil {
			return nil, err
		}
	}
	if r.integrity {
		p.Set("dataintegrity", "true", "--integrity")
	}
	w, err := ycsb.New(&p)
	if err == nil && len(w.Ignored) > 0 {
		_, _ = fmt.Fprintf(r.errs, "without effect here: %s\n", strings.Join(w.Ignored, ", "))
	}
	return w, err
}

// name is the workload's in reports.
func (r *ycsbRun) name() string {
	if len(r.files) == 0 {
		return "of the command line"
	}
	return filepath.Base(r.files[len(r.files)-1])
}

// loops settles the rates.
func (r *ycsbRun) loops(w *ycsb.Workload) error {
	r.plan.Rates = r.rates
	if len(r.rates) == 0 && w.Target > 0 {
		r.plan.Rates = []float64{w.Target}
	}
	for _, rate := range r.plan.Rates {
		if rate <= 0 {
			return fault.New(fault.InvalidArgument, "a rate of %g: give a positive one", rate)
		}
	}
	switch {
	case r.open && r.closed, r.closed && len(r.rates) > 0:
		return fault.New(fault.InvalidArgument, "--closed contradicts --open and --rate: give one of them")
	case r.closed:
		r.plan.Rates = nil
	case r.open && len(r.plan.Rates) == 0:
		return fault.New(fault.InvalidArgument, "an open loop needs a rate: give --rate, or target in the workload")
	}
	return nil
}

// cpuOf adds the CPU times of processes up.
func cpuOf(pids []int) (func() time.Duration, error) {
	for _, pid := range pids {
		if _, ok := cputime.Of(pid); !ok && pid != os.Getpid() {
			return nil, fault.New(fault.InvalidArgument, "process %d has no CPU time that could be read: name one that runs, of this user", pid)
		}
	}
	return func() time.Duration {
		sum := time.Duration(0)
		for _, pid := range pids {
			t, _ := cputime.Of(pid) // one that has ended counts no more
			sum += t
		}
		return sum
	}, nil
}

// write reports what was measured in every form that was asked for. What cannot be written does not keep the rest from it.
func (r *ycsbRun) write(report *load.Report, err error) error {
	errs := []error{err}
	if r.save != "" {
		errs = append(errs, load.WriteFile(r.save, report.JSON))
	}
	if r.hdr != "" {
		errs = append(errs, load.WriteFile(r.hdr, report.HDR))
	}
	if r.plots != "" {
		files, err := report.Plots(r.plots)
		for _, f := range files {
			_, _ = fmt.Fprintln(r.errs, f)
		}
		errs = append(errs, err)
	}
	form := map[string]func(io.Writer) error{"table": report.Table, "json": report.JSON, "jsonl": report.JSON, "hdr": report.HDR}[r.set.Output]
	if err := form(r.out); err != nil {
		errs = append(errs, fault.New(fault.Unavailable, "print the results: %w", err))
	}
	for _, run := range report.Runs {
		if i := run.Integrity; i != nil && !i.Sound() {
			errs = append(errs, fault.New(fault.Internal, "%s: promises were broken: see integrity in the result", run.Case))
			break
		}
	}
	return errors.Join(errs...)
}
