package demo

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/squall-faas/squall/client"
)

// printer tells a person what the demo does. Nothing depends on whether a line could be written.
type printer struct {
	out  io.Writer
	bars io.Writer // nil for none
}

func newPrinter(out, bars io.Writer) *printer {
	if out == nil {
		out = io.Discard
	}
	return &printer{out, bars}
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
	return &bar{progressbar.NewOptions64(most,
		progressbar.OptionSetDescription(fmt.Sprintf("  %-10s", what)),
		progressbar.OptionSetWriter(p.bars),
		progressbar.OptionShowBytes(bytes),
		progressbar.OptionShowCount(),
		progressbar.OptionSetWidth(30),
		progressbar.OptionThrottle(100*time.Millisecond),
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

// nodes prints where the time of a run went.
func (p *printer) nodes(stats []client.NodeStat) {
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(w, "    node\tcalls\tinside the function\twaiting for a slot\tlongest call\t")
	for _, s := range stats {
		_, _ = fmt.Fprintf(w, "    %s\t%d\t%s\t%s\t%s\t\n", s.Node, s.Calls, short(s.Busy), short(s.Wait), short(s.Max))
	}
	_ = w.Flush()
}
