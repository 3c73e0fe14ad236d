package coordinator

import (
	"slices"
	"time"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/advice"
	"github.com/squall-faas/squall/internal/wire"
)

// placeLocked has a run bound to an executor with a free slot, now or when there is one; or has it wait for an executor that
// can run it at all.
func (c *Coordinator) placeLocked(r *run) {
	if r.crashes > 0 && time.Now().Before(r.apart) {
		members := c.members.sorted()
		free := c.unsuspectedLocked(members, r)
		if len(free) == 0 && len(members) > 0 {
			c.waitLocked(r)
			return
		}
		c.sendLocked(r, free, nil, nil, 0)
		return
	}
	for i := range r.pin.functions {
		if !c.sched.CanRun(abilityOf(r.pin.functions[i])) {
			c.unplaceableLocked(r, noExecutor(r.pin.graph.Nodes[i].Name, r.pin.functions[i], len(c.members.byName)))
			return
		}
	}
	c.submitLocked(r)
}

// unplaceableLocked has a run wait until somebody joins who can run it, or ends it where it has waited enough.
func (c *Coordinator) unplaceableLocked(r *run, why error) {
	if time.Now().Before(r.giveUp) {
		c.waitLocked(r)
		return
	}
	c.concludeLocked(r, fault.From(why))
}

// sendLocked places a run among members and starts it, as advised if it is; first is where the scheduler has bound its first
// node, with a credit.
func (c *Coordinator) sendLocked(r *run, members []*member, a *advice.Advice, first *wire.Peer, credit uint64) {
	c.turn++
	p := placer{
		graph: r.pin.graph, functions: r.pin.functions, members: members, first: first, turn: c.turn, advice: a,
		held: c.heldLocked, refs: references(r.inputs),
	}
	plan, sites, err := p.place(r.epoch)
	if err != nil {
		if first != nil {
			c.sched.Unsent(peerOf(*first), credit)
		}
		c.unplaceableLocked(r, err)
		return
	}
	if a != nil {
		c.adviser.looked++
		if p.followed() {
			c.adviser.followed++
		}
	}
	r.plan, r.sites, r.placed, r.bound = plan, sites, true, time.Now()
	for _, s := range sites {
		c.members.assign(s, 1)
	}
	credits := c.creditsLocked(r, first, credit)
	h := c.headerLocked(r)
	for site, need := range deliveries(r.pin.graph, plan, len(sites)) {
		if need == nil {
			continue
		}
		d := &wire.Deliver{Header: h, Credit: credits[site]}
		for _, s := range need {
			d.Values = append(d.Values, wire.Sourced{Source: s, Value: r.inputs[s]})
		}
		if err := c.mux.Send(sites[site], d); err != nil {
			c.log.Warn("run not delivered", "run", r.id(), "err", err)
			c.sched.Unsent(peerOf(sites[site]), d.Credit)
		}
	}
}

// apartWait is how long a suspect waits for an executor that has no other suspect.
const apartWait = 2 * time.Second

// unsuspectedLocked leaves out the executors on which another suspect runs.
func (c *Coordinator) unsuspectedLocked(members []*member, except *run) []*member {
	taken := map[wire.Peer]bool{}
	for _, r := range c.runs {
		if r != except && r.crashes > 0 && r.placed {
			for _, p := range r.sites {
				taken[p] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(members), func(m *member) bool { return taken[m.beat.From] })
}

// waitLocked has a run placed later.
func (c *Coordinator) waitLocked(r *run) {
	if !slices.Contains(c.waiting, r) {
		c.waiting = append(c.waiting, r)
	}
}

func (c *Coordinator) headerLocked(r *run) wire.Header {
	h := wire.Header{
		Run: r.id(), Spec: r.pin.hash, Plan: r.plan, Executors: r.sites, Owner: c.self, Reply: r.call.Reply,
		Remaining: wire.Until(r.until, time.Now()), Mode: r.call.Mode, Depth: r.call.Depth, Trace: r.call.Trace,
		Record: r.record, Level: r.call.Level, Ack: r.call.Ack, Began: r.began,
	}
	if r.call.Mode.Recorded() {
		h.What = &wire.What{Target: r.call.Target, Name: r.call.Name, Started: r.started.UnixNano()}
	}
	return h
}

// placeWaiting tries again to place what waits, and gives up on what has waited too long.
func (c *Coordinator) placeWaiting(time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	waiting := c.waiting
	c.waiting = nil
	for _, r := range waiting {
		switch {
		case c.runs[r.id()] != r || r.ending:
		case !r.placed:
			c.placeLocked(r)
		case r.rescue != nil && len(r.rescue.asked) == 0:
			c.replanLocked(r)
		}
	}
}

// spread finds executors for a Map's items.
func (c *Coordinator) spread(from wire.Peer, m *wire.Spread) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.runs[m.Run]
	if r == nil || m.Node < 0 || m.Node >= len(r.pin.functions) {
		return
	}
	offers := &wire.Offers{Run: m.Run, Node: m.Node}
	for _, x := range c.members.sorted() {
		if x.beat.From == from || !x.canRun(r.pin.functions[m.Node]) {
			continue
		}
		// Two items a slot: the next is there when one is done.
		if items := min(2*x.beat.Slots, m.Items); items > 0 {
			offers.Offers = append(offers.Offers, wire.Offer{Executor: x.beat.From, Items: items, Site: c.siteLocked(r, x.beat.From)})
		}
	}
	if err := c.mux.Send(from, offers); err != nil {
		c.log.Warn("offers not sent", "run", m.Run, "err", err)
	}
}

// siteLocked makes an executor a site of a run, if it is none yet: the run is recovered when it is lost.
func (c *Coordinator) siteLocked(r *run, p wire.Peer) dag.Site {
	if i := slices.Index(r.sites, p); i >= 0 {
		return dag.Site(i)
	}
	r.sites = append(slices.Clip(r.sites), p) // what messages hold of it stays as it is
	c.members.assign(p, 1)
	return dag.Site(len(r.sites) - 1)
}
