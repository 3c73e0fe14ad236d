package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/ycsb"
)

// Config of one run. Workload and Target are needed; the target is open, for at least Threads workers.
type Config struct {
	Workload *ycsb.Workload
	Target   Target
	Load     bool // the load phase: all records are inserted, once, in a closed loop

	Threads    int           // 0 is the workload's
	PerCall    int           // operations of a call; 0 is the workload's
	Rate       float64       // operations per second of an open loop; 0 is a closed loop
	Operations int64         // 0 is the workload's, or, with a Duration, as many as go
	Duration   time.Duration // of what is measured; 0 is the workload's maxexecutiontime
	Warmup     time.Duration // before it, not measured
	Seed       uint64        // of what is done; 0 draws one
	Version    uint64        // tells this run's writes from others'; 0 draws one

	Integrity   bool // as the workload's dataintegrity
	StopOnError bool // the first error ends the run; else errors are counted
	Progress    *Progress
	// CPU gives the CPU time so far of the processes that take part; nil where nobody looks.
	CPU func() time.Duration

	nap func(time.Duration) // of tests in virtual time
}

func (cfg *Config) validate() error {
	w := cfg.Workload
	if cfg.Threads == 0 {
		cfg.Threads = w.Threads
	}
	if cfg.PerCall == 0 {
		cfg.PerCall = w.PerCall
	}
	if cfg.Operations == 0 && cfg.Duration == 0 { // who says how long means it
		cfg.Operations = w.Operations
	}
	if cfg.Duration == 0 {
		cfg.Duration = w.MaxTime
	}
	if cfg.Load {
		cfg.Rate, cfg.Warmup, cfg.Operations, cfg.Duration = 0, 0, 0, 0
	}
	for cfg.Seed == 0 {
		cfg.Seed = rand.Uint64()
	}
	for cfg.Version&0xffff == 0 {
		cfg.Version = rand.Uint64N(1 << 16)
	}
	cfg.Integrity = cfg.Integrity || w.Integrity
	switch {
	case cfg.Threads < 1 || cfg.Threads > ycsb.MaxThreads:
		return fault.New(fault.InvalidArgument, "%d threads: give 1 to %d", cfg.Threads, ycsb.MaxThreads)
	case cfg.PerCall < 1 || cfg.PerCall > ycsb.MaxBatch:
		return fault.New(fault.InvalidArgument, "%d operations a call: give 1 to %d", cfg.PerCall, ycsb.MaxBatch)
	case cfg.Rate < 0 || cfg.Operations < 0 || cfg.Duration < 0 || cfg.Warmup < 0:
		return fault.New(fault.InvalidArgument, "a negative rate, count or time: give a positive one, or 0 for none")
	case !cfg.Load && cfg.Operations == 0 && cfg.Duration == 0:
		return fault.New(fault.InvalidArgument, "the run has no end: write operationcount=1000 in the workload, or give a duration")
	}
	return nil
}

// runner is one run under way.
type runner struct {
	Config
	traits  Traits
	inserts *ycsb.Inserts
	series  *series
	ledger  *ledger // nil without integrity
	base    []int64 // of the counters, before the run

	budget   *budget
	schedule *schedule // nil in a closed loop

	began, measured time.Time
	end             time.Duration      // since it began; 0 for none
	cpu             chan time.Duration // when measuring began
	over            atomic.Bool
	stop            context.CancelCauseFunc
}

// errEnded ends calls that take far longer than the run.
var errEnded = fault.New(fault.DeadlineExceeded, "the run is over")

// grace is how long calls may take after a run's end.
const grace = 30 * time.Second

// Do runs a workload, or loads its records, and reports what it saw. When ctx ends, the calls under way are cancelled and
// what was measured until then is reported as partial. Errors of the target's are in the report; an error here is one that
// kept the run from being made, or that StopOnError ended it with, which comes beside the report.
func Do(ctx context.Context, cfg Config) (*Run, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	r := &runner{Config: cfg, traits: cfg.Target.Traits(), series: newSeries(), inserts: ycsb.NewInserts(cfg.Workload.InsertStart + cfg.Workload.InsertCount)}
	if !cfg.Load {
		r.inserts = ycsb.NewInserts(max(cfg.Workload.Records, 1))
	}
	if cfg.Integrity {
		r.ledger = newLedger(cfg.Workload.Counters)
		if err := r.readCounters(ctx); err != nil {
			return nil, fault.New(fault.CodeOf(err), "read the counters before the run: %w", err)
		}
	}
	inner, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	r.stop = stop
	workers := make([]*worker, cfg.Threads)
	for n := range workers {
		w, err := r.worker(inner, n)
		if err != nil {
			return nil, err
		}
		workers[n] = w
	}
	defer context.AfterFunc(inner, func() { r.over.Store(true) })()

	r.start(workers)
	watched := make(chan struct{})
	go func() { defer close(watched); r.watch(inner, workers) }()
	var all sync.WaitGroup
	for _, w := range workers {
		all.Go(func() { w.run(inner) })
	}
	all.Wait()
	cause := context.Cause(inner)
	cpu := r.cpuSince()
	stop(nil)
	<-watched
	out, err := r.finish(ctx, workers, cause)
	if done := out.Ops + out.Errors; done > 0 {
		out.CPUPerOp = micros(int64(cpu)) / float64(done)
	}
	return out, err
}

// start sets the times of a run.
func (r *runner) start(workers []*worker) {
	r.began = time.Now()
	r.measured = r.began.Add(r.Warmup)
	if r.Duration > 0 {
		r.end = r.Warmup + r.Duration
	}
	if r.Rate > 0 {
		end := time.Duration(0)
		if r.Duration > 0 {
			end = r.Warmup + r.Duration
		}
		r.schedule = newSchedule(r.Workload.Arrival.Start(r.Rate, r.Seed), r.PerCall, r.Operations, r.Warmup, end)
		if r.nap != nil {
			r.schedule.nap = r.nap
		}
	} else {
		r.budget = newBudget(r.Operations, r.Threads, r.PerCall)
	}
	if r.CPU != nil {
		r.cpu = make(chan time.Duration, 1)
		time.AfterFunc(r.Warmup, func() { r.cpu <- r.CPU() })
	}
	for _, w := range workers {
		w.rec = newRecorder(r.series, r.Warmup, r.Rate > 0)
	}
}

// elapsed is the time since the run began: one look at the monotonic clock, half of what time.Now costs.
func (r *runner) elapsed() time.Duration { return time.Since(r.began) }

// cpuSince is the CPU time that was used since measuring began; 0 where nobody looks.
func (r *runner) cpuSince() time.Duration {
	if r.CPU == nil {
		return 0
	}
	now := r.CPU()
	select {
	case then := <-r.cpu:
		return now - then
	default:
		return 0 // the run ended while it warmed up
	}
}

// watch shows the progress until ctx ends, and ends what hangs after the run's end.
func (r *runner) watch(ctx context.Context, workers []*worker) {
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	r.Progress.begin(r)
	for {
		select {
		case <-ctx.Done():
			r.Progress.finish()
			return
		case now := <-tick.C:
			ops, errs := int64(0), int64(0)
			for _, w := range workers {
				ops, errs = ops+w.rec.live.ops.Load(), errs+w.rec.live.errs.Load()
			}
			r.Progress.show(now, ops, errs)
			if r.end > 0 && now.Sub(r.began) > r.end+grace {
				r.stop(errEnded)
			}
		}
	}
}

// finish merges what the workers have and, with integrity, reads back what was acknowledged.
func (r *runner) finish(ctx context.Context, workers []*worker, cause error) (*Run, error) {
	total := newRecorder(r.series, r.Warmup, r.Rate > 0)
	fails := failures{}
	last, lastDue := r.Warmup, r.Warmup
	for _, w := range workers {
		w.rec.flush()
		total.merge(w.rec)
		for code, f := range w.fails {
			if fails[code] == nil {
				fails[code] = &failure{example: f.example}
			}
			fails[code].count += f.count
		}
		last, lastDue = max(last, w.last), max(lastDue, w.due)
	}
	out := r.summary(total, fails, last-r.Warmup)
	if r.schedule != nil {
		r.late(out, lastDue, last)
	}
	var err error
	switch {
	case ctx.Err() != nil:
		out.Partial = "interrupted"
	case cause != nil && r.StopOnError:
		out.Partial = "stopped at an error: " + cause.Error()
		err = cause
	case cause != nil:
		out.Notes = append(out.Notes, fmt.Sprintf("calls that took %v longer than the run were cancelled", grace))
	}
	if r.ledger != nil {
		out.Integrity = r.judge(ctx, total)
	}
	return out, err
}

// maxBacklog bounds the counting of what was due and not started.
const maxBacklog = 50_000_000

// late says in an open loop what of the schedule was not kept.
func (r *runner) late(out *Run, lastDue, last time.Duration) {
	by := last
	if r.end > 0 {
		by = min(by, r.end)
	}
	out.Offered = r.Rate
	out.NotStarted = r.schedule.backlog(by, maxBacklog)
	window := lastDue - r.Warmup
	if r.Duration > 0 {
		window = min(last-r.Warmup, r.Duration)
	}
	if window <= 0 {
		return
	}
	due := float64(out.Ops+out.Errors+out.NotStarted) / window.Seconds()
	was := float64(out.Ops+out.Errors) / max(out.Seconds, window.Seconds())
	if was < metShare*due {
		out.Notes = append(out.Notes, fmt.Sprintf("the target rate was not met: %.0f operations per second were due, %.0f were done, %d were not even started",
			due, was, out.NotStarted))
	}
}

// metShare of a target rate counts as all of it.
const metShare = 0.99
