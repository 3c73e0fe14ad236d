package executor

import (
	"sync"
	"time"

	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/wire"
)

const (
	reportDelay = 10 * time.Millisecond
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

// flush sends what there is.
func (r *reports) flush() {
	r.mu.Lock()
	ends, releases := r.ends, r.releases
	r.ends, r.releases = map[wire.Peer][]wire.Ended{}, map[wire.Peer]*wire.Release{}
	r.armed, r.count = false, 0
	r.mu.Unlock()
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
