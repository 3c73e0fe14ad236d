package load

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Table writes the report for people: medians over the repetitions of each case, then what is to be said of single runs.
func (r *Report) Table(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "workload %s\n\n", r.Workload)
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintf(t, "case\toperation\tops/s\tp50 µs\tp95 µs\tp99 µs\tp99.9 µs\tmax µs\terrors\tCPU µs/op\truns\t\n")
	for _, g := range r.groups() {
		g.rows(t)
	}
	_ = t.Flush() // into memory
	text := leftColumns(b.String())
	b.Reset()
	b.WriteString(text)
	if ratios := r.Ratios(); len(ratios) > 0 {
		b.WriteString("\n")
		for _, name := range slices.Sorted(maps.Keys(ratios)) {
			fmt.Fprintf(&b, "%-30s  %s\n", name, number(ratios[name]))
		}
	}
	r.remarks(&b)
	b.WriteString("\n")
	for _, name := range slices.Sorted(maps.Keys(r.Env)) {
		fmt.Fprintf(&b, "%s: %v\n", name, r.Env[name])
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// rows are those of one case: its operations, each from the intended and from the actual start where these differ.
func (g group) rows(t io.Writer) {
	name := g.name
	cpu := median(g.each(func(r *Run) float64 { return r.CPUPerOp }))
	for _, op := range g.ops() {
		line := func(label string, of func(*Operation) *Latency) {
			at := func(p func(*Latency) float64) string {
				return number(median(g.over(op, func(o *Operation) float64 {
					if l := of(o); l != nil {
						return p(l)
					}
					return 0
				})))
			}
			rate := 0.0
			if label == op {
				rate = median(g.rate(op))
			}
			errs := int64(0)
			for _, run := range g.runs {
				if o := run.Op(op); o != nil {
					errs += o.Errors
				}
			}
			_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t%d\t\n", name, label, some(rate),
				at(func(l *Latency) float64 { return l.P50 }), at(func(l *Latency) float64 { return l.P95 }),
				at(func(l *Latency) float64 { return l.P99 }), at(func(l *Latency) float64 { return l.P999 }),
				at(func(l *Latency) float64 { return l.Max }), errs, some(cpu), len(g.runs))
			name, cpu = "", 0 // once
		}
		line(op, func(o *Operation) *Latency { return &o.Latency })
		if g.runs[0].Loop == "open" && op != Call {
			line("from actual start", func(o *Operation) *Latency { return o.Service })
		}
	}
}

// rate gives an operation's throughput in each run.
func (g group) rate(op string) []float64 {
	var out []float64
	for _, run := range g.runs {
		if o := run.Op(op); o != nil && run.Seconds > 0 {
			out = append(out, float64(o.Ops)/run.Seconds)
		}
	}
	return out
}

// remarks are what has to be said of single runs.
func (r *Report) remarks(b *strings.Builder) {
	for _, run := range r.Runs {
		name := run.Case
		if run.Repeat > 0 {
			name += ", run " + strconv.Itoa(run.Repeat+1)
		}
		var lines []string
		if run.Partial != "" {
			lines = append(lines, "partial: "+run.Partial)
		}
		lines = append(lines, run.Notes...)
		for _, f := range run.Failures {
			lines = append(lines, fmt.Sprintf("%d × %s: %s", f.Count, f.Code, f.Example))
		}
		if run.Integrity != nil {
			lines = append(lines, run.Integrity.lines()...)
		}
		if len(lines) > 0 {
			fmt.Fprintf(b, "\n%s\n", name)
			for _, l := range lines {
				fmt.Fprintf(b, "  %s\n", l)
			}
		}
	}
}

// lines say what integrity has found.
func (i *Integrity) lines() []string {
	var out []string
	if i.Reads > 0 {
		out = append(out, fmt.Sprintf("integrity: %d reads verified: %d mismatches, %d found nothing", i.Reads, i.Mismatches, i.Missing))
	}
	if i.ReadBack {
		out = append(out, fmt.Sprintf("read back: %d keys: %d lost writes, %d of wrong bytes; %d counters: %d lost effects, %d duplicates",
			i.Written, i.LostWrites, i.Wrong, i.Counters, i.LostEffects, i.Duplicates))
	} else {
		out = append(out, "not read back: "+i.Why)
	}
	return append(out, i.Examples...)
}

// leftColumns moves the first two columns, which are names, to the left: tabwriter aligns all alike.
func leftColumns(text string) string {
	head, rows, ok := strings.Cut(text, "\n\n")
	if !ok {
		return text
	}
	lines := strings.Split(strings.TrimRight(rows, "\n"), "\n")
	first := strings.Index(lines[0], "case") + len("case") // right edges, of the header
	second := strings.Index(lines[0], "operation") + len("operation")
	for i, line := range lines {
		runes := []rune(line)
		if len(runes) < second {
			continue
		}
		left := func(s []rune) string {
			t := strings.TrimSpace(string(s))
			return t + strings.Repeat(" ", len(s)-len([]rune(t)))
		}
		lines[i] = strings.TrimRight(left(runes[:first])+"  "+left(runes[first:second])+string(runes[second:]), " ")
	}
	return head + "\n\n" + strings.Join(lines, "\n") + "\n"
}

// number writes a figure of four digits: more is noise.
func number(v float64) string {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return "0"
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(v))))
	if scale < 1 {
		scale = 1
	}
	return strconv.FormatFloat(math.Round(v*scale)/scale, 'f', -1, 64)
}

// some is number, with a dash for what was not measured.
func some(v float64) string {
	if v == 0 {
		return "–"
	}
	return number(v)
}
