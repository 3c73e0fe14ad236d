package bench

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
)

// Locality is the suite of `squall bench locality`: what it costs a function to get at large arguments that are cached where
// it runs, that another node has cached, or that only the store has (Cloudburst §6.1.2). The zero Locality, with a Launch,
// measures everything.
type Locality struct{ Options }

var localityTargets = []Target{{Ratio: "hot_80mb_over_loop", Limit: 1.3}}

// Names of cases; each has a number, the bytes of its arrays.
const (
	caseHot  = "hot"  // cached on the function's node
	casePeer = "peer" // cached on another one, and not on this one
	caseCold = "cold" // in the store only
	caseWarm = "warm" // like peer; read once by each executor that is new, so that it is connected
)

// localityScale is one size of a case.
type localityScale struct {
	name  string
	bytes int
	hot   int // calls in a round
}

var localityScales = []localityScale{
	{"80kb", 80_000, 60}, {"800kb", 800_000, 30}, {"8mb", 8_000_000, 10}, {"80mb", 80_000_000, 4},
}

const (
	localityRounds  = 8
	localityCache   = 2 << 30 // bytes of each executor's cache
	localityDraws   = 256     // names that keys are chosen among, by their owners
	localityArrival = 10 * time.Second
	// quickScales are the sizes that a short run measures whole, and that a new executor reads once before anything counts.
	quickScales = 2
)

// localityRun is one run of the suite.
type localityRun struct {
	*suite
	st    *stage
	fresh *node
	sizes []*localitySize
}

// localitySize is what is measured at one size.
type localitySize struct {
	localityScale
	keys  map[string][]string // by case
	sum   float64
	took  map[string][]float64 // microseconds: within the executor, from when the references begin to be resolved, by case
	whole map[string][]float64 // at the client
	loop  []float64            // of the plain loop, where it came first
	where map[uint64]bool      // where the first hot array lay
}

// Run measures, and ends all that it started. A wrong sum is an error.
func (l Locality) Run(ctx context.Context) (*Report, error) {
	return l.run(ctx, "locality", []string{caseHot, casePeer, caseCold}, localityTargets, func(ctx context.Context, own *suite) (err error) {
		r := &localityRun{suite: own}
		if r.st, err = own.stage(ctx, "locality", own.storeDir("nats-locality")); err != nil {
			return err
		}
		defer r.st.close()
		return r.measure(ctx)
	})
}

func (r *localityRun) measure(ctx context.Context) error {
	for name, functions := range map[string][]string{"hot": {fnSumHot}, "peer": {fnSumPeer}} {
		if _, err := r.st.executor(nodeConfig{Name: name, Functions: functions, Cache: localityCache}); err != nil {
			return err
		}
	}
	if err := r.refresh(ctx); err != nil {
		return err
	}
	for _, f := range []string{fnSumHot, fnSumPeer, fnSumFresh} {
		b := dag.New(f)
		args := []any{b.Input("first")}
		for i := range arrays {
			args = append(args, b.Input("x"+strconv.Itoa(i)))
		}
		b.Output("y", b.Call("sum", f, args...))
		g, err := b.Build()
		if err != nil {
			return err
		}
		if _, err := r.st.client.RegisterDAG(ctx, g); err != nil {
			return err
		}
	}
	if err := r.put(ctx); err != nil {
		return err
	}
	for _, z := range r.sizes { // what is to be cached before anything is measured
		for range 2 {
			for name, function := range map[string]string{caseHot: fnSumHot, casePeer: fnSumPeer, caseWarm: fnSumPeer} {
				if len(z.keys[name]) == 0 {
					continue
				}
				if _, err := r.call(ctx, z, name, function, false); err != nil {
					return err
				}
			}
		}
		z.took, z.whole, z.loop = map[string][]float64{}, map[string][]float64{}, nil
	}
	var parts []func(context.Context, int) error
	for _, z := range r.sizes {
		if r.wants(numbered(caseHot, z.bytes)) {
			parts = append(parts, func(ctx context.Context, _ int) error { return r.hot(ctx, z) })
		}
	}
	if r.wanted(casePeer, caseCold) {
		parts = append(parts, func(ctx context.Context, _ int) error { return r.apart(ctx) })
	}
	if err := r.alternate(ctx, "sums", r.size(localityRounds, 1), parts); err != nil {
		return err
	}
	r.rows()
	return nil
}

// refresh starts the executor whose cache is empty, in the place of the one before.
func (r *localityRun) refresh(ctx context.Context) (err error) {
	if r.fresh != nil {
		r.fresh.stop()
		r.st.nodes = slices.DeleteFunc(r.st.nodes, func(n *node) bool { return n == r.fresh })
	}
	r.fresh, err = r.st.executor(nodeConfig{Name: "fresh", Functions: []string{fnSumFresh, fnOwned}, Cache: localityCache})
	if err != nil {
		return err
	}
	// It reads through its peers once it has heard of them.
	late := time.Now().Add(localityArrival)
	probe := make([]string, localityDraws)
	for i := range probe {
		probe[i] = "bench/locality/probe/" + strconv.Itoa(i)
	}
	for {
		owners, err := callAt[[]string](ctx, r.st, kvs.LWW, fnOwned, probe)
		if err != nil {
			return err
		}
		if slices.Contains(owners, "peer") && slices.Contains(owners, "hot") && slices.Contains(owners, "") {
			return nil
		}
		if time.Now().After(late) {
			return fault.New(fault.Unavailable, "the executor has not heard of the others after %v", localityArrival)
		}
		pause := time.NewTimer(20 * time.Millisecond)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return fault.From(context.Cause(ctx))
		}
	}
}

// put stores the arrays of all cases, under keys whose owner is the node that they are cached on, or, of those that are
// cached nowhere, the node that reads them: so that nobody else keeps them on the way.
func (r *localityRun) put(ctx context.Context) error {
	r.progress.Begin("store arrays", len(localityScales)*4*arrays)
	for n, scale := range localityScales {
		owned := map[string]string{caseHot: "hot", casePeer: "peer", caseWarm: "peer", caseCold: ""}
		if r.Quick && n >= quickScales {
			if n < len(localityScales)-1 {
				continue
			}
			owned = map[string]string{caseHot: "hot"} // the largest is what the target is of
		}
		z := &localitySize{
			localityScale: scale, keys: map[string][]string{}, took: map[string][]float64{}, whole: map[string][]float64{},
			where: map[uint64]bool{},
		}
		if r.Quick {
			z.hot = 2
		}
		names := make([]string, localityDraws)
		for i := range names {
			names[i] = fmt.Sprintf("bench/locality/%s/%d", scale.name, i)
		}
		owners, err := callAt[[]string](ctx, r.st, kvs.LWW, fnOwned, names)
		if err != nil {
			return err
		}
		x := float64(n + 1)
		taken := map[string]bool{}
		for name, owner := range owned {
			for i, at := range owners {
				if at == owner && len(z.keys[name]) < arrays && !taken[names[i]] {
					z.keys[name] = append(z.keys[name], names[i])
					taken[names[i]] = true
				}
			}
			if len(z.keys[name]) < arrays {
				return fault.New(fault.Internal, "of %d keys only %d are owned by %q", len(names), len(z.keys[name]), owner)
			}
			z.sum = 0
			for i, key := range z.keys[name] {
				a := make([]float64, scale.bytes/arrays/8)
				for j := range a {
					a[j] = x + float64((i+j)%7)
					z.sum += a[j] // whole numbers: exact in any order
				}
				if err := r.st.client.Put(ctx, key, a); err != nil {
					return err
				}
				r.progress.Step(1)
			}
		}
		r.sizes = append(r.sizes, z)
	}
	return nil
}

// call makes one call and verifies it.
func (r *localityRun) call(ctx context.Context, z *localitySize, name, function string, loopFirst bool) (summed, error) {
	in := client.Inputs{"first": loopFirst}
	for i, key := range z.keys[name] {
		in["x"+strconv.Itoa(i)] = client.Ref(key)
	}
	began := time.Now()
	out, err := r.st.client.CallDAG(ctx, function, in, client.Trace())
	whole := time.Since(began)
	var got summed
	if err == nil {
		got, err = client.Output[summed](out, "y")
	}
	if err := check(got.Sum, z.sum, err); err != nil {
		return got, fault.New(fault.CodeOf(err), "case %s: %w", numbered(name, z.bytes), err)
	}
	if len(out.Stats()) != 1 {
		return got, fault.New(fault.Internal, "case %s: the run tells of %d nodes", numbered(name, z.bytes), len(out.Stats()))
	}
	const perMicro = float64(time.Microsecond)
	if loopFirst {
		z.loop = append(z.loop, float64(got.Loop)/perMicro)
		return got, nil
	}
	// What the loop took is the floor's, not the call's.
	z.took[name] = append(z.took[name], float64(int64(out.Stats()[0].Busy)-got.Loop)/perMicro)
	z.whole[name] = append(z.whole[name], float64(int64(whole)-got.Loop)/perMicro)
	return got, nil
}

// hot is a round of sums of what is cached where they are made.
func (r *localityRun) hot(ctx context.Context, z *localitySize) error {
	for i := range 2 * z.hot {
		got, err := r.call(ctx, z, caseHot, fnSumHot, i%2 == 0)
		if err != nil {
			return err
		}
		z.where[got.Where] = true
		if got.Reads+got.PeerReads > 0 {
			return fault.New(fault.Internal, "case %s: %d arrays were not cached", numbered(caseHot, z.bytes), got.Reads+got.PeerReads)
		}
	}
	return nil
}

// apart is a round of sums of what is not cached where they are made: one of each size, on an executor that has just started.
func (r *localityRun) apart(ctx context.Context) error {
	if err := r.refresh(ctx); err != nil {
		return err
	}
	for _, z := range r.sizes[:quickScales] {
		if _, err := r.call(ctx, z, caseWarm, fnSumFresh, false); err != nil {
			return err
		}
	}
	for _, z := range r.sizes {
		for _, name := range []string{caseCold, casePeer} {
			if !r.wants(numbered(name, z.bytes)) || len(z.keys[name]) == 0 {
				continue
			}
			got, err := r.call(ctx, z, name, fnSumFresh, false)
			if err != nil {
				return err
			}
			peer, store := 0, arrays
			if name == casePeer {
				peer, store = arrays, 0
			}
			if got.PeerReads != peer || got.Reads != store {
				return fault.New(fault.Internal, "case %s: %d arrays came from peers and %d from the store", numbered(name, z.bytes), got.PeerReads, got.Reads)
			}
		}
	}
	return nil
}

func (r *localityRun) rows() {
	for _, z := range r.sizes {
		for _, name := range []string{caseHot, casePeer, caseCold} {
			if len(z.took[name]) == 0 {
				continue
			}
			r.report.Rows = append(r.report.Rows,
				sampled(numbered(name, z.bytes), "in the executor", "us", z.took[name]),
				sampled(numbered(name, z.bytes), "whole call", "us", z.whole[name]))
		}
		if len(z.loop) == 0 {
			continue
		}
		r.report.Rows = append(r.report.Rows,
			sampled(numbered(caseHot, z.bytes), "plain loop", "us", z.loop),
			Row{Case: numbered(caseHot, z.bytes), Metric: "where one array lay", Unit: "places", P50: float64(len(z.where)), N: len(z.took[caseHot])})
		row := func(name, metric string) *Row { return r.report.Row(numbered(name, z.bytes), metric) }
		loop := row(caseHot, "plain loop")
		r.report.ratio("hot_"+z.name+"_over_loop", row(caseHot, "in the executor"), loop, p50)
		r.report.ratio("hot_"+z.name+"_whole_over_loop", row(caseHot, "whole call"), loop, p50)
		r.report.ratio("peer_"+z.name+"_over_hot", row(casePeer, "in the executor"), row(caseHot, "in the executor"), p50)
		r.report.ratio("cold_"+z.name+"_over_hot", row(caseCold, "in the executor"), row(caseHot, "in the executor"), p50)
	}
}

// sampled is the row of a few samples.
func sampled(name, metric, unit string, samples []float64) Row {
	s := slices.Sorted(slices.Values(samples))
	r := Row{Case: name, Metric: metric, Unit: unit, P50: s[len(s)/2], Max: s[len(s)-1], N: len(s)}
	if len(s) >= 100 {
		r.P99 = s[len(s)*99/100]
	}
	return r
}
