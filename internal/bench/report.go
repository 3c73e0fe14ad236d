package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Report is what a suite has measured.
type Report struct {
	Suite  string             `json:"suite"`
	Env    map[string]any     `json:"env"`
	Rows   []Row              `json:"rows"`
	Ratios map[string]float64 `json:"ratios"`

	// Targets are what the ratios are held against, in the order in which people read them. They are for the table
	// alone: the JSON is what was measured.
	Targets []Target `json:"-"`
}

// Row is one figure of one case. What does not apply is left out.
type Row struct {
	Case   string  `json:"case"`
	Metric string  `json:"metric"`                // latency, hop, allocations, …
	Out    int     `json:"outstanding,omitempty"` // calls at a time, of a closed loop
	Unit   string  `json:"unit"`                  // of P50, P99 and Max
	P50    float64 `json:"p50"`
	P99    float64 `json:"p99,omitempty"`
	Max    float64 `json:"max,omitempty"`
	Ops    float64 `json:"ops,omitempty"` // operations per second, closed loop

	// CPUPerOp is the CPU time of all the processes that a case involves, in microseconds an operation, and CPU the
	// same by process. Left out where the operating system does not tell.
	CPUPerOp float64            `json:"cpu_us_per_op,omitempty"`
	CPU      map[string]float64 `json:"cpu_us,omitempty"`
	N        int                `json:"n"`
}

// Target of a ratio: at most Limit, or at least, if AtLeast is set.
type Target struct {
	Ratio   string
	Limit   float64
	AtLeast bool
}

// Met reports whether a measured value meets the target.
func (t Target) Met(v float64) bool {
	if t.AtLeast {
		return v >= t.Limit
	}
	return v <= t.Limit
}

func (t Target) String() string {
	sign := "≤"
	if t.AtLeast {
		sign = "≥"
	}
	return sign + " " + number(t.Limit)
}

// Row finds a row by case and metric; nil where there is none.
func (r *Report) Row(name, metric string) *Row {
	for i := range r.Rows {
		if r.Rows[i].Case == name && r.Rows[i].Metric == metric {
			return &r.Rows[i]
		}
	}
	return nil
}

// ratio records the quotient of two figures, if both were measured.
func (r *Report) ratio(name string, over, under *Row, of func(*Row) float64) {
	if over != nil && under != nil && of(under) > 0 {
		r.Ratios[name] = of(over) / of(under)
	}
}

// figure records one figure as a ratio, if it was measured.
func (r *Report) figure(name string, row *Row, of func(*Row) float64) {
	if row != nil {
		r.Ratios[name] = of(row)
	}
}

func p50(r *Row) float64 { return r.P50 }
func ops(r *Row) float64 { return r.Ops }

// JSON writes the report as one JSON object.
func (r *Report) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r.rounded())
}

// rounded is the report with figures of four digits: more is noise.
func (r *Report) rounded() *Report {
	out := *r
	out.Rows = slices.Clone(r.Rows)
	for i := range out.Rows {
		x := &out.Rows[i]
		for _, f := range []*float64{&x.P50, &x.P99, &x.Max, &x.Ops, &x.CPUPerOp} {
			*f = digits(*f)
		}
		x.CPU = maps.Clone(x.CPU)
		for k, v := range x.CPU {
			x.CPU[k] = digits(v)
		}
	}
	out.Ratios = maps.Clone(r.Ratios)
	for k, v := range out.Ratios {
		out.Ratios[k] = digits(v)
	}
	return &out
}

func digits(v float64) float64 {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(v))))
	if scale < 1 {
		return math.Round(v)
	}
	return math.Round(v*scale) / scale
}

// number writes a figure for people.
func number(v float64) string { return strconv.FormatFloat(digits(v), 'f', -1, 64) }

// some is number, with a dash for what was not measured.
func some(v float64) string {
	if v == 0 {
		return "–"
	}
	return number(v)
}

// Table writes the report for people.
func (r *Report) Table(w io.Writer) error {
	rows := [][]string{{"CASE", "METRIC", "UNIT", "P50", "P99", "OPS/S", "CPU µs/OP", "N"}}
	for _, x := range r.Rows {
		rows = append(rows, []string{x.Case, x.Metric, x.Unit, number(x.P50), some(x.P99), some(x.Ops), some(x.CPUPerOp), strconv.Itoa(x.N)})
	}
	ratios := [][]string{{"RATIO", "MEASURED", "TARGET", ""}}
	seen := map[string]bool{}
	for _, t := range r.Targets {
		v, ok := r.Ratios[t.Ratio]
		seen[t.Ratio] = true
		switch {
		case !ok:
			ratios = append(ratios, []string{t.Ratio, "–", t.String(), ""})
		case t.Met(v):
			ratios = append(ratios, []string{t.Ratio, number(v), t.String(), "met"})
		default:
			ratios = append(ratios, []string{t.Ratio, number(v), t.String(), "missed"})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Ratios)) {
		if !seen[name] {
			ratios = append(ratios, []string{name, number(r.Ratios[name]), "", ""})
		}
	}
	var env [][]string
	for _, name := range slices.Sorted(maps.Keys(r.Env)) {
		env = append(env, []string{name + ": " + fmt.Sprint(r.Env[name])})
	}
	_, err := io.WriteString(w, columns(rows)+"\n"+columns(ratios)+"\n"+columns(env))
	return err
}

// columns lines rows up, the first column to the left and the others to the right.
func columns(rows [][]string) string {
	var width []int
	for _, cells := range rows {
		for i, cell := range cells {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, cells := range rows {
		var line strings.Builder
		for i, cell := range cells {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				line.WriteString(cell + pad)
			} else {
				line.WriteString("  " + pad + cell)
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}
