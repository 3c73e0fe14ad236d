package load

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progressEvery is how often the progress is shown, and lineEvery where it is no terminal.
const (
	progressEvery = 250 * time.Millisecond
	lineEvery     = 10 * time.Second
)

// Progress tells people how far a run is: a bar where w is a terminal, a line now and then elsewhere. A nil Progress is
// silent. Used by one run at a time.
type Progress struct {
	w        io.Writer
	terminal bool
	what     string

	bar       *progressbar.ProgressBar
	total     int64 // operations, or milliseconds where time bounds the run
	byTime    bool
	began     time.Time
	last      time.Time
	ops, errs int64
	line      time.Time
}

// NewProgress reports on w; nil is silent.
func NewProgress(w io.Writer) *Progress {
	if w == nil {
		return nil
	}
	p := &Progress{w: w}
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return p
}

// Name says what the next run is.
func (p *Progress) Name(what string) {
	if p != nil {
		p.what = what
	}
}

func (p *Progress) begin(r *runner) {
	if p == nil {
		return
	}
	p.began, p.last, p.line, p.ops, p.errs = r.measured, r.measured, r.measured, 0, 0
	p.total, p.byTime = r.Operations, false
	switch {
	case r.Load:
		p.total = r.Workload.InsertCount
	case r.Duration > 0:
		p.total, p.byTime = r.Duration.Milliseconds(), true
	}
	if p.terminal {
		p.bar = progressbar.NewOptions64(p.total, progressbar.OptionSetWriter(p.w), progressbar.OptionClearOnFinish(),
			progressbar.OptionSetDescription(p.what), progressbar.OptionSetWidth(30), progressbar.OptionSetPredictTime(true),
			progressbar.OptionThrottle(progressEvery/2))
		return
	}
	p.say("%s\n", p.what)
}

// say writes; progress that cannot be shown is no reason to stop.
func (p *Progress) say(format string, args ...any) { _, _ = fmt.Fprintf(p.w, format, args...) }

func (p *Progress) show(now time.Time, ops, errs int64) {
	if p == nil {
		return
	}
	if now.Before(p.began) {
		if p.bar != nil {
			p.bar.Describe(p.what + ", warming up")
		}
		return
	}
	rate := func(since time.Time) float64 { return float64(ops-p.ops) / max(now.Sub(since).Seconds(), 1e-3) }
	if p.bar != nil {
		failed := ""
		if errs > 0 {
			failed = fmt.Sprintf(", %d errors", errs)
		}
		p.bar.Describe(fmt.Sprintf("%s, %.0f op/s%s", p.what, rate(p.last), failed))
		at := ops
		if p.byTime {
			at = now.Sub(p.began).Milliseconds()
		}
		_ = p.bar.Set64(min(at, p.total))
		p.last, p.ops = now, ops
		return
	}
	if now.Sub(p.line) >= lineEvery {
		p.say("%s: %.0f s, %d operations, %.0f op/s, %d errors\n", p.what, now.Sub(p.began).Seconds(), ops, rate(p.line), errs)
		p.line, p.ops = now, ops
	}
}

func (p *Progress) finish() {
	if p != nil && p.bar != nil {
		_ = p.bar.Finish()
		p.bar = nil
	}
}
