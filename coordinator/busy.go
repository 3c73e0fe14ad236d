package coordinator

import (
	"slices"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/wire"
)

// busy takes in that an executor has no slot for a run, of which nothing was begun there. A run that is nowhere else goes back
// to the others that wait, in its place; another one is taken away from there if somebody who could do its part has a slot.
func (c *Coordinator) busy(from wire.Peer, m *wire.Busy) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sched.Returned(peerOf(from))
	if m.Load != nil {
		defer c.loadLocked(from, m.Load)
	}
	r := c.runs[m.Run]
	if r == nil || r.ending || !r.placed || m.Epoch != r.epoch || r.rescue != nil {
		return
	}
	site := r.siteOf(from)
	if site < 0 {
		return
	}
	if m.Kept {
		// Nobody gets a run again that it was taken from: taken from two, it might find no executor left that has its functions.
		taken := slices.ContainsFunc(r.lost, func(s dag.Site) bool { return c.members.live(r.sites[s]) })
		if !taken && c.roomElsewhereLocked(r, site) {
			c.log.Debug("a part of a run is taken from who has no slot", "run", r.id(), "executor", from.Name)
			c.takeAwayLocked(r, site)
		}
		return
	}
	if len(r.sites) > 1 {
		c.rescueLocked(r, site)
		return
	}
	c.members.assign(from, -1)
	r.epoch++
	r.sites, r.lost, r.placed = nil, nil, false
	c.placeLocked(r)
}

// roomElsewhereLocked reports whether another executor has a slot for what a site of a run has to do.
func (c *Coordinator) roomElsewhereLocked(r *run, site dag.Site) bool {
	asked := false
	for i, home := range r.plan.Home {
		if home != site {
			continue
		}
		asked = true
		if !c.sched.Room(abilityOf(r.pin.functions[i]), peerOf(r.sites[site])) {
			return false
		}
	}
	return asked
}

// takeAwayLocked takes a run's part from an executor that lives, and plans it anew.
func (c *Coordinator) takeAwayLocked(r *run, site dag.Site) {
	p := r.sites[site]
	if err := c.mux.Send(p, &wire.Release{Runs: []id.Run{r.id()}, Epochs: []uint32{r.epoch}}); err != nil {
		c.log.Warn("run not released", "run", r.id(), "executor", p.Name, "err", err)
	}
	c.rescueLocked(r, site)
}
