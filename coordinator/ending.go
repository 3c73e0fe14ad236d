package coordinator

import (
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/wire"
)

// overdue ends runs whose collector has not, although their deadline passed a while ago.
func (c *Coordinator) overdue(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.runs {
		if !r.until.IsZero() && now.Sub(r.until) > overdueAfter {
			c.concludeLocked(r, fault.New(fault.DeadlineExceeded, "the run had not finished at its deadline, and its executors did not say why"))
		}
	}
}

// overdueAfter is how much later than the collector the owner ends a run.
const overdueAfter = 500 * time.Millisecond

// concludeLocked ends a run on the owner's own account: its collector is gone, was never placed, or is silent.
func (c *Coordinator) concludeLocked(r *run, why *fault.Error) {
	if c.runs[r.id()] != r || r.ending {
		return
	}
	why = why.With(func(e *fault.Error) { e.Run = r.id().String() })
	c.releaseLocked(r)
	o := &wire.Outcome{Run: r.id(), State: wire.Errored, Err: why}
	if !r.call.Mode.Recorded() {
		c.closeLocked(r, wire.Peer{}, why, false)
		c.keepLocked(o)
		c.reply(r.call.Reply, o)
		return
	}
	r.ending = true
	c.goLocked(func() {
		err := c.recordOutcome(r, o)
		c.mu.Lock()
		waiters := append([]string{r.call.Reply}, r.waiters...)
		c.closeLocked(r, wire.Peer{}, why, err == nil)
		if err != nil {
			c.keepLocked(o)
		}
		c.mu.Unlock()
		if err != nil {
			c.log.Error("the outcome of a run cannot be recorded", "run", r.id(), "err", err)
			for _, w := range waiters {
				c.reply(w, o)
			}
			return
		}
		c.answerFromRecord(r.id(), waiters)
	})
}

// keepLocked keeps the outcome of a run that the owner has answered itself, in case it does not arrive.
func (c *Coordinator) keepLocked(o *wire.Outcome) {
	if e, ok := c.ended.Get(o.Run); ok {
		e.outcome = o
		c.ended.Add(o.Run, e)
	}
}

// closeLocked forgets an open run and remembers that it has ended.
func (c *Coordinator) closeLocked(r *run, collector wire.Peer, why *fault.Error, stored bool) {
	if c.runs[r.id()] != r {
		return
	}
	delete(c.runs, r.id())
	c.leaveLocked(r)
	for _, s := range r.sites {
		c.members.assign(s, -1)
	}
	state := wire.Succeeded
	if why != nil {
		state = wire.Errored
	}
	info := r.info(state)
	info.Ended, info.Err = time.Now().UnixNano(), why
	c.ended.Add(r.id(), ended{collector: collector, state: state, stored: stored, info: info})
}

// report closes the runs that a collector has ended.
func (c *Coordinator) report(from wire.Peer, m *wire.Report) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range m.Ended {
		if r := c.runs[e.Run]; r != nil {
			c.endedLocked(r, from, e.Epoch, e.Err())
		}
	}
	if m.Load != nil {
		c.loadLocked(from, m.Load)
	}
}

// releaseLocked has all sites of a run let go of it.
func (c *Coordinator) releaseLocked(r *run) {
	for _, s := range r.sites {
		if c.members.live(s) {
			if err := c.mux.Send(s, &wire.Release{Runs: []id.Run{r.id()}, Epochs: []uint32{r.epoch}}); err != nil {
				c.log.Debug("run not released", "run", r.id(), "err", err)
			}
		}
	}
}

// endedLocked closes a run that its collector has ended in an epoch, and tells who waits for it.
func (c *Coordinator) endedLocked(r *run, collector wire.Peer, epoch uint32, why *fault.Error) {
	if epoch < r.epoch { // the collector has released the sites that it knew; it knew nothing of this recovery
		c.releaseLocked(r)
	}
	c.closeLocked(r, collector, why, r.call.Mode.Recorded())
	if waiters := r.waiters; len(waiters) > 0 {
		c.goLocked(func() { c.answerFromRecord(r.id(), waiters) })
	}
}
