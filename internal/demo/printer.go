package demo

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/squall-faas/squall/client"
)

// printer tells a person what the demo does. Nothing depends on whether a line could be written.
type printer struct {
	out  io.Writer
	bars io.Writer // nil for none
	slow bool      // bars go to a file or a pipe: draw them seldom
}

func newPrinter(out, bars io.Writer) *printer {
	if out == nil {
		out = io.Discard
	}
	file, ok := bars.(*os.File)
	if !ok {
		return &printer{out, bars, true}
	}
	info, err := file.Stat()
	return &printer{out, bars, err != nil || info.Mode()&os.ModeCharDevice == 0}
}

func (p *printer) line(format string, args ...any) { _, _ = fmt.Fprintf(p.out, format+"\n", args...) }

// head begins a chapter.
func (p *printer) head(format string, args ...any) { p.line("\n"+format, args...) }

// phase tells how long something took.
func (p *printer) phase(name string, took time.Duration, format string, args ...any) {
	p.line("  %-10s %8s  %s", name, short(took), fmt.Sprintf(format, args...))
}

// bar shows progress up to most; add to it from anywhere, and end it.
func (p *printer) bar(what string, most int64, bytes bool) *bar {
	if p.bars == nil {
		return &bar{}
	}
	throttle := 100 * time.Millisecond
	if p.slow {
		throttle = 2 * time.Second
	}
	return &bar{progressbar.NewOptions64(most,
		progressbar.OptionSetDescription(fmt.Sprintf("  %-10s", what)),
		progressbar.OptionSetWriter(p.bars),
		progressbar.OptionShowBytes(bytes),
		progressbar.OptionShowCount(),
		progressbar.OptionSetWidth(30),
		progressbar.OptionThrottle(throttle),
		progressbar.OptionClearOnFinish(),
	)}
}

// bar is a progress bar, or none. Safe for concurrent use.
type bar struct{ shown *progressbar.ProgressBar }

func (b *bar) add(n int) {
	if b.shown != nil {
		_ = b.shown.Add(n) // a bar that cannot be drawn is no reason to stop
	}
}

func (b *bar) set(n int) {
	if b.shown != nil {
		_ = b.shown.Set(n)
	}
}

func (b *bar) end() {
	if b.shown != nil {
		_ = b.shown.Clear()
	}
}

// calls sums the invocations up.
func calls(stats []client.NodeStat) (n int) {
	for _, s := range stats {
		n += s.Calls
	}
	return n
}

// nodes prints where the time of a run went, in the order of the names.
func (p *printer) nodes(stats []client.NodeStat, names ...string) {
	slices.SortFunc(stats, func(a, b client.NodeStat) int {
		return cmp.Compare(slices.Index(names, a.Node), slices.Index(names, b.Node))
	})
	w := p.table("node", "calls", "inside the function", "longest", "mean wait for a slot")
	for _, s := range stats {
		w.row(s.Node, s.Calls, short(s.Busy), short(s.Max), short(s.Wait/time.Duration(max(s.Calls, 1))))
	}
	w.end()
}

// table is aligned when it ends: the names to the left, the figures to the right.
type table struct{ w *tabwriter.Writer }

func (p *printer) table(name string, heads ...any) table {
	t := table{tabwriter.NewWriter(p.out, 0, 0, 3, ' ', tabwriter.AlignRight)}
	t.row(name, heads...)
	return t
}

func (t table) row(name string, cells ...any) {
	_, _ = fmt.Fprintf(t.w, " %-12s\t", name)
	for _, c := range cells {
		_, _ = fmt.Fprintf(t.w, "%v\t", c)
	}
	_, _ = fmt.Fprintln(t.w)
}

func (t table) end() { _ = t.w.Flush() }
