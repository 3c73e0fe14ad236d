package coordinator

import (
	"time"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/executor/runtime"
	"github.com/squall-faas/squall/internal/advice"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/sched"
	"github.com/squall-faas/squall/internal/wire"
)

// The shell around package sched: a run's first node is bound late, against a credit of its executor; the rest of its plan are
// hints (placer).

func peerOf(p wire.Peer) sched.Peer { return sched.Peer{Name: p.Name, Life: p.Incarnation} }

// abilityOf is what an executor has to have to run a function.
func abilityOf(f runtime.Spec) sched.Ability {
	if f.Kind == runtime.Native {
		return sched.Ability(f.Version)
	}
	return kindAbility(f.Kind)
}

func kindAbility(k runtime.Kind) sched.Ability { return sched.Ability("runtime " + string(k)) }

// heardLocked has the scheduler hear of an executor's heartbeat, unless the executor is no member by it. One that has granted
// nothing yet is asked to. keys is an update of its digest.
func (c *Coordinator) heardLocked(now time.Time, hb *wire.Heartbeat, keys []byte) {
	if !c.members.live(hb.From) {
		return
	}
	v := sched.View{
		Worker: peerOf(hb.From), Takes: hb.Condition == wire.Up, Slots: hb.Slots, Busy: hb.Busy, Queued: hb.Queued,
		Mean: time.Duration(hb.Mean), Free: !hb.Credits, Keys: keys,
		Abilities: make([]sched.Ability, 0, len(hb.Natives)+len(hb.Kinds)),
	}
	for i := range hb.Natives {
		v.Abilities = append(v.Abilities, sched.Ability(hb.Natives[i].Version))
	}
	for _, k := range hb.Kinds {
		v.Abilities = append(v.Abilities, kindAbility(k))
	}
	for i := range hb.Grants {
		if hb.Grants[i].To == c.self {
			v.Grant = grantOf(&hb.Grants[i])
		}
	}
	if hb.Credits && v.Grant == nil {
		if err := c.mux.Send(hb.From, &wire.Claim{}); err != nil {
			c.log.Warn("no credits asked for; the next heartbeat brings another try", "executor", hb.From.Name, "err", err)
		}
	}
	c.scheduleLocked(func(cmds []sched.Command) []sched.Command {
		cmds, err := c.sched.Heard(now, &v, cmds)
		if err != nil {
			c.log.Warn("what an executor has cached is not known", "executor", hb.From.Name, "err", err)
		}
		return cmds
	})
}

func grantOf(g *wire.Grant) *sched.Grant {
	return &sched.Grant{To: peerOf(g.To), Limit: g.Limit, Spent: g.Spent, Serial: g.Serial}
}

// loadLocked has the scheduler hear of an executor between its heartbeats.
func (c *Coordinator) loadLocked(from wire.Peer, l *wire.Load) {
	if l.Grant.To != c.self {
		return
	}
	v := sched.View{Worker: peerOf(from), Busy: l.Busy, Queued: l.Queued, Mean: time.Duration(l.Mean), Grant: grantOf(&l.Grant)}
	c.scheduleLocked(func(cmds []sched.Command) []sched.Command { return c.sched.Granted(time.Now(), &v, cmds) })
}

// unscheduleLocked has the scheduler hear of members that are gone or silent, before anything else is bound to them.
func (c *Coordinator) unscheduleLocked(now time.Time, changes []change) {
	for _, ch := range changes {
		c.scheduleLocked(func(cmds []sched.Command) []sched.Command {
			switch ch.kind {
			case lost, left:
				return c.sched.Lost(now, peerOf(ch.peer), cmds)
			case probe:
				return c.sched.Doubt(now, peerOf(ch.peer), cmds)
			}
			return cmds
		})
	}
}

// scheduleLocked steps the scheduler and does what it says.
func (c *Coordinator) scheduleLocked(step func([]sched.Command) []sched.Command) {
	cmds := step(c.commands[:0])
	c.commands = nil // what is done about them may step it again
	for i := range cmds {
		r := c.runs[id.Run(cmds[i].Job)]
		switch {
		case r == nil || r.ending || r.placed:
			if cmds[i].Kind == sched.Bind {
				c.sched.Unsent(cmds[i].Worker, cmds[i].Credit)
			}
		case cmds[i].Kind == sched.Bind:
			c.bindLocked(r, &cmds[i])
		case cmds[i].Kind == sched.Reject:
			c.concludeLocked(r, cmds[i].Err)
		case cmds[i].Kind == sched.Strand:
			if again := time.Now().Add(c.cfg.PlaceWait); r.giveUp.Before(again) {
				r.giveUp = again
			}
			c.waitLocked(r)
		}
	}
	clear(cmds)
	c.commands = cmds[:0]
	if next := c.sched.Next(); next != c.woken {
		c.woken = next
		select {
		case c.wake <- struct{}{}:
		default: // it looks anyway
		}
	}
}

// wakeAt sets the timer to when jobs have waited enough for their data.
func (c *Coordinator) wakeAt(t *time.Timer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if next := c.sched.Next(); !next.IsZero() {
		t.Reset(time.Until(next))
	}
}

func (c *Coordinator) tickScheduler() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.scheduleLocked(func(cmds []sched.Command) []sched.Command { return c.sched.Tick(time.Now(), cmds) })
}

// submitLocked asks for a slot for a run's first node.
func (c *Coordinator) submitLocked(r *run) {
	j := sched.Job{
		ID: sched.ID(r.id()), App: r.pin.functions[0].App, Needs: abilityOf(r.pin.functions[0]),
		Priority: sched.Priority(r.call.Priority), Since: r.started,
	}
	for _, refs := range references(r.inputs) {
		for _, ref := range refs {
			j.Keys = append(j.Keys, sched.KeyHash(ref))
		}
	}
	c.scheduleLocked(func(cmds []sched.Command) []sched.Command { return c.sched.Submit(time.Now(), j, cmds) })
}

// leaveLocked has the scheduler forget a run.
func (c *Coordinator) leaveLocked(r *run) {
	if !r.placed {
		c.sched.Cancel(sched.ID(r.id()))
		return
	}
	if len(r.sites) == 0 || len(r.pin.functions) == 0 {
		return
	}
	now := time.Now()
	first := r.sites[r.plan.Home[0]]
	c.scheduleLocked(func(cmds []sched.Command) []sched.Command {
		return c.sched.Finished(now, r.pin.functions[0].App, peerOf(first), now.Sub(r.bound), cmds)
	})
}

// most members that a run is placed among: beyond it a few are chosen.
const fewMembers = 32

// bindLocked sends a run to the executor that its first node is bound to.
func (c *Coordinator) bindLocked(r *run, b *sched.Command) {
	first := wire.Peer{Name: b.Worker.Name, Incarnation: b.Worker.Life}
	a := c.adviseLocked(time.Now(), r, first.Name)
	members := c.members.sorted()
	if len(members) > fewMembers {
		members = c.candidatesLocked(r, first, a)
	}
	c.sendLocked(r, members, a, &first, b.Credit)
}

// candidatesLocked gives the members among which a run is placed in a large fleet: where its first node is, and for each of
// its functions those that have its data or little to do, and those that it was planned for.
func (c *Coordinator) candidatesLocked(r *run, first wire.Peer, a *advice.Advice) []*member {
	out := []*member{c.members.byName[first.Name]}
	seen := map[string]bool{first.Name: true}
	if a != nil {
		for _, name := range a.Names {
			if m := c.members.byName[name]; m != nil && !seen[name] {
				seen[name] = true
				out = append(out, m)
			}
		}
	}
	var keys []uint64
	for _, refs := range references(r.inputs) {
		for _, ref := range refs {
			keys = append(keys, sched.KeyHash(ref))
		}
	}
	asked := map[sched.Ability]bool{}
	var peers []sched.Peer
	for i := range r.pin.functions {
		a := abilityOf(r.pin.functions[i])
		if asked[a] || len(r.pin.functions) == 1 {
			continue
		}
		asked[a] = true
		peers = c.sched.Candidates(a, keys, peers[:0])
		for _, p := range peers {
			if m := c.members.byName[p.Name]; m != nil && !seen[p.Name] {
				seen[p.Name] = true
				out = append(out, m)
			}
		}
	}
	return out
}

// heldLocked tells how many bytes of keys an executor has cached, as far as is known.
func (c *Coordinator) heldLocked(p wire.Peer, refs []string) (n int64) {
	var one [1]uint64
	for _, ref := range refs {
		one[0] = sched.KeyHash(ref)
		n += c.sched.Holds(peerOf(p), one[:])
	}
	return n
}

// creditsLocked gives the credit that each site of a new plan spends: that of the first node, and what is there for the other
// nodes that can start at once.
func (c *Coordinator) creditsLocked(r *run, first *wire.Peer, credit uint64) []uint64 {
	out := make([]uint64, len(r.sites))
	if first == nil {
		return out
	}
	out[r.plan.Home[0]] = credit
	if len(r.pin.graph.Nodes) == 1 {
		return out
	}
	starts := make([]int, len(r.sites))
	for i := range r.pin.graph.Nodes {
		if i > 0 && isSource(r.pin.graph, i) {
			starts[r.plan.Home[i]]++
		}
	}
	for s, n := range starts {
		if n > 0 {
			if charged := c.sched.Charge(r.bound, peerOf(r.sites[s]), n); charged > 0 {
				out[s] = charged
			}
		}
	}
	return out
}

// isSource reports whether a node takes nothing from other nodes.
func isSource(g *dag.Graph, node int) bool {
	for _, a := range g.Nodes[node].Args {
		if a.Const == nil {
			if _, ok := g.NodeOf(a.From); ok {
				return false
			}
		}
	}
	return true
}

// Instances tells on how many executors each application runs, or has run in the last seconds.
func (c *Coordinator) Instances() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sched.Instances()
}

// Waiting is how many calls wait for a free slot.
func (c *Coordinator) Waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sched.Waiting()
}
