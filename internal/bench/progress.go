package bench

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
)

// Progress tells people how far a suite is. Not safe for concurrent use.
type Progress struct {
	w    io.Writer
	bar  *progressbar.ProgressBar // nil for plain lines
	what string
}

// NewProgress reports on w: a bar where w is a terminal, a line for each part elsewhere. nil w is silent.
func NewProgress(w io.Writer) *Progress {
	p := &Progress{w: w}
	if f, ok := w.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			p.bar = progressbar.NewOptions(-1, progressbar.OptionSetWriter(w), progressbar.OptionClearOnFinish(),
				progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionShowCount(), progressbar.OptionSetWidth(30))
		}
	}
	return p
}

// Begin starts a part of total steps.
func (p *Progress) Begin(what string, total int) {
	p.what = what
	switch {
	case p.bar != nil:
		p.bar.Reset()
		p.bar.ChangeMax(total)
		p.bar.Describe(what)
	case p.w != nil:
		_, _ = fmt.Fprintf(p.w, "%s\n", what) // progress that cannot be shown is no reason to stop
	}
}

// Step says that n more steps are done.
func (p *Progress) Step(n int) {
	if p.bar != nil {
		_ = p.bar.Add(n)
	}
}

// End clears the bar.
func (p *Progress) End() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
