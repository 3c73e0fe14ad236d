package executor

import (
	"context"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/value"
)

// spread offers this node's own slots to a Map, and asks the run's owner for others.
func (a *activity) spread(c dag.Command) {
	node := c.Invocation.Node
	if c.Items > a.e.cfg.Slots {
		a.mu.Lock()
		owner, hash := a.header.Owner, a.header.Spec
		a.mu.Unlock()
		a.e.send(owner, &wire.Spread{Run: a.run, Node: node, Items: c.Items, Spec: hash})
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
	args, err := a.out(a.lasts(), c.Args...)
	if err != nil {
		a.advance(dag.Event{Kind: dag.Failed, Invocation: c.Invocation, Site: c.Site, Err: fault.From(err)})
		return
	}
	a.mu.Lock()
	m := &wire.Exec{
		Run: a.run, Epoch: a.header.Plan.Epoch, Spec: a.header.Spec, Invocation: c.Invocation, Args: args,
		Remaining: wire.Until(a.until, time.Now()), Depth: a.header.Depth,
	}
	a.mu.Unlock()
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
		} else if v, err := a.e.cfg.Offload.In(a.ctx, m.Value); err != nil {
			ev.Kind, ev.Err = dag.Failed, fault.From(err)
		} else {
			ev.Value = v
		}
		a.advance(ev)
	}
	if m.Value.Far != nil {
		a.e.work.Go(done)
		return
	}
	done()
}

// visit is what runs here for runs that have no part here but items of a Map.
type visit struct {
	ctx   context.Context
	end   context.CancelCauseFunc
	items int
}

// visitingLocked gives the context of a run's items here, or nil where none is to run; leave it with left.
func (e *Executor) visitingLocked(run id.Run, epoch uint32) context.Context {
	if over, ok := e.ended.Get(run); e.closed || ok && epoch <= over {
		return nil
	}
	v := e.visits[run]
	if v == nil {
		v = &visit{}
		v.ctx, v.end = context.WithCancelCause(context.Background())
		e.visits[run] = v
	}
	v.items++
	return v.ctx
}

func (e *Executor) left(run id.Run) {
	e.mu.Lock()
	defer e.mu.Unlock()
	v := e.visits[run]
	if v == nil {
		return
	}
	if v.items--; v.items == 0 {
		v.end(errReleased)
		delete(e.visits, run)
		e.signalIdleLocked()
	}
}

// runItem runs one item for a Map whose home is elsewhere, and sends the result there.
func (e *Executor) runItem(ctx context.Context, home wire.Peer, m *wire.Exec) {
	defer e.left(m.Run)
	res := &wire.Result{Run: m.Run, Epoch: m.Epoch, Invocation: m.Invocation, Err: errGoexit} // unless the item returns
	defer func() {
		if ctx.Err() == nil { // else the home has let go of the run
			e.send(home, res)
		}
	}()
	v, err := e.item(ctx, home, m, res)
	if err == nil {
		var out []wire.Value
		if out, err = e.cfg.Offload.Out(context.WithoutCancel(ctx), lingering+time.Duration(m.Remaining), v); err == nil {
			res.Value, res.Err = out[0], nil
		}
	}
	if err != nil {
		res.Err = fault.From(err)
	}
}

func (e *Executor) item(ctx context.Context, home wire.Peer, m *wire.Exec, res *wire.Result) (value.Value, error) {
	s, err := e.library.spec(ctx, m.Spec)
	if err != nil {
		return value.Value{}, err
	}
	if m.Invocation.Node < 0 || m.Invocation.Node >= len(s.functions) {
		return value.Value{}, fault.New(fault.Internal, "item of node %d in a plan of %d nodes", m.Invocation.Node, len(s.functions))
	}
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
	waited := time.Now()
	own, err := e.enter(ctx, call.function)
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
	return v, err
}

func sizeOf(vs []value.Value) int {
	n := 0
	for _, v := range vs {
		n += v.Size()
	}
	return n
}
