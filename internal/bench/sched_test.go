package bench

import (
	"slices"
	"testing"
	"time"
)

// TestSchedQuick runs the suite in little: everything is measured.
func TestSchedQuick(t *testing.T) {
	r, err := Sched{Options: Options{Quick: true}, Seed: 7}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"decide/10", "decide/100", "decide/1000"} {
		if row := r.Row(name, "decision"); row == nil || row.Ops <= 0 || row.P50 <= 0 {
			t.Errorf("%s: %+v", name, row)
		}
	}
	for _, p := range simPolicies {
		if row := r.Row("mixed "+p.name, "latency of 1 ms jobs"); row == nil || row.P50 < 1 || row.N < 1000 {
			t.Errorf("%s: %+v", p.name, row)
		}
	}
}

// TestLateBindingWins holds the scheduler, in virtual time, against the rules that it replaces: no short job waits for a long
// one while a slot is free elsewhere.
func TestLateBindingWins(t *testing.T) {
	load := mixedLoad{workers: 10, slots: 4, busy: 0.5, length: 20 * time.Second}
	jobs := load.draw(3)
	at := map[string][2]time.Duration{} // 99 % and 99.9 %
	for _, p := range simPolicies {
		s := simulate(load, jobs, p.place, 3)
		if len(s.short)+len(s.long) != len(jobs) {
			t.Fatalf("%s: %d and %d of %d jobs are done", p.name, len(s.short), len(s.long), len(jobs))
		}
		slices.Sort(s.short)
		n := len(s.short)
		at[p.name] = [2]time.Duration{s.short[n*99/100], s.short[n*999/1000]}
		t.Logf("%s: p50 %v, p99 %v, p99.9 %v, max %v", p.name, s.short[n/2], at[p.name][0], at[p.name][1], s.short[n-1])
	}
	for _, other := range []string{"random", "round_robin", "least_loaded"} {
		if at["squall"][1]*4 > at[other][1] {
			t.Errorf("squall %v, %s %v", at["squall"][1], other, at[other][1])
		}
	}
	if at["squall"][0] > 2*at["ideal"][0] {
		t.Errorf("squall %v, ideal %v", at["squall"][0], at["ideal"][0])
	}
}
