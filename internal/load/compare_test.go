package load

import (
	"strings"
	"testing"

	"github.com/squall-faas/squall/fault"
)

// made is a report of one case whose runs have these throughputs.
func made(name string, throughput ...float64) *Report {
	r := NewReport("w", nil, "")
	for _, x := range throughput {
		r.Runs = append(r.Runs, &Run{Case: name, Seconds: 1, Operations: []Operation{{Name: "READ", Ops: int64(x), Latency: Latency{P50: 1e6 / x, P99: 2e6 / x}}}})
	}
	return r
}

func find(t *testing.T, all []Comparison, metric string) Comparison {
	t.Helper()
	for _, c := range all {
		if c.Metric == metric {
			return c
		}
	}
	t.Fatalf("nothing of %s in %+v", metric, all)
	return Comparison{}
}

func TestCompare(t *testing.T) {
	a := made("a", 1000, 1010, 990, 1005, 995)
	for name, tc := range map[string]struct {
		other          *Report
		ratio          float64
		within, better bool
		says           string
	}{
		"twice":   {made("a", 2000, 2020, 1990, 2010, 1980), 2, false, true, "better"},
		"half":    {made("a", 500, 510, 490, 505, 495), 0.5, false, false, "worse"},
		"noise":   {made("a", 900, 1100, 1004, 980, 1050), 1.004, true, true, "within noise"},
		"too few": {made("a", 2000, 2000), 2, true, true, "too few"},
		"renamed": {made("b", 2000, 2020, 1990, 2010, 1980), 2, false, true, "better"},
	} {
		all, err := Compare("", a, tc.other)
		if err != nil {
			t.Fatal(err)
		}
		c := find(t, all, "ops/s")
		if c.Ratio < tc.ratio*0.999 || c.Ratio > tc.ratio*1.001 || c.Within != tc.within || c.Better != tc.better || c.verdict() == "" {
			t.Errorf("%s: %+v", name, c)
		}
		if c.High > 0 && (c.Low > c.Ratio || c.High < c.Ratio) {
			t.Errorf("%s: the ratio is outside its interval: %+v", name, c)
		}
		if p := find(t, all, "p50"); p.Better != tc.better || p.Ratio > 1.001/tc.ratio || p.Ratio < 0.999/tc.ratio {
			t.Errorf("%s: %+v", name, p)
		}
		var b strings.Builder
		if err := CompareTable(&b, all); err != nil || !strings.Contains(b.String(), tc.says) {
			t.Errorf("%s: %v\n%s", name, err, b.String())
		}
		t.Logf("\n%s", b.String())
		again, err := Compare("", a, tc.other)
		if err != nil || find(t, again, "ops/s") != c {
			t.Errorf("%s: another interval the second time", name)
		}
	}
}

func TestCompareWithin(t *testing.T) {
	both := made("a", 1000, 1010, 990)
	both.Runs = append(both.Runs, made("b", 2000, 2010, 1990).Runs...)
	for base, want := range map[string]string{"": "b", "a": "b", "b": "a"} {
		all, err := Compare(base, both)
		if err != nil || len(all) != 3 || all[0].Other != want {
			t.Errorf("base %q: %+v, %v", base, all, err)
		}
	}
	for name, try := range map[string]func() ([]Comparison, error){
		"nothing":        func() ([]Comparison, error) { return Compare("") },
		"one case":       func() ([]Comparison, error) { return Compare("", made("a", 1)) },
		"no such base":   func() ([]Comparison, error) { return Compare("c", both) },
		"none in common": func() ([]Comparison, error) { return Compare("", both, made("c", 1)) },
	} {
		if _, err := try(); !fault.Is(err, fault.InvalidArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
