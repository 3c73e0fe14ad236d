package bench

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"
)

// Sched is the suite of `squall bench sched`: what a decision of the scheduler costs, and what late binding is worth. It starts
// no processes. The zero Sched measures everything.
type Sched struct {
	Options

	Seed uint64 // of the workloads; 0 draws one
}

const (
	caseDecide = "decide"
	caseMixed  = "mixed"
)

var schedCases = []string{caseDecide, caseMixed}

// Late binding may never be worse than what it replaces.
var schedTargets = []Target{
	{Ratio: "mixed_p99_over_random", Limit: 1},
	{Ratio: "mixed_p99_over_round_robin", Limit: 1},
	{Ratio: "mixed_p99_over_least_loaded", Limit: 1},
}

// Run measures.
func (o Sched) Run(ctx context.Context) (*Report, error) {
	if o.Seed == 0 {
		o.Seed = rand.Uint64()
	}
	return o.run(ctx, "sched", schedCases, schedTargets, func(ctx context.Context, s *suite) error {
		s.report.Env["seed"] = o.Seed
		if s.wants(caseDecide) {
			for _, n := range []int{10, 100, 1000} {
				if err := s.decide(ctx, n, o.Seed); err != nil {
					return err
				}
			}
		}
		if !s.wants(caseMixed) {
			return nil
		}
		return s.mixed(ctx, o.Seed)
	})
}

// mixed runs the same arrivals under each policy, in virtual time.
func (s *suite) mixed(ctx context.Context, seed uint64) error {
	load := mixedLoad{workers: 20, slots: 4, busy: 0.6, length: time.Duration(s.size(120, 10)) * time.Second}
	s.report.Env["mixed"] = load.String()
	jobs := load.draw(seed)
	s.progress.Begin("mixed workload, in virtual time", len(simPolicies))
	p99 := map[string]float64{}
	for _, p := range simPolicies {
		if err := ctx.Err(); err != nil {
			return err
		}
		w := simulate(load, jobs, p.place, seed)
		for _, part := range []struct {
			metric string
			of     []time.Duration
		}{{"latency of 1 ms jobs", w.short}, {"wait of 1 s jobs", w.long}} {
			slices.Sort(part.of)
			at := func(q float64) float64 {
				return part.of[min(int(q*float64(len(part.of))), len(part.of)-1)].Seconds() * 1000
			}
			s.report.Rows = append(s.report.Rows, Row{
				Case: caseMixed + " " + p.name, Metric: part.metric, Unit: "ms", P50: at(0.5), P99: at(0.99), Max: at(1), N: len(part.of),
			})
			if part.metric == "latency of 1 ms jobs" {
				p99[p.name] = at(0.99)
			}
		}
		s.progress.Step(1)
	}
	for _, other := range []string{"random", "round_robin", "least_loaded", "ideal"} {
		s.report.Ratios["mixed_p99_over_"+other] = p99["squall"] / p99[other]
	}
	return nil
}
