package executor

import (
	"slices"
	"time"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/offload"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// arrived takes in the values that a message brings.
func (a *activity) arrived(m *wire.Deliver) {
	a.mergeStats(m.Stats)
	for _, s := range m.Absent {
		a.advance(dag.Event{Kind: dag.Absent, Source: s.Source, Err: s.Err})
	}
	if slices.ContainsFunc(m.Values, a.isElsewhere) {
		a.e.work.Go(func() { a.fetch(m.Values) })
		return
	}
	a.fetch(m.Values)
}

// isElsewhere reports whether a value has to be fetched before the machine can use it: it is offloaded, or held elsewhere, or
// a reference to the list that a Map or Reduce works on, or to what a condition is about. Other references are resolved
// when their function is called.
func (a *activity) isElsewhere(s wire.Sourced) bool {
	if s.Value.Away() {
		return true
	}
	if len(s.Value.Inline) == 0 || value.Kind(s.Value.Inline[0]) != value.Reference {
		return false
	}
	return slices.ContainsFunc(a.spec.graph.Consumers(s.Source), func(c dag.Consumer) bool {
		node := &a.spec.graph.Nodes[c.Node]
		return c.Arg == 0 && node.Kind != dag.Call || node.Args[c.Arg].When != nil
	})
}

// fetch reads what is elsewhere and hands all values to the machine.
func (a *activity) fetch(values []wire.Sourced) {
	for _, s := range values {
		v, ok, err := a.take(s.Value)
		if !ok && err == nil {
			continue // it comes again
		}
		if err == nil {
			err = a.arriveWith(s)
		}
		if err == nil && a.isElsewhere(s) {
			if ref, ok := v.Ref(); ok {
				v, err = a.e.cfg.Cache.Get(a.ctx, kvs.Key(ref))
			}
		}
		if err != nil {
			a.giveUp(s.Source, err)
			return
		}
		a.advance(dag.Event{Kind: dag.Arrived, Source: s.Source, Value: v})
	}
	a.advance(dag.Event{Kind: dag.Started})
}

// pass sends a node's output to another site of the run.
func (a *activity) pass(c dag.Command) {
	v, err := a.passed(c.Site, c.Source, c.Value)
	if err != nil {
		a.giveUp(c.Source, err)
		return
	}
	a.mu.Lock()
	carried, err := a.encodedCarryLocked(c.Source)
	m := &wire.Deliver{Header: a.header, Values: []wire.Sourced{{Source: c.Source, Value: v, Session: carried}}, Stats: a.stats.snapshot()}
	m.Header.Remaining = wire.Until(a.until, time.Now())
	a.mu.Unlock()
	if err != nil {
		a.giveUp(c.Source, err)
		return
	}
	a.e.send(a.site(c.Site), m)
}

// giveUp ends the run because a value can neither be had nor passed on. The collector answers, wherever it is.
func (a *activity) giveUp(s dag.Source, err error) {
	why := fault.From(err).With(func(e *fault.Error) { e.Node = a.spec.graph.SourceName(s) })
	a.mu.Lock()
	over := a.over
	a.mu.Unlock()
	if over {
		return
	}
	a.passFailure(why)
	a.advance(dag.Event{Kind: dag.Cancelled, Err: why})
}

// passFailure tells the collector, where that is another site, that the run has failed.
func (a *activity) passFailure(why *fault.Error) {
	a.mu.Lock()
	h := a.header
	h.Remaining = wire.Until(a.until, time.Now())
	a.mu.Unlock()
	if h.Plan.Collector == a.self {
		return
	}
	a.e.send(a.site(h.Plan.Collector), &wire.Failure{Run: a.run, Epoch: h.Plan.Epoch, Err: why, Header: &h})
}

// lasts is how long the run may, and a recovery after it.
func (a *activity) lasts() time.Duration {
	if a.until.IsZero() {
		return 0 // offload's default
	}
	return lingering + time.Until(a.until)
}

// newest is the highest epoch that this part of the run has heard of.
func (a *activity) newest() uint32 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return max(a.asked, a.header.Plan.Epoch)
}

// out encodes values for the caller; large ones are stored and kept for so long.
func (a *activity) out(keep time.Duration, vs ...value.Value) ([]wire.Value, error) {
	return a.e.send1(a.ctx, offload.Terms{TTL: max(keep, 0)}, vs...)
}

// held lists, for the owner's recovery, the sources whose values are here.
func (a *activity) held(epoch uint32) []dag.Source {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = max(a.asked, epoch)
	if a.machine == nil {
		return nil
	}
	a.told = a.machine.Held()
	return a.told
}

// replanned adopts a run's new plan.
func (a *activity) replanned(m *wire.Replan) {
	a.mu.Lock()
	if m.Header.Plan.Epoch >= a.header.Plan.Epoch {
		if a.lost == nil {
			a.lost = map[wire.Peer]bool{}
		}
		for _, s := range m.Lost {
			if s >= 0 && int(s) < len(m.Header.Executors) {
				a.lost[m.Header.Executors[s]] = true
			}
		}
		a.header = m.Header
		extra := a.sites[min(len(m.Header.Executors), len(a.sites)):] // numbers are the owner's and stay
		a.sites = append(slices.Clip(m.Header.Executors), extra...)
	}
	var now []func()
	a.early = slices.DeleteFunc(a.early, func(w early) bool {
		if w.epoch <= a.header.Plan.Epoch {
			now = append(now, w.do)
			return true
		}
		return false
	})
	told := a.told
	a.mu.Unlock()
	a.advance(dag.Event{Kind: dag.Replanned, Plan: m.Header.Plan, Lost: m.Lost, Resend: m.Resend, Known: told})
	a.arrived(&wire.Deliver{Values: m.Values})
	for _, do := range now {
		do()
	}
}

// welcome reports whether a peer's values are welcome: not those of one whose work was given to others, nor those of a
// plan that is over. Who still follows an old plan passes its values again when the new one reaches it.
func (a *activity) welcome(p wire.Peer, epoch uint32) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.lost[p] && epoch >= a.header.Plan.Epoch
}
