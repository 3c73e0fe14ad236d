package executor

import (
	"sync"

	"github.com/squall-faas/squall/internal/bus"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/recent"
)

// replies keeps what was answered lately. Safe for concurrent use.
type replies struct {
	mu   sync.Mutex // guards sent
	sent *recent.Window[id.Run, bus.Msg]
}

func newReplies() *replies { return &replies{sent: recent.New[id.Run, bus.Msg](keepReplies)} }

func (r *replies) keep(run id.Run, m bus.Msg) {
	if len(m.Data) > keepReplyMax {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent.Add(run, m)
}

// resend repeats a reply; false where none is kept.
func (r *replies) resend(e *Executor, run id.Run) bool {
	r.mu.Lock()
	m, ok := r.sent.Get(run)
	r.mu.Unlock()
	if !ok {
		return false
	}
	if err := e.cfg.Bus.Publish(m); err != nil {
		e.log.Warn("reply not sent again", "run", run, "err", err)
	}
	return true
}
