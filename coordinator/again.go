package coordinator

import (
	"math/rand/v2"
	"time"

	"github.com/squall-faas/squall/internal/wire"
)

// A run whose session cannot go on begins anew, from its inputs, in a new epoch: a transaction that met another write, a
// version that the run had read and that was lost with its node. Its executors drop what they have of it.

// again takes in a collector's word that its run has to begin anew.
func (c *Coordinator) again(from wire.Peer, m *wire.Again) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.runs[m.Run]
	if r == nil || r.ending || !r.placed || m.Epoch != r.epoch {
		return
	}
	if r.restarts >= c.cfg.Restarts || m.Err == nil {
		c.concludeLocked(r, m.Err)
		return
	}
	r.restarts++
	epoch := r.epoch
	// Who conflicts with whom is drawn apart: the more often it has happened, the further.
	pause := time.Duration(rand.Int64N(int64(min(r.restarts, 10)*r.restarts) * int64(time.Millisecond)))
	if !r.until.IsZero() && time.Now().Add(pause).After(r.until) {
		c.concludeLocked(r, m.Err)
		return
	}
	c.log.Debug("a run begins anew", "run", r.id(), "restarts", r.restarts, "err", m.Err)
	c.goLocked(func() {
		timer := time.NewTimer(pause)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-c.ctx.Done():
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.runs[r.id()] == r && !r.ending && r.placed && r.epoch == epoch {
			c.restartLocked(r)
		}
	})
}

// restartLocked places a run anew from its inputs. Its parts of earlier epochs are let go of.
func (c *Coordinator) restartLocked(r *run) {
	if r.cancelled != nil {
		c.concludeLocked(r, r.cancelled)
		return
	}
	c.releaseLocked(r)
	for _, s := range r.sites {
		c.members.assign(s, -1)
	}
	r.epoch++
	r.began, r.rescue = r.epoch, nil
	r.sites, r.lost, r.placed, r.apart = nil, nil, false, time.Now().Add(apartWait)
	r.giveUp = time.Now().Add(c.cfg.PlaceWait)
	if r.call.Mode.Durable() {
		r.giveUp = time.Now().Add(adoptionWait)
	}
	c.placeLocked(r)
}
