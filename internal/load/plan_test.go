package load

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/squall-faas/squall/fault"
)

// TestPlan holds that cases are measured in rounds, every other one backwards, and that a store is loaded once.
func TestPlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newFake(t, takes(time.Millisecond)), newFake(t, takes(2*time.Millisecond))
		p := &Plan{
			Config:  Config{Workload: workload(t, "recordcount=10"), Threads: 2, Operations: 100, nap: time.Sleep, CPU: func() time.Duration { return time.Duration(time.Now().UnixNano()) }},
			Targets: []Target{named{a, "a"}, named{b, "b"}}, PerCall: []PerCall{{0, 1}, {0, 10}, {1, 1}}, Loads: true, Runs: true, Repeat: 2,
		}
		r := NewReport("w", nil, "")
		if err := p.Do(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		want := []string{"a/t2/load", "b/t2/load", "a/t2", "a/k10/t2", "b/t2", "b/t2", "a/k10/t2", "a/t2"}
		if len(r.Runs) != len(want) {
			t.Fatalf("%d runs", len(r.Runs))
		}
		for i, run := range r.Runs {
			if run.Case != want[i] || run.Repeat != max(0, i-2)/3 {
				t.Errorf("run %d is %s, repetition %d, want %s", i, run.Case, run.Repeat, want[i])
			}
		}
		near(t, "CPU time an operation", r.Runs[4].CPUPerOp, 1000) // the whole time, of two workers, of 2 ms
	})
}

type named struct {
	*fake
	name string
}

func (n named) Traits() Traits { return Traits{Name: n.name} }

func TestPlanEnds(t *testing.T) {
	r := NewReport("w", nil, "")
	w := workload(t, "recordcount=10")
	for name, p := range map[string]*Plan{
		"no target":  {Config: Config{Workload: w, Operations: 1}, Runs: true},
		"no end":     {Config: Config{Workload: w}, Targets: []Target{Null{}}, Runs: true},
		"bad rate":   {Config: Config{Workload: w, Operations: 1}, Targets: []Target{Null{}}, Runs: true, Rates: []float64{-1}},
		"bad target": {Config: Config{Workload: workload(t, "workload=dag"), Operations: 1}, Targets: []Target{NewMemory()}, Runs: true},
	} {
		if err := p.Do(t.Context(), r); !fault.Is(err, fault.InvalidArgument) || len(r.Runs) > 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	f := newFake(t, func(context.Context, int, []Op) error { cancel(); return nil })
	p := &Plan{Config: Config{Workload: w, Operations: 1_000_000}, Targets: []Target{f, f}, Runs: true, Repeat: 3}
	if err := p.Do(ctx, r); err != nil || len(r.Runs) != 1 || r.Runs[0].Partial != "interrupted" {
		t.Errorf("%v, %d runs", err, len(r.Runs))
	}
}
