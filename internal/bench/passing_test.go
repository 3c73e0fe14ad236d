package bench

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/squall-faas/squall/dag/planner"
	"github.com/squall-faas/squall/fault"
)

// TestPassing: the planner's plans are as good as the targets ask, in every cell. All but real/* is in virtual time, of one seed.
func TestPassing(t *testing.T) {
	r, err := Passing{Options: Options{Quick: true}, Seed: 1, Each: true}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Table(t.Output())
	for _, x := range passingTargets {
		if got, there := r.Ratios[x.Ratio]; !there || got > x.Limit {
			t.Errorf("%s is %v, at most %v is wanted", x.Ratio, got, x.Limit)
		}
	}
}

// TestPassingPlot: a file of no known kind is refused before anything is measured, and of one run come both kinds.
func TestPassingPlot(t *testing.T) {
	if _, err := (Passing{Options: Options{Quick: true}, Plot: "plot.gif"}).Run(t.Context()); !fault.Is(err, fault.InvalidArgument) {
		t.Errorf("a plot as GIF: %v", err)
	}
	var results []passingResult
	for _, d := range passingDAGs {
		for _, f := range passingFleets {
			for _, size := range []int64{1 << 10, 1 << 20} {
				results = append(results, passingResult{
					cell: passingCell{d, f, size, passingPlotFan}, planner: 1, oracle: 1,
					only: map[planner.Path]float64{planner.Local: 2, planner.Direct: 1.5, planner.Remote: 3},
				})
			}
		}
	}
	for ending, begins := range map[string]string{".svg": "<?xml", ".PNG": "\x89PNG"} {
		file := filepath.Join(t.TempDir(), "plot"+ending)
		if err := passingPlot(results, file); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(file); err != nil || !strings.HasPrefix(string(b), begins) {
			t.Errorf("%s begins with %.8q, %v", ending, b, err)
		}
	}
}

func BenchmarkOracle(b *testing.B) {
	for _, fan := range []int{4, 64} {
		c := passingCell{"video", "slow", 1 << 20, fan}
		b.Run(c.String(), func(b *testing.B) {
			t, err := c.truth()
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				best, err := c.oracle(b.Context(), t)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(best.tried), "tried")
			}
		})
	}
}
