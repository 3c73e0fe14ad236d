package load

import (
	"maps"
	"strings"
	"testing"
)

// TestRatios holds that ratios are of cases that belong together, by rounds, and that what was not measured has none.
func TestRatios(t *testing.T) {
	r := NewReport("workloadb", nil, "v0.0.0")
	add := func(target string, perCall, threads int, phase string, throughputs ...float64) {
		for i, x := range throughputs {
			run := &Run{Target: target, PerCall: perCall, Threads: threads, Phase: phase, Repeat: i, Throughput: x}
			run.Case = run.CaseName()
			r.Runs = append(r.Runs, run)
		}
	}
	add("squall", 1, 32, "load", 500)
	add("jetstream", 1, 32, "load", 1000)
	add("squall", 1, 32, "run", 90, 900, 45) // the machine was busy in the last round
	add("jetstream", 1, 8, "run", 1, 1, 1)   // of other threads
	add("jetstream", 1, 32, "run", 100, 1000, 50)
	add("functions", 100, 32, "run", 4000, 4000)
	add("functions", 10, 32, "run", 1, 1)
	add("redis", 1, 32, "run", 100, 100, 400) // interrupted: fewer rounds of the other
	add("null", 1, 32, "run", 2e6, 3e6, 1e6)
	want := map[string]float64{"kv_over_jetstream_b": 0.9, "kv_over_jetstream_load_b": 0.5, "fn100_over_redis_b": 40, "null_target_ops": 2e6}
	if got := r.Ratios(); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	var b strings.Builder
	if err := r.Table(&b); err != nil || !strings.Contains(b.String(), "kv_over_jetstream_b             0.9\n") {
		t.Errorf("%v\n%s", err, b.String())
	}
	r.Workload = "mine"
	if got := r.Ratios(); len(got) != 1 {
		t.Errorf("of a workload that is not YCSB's: %v", got)
	}
}
