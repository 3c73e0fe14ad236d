package passing

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/dag/planner"
	"github.com/squall-faas/squall/fault"
)

// Real executes an assignment in real time and gives the seconds that it has taken. Every byte that leaves an executor goes
// over a loopback TCP connection to a proxy, which lets chunks through as fast as everything on their way allows, and on to a
// receiver that checks them. Functions take their time without working. It needs as much time as it gives back, and about as
// much of a core as the bytes need; on a machine with other work it takes longer than it should.
//
// Errors are those of Run, internal where bytes arrive that were not sent, and what the end of ctx is.
func (t *Truth) Real(ctx context.Context, a Assignment) (seconds float64, err error) {
	edges := t.Edges()
	if err := t.check(a, edges); err != nil {
		return 0, err
	}
	p, err := newProxy(ctx, t.capacities())
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	r := &real{Truth: t, a: a, edges: edges, proxy: p, whole: map[place]*promise{}}
	for _, e := range t.Fleet.Executors {
		r.slots = append(r.slots, make(chan struct{}, e.Slots))
		idle := map[string]int{}
		for f, warm := range e.Warm {
			if warm {
				idle[f] = e.Slots
			}
		}
		r.idle = append(r.idle, idle)
	}
	for range t.Graph.Sources() {
		r.written = append(r.written, &promise{})
		r.made = append(r.made, make(chan struct{}))
	}
	for i := range t.Graph.Inputs {
		close(r.made[i])
	}
	began := time.Now()
	g, ctx := errgroup.WithContext(ctx)
	for n := range t.Graph.Nodes {
		g.Go(func() error { return r.node(ctx, n) })
	}
	if err := g.Wait(); err != nil {
		return 0, fault.From(err)
	}
	return time.Since(began).Seconds(), nil
}

// real is one execution in real time.
type real struct {
	*Truth
	a     Assignment
	edges []Edge
	proxy *proxy
	slots []chan struct{}
	made  []chan struct{} // by source: closed once it is

	mu      sync.Mutex // guards what follows
	idle    []map[string]int
	whole   map[place]*promise
	written []*promise // by source
}

// promise does something once, for all who want it done.
type promise struct {
	once sync.Once
	err  error
}

func (p *promise) do(f func() error) error {
	p.once.Do(func() { p.err = f() })
	return p.err
}

// node runs one node once its arguments are there.
func (r *real) node(ctx context.Context, n int) error {
	g, ctx := errgroup.WithContext(ctx)
	for k, count := range r.a.Share[n] {
		if count == 0 {
			continue
		}
		g.Go(func() error {
			if err := r.arguments(ctx, n, k); err != nil {
				return err
			}
			if r.Graph.Nodes[n].Kind == dag.Reduce {
				for _, l := range r.Work[n].Levels {
					if err := r.calls(ctx, n, k, l.Calls, l.Took); err != nil {
						return err
					}
				}
				return nil
			}
			return r.calls(ctx, n, k, count, r.Work[n].Took)
		})
	}
	err := g.Wait()
	if err == nil {
		close(r.made[r.Graph.NodeSource(n)])
	}
	return err
}

// calls runs so many on an executor's slots.
func (r *real) calls(ctx context.Context, n, k, count int, took time.Duration) error {
	name := r.Graph.Nodes[n].Function
	if s := r.Fleet.Executors[k].Speed; s > 0 {
		took = time.Duration(float64(took) / s)
	}
	g, ctx := errgroup.WithContext(ctx)
	for range count {
		g.Go(func() error {
			select {
			case r.slots[k] <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
			defer func() { <-r.slots[k] }()
			begun := time.Now()
			r.mu.Lock()
			need := took
			if r.idle[k][name] > 0 {
				r.idle[k][name]--
			} else {
				need += r.Work[n].Cold
			}
			r.mu.Unlock()
			err := until(ctx, begun.Add(need))
			r.mu.Lock()
			r.idle[k][name]++
			r.mu.Unlock()
			return err
		})
	}
	return g.Wait()
}

// arguments brings all that node n needs to executor k.
func (r *real) arguments(ctx context.Context, n, k int) error {
	g, ctx := errgroup.WithContext(ctx)
	for i, e := range r.edges {
		if e.Node != n {
			continue
		}
		g.Go(func() error {
			select {
			case <-r.made[e.From]:
			case <-ctx.Done():
				return ctx.Err()
			}
			fetch := func() error { return r.fetch(ctx, e, r.a.Path[i], k) }
			if e.Pattern >= planner.Scatter {
				return fetch()
			}
			r.mu.Lock()
			p := r.whole[place{e.From, k}]
			if p == nil {
				p = &promise{}
				r.whole[place{e.From, k}] = p
			}
			r.mu.Unlock()
			return p.do(fetch)
		})
	}
	return g.Wait()
}

// fetch moves all parcels of an edge that go to executor k.
func (r *real) fetch(ctx context.Context, e Edge, path planner.Path, k int) error {
	if path == planner.Remote {
		if err := r.written[e.From].do(func() error { return r.upload(ctx, e.From) }); err != nil {
			return err
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, p := range r.parcels(e, r.shareOf(r.a, e.From), r.a.Share[e.Node]) {
		if p.to != k {
			continue
		}
		var through []int
		bytes, latency := p.bytes, 0.0
		switch {
		case path == planner.Local && r.Fleet.Executors[k].Disk > 0:
			through, bytes = []int{r.disk(k)}, 2*bytes
		case (path == planner.Local || path == planner.Inline) && p.from == p.to:
			continue
		case path == planner.Local:
			through = []int{r.memory(k)}
		case path == planner.Direct && r.host(p.from) == r.host(k):
			through, latency = []int{r.memory(k)}, r.latency(p.from, k)
		case path == planner.Direct:
			through, latency = []int{r.nic(p.from, 0), r.nic(k, 1), r.pair(p.from, k)}, r.latency(p.from, k)
		case path == planner.Inline:
			through, latency = []int{r.nic(p.from, 0), r.nic(k, 1), r.store() + 2}, r.Fleet.Bus.Latency.Seconds()
		default:
			through, latency = []int{r.store() + 1, r.nic(k, 1)}, r.Fleet.Store.ReadLatency.Seconds()
		}
		g.Go(func() error { return r.proxy.transfer(ctx, int64(bytes), latency, through) })
	}
	return g.Wait()
}

// upload writes a source to the store from wherever it was made.
func (r *real) upload(ctx context.Context, src dag.Source) error {
	n, isNode := r.Graph.NodeOf(src)
	if !isNode {
		return nil
	}
	g, ctx := errgroup.WithContext(ctx)
	for k, c := range r.a.Share[n] {
		if c > 0 {
			bytes := int64(float64(r.Work[n].Out) * float64(c) / float64(r.Work[n].Tasks))
			g.Go(func() error {
				return r.proxy.transfer(ctx, bytes, r.Fleet.Store.WriteLatency.Seconds(), []int{r.nic(k, 0), r.store()})
			})
		}
	}
	return g.Wait()
}
