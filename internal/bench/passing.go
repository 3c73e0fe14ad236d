package bench

import (
	"context"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/squall-faas/squall/dag/planner"
	"github.com/squall-faas/squall/internal/passing"
)

// Passing is the suite of data passing: DAGs after those of SONIC on simulated fleets, placed and passed by the planner, by
// fixed policies, by a greedy one, and in every possible way. All of them are executed, see package passing; the planner
// only knows what profiles have learnt from noisy runs and transfers.
type Passing struct {
	Options
	Seed uint64 // of the noise; 0 is drawn
	Each bool   // report every policy's time in every cell
	Plot string // file for a plot of when each path wins, SVG or PNG by its ending; "" draws none
}

var passingTargets = []Target{
	{Ratio: "worst_over_oracle", Limit: 1.10},
	{Ratio: "worst_over_best_fixed", Limit: 1.05},
}

// passingResult is what became of one cell. Times are in seconds.
type passingResult struct {
	cell      passingCell
	planner   float64
	predicted float64
	planning  float64 // of real time
	exact     bool
	fixed     []float64 // by passingFixed
	greedy    float64
	oracle    float64
	tried     int
	only      map[planner.Path]float64 // the best with one path for all
}

func (r *passingResult) bestFixed() float64 { return slices.Min(r.fixed) }

// Run measures. Errors are invalid_argument for cases that there are not, and what a context's end is.
func (p Passing) Run(ctx context.Context) (*Report, error) {
	cases := []string{"cells", "real"}
	return p.run(ctx, "passing", cases, passingTargets, func(ctx context.Context, s *suite) error {
		if p.Plot != "" { // before the minutes that the rest takes
			if _, err := plotForm(p.Plot); err != nil {
				return err
			}
		}
		seed := p.Seed
		if seed == 0 {
			seed = rand.Uint64()
		}
		delete(s.report.Env, "durability") // nothing is stored
		s.report.Env["seed"], s.report.Env["clock"] = seed, "virtual, but for real/*"
		if p.wants("cells") {
			results, err := p.cells(ctx, s, seed)
			if err != nil {
				return err
			}
			p.report(s.report, results)
			if p.Plot != "" {
				if err := passingPlot(results, p.Plot); err != nil {
					return err
				}
			}
		}
		if p.wanted("real") {
			return passingReal(ctx, s)
		}
		return nil
	})
}

// cells executes all cells, some at a time: time is virtual there.
func (p Passing) cells(ctx context.Context, s *suite, seed uint64) ([]passingResult, error) {
	cells := passingCells(p.Quick)
	s.progress.Begin("cells, every policy and every assignment", len(cells))
	results := make([]passingResult, len(cells))
	var step sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, c := range cells {
		g.Go(func() (err error) {
			results[i], err = c.measure(ctx, seed+uint64(i))
			step.Lock()
			defer step.Unlock()
			s.progress.Step(1)
			return err
		})
	}
	return results, g.Wait()
}

func (c passingCell) measure(ctx context.Context, seed uint64) (passingResult, error) {
	r := passingResult{cell: c}
	t, err := c.truth()
	if err != nil {
		return r, err
	}
	known, err := c.learned(t, seed)
	if err != nil {
		return r, err
	}
	began := time.Now()
	plan, err := planner.Solve(known)
	if err != nil {
		return r, err
	}
	r.planning, r.predicted, r.exact = time.Since(began).Seconds(), plan.Best.Latency.Seconds(), plan.Exact
	o, err := t.Run(passing.Of(plan.Best))
	if err != nil {
		return r, err
	}
	r.planner = o.Seconds
	for _, policy := range passingFixed {
		took, err := c.fixed(t, policy)
		if err != nil {
			return r, err
		}
		r.fixed = append(r.fixed, took)
	}
	if r.greedy, err = c.greedy(t); err != nil {
		return r, err
	}
	best, err := c.oracle(ctx, t)
	r.tried, r.only = best.tried, best.only
	// Above passingAll the oracle spreads evenly only, and what somebody else has tried may be better.
	r.oracle = min(best.seconds, r.planner, r.greedy, r.bestFixed())
	return r, err
}

// report sums up: per DAG and fleet the middle and the worst of each ratio, and over all the worst.
func (p Passing) report(out *Report, results []passingResult) {
	ratios := []struct {
		metric, worst string
		of            func(*passingResult) float64
	}{
		{"planner / oracle", "worst_over_oracle", func(r *passingResult) float64 { return r.planner / r.oracle }},
		{"planner / best fixed", "worst_over_best_fixed", func(r *passingResult) float64 { return r.planner / r.bestFixed() }},
		{"planner / greedy", "worst_over_greedy", func(r *passingResult) float64 { return r.planner / r.greedy }},
		{"greedy / oracle", "greedy_worst_over_oracle", func(r *passingResult) float64 { return r.greedy / r.oracle }},
		{"always-local / oracle", "always_local_worst_over_oracle", func(r *passingResult) float64 { return r.fixed[0] / r.oracle }},
		{"always-direct / oracle", "always_direct_worst_over_oracle", func(r *passingResult) float64 { return r.fixed[1] / r.oracle }},
		{"always-remote / oracle", "always_remote_worst_over_oracle", func(r *passingResult) float64 { return r.fixed[2] / r.oracle }},
		{"executed / predicted", "executed_worst_over_predicted", func(r *passingResult) float64 { return r.planner / r.predicted }},
	}
	if p.Each {
		for i := range results {
			r := &results[i]
			row := func(metric string, seconds float64, n int) {
				out.Rows = append(out.Rows, Row{Case: r.cell.String(), Metric: metric, Unit: "ms", P50: seconds * 1e3, N: n})
			}
			row("planner", r.planner, 1)
			for k, policy := range passingFixed {
				row(policy, r.fixed[k], 1)
			}
			row("greedy", r.greedy, 1)
			row("oracle", r.oracle, r.tried)
		}
	}
	for _, x := range ratios {
		worst := 0.0
		for _, d := range passingDAGs {
			for _, f := range passingFleets {
				var all []float64
				for i := range results {
					if c := results[i].cell; c.dag == d && c.fleet == f {
						all = append(all, x.of(&results[i]))
					}
				}
				slices.Sort(all)
				worst = max(worst, all[len(all)-1])
				out.Rows = append(out.Rows, Row{
					Case: d + "/" + f, Metric: x.metric, Unit: "ratio", P50: all[len(all)/2], P99: all[len(all)-1], Max: all[len(all)-1], N: len(all),
				})
			}
		}
		out.Ratios[x.worst] = worst
	}
	planning, exact := make([]float64, 0, len(results)), 0
	for i := range results {
		planning = append(planning, results[i].planning*1e3)
		if results[i].exact {
			exact++
		}
	}
	slices.Sort(planning)
	n := len(planning)
	out.Rows = append(out.Rows, Row{
		Case: "all", Metric: "planning, real time", Unit: "ms", P50: planning[n/2], P99: planning[int(math.Ceil(float64(n)*0.99))-1], Max: planning[n-1], N: n,
	})
	out.Env["cells"], out.Env["cells_planned_exactly"] = n, exact
}
