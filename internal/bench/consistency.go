package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/caller"
	"github.com/squall-faas/squall/internal/history"
	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

// Consistency is the suite of `squall bench consistency` (Cloudburst §6.2): what each level costs a DAG, what its sessions
// carry, and which anomalies lww lets through that the others rule out. Chains of two to five functions, each of which goes
// on where another executor is, read two keys each, Zipf-distributed with exponent 1 over a million; the last one writes one
// of the two that it has read. The zero Consistency, with a Launch, measures everything.
type Consistency struct {
	Options

	Runs int    // DAGs of each level; 0 is 4,000
	Seed uint64 // of what they read and write; 0 draws one
}

const (
	consistencyRuns   = 4000
	consistencyQuick  = 120
	consistencyRounds = 10
	consistencyOut    = 8 // DAGs at a time
	consistencyKeys   = 1_000_000
	consistencyKnown  = 10_000 // of the keys, the most popular, are there from the start
	consistencySlots  = 8      // of each executor: functions wait for the store
	// consistencyTags is how many tags the keys of txn have: those of one transaction share one.
	consistencyTags = 64
	shortestChain   = 2
	longestChain    = 5
	readsOfStep     = 2
	tableRuns       = 4000 // that anomalies are counted per, as in Cloudburst's Table 2
)

var consistencyTargets = []Target{{Ratio: "violations", Limit: 0}}

// consistencyCase is a level's.
func consistencyCase(l kvs.Level) string { return "dag_" + l.String() }

// consistencyRun is one run of the suite.
type consistencyRun struct {
	*suite
	st   *stage
	seed uint64
	zipf *zipf
	all  []*levelRun
}

// levelRun is what is measured at a level.
type levelRun struct {
	level kvs.Level
	load  *load
	rngs  []*rand.Rand // by worker

	mu    sync.Mutex // guards ends
	ends  []history.End
	known []history.Op // what was there from the start
	sent  uint64       // bytes of sessions
}

// Run measures, and ends all that it started. A run that fails for another reason than a conflict is an error; a promise
// that was broken is a row.
func (s Consistency) Run(ctx context.Context) (*Report, error) {
	var cases []string
	for _, l := range kvs.Levels() {
		cases = append(cases, consistencyCase(l))
	}
	if s.Runs < 0 {
		return nil, fault.New(fault.InvalidArgument, "%d runs: give a positive number, or 0 for %d", s.Runs, consistencyRuns)
	}
	if s.Runs == 0 {
		s.Runs = s.size(consistencyRuns, consistencyQuick)
	}
	for s.Seed == 0 {
		s.Seed = rand.Uint64() >> 1
	}
	return s.run(ctx, "consistency", cases, consistencyTargets, func(ctx context.Context, own *suite) (err error) {
		r := &consistencyRun{suite: own, seed: s.Seed}
		env := own.report.Env
		env["runs"], env["seed"], env["outstanding"], env["executors"] = s.Runs, s.Seed, consistencyOut, stepExecutors
		keys := own.size(consistencyKeys, consistencyKeys/100)
		env["keys"], env["zipf"] = keys, 1.0
		r.zipf = newZipfOf(keys, 1)
		if r.st, err = own.stage(ctx, "consistency", own.storeDir("nats-consistency")); err != nil {
			return err
		}
		defer r.st.close()
		return r.measure(ctx, s.Runs)
	})
}

func (r *consistencyRun) measure(ctx context.Context, runs int) error {
	for i := range stepExecutors {
		if _, err := r.st.executor(nodeConfig{
			Name: "executor-" + strconv.Itoa(i), Functions: []string{stepName(i), harvestName(i)}, Slots: consistencySlots,
		}); err != nil {
			return err
		}
	}
	if err := r.register(ctx); err != nil {
		return err
	}
	var loads []*load
	r.progress.Begin("store the popular keys", -1)
	for _, level := range kvs.Levels() {
		if !r.wants(consistencyCase(level)) {
			continue
		}
		l := &levelRun{level: level}
		for w := range consistencyOut {
			l.rngs = append(l.rngs, rand.New(rand.NewPCG(r.seed, uint64(level)<<32|uint64(w))))
		}
		l.load = &load{
			name: consistencyCase(level), outstanding: consistencyOut, calls: runs, procs: r.st.procs(),
			call: func(ctx context.Context, worker int) error { return r.call(ctx, l, worker) },
		}
		if err := r.preload(ctx, l); err != nil {
			return err
		}
		r.all, loads = append(r.all, l), append(loads, l.load)
	}
	if err := interleave(ctx, loads, r.size(consistencyRounds, 2), r.progress, "DAGs"); err != nil {
		return err
	}
	r.progress.Begin("judge what was recorded", len(r.all))
	violations := 0
	for _, l := range r.all {
		n, err := r.judge(ctx, l)
		if err != nil {
			return err
		}
		violations += n
		r.progress.Step(1)
	}
	r.report.Ratios["violations"] = float64(violations)
	lww := r.report.Row(consistencyCase(kvs.LWW), "latency")
	for _, l := range r.all {
		r.report.ratio(l.level.String()+"_over_lww", r.report.Row(l.load.name, "latency"), lww, p50)
	}
	return nil
}

// chainName is the DAG of n functions whose first one runs on an executor.
func chainName(n, first int) string { return fmt.Sprintf("chain-%d-%d", n, first) }

func (r *consistencyRun) register(ctx context.Context) error {
	for n := shortestChain; n <= longestChain; n++ {
		for first := range stepExecutors {
			b := dag.New(chainName(n, first))
			var last any = []int{}
			for i := range n {
				last = b.Call(callName(i), stepName((first+i)%stepExecutors), b.Input("t"+strconv.Itoa(i)), last)
			}
			b.Output("y", last.(dag.Ref))
			g, err := b.Build()
			if err != nil {
				return err
			}
			if _, err := r.st.client.RegisterDAG(ctx, g); err != nil {
				return err
			}
		}
	}
	return nil
}

// key names the k-th key as a level sees it: each level has keys of its own.
func (r *consistencyRun) key(level kvs.Level, k int) string {
	if level == kvs.Transaction {
		return fmt.Sprintf("txn/{%d}/%d", k%consistencyTags, k)
	}
	return level.String() + "/" + strconv.Itoa(k)
}

// preload stores the keys that are drawn most often. All others are not there until somebody writes them.
func (r *consistencyRun) preload(ctx context.Context, l *levelRun) error {
	known := r.zipf.order[:min(r.size(consistencyKnown, consistencyKnown/100), len(r.zipf.order))]
	clock := hlc.New(r.seed|1, nil)
	have := make([]*version.Version, len(known))
	l.known = make([]history.Op, len(known))
	begin := time.Now().UnixNano()
	for i, k := range known {
		key := r.key(l.level, k)
		have[i] = version.None(kvs.Key(key))
		l.known[i] = history.Op{
			Run: "preload/" + key, Call: callName(0), Level: l.level.String(), Node: "preload", Kind: history.Write, Key: key,
			Values: []string{"preload/" + key}, Begin: begin, Result: history.OK,
		}
	}
	err := storeAll(ctx, r.st.backbone.User, have, func(i int) version.Mutation {
		return version.Mutation{Kind: version.Assign, Value: value.MustOf(l.known[i].Values[0]), Stamp: clock.Now()}
	})
	end := time.Now().UnixNano()
	for i := range l.known {
		l.known[i].End = end
	}
	return err
}

// draw gives the key that a run reads next; txn's are all of one tag.
func (r *consistencyRun) draw(l *levelRun, rng *rand.Rand, tag *int) string {
	for {
		k := r.zipf.next(rng)
		if l.level != kvs.Transaction || *tag < 0 || k%consistencyTags == *tag {
			*tag = k % consistencyTags
			return r.key(l.level, k)
		}
	}
}

// call makes one run.
func (r *consistencyRun) call(ctx context.Context, l *levelRun, worker int) error {
	rng := l.rngs[worker]
	n := shortestChain + rng.IntN(longestChain-shortestChain+1)
	req := caller.Request{Run: id.NewRun(), Target: wire.TargetDAG, Name: chainName(n, rng.IntN(stepExecutors)), Level: l.level}
	tag := -1
	for i := range n {
		t := stepTask{Level: l.level.String(), Call: i}
		for range readsOfStep {
			t.Reads = append(t.Reads, r.draw(l, rng, &tag))
		}
		if i == n-1 {
			t.Write = t.Reads[rng.IntN(readsOfStep)]
		}
		v, err := value.Of(t)
		if err != nil {
			return err
		}
		req.Inputs, req.Values = append(req.Inputs, "t"+strconv.Itoa(i)), append(req.Values, v)
	}
	end := history.End{Run: req.Run.String(), Level: l.level.String(), Outcome: history.OK}
	out, err := r.st.caller.Call(ctx, req)
	switch {
	case err == nil:
		attempts, err := value.As[[]int](out.Values[0])
		if err == nil && len(attempts) != n {
			err = fault.New(fault.Internal, "%w: a chain of %d functions passed on %v", errWrongAnswer, n, attempts)
		}
		if err != nil {
			return err
		}
		end.Attempts = map[string]int{}
		for i, a := range attempts {
			end.Attempts[callName(i)] = a
		}
	case fault.Is(err, fault.TxnConflict), fault.Is(err, fault.SnapshotLost), fault.Is(err, fault.DependencyLost):
		end.Outcome = history.Failed // it began anew as often as it may
	default:
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ends = append(l.ends, end)
	return nil
}
