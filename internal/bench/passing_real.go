package bench

import (
	"context"
	"slices"

	"github.com/squall-faas/squall/dag/planner"
	"github.com/squall-faas/squall/internal/passing"
)

// passingRealCells are executed in real time as well, with bytes over shaped connections: of each DAG and fleet one whose
// transfers take long against what timers and goroutines are late by, and whose bytes a proxy can carry.
func passingRealCells(quick bool) []passingCell {
	sizes := map[string]int64{"fast": 48 << 20, "slow": 6 << 20, "disks": 16 << 20}
	var cells []passingCell
	for _, f := range passingFleets {
		for _, d := range passingDAGs {
			cells = append(cells, passingCell{d, f, sizes[f], 4})
			if quick {
				break
			}
		}
	}
	return cells
}

// passingSlowed is by how much real executions are slowed down, rates and latencies, calls and cold starts alike: the fastest
// links then carry no more than a proxy does.
const passingSlowed = 8

// passingReal executes plans in real time on shaped connections, and holds what the simulation says against that: the
// planner's plan, and always-direct and always-remote, so that different plans are in it.
func passingReal(ctx context.Context, s *suite) error {
	cells := passingRealCells(s.Quick)
	s.progress.Begin("real executions on shaped connections", len(cells))
	var all []float64
	for _, c := range cells {
		t, err := c.truth()
		if err != nil {
			return err
		}
		plan, err := planner.Solve(t.Problem)
		if err != nil {
			return err
		}
		plans := map[string]passing.Assignment{
			"planner": passing.Of(plan.Best), "always-direct": c.policy(t, planner.Direct), "always-remote": c.policy(t, planner.Remote),
		}
		slow := t.Slowed(passingSlowed)
		for _, name := range []string{"planner", "always-direct", "always-remote"} {
			simulated, err := slow.Run(plans[name])
			if err != nil {
				return err
			}
			// Another process in between only makes it longer: the shortest of three is the closest to what it takes.
			best := 0.0
			for try := range s.size(3, 1) {
				real, err := slow.Real(ctx, plans[name])
				if err != nil {
					return err
				}
				if try == 0 || real < best {
					best = real
				}
			}
			all = append(all, best/simulated.Seconds)
			s.report.Rows = append(s.report.Rows, Row{
				Case: "real/" + c.String(), Metric: name + ", real / simulated", Unit: "ratio", P50: best / simulated.Seconds, N: s.size(3, 1),
			})
		}
		s.progress.Step(1)
	}
	slices.Sort(all)
	s.report.Ratios["real_over_simulated_p50"], s.report.Ratios["real_over_simulated_worst"] = all[len(all)/2], all[len(all)-1]
	s.report.Ratios["real_over_simulated_least"] = all[0]
	return nil
}
