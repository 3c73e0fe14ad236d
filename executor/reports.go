package executor

import (
	"sync"
	"time"

	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/sched"
	"github.com/squall-faas/squall/internal/wire"
)

const (
	reportDelay = sched.ReportDelay
	reportEvery = 512
)

// reports tells owners which of their runs have ended, and other sites which they may let go of: many in one message,
// because nobody waits for it. Safe for concurrent use.
type reports struct {
	e *Executor

	mu       sync.Mutex // guards what follows
	ends     map[wire.Peer][]wire.Ended
	releases map[wire.Peer]*wire.Release
	count    int
	timer    *time.Timer
	armed    bool
	hurried  bool // the timer is set to go off at once
	closed   bool
}

func newReports(e *Executor) *reports {
	r := &reports{e: e, ends: map[wire.Peer][]wire.Ended{}, releases: map[wire.Peer]*wire.Release{}}
	r.timer = time.AfterFunc(time.Hour, r.flush)
	r.timer.Stop()
	return r
}

// ended reports a run's end to its owner.
func (r *reports) ended(owner wire.Peer, end wire.Ended) {
	r.add(func() { r.ends[owner] = append(r.ends[owner], end) })
}

// released lets another site go of a run.
func (r *reports) released(site wire.Peer, run id.Run, epoch uint32) {
	r.add(func() {
		if r.releases[site] == nil {
			r.releases[site] = &wire.Release{}
		}
		r.releases[site].Add(run, epoch)
	})
}

func (r *reports) add(put func()) {
	r.mu.Lock()
	put()
	r.count++
	full := r.count >= reportEvery
	if !full && !r.armed && !r.closed {
		r.armed = true
		r.timer.Reset(reportDelay)
	}
	r.mu.Unlock()
	if full {
		r.flush()
	}
}

// hurry has everything told now: a coordinator has nothing left to send work with, and there is a slot.
func (r *reports) hurry() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.hurried && !r.closed {
		r.hurried, r.armed = true, true
		r.timer.Reset(0)
	}
}

// flush sends what there is. Who is told of ends, or waits for credits, is told of those too.
func (r *reports) flush() {
	r.mu.Lock()
	ends, releases, hurried := r.ends, r.releases, r.hurried
	r.ends, r.releases = map[wire.Peer][]wire.Ended{}, map[wire.Peer]*wire.Release{}
	r.armed, r.hurried, r.count = false, false, 0
	r.mu.Unlock()
	if hurried || len(ends) > 0 {
		grants, load := r.e.credits.grant()
		for _, g := range grants {
			if list, ok := ends[g.To]; ok || hurried {
				load.Grant = g
				own := load
				r.e.send(g.To, &wire.Report{Ended: list, Load: &own})
				delete(ends, g.To)
			}
		}
	}
	for owner, list := range ends {
		r.e.send(owner, &wire.Report{Ended: list})
	}
	for site, m := range releases {
		r.e.send(site, m)
	}
}

// close sends nothing more by itself.
func (r *reports) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.timer.Stop()
}
