package bench

import "testing"

func TestPassing(t *testing.T) {
	r, err := Passing{Options: Options{Quick: true}, Seed: 1, Each: true}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Table(t.Output())
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
