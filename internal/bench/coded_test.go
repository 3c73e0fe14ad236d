package bench

import (
	"testing"
)

// TestCodedRuns: the suite's parts run, and say what they have to; the figures mean nothing.
func TestCodedRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("starts 17 processes")
	}
	r, err := Coded{Options: Options{Launch: launch(t), Quick: true, Only: []string{"10+2/100000", "copy/100000", "stopped", "killed/1", "availability", "cost", "live"}, Dir: t.TempDir()}}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"get_100kb_over_copy", "set_100kb_over_copy", "stopped_p50_over_healthy", "availability_paper", "availability_live_minus_sim"} {
		if _, ok := r.Ratios[name]; !ok {
			t.Errorf("no ratio %s", name)
		}
	}
	if r.Row("killed/1", "until all is held again") == nil || r.Row(caseCost, "crossover") == nil {
		t.Error("rows are missing")
	}
}
