package load

import (
	"context"
	"fmt"
	"slices"

	"github.com/squall-faas/squall/fault"
)

// Plan is several cases of one workload, measured beside each other: each target, with each number of operations a call, at
// each rate, Repeat times in rounds, every other round backwards, so that whatever else the machine does hits all alike.
type Plan struct {
	Config // of every case; Target, PerCall, Rate and Load come from here

	Targets []Target  // each is opened once
	PerCall []PerCall // of each target; none is the workload's
	Rates   []float64 // of open loops; none is a closed loop
	Loads   bool      // load the records of each target first
	Runs    bool      // run the workload
	Repeat  int       // 0 is 1
}

// PerCall is a target, by its place in the plan, that is measured with so many operations a call.
type PerCall struct{ Target, Ops int }

// planned is one case of a plan.
type planned struct {
	target Target
	ops    int
	rate   float64
}

func (p *Plan) cases() []planned {
	per := p.PerCall
	if len(per) == 0 {
		for i := range p.Targets {
			per = append(per, PerCall{i, 0})
		}
	}
	rates := p.Rates
	if len(rates) == 0 {
		rates = []float64{0}
	}
	var out []planned
	for _, c := range per {
		for _, rate := range rates {
			out = append(out, planned{p.Targets[c.Target], c.Ops, rate})
		}
	}
	return out
}

// Do carries the plan out and adds to the report what it measured, also where it ends with an error or with ctx.
func (p *Plan) Do(ctx context.Context, report *Report) (err error) {
	if err := p.check(); err != nil {
		return err
	}
	for i, t := range p.Targets {
		if err := t.Open(ctx, p.Workload, max(p.Threads, p.Workload.Threads)); err != nil {
			return fault.New(fault.CodeOf(err), "target %s: %w", t.Traits().Name, err)
		}
		if !p.Loads || p.sharesStore(i) {
			continue
		}
		cfg := p.Config
		cfg.Target, cfg.Load = t, true
		if err := p.one(ctx, cfg, 0, report); err != nil || ctx.Err() != nil {
			return err
		}
	}
	if !p.Runs {
		return nil
	}
	all := p.cases()
	for repeat := range max(p.Repeat, 1) {
		for _, c := range all {
			cfg := p.Config
			cfg.Target, cfg.PerCall, cfg.Rate = c.target, c.ops, c.rate
			if cfg.Seed != 0 {
				cfg.Seed += uint64(repeat)
			}
			if err := p.one(ctx, cfg, repeat, report); err != nil || ctx.Err() != nil {
				return err
			}
		}
		slices.Reverse(all)
	}
	return nil
}

func (p *Plan) check() error {
	if len(p.Targets) == 0 {
		return fault.New(fault.InvalidArgument, "the plan has no target: name one")
	}
	for _, c := range p.cases() {
		cfg := p.Config
		cfg.Target, cfg.PerCall, cfg.Rate, cfg.Load = c.target, c.ops, c.rate, !p.Runs
		if err := cfg.validate(); err != nil {
			return err
		}
	}
	return nil
}

// sharesStore reports whether an earlier target reads and writes the same store, and has loaded it.
func (p *Plan) sharesStore(i int) bool {
	store := func(t Target) string {
		switch t := t.(type) {
		case *Squall, *Functions:
			return "squall"
		case *JetStream:
			return "jetstream " + t.URL
		case *Redis:
			return "redis " + t.Address
		}
		return ""
	}
	mine := store(p.Targets[i])
	return mine != "" && slices.ContainsFunc(p.Targets[:i], func(t Target) bool { return store(t) == mine })
}

// one makes one run and reports it.
func (p *Plan) one(ctx context.Context, cfg Config, repeat int, report *Report) error {
	phase := "run"
	if cfg.Load {
		phase = "load"
	}
	name := cfg.Target.Traits().Name + ", " + phase
	if cfg.PerCall > 1 {
		name += fmt.Sprintf(", %d a call", cfg.PerCall)
	}
	if cfg.Rate > 0 {
		name += fmt.Sprintf(", %g op/s", cfg.Rate)
	}
	if p.Repeat > 1 && !cfg.Load {
		name += fmt.Sprintf(", %d of %d", repeat+1, p.Repeat)
	}
	cfg.Progress.Name(name)
	run, err := Do(ctx, cfg)
	if run != nil {
		run.Repeat = repeat
		run.Case = run.CaseName()
		report.Runs = append(report.Runs, run)
	}
	return err
}
