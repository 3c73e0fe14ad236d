package load

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/squall-faas/squall/fault"
)

// Comparison is one figure of two cases.
type Comparison struct {
	Base   string  `json:"base"` // case
	Other  string  `json:"other"`
	Op     string  `json:"op"`
	Metric string  `json:"metric"` // ops/s, p50, p99
	A      float64 `json:"base_median"`
	B      float64 `json:"other_median"`
	Ratio  float64 `json:"ratio"` // B/A
	// Low and High bound the ratio of medians with 95 % confidence; 0 where there are too few runs to tell.
	Low    float64 `json:"low,omitempty"`
	High   float64 `json:"high,omitempty"`
	RunsA  int     `json:"base_runs"`
	RunsB  int     `json:"other_runs"`
	Within bool    `json:"within_noise"` // the interval has 1 in it, or there is none
	Better bool    `json:"better"`       // more operations, or less latency
}

// How confidence intervals are made: by resampling the runs of both cases.
const (
	resamples   = 10_000
	confidence  = 0.95
	fewestRuns  = 3 // with fewer, what a resample can be says nothing
	compareSeed = 1
)

// Compare holds the cases of reports against each other. Of several reports, each case of the later ones against the case of
// that name in the first, or, where no name is in both, one case each against each other. Of one report, its later cases
// against its first one. A base, if named, is the first report's case that all are held against.
func Compare(base string, reports ...*Report) ([]Comparison, error) {
	if len(reports) == 0 {
		return nil, fault.New(fault.InvalidArgument, "nothing to compare: name result files")
	}
	first := measured(reports[0])
	if base != "" {
		i := slices.IndexFunc(first, func(g group) bool { return g.name == base })
		if i < 0 {
			return nil, fault.New(fault.InvalidArgument, "no case %q to compare with: there are %s", base, names(first))
		}
		first = first[i : i+1]
	}
	var out []Comparison
	if len(reports) == 1 {
		for _, g := range measured(reports[0]) {
			if len(first) > 0 && g.name != first[0].name {
				out = append(out, compareGroups(first[0], g)...)
			}
		}
		if len(out) == 0 {
			return nil, fault.New(fault.InvalidArgument, "one result with the cases %s has nothing to compare: name a second result", names(first))
		}
		return out, nil
	}
	for _, r := range reports[1:] {
		second := measured(r)
		before := len(out)
		for _, g := range second {
			for _, f := range first {
				if base != "" || f.name == g.name {
					out = append(out, compareGroups(f, g)...)
				}
			}
		}
		if len(out) == before {
			if len(first) != 1 || len(second) != 1 {
				return nil, fault.New(fault.InvalidArgument, "the results have no case in common: %s and %s: say with --base which one to compare with", names(first), names(second))
			}
			out = append(out, compareGroups(first[0], second[0])...)
		}
	}
	return out, nil
}

// measured are the cases that are no loads, unless there is nothing else.
func measured(r *Report) []group {
	all := r.groups()
	runs := slices.DeleteFunc(slices.Clone(all), func(g group) bool { return g.runs[0].Phase == "load" })
	if len(runs) == 0 {
		return all
	}
	return runs
}

func names(groups []group) string {
	var out []string
	for _, g := range groups {
		out = append(out, g.name)
	}
	return strings.Join(out, ", ")
}

func compareGroups(a, b group) []Comparison {
	var out []Comparison
	for _, op := range a.ops() {
		if !slices.Contains(b.ops(), op) {
			continue
		}
		for _, m := range []struct {
			name string
			of   func(group) []float64
			less bool
		}{
			{"ops/s", func(g group) []float64 { return g.rate(op) }, false},
			{"p50", func(g group) []float64 { return g.over(op, func(o *Operation) float64 { return o.Latency.P50 }) }, true},
			{"p99", func(g group) []float64 { return g.over(op, func(o *Operation) float64 { return o.Latency.P99 }) }, true},
		} {
			x, y := m.of(a), m.of(b)
			c := Comparison{
				Base: a.name, Other: b.name, Op: op, Metric: m.name, A: median(x), B: median(y), RunsA: len(x), RunsB: len(y), Within: true,
			}
			if c.A == 0 {
				continue
			}
			c.Ratio = c.B / c.A
			c.Better = (c.Ratio < 1) == m.less && c.Ratio != 1
			if len(x) >= fewestRuns && len(y) >= fewestRuns {
				c.Low, c.High = bootstrap(x, y)
				c.Within = c.Low <= 1 && 1 <= c.High
			}
			out = append(out, c)
		}
	}
	return out
}

// bootstrap bounds the ratio of the medians of y and x: the percentile method (Efron and Tibshirani, An Introduction to the
// Bootstrap, 1993, §13.3), the same for the same figures.
func bootstrap(x, y []float64) (low, high float64) {
	r := rand.New(rand.NewPCG(compareSeed, uint64(len(x)*len(y))))
	draw := func(from []float64) float64 {
		s := make([]float64, len(from))
		for i := range s {
			s[i] = from[r.IntN(len(from))]
		}
		return median(s)
	}
	ratios := make([]float64, 0, resamples)
	for range resamples {
		if d := draw(x); d > 0 {
			ratios = append(ratios, draw(y)/d)
		}
	}
	if len(ratios) == 0 {
		return 0, 0
	}
	slices.Sort(ratios)
	tail := (1 - confidence) / 2
	at := func(q float64) float64 { return ratios[min(int(q*float64(len(ratios))), len(ratios)-1)] }
	return at(tail), at(1 - tail)
}

// CompareTable writes comparisons for people.
func CompareTable(out io.Writer, all []Comparison) error {
	last := ""
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(format string, args ...any) { _, _ = fmt.Fprintf(t, format, args...) } // into memory
	for _, c := range all {
		head := c.Other + " against " + c.Base
		if c.Other == c.Base {
			head = c.Other + ", later against first"
		}
		if head != last {
			if last != "" {
				row("\n")
			}
			row("%s\n  operation\t\tfirst\tother\tratio\t95 %% between\truns\t\n", head)
			last = head
		}
		between := "–"
		if c.High > 0 {
			between = fmt.Sprintf("%.3f and %.3f", c.Low, c.High)
		}
		row("  %s\t%s\t%s\t%s\t%.3f\t%s\t%d, %d\t%s\n", c.Op, c.unit(), number(c.A), number(c.B), c.Ratio, between, c.RunsA, c.RunsB, c.verdict())
	}
	_ = t.Flush() // into memory
	_, err := io.WriteString(out, b.String())
	return err
}

func (c *Comparison) unit() string {
	if c.Metric == "ops/s" {
		return c.Metric
	}
	return c.Metric + " µs"
}

func (c *Comparison) verdict() string {
	switch {
	case c.High == 0:
		return fmt.Sprintf("too few runs to tell: repeat at least %d times", fewestRuns)
	case c.Within:
		return "within noise"
	case c.Better:
		return "better"
	}
	return "worse"
}
