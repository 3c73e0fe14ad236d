package load

import (
	"strings"
)

// Ratios are the figures that a release is held to, each of cases of one report, so measured beside each other in the same
// rounds: throughput over throughput, the median over the rounds. For a workload file workloadb, where both were measured:
//
//	kv_over_jetstream_b        keys through the SDK, over a bare bucket that reads and updates at the revision
//	kv_over_jetstream_blind_b  the same, over a bare bucket that just puts
//	kv_over_jetstream_load_b   the load phases
//	fn100_over_redis_b         functions of 100 operations a call, over Redis, one command after the other
//	fn100_over_redis_pipelined_b  the same, over Redis with 100 commands at once
//	null_target_ops            operations per second that the generator makes against a target that does nothing
//
// Cases are compared that have the same threads and rate. What of a pair was not measured has no ratio.
func (r *Report) Ratios() map[string]float64 {
	out := map[string]float64{}
	for _, run := range r.Runs { // of each case the first; its repetitions are in the medians
		if run.Repeat > 0 {
			continue
		}
		if run.Target == "null" && run.Phase == "run" {
			put(out, "null_target_ops", median(r.throughputs(run)))
		}
	}
	file, ok := strings.CutPrefix(r.Workload, "workload")
	if !ok || file == "" {
		return out
	}
	for _, pair := range []struct {
		name, over, under string
		overOps, underOps int
		phase             string
	}{
		{"kv_over_jetstream", "squall", "jetstream", 1, 1, "run"},
		{"kv_over_jetstream_blind", "squall", "jetstream-blind", 1, 1, "run"},
		{"kv_over_jetstream_load", "squall", "jetstream", 1, 1, "load"},
		{"fn100_over_redis", "functions", "redis", 100, 1, "run"},
		{"fn100_over_redis_pipelined", "functions", "redis", 100, 100, "run"},
	} {
		over := r.find(pair.over, pair.overOps, pair.phase, nil)
		if over == nil {
			continue
		}
		if under := r.find(pair.under, pair.underOps, pair.phase, over); under != nil {
			put(out, pair.name+"_"+file, quotient(r.throughputs(over), r.throughputs(under)))
		}
	}
	return out
}

// put keeps figures that exist.
func put(out map[string]float64, name string, v float64) {
	if v > 0 {
		out[name] = v
	}
}

// find gives the first run of a target with so many operations a call; beside another, that has its threads and rate.
func (r *Report) find(target string, perCall int, phase string, beside *Run) *Run {
	for _, run := range r.Runs {
		if run.Target == target && run.PerCall == perCall && run.Phase == phase &&
			(beside == nil || run.Threads == beside.Threads && run.Offered == beside.Offered) {
			return run
		}
	}
	return nil
}

// throughputs are those of a run's repetitions, in the order of the rounds.
func (r *Report) throughputs(of *Run) []float64 {
	var out []float64
	for _, run := range r.Runs {
		if run.Case == of.Case {
			out = append(out, run.Throughput)
		}
	}
	return out
}

// quotient is the median over the rounds of over by under: what else a machine does in a round hits both. Where one of the
// two has fewer rounds, it is the quotient of their medians.
func quotient(over, under []float64) float64 {
	if len(over) != len(under) {
		if m := median(under); m > 0 {
			return median(over) / m
		}
		return 0
	}
	var all []float64
	for i := range over {
		if under[i] > 0 {
			all = append(all, over[i]/under[i])
		}
	}
	return median(all)
}
