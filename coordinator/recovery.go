package coordinator

import (
	"context"
	"slices"
	"time"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/wire"
)

// rescue is the recovery of one run: the survivors are asked what they hold, then it is planned anew.
type rescue struct {
	epoch uint32
	asked map[dag.Site]bool // that have not answered yet
	held  map[dag.Site][]dag.Source
}

// executorLost recovers every run that had a site on an executor that is gone; crashed says that the run may be why. First
// the executor is fenced: what it has not written yet it must not write beside those who do its work again.
func (c *Coordinator) executorLost(p wire.Peer, crashed bool) {
	if c.cfg.State == nil {
		c.recoverRuns(p, crashed)
		return
	}
	c.do(func(ctx context.Context) {
		c.fence(ctx, p)
		c.recoverRuns(p, crashed)
	})
}

// fence has the store refuse the writes of an executor's life. While the store does not answer nobody can write, so after
// a while its work goes on all the same.
func (c *Coordinator) fence(ctx context.Context, p wire.Peer) {
	ctx, cancel := context.WithTimeout(ctx, storeLimit)
	defer cancel()
	if _, err := c.cfg.State.Fence(ctx, p.Writer()); err != nil && ctx.Err() == nil {
		c.log.Error("a lost executor cannot be fenced", "executor", p.Name, "err", err)
	}
}

func (c *Coordinator) recoverRuns(p wire.Peer, crashed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var hit []*run
	suspects := 0
	for _, r := range c.runs {
		if !r.placed || r.ending || !slices.Contains(r.sites, p) {
			continue
		}
		hit = append(hit, r)
		if r.crashes > 0 {
			suspects++
		}
	}
	for _, r := range hit {
		if crashed {
			r.crashes++
		}
		if crashed && c.culprit(r, suspects) {
			c.concludeLocked(r, fault.New(fault.ExecutorCrashed,
				"%d executors died while they ran it: does one of its functions end the process, or use up its memory? run what you do not trust as wasm", r.crashes))
			continue
		}
		c.rescueLocked(r, dag.Site(slices.Index(r.sites, p)))
	}
}

// culprit tells whether a run is what kills its executors. Every run on an executor that dies becomes a suspect, and
// suspects are placed apart from each other (placeLocked): so when the next executor dies, the one suspect on it is to
// blame, and its neighbours are not. Suspects that could not be kept apart get a few more chances.
func (c *Coordinator) culprit(r *run, suspects int) bool {
	const chances = 3
	return r.crashes >= c.cfg.Crashes && (suspects == 1 || r.crashes >= c.cfg.Crashes+chances)
}

// rescueLocked starts a run's recovery, or starts it again where another executor is lost meanwhile.
func (c *Coordinator) rescueLocked(r *run, gone dag.Site) {
	if r.cancelled != nil { // whoever knew of it may be gone
		c.concludeLocked(r, r.cancelled)
		return
	}
	if r.call.Level.Session() { // what its session has seen may be gone too
		c.restartLocked(r)
		return
	}
	r.lost = append(r.lost, gone)
	r.epoch++
	r.giveUp = time.Now().Add(c.cfg.PlaceWait)
	if r.call.Mode.Durable() {
		r.giveUp = time.Now().Add(adoptionWait) // it survives the loss of all executors
	}
	s := &rescue{epoch: r.epoch, asked: map[dag.Site]bool{}, held: map[dag.Site][]dag.Source{}}
	r.rescue = s
	for i, p := range r.sites {
		if slices.Contains(r.lost, dag.Site(i)) || !c.members.live(p) {
			continue
		}
		s.asked[dag.Site(i)] = true
		if err := c.mux.Send(p, &wire.Query{Run: r.id(), Epoch: s.epoch}); err != nil {
			c.log.Warn("survivor not asked", "run", r.id(), "executor", p.Name, "err", err)
		}
	}
	c.log.Info("recovering a run", "run", r.id(), "epoch", s.epoch, "survivors", len(s.asked))
	if len(s.asked) == 0 {
		c.replanLocked(r)
	}
}

// held takes in what a survivor holds.
func (c *Coordinator) held(from wire.Peer, m *wire.Held) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.runs[m.Run]
	if r == nil {
		return
	}
	site := dag.Site(slices.Index(r.sites, from))
	if m.Ended && site == r.plan.Collector { // it has replied; its report is on the way
		c.endedLocked(r, from, 0, nil)
		return
	}
	s := r.rescue
	if s == nil || s.epoch != m.Epoch || !s.asked[site] {
		return
	}
	delete(s.asked, site)
	s.held[site] = m.Sources
	if len(s.asked) == 0 {
		c.replanLocked(r)
	}
}

// withoutLocked gives the members but for those that a run was taken from.
func (c *Coordinator) withoutLocked(r *run) []*member {
	members := c.members.sorted()
	for _, s := range r.lost {
		if c.members.live(r.sites[s]) {
			return slices.DeleteFunc(slices.Clone(members), func(m *member) bool {
				return slices.ContainsFunc(r.lost, func(s dag.Site) bool { return r.sites[s] == m.beat.From })
			})
		}
	}
	return members
}

// replanLocked plans a run anew from what is left of it.
func (c *Coordinator) replanLocked(r *run) {
	s := r.rescue
	r.rescue = nil
	if len(s.held) == 0 { // nothing is left but the arguments, which the owner keeps
		for _, p := range r.sites {
			c.members.assign(p, -1)
		}
		r.sites, r.lost, r.placed, r.apart = nil, nil, false, time.Now().Add(apartWait)
		c.placeLocked(r)
		return
	}
	p := placer{
		graph: r.pin.graph, functions: r.pin.functions, members: c.withoutLocked(r), held: c.heldLocked,
		refs: references(r.inputs), sites: slices.Clone(r.sites),
	}
	before := len(r.sites)
	var missing *fault.Error
	next := dag.Recover(r.pin.graph, r.plan, r.lost, s.held, func(node int) dag.Site {
		if node < 0 { // the collector: any survivor will do
			for site := range s.held {
				return site
			}
		}
		m := p.choose(node, nil)
		if m == nil {
			missing = fault.From(noExecutor(r.pin.graph.Nodes[node].Name, r.pin.functions[node], len(p.members)))
			return r.plan.Collector
		}
		return p.site(m.beat.From)
	})
	if missing != nil {
		if time.Now().Before(r.giveUp) {
			r.rescue = s // what the survivors hold stays good; placeWaiting tries again
			c.waitLocked(r)
			return
		}
		c.concludeLocked(r, missing)
		return
	}
	next.Plan.Epoch = s.epoch
	r.plan, r.sites = next.Plan, p.sites
	for _, peer := range r.sites[before:] {
		c.members.assign(peer, 1)
	}
	h := c.headerLocked(r)
	for i, peer := range r.sites {
		site := dag.Site(i)
		if slices.Contains(r.lost, site) || !c.members.live(peer) {
			continue
		}
		m := &wire.Replan{Header: h, Lost: r.lost, Resend: next.Resend[site]}
		for _, send := range next.Inputs {
			if send.To == site {
				m.Values = append(m.Values, wire.Sourced{Source: send.Source, Value: r.inputs[send.Source]})
			}
		}
		if err := c.mux.Send(peer, m); err != nil {
			c.log.Warn("plan not sent", "run", r.id(), "executor", peer.Name, "err", err)
		}
	}
}
