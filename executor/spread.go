package executor

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/squall-faas/squall/cache/session"
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/value"
)

// spread offers this node's own slots to a Map, and asks the run's owner for others.
func (a *activity) spread(c dag.Command) {
	node := c.Invocation.Node
	hedges := a.spec.graph.Nodes[node].Kind == dag.Call
	if hedges || c.Items > a.e.cfg.Slots {
		a.mu.Lock()
		owner, hash := a.header.Owner, a.header.Spec
		a.mu.Unlock()
		a.e.send(owner, &wire.Spread{Run: a.run, Node: node, Items: c.Items, Spec: hash})
	}
	if hedges {
		return
	}
	a.advance(dag.Event{
		Kind: dag.Offered, Invocation: dag.Invocation{Node: node},
		Offers: []dag.Offer{{Site: a.self, Items: min(a.e.cfg.Slots, c.Items), Affinity: affinity(a.e.cfg.Name)}},
	})
}

// affinity names an executor across runs, so that a Map's references go where an earlier run has taken them.
func affinity(executor string) uint64 { return xxhash.Sum64String(executor) }

// mostSites bounds the sites of a run, recoveries included.
const mostSites = 1 << 16

// offered takes in what the owner found.
func (a *activity) offered(m *wire.Offers) {
	var offers []dag.Offer
	a.mu.Lock()
	a.sites = slices.Clone(a.sites) // what messages hold of it stays as it is
	for _, o := range m.Offers {
		if o.Site < 0 || o.Site > mostSites || o.Site == a.self || a.lost[o.Executor] {
			continue
		}
		for len(a.sites) <= int(o.Site) {
			a.sites = append(a.sites, wire.Peer{}) // of other Maps' helpers, whom this site does not know
		}
		a.sites[o.Site] = o.Executor
		offers = append(offers, dag.Offer{Site: o.Site, Items: o.Items, Affinity: affinity(o.Executor.Name)})
	}
	a.mu.Unlock()
	a.advance(dag.Event{Kind: dag.Offered, Invocation: dag.Invocation{Node: m.Node}, Offers: offers})
}

// delegate sends one item of a Map to another executor.
func (a *activity) delegate(c dag.Command) {
	args, err := a.outTo(c.Site, a.itemPath(c.Invocation.Node), c.Args...)
	if err != nil {
		a.advance(dag.Event{Kind: dag.Failed, Invocation: c.Invocation, Site: c.Site, Err: fault.From(err)})
		return
	}
	a.mu.Lock()
	t := a.termsLocked(c.Invocation.Node)
	m := &wire.Exec{
		Run: a.run, Epoch: a.header.Plan.Epoch, Spec: a.header.Spec, Invocation: c.Invocation, Args: args,
		Remaining: wire.Until(a.until, time.Now()), Depth: a.header.Depth,
		Level: t.level, Ack: t.ack, Home: t.home, Began: t.began, Mode: a.header.Mode,
	}
	carried, err := a.carriedLocked(c.Invocation.Node)
	if err == nil {
		m.Session, err = carried.Encode()
		a.e.sent(t.level, m.Session)
	}
	a.mu.Unlock()
	if err != nil {
		a.advance(dag.Event{Kind: dag.Failed, Invocation: c.Invocation, Site: c.Site, Err: fault.From(err)})
		return
	}
	a.e.send(a.site(c.Site), m)
}

// itemDone takes in the result of an item that ran elsewhere.
func (a *activity) itemDone(from wire.Peer, m *wire.Result) {
	a.mu.Lock()
	site := dag.Site(slices.Index(a.sites, from))
	if a.lost[from] || site < 0 {
		a.mu.Unlock()
		return
	}
	a.stats.add(a.header.Trace, m.Invocation, time.Duration(m.Busy), time.Duration(m.Wait))
	a.mu.Unlock()
	done := func() {
		ev := dag.Event{Kind: dag.Finished, Invocation: m.Invocation, Site: site}
		if m.Err != nil {
			ev.Kind, ev.Err = dag.Failed, m.Err
		} else if v, ok, err := a.take(m.Value); !ok && err == nil {
			return // the run's recovery has the item run again
		} else if err != nil {
			ev.Kind, ev.Err = dag.Failed, fault.From(err)
		} else if err := a.carryEncoded(m.Invocation.Node, m.Session); err != nil {
			ev.Kind, ev.Err = dag.Failed, fault.From(err)
		} else {
			ev.Value = v
		}
		a.advance(ev)
	}
	if m.Value.Away() {
		a.e.work.Go(done)
		return
	}
	done()
}

// visit is what runs here for runs that have no part here but items of a Map. One that begins anew has another.
type visit struct {
	ctx       context.Context
	end       context.CancelCauseFunc
	began     uint32 // the epoch in which the run began
	newest    uint32 // the latest epoch that an item was of
	items     int
	revocable withdrawals             // items that may be taken back
	early     map[dag.Invocation]bool // items that were taken back before they had begun
	pinned    string                  // what the cache keeps for the run; "" for nothing
	timer     *time.Timer             // lets go of that where nobody does
}

// release lets go of what the cache keeps.
func (v *visit) release(e *Executor) {
	if v.pinned != "" {
		v.timer.Stop()
		e.cfg.Cache.Release(v.pinned)
	}
}

// visitingLocked gives the visit of a run whose item is to be run here, or nil where none is; leave it with left.
func (e *Executor) visitingLocked(m *wire.Exec) *visit {
	if over, ok := e.ended.Get(m.Run); e.closed || ok && m.Epoch <= over {
		return nil
	}
	v := e.visits[m.Run]
	if v != nil && v.began < m.Began { // it begins anew, and the word of that is on its way
		e.endVisitLocked(m.Run, v, errFenced)
		v = nil
	}
	if v == nil {
		v = &visit{began: m.Began}
		v.ctx, v.end = context.WithCancelCause(context.Background())
		if m.Level.Repeatable() {
			// What items have read here others of the run may ask for until it has ended, and it may end without a word.
			v.pinned = pins(m.Run, m.Began)
			v.timer = time.AfterFunc(max(time.Duration(m.Remaining), time.Minute)+lingering, func() {
				e.mu.Lock()
				defer e.mu.Unlock()
				e.endVisitLocked(m.Run, v, errReleased)
			})
		}
		e.visits[m.Run] = v
	}
	v.items, v.newest = v.items+1, max(v.newest, m.Epoch)
	return v
}

// endVisitLocked ends a visit: its items end by themselves.
func (e *Executor) endVisitLocked(run id.Run, v *visit, why error) {
	v.end(why)
	v.release(e)
	if e.visits[run] == v {
		delete(e.visits, run)
		e.signalIdleLocked()
	}
}

func (e *Executor) left(run id.Run, v *visit) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if v.items--; v.items == 0 && v.pinned == "" && e.visits[run] == v {
		v.end(errReleased)
		delete(e.visits, run)
		e.signalIdleLocked()
	}
}

// runItem runs one item for a Map whose home is elsewhere, and sends the result there.
func (e *Executor) runItem(visit *visit, home wire.Peer, m *wire.Exec) {
	ctx := visit.ctx
	defer e.left(m.Run, visit)
	useless := false
	res := &wire.Result{Run: m.Run, Epoch: m.Epoch, Invocation: m.Invocation, Err: errGoexit} // unless the item returns
	defer func() {
		// Else the home has let go of the run, or this node was declared dead.
		if ctx.Err() == nil && !useless && (res.Err == nil || res.Err.Code != fault.Fenced) {
			e.send(home, res)
		}
	}()
	v, err := e.item(visit, home, m, res)
	useless = errors.Is(err, errWithdrawn)
	if err == nil {
		var out []wire.Value
		if out, err = e.send1(ctx, itemTerms(m, home), v); err == nil {
			res.Value, res.Err = out[0], nil
		}
	}
	if err != nil {
		res.Err = fault.From(err)
	}
}

func (e *Executor) item(visit *visit, home wire.Peer, m *wire.Exec, res *wire.Result) (value.Value, error) {
	s, err := e.library.spec(visit.ctx, m.Spec)
	if err != nil {
		return value.Value{}, err
	}
	if m.Invocation.Node < 0 || m.Invocation.Node >= len(s.functions) {
		return value.Value{}, fault.New(fault.Internal, "item of node %d in a plan of %d nodes", m.Invocation.Node, len(s.functions))
	}
	ctx, done := e.admitItem(visit, s, m.Invocation)
	defer done()
	args, err := e.cfg.Offload.InAll(ctx, m.Args)
	if err != nil {
		return value.Value{}, err
	}
	call := call{
		run: m.Run, invocation: m.Invocation, function: s.functions[m.Invocation.Node],
		node: &s.graph.Nodes[m.Invocation.Node], args: args, until: m.Remaining.Deadline(time.Now()), depth: m.Depth,
		late: func(err error) {
			e.send(home, &wire.Result{Run: m.Run, Epoch: m.Epoch, Invocation: m.Invocation, Err: fault.From(err)})
		},
	}
	call.terms = terms{
		level: m.Level, ack: m.Ack, durable: m.Mode.Durable(), began: m.Began, home: m.Home, again: m.Epoch > 1,
	}
	call.terms.once = call.terms.durable || call.node.Hedge > 0
	call.revocable = s.mayWithdraw(m.Invocation.Node)
	if m.Level.Session() {
		if call.carried, err = session.Decode(m.Level, m.Session); err != nil {
			return value.Value{}, err
		}
	}
	waited := time.Now()
	own, err := e.enter(ctx, call.function, nil)
	if err != nil {
		return value.Value{}, err
	}
	defer e.slots.release()
	if own != nil {
		defer own.release()
	}
	began := time.Now()
	v, err := e.invoke(ctx, &call)
	res.Busy, res.Wait = int64(time.Since(began)), int64(began.Sub(waited))
	if err == nil {
		res.Session, err = call.after.Encode()
	}
	return v, err
}

func sizeOf(vs []value.Value) int {
	n := 0
	for _, v := range vs {
		n += v.Size()
	}
	return n
}
