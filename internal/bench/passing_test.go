package bench

import "testing"

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
