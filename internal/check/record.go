package check

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/squall-faas/squall/internal/history"
	"github.com/squall-faas/squall/kvs"
)

// recorder collects what happens. Safe for concurrent use.
type recorder struct {
	began time.Time
	ids   atomic.Int64
	last  atomic.Int64 // that now gave

	mu       sync.Mutex // guards what follows
	ops      []*history.Op
	attempts map[string]int // executions so far, by run and call
	ends     map[string]history.End
	endedAt  map[string]int64 // runs
	faults   []history.Fault
	perils   []*peril
}

func newRecorder() *recorder {
	return &recorder{began: time.Now(), attempts: map[string]int{}, ends: map[string]history.End{}, endedAt: map[string]int64{}}
}

// now is the time in nanoseconds, and never the same twice: of two moments the earlier has the lower number, also where the
// clock stands still in between, as it does in virtual time.
func (r *recorder) now() int64 {
	for {
		last := r.last.Load()
		next := max(last+1, int64(time.Since(r.began)))
		if r.last.CompareAndSwap(last, next) {
			return next
		}
	}
}

// attempt is one execution of one call.
type attempt struct {
	r     *recorder
	run   string
	call  string
	n     int
	node  string
	level kvs.Level
	ack   kvs.Ack
	after []string
	seq   int
}

func (r *recorder) begin(run, call, node string, level kvs.Level, ack kvs.Ack, after []string) *attempt {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.attempts[run+"/"+call]
	r.attempts[run+"/"+call] = n + 1
	return &attempt{r: r, run: run, call: call, n: n, node: node, level: level, ack: ack, after: after}
}

// op begins an operation; end it with done.
func (a *attempt) op(kind history.Kind, key string) *history.Op {
	a.seq++
	return &history.Op{
		ID: int(a.r.ids.Add(1)), Run: a.run, Call: a.call, Seq: a.seq, After: a.after, Attempt: a.n, Node: a.node,
		Level: a.level.String(), Kind: kind, Key: key, Begin: a.r.now(),
	}
}

func (a *attempt) done(o *history.Op, result history.Result) {
	o.Result = result
	if result != history.Unknown {
		o.End = a.r.now()
	}
	switch o.Kind {
	case history.Write, history.Delete, history.Increment:
		o.Ack = a.ack.String()
	}
	a.r.mu.Lock()
	defer a.r.mu.Unlock()
	a.r.ops = append(a.r.ops, o)
}

// id names a write of this attempt, as no other is named.
func (a *attempt) id() string { return fmt.Sprintf("%s/%s.%d.%d", a.run, a.call, a.n, a.seq) }

// ended notes a run's end.
func (r *recorder) ended(e history.End) {
	at := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ends[e.Run], r.endedAt[e.Run] = e, at
}

func (r *recorder) fault(kind, detail string) {
	at := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, history.Fault{Kind: kind, At: at, Detail: detail})
}

// faultsOf notes how many faults of a kind there were until now: of those that are too many to be noted one by one.
func (r *recorder) faultsOf(kind string, n uint64) {
	if n == 0 {
		return
	}
	at := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, history.Fault{Kind: kind, At: at, N: int(n)})
}

// history is all of it. What a function kept back until it returned is written only if its attempt counted; else nobody
// knows, for its node may have died in between. An increment that a cache acknowledged stands as stored if its node outlived
// it.
func (r *recorder) history(finals []history.Final) *history.History {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := &history.History{Finals: finals, Faults: r.faults}
	seen := r.shown(finals)
	dropped := map[string][]string{} // writes that are left out, and what they replaced
	for _, o := range r.ops {
		if r.aborted(o, seen) && o.Kind == history.Write {
			dropped[o.Values[0]] = o.Replaces
		}
	}
	for _, o := range r.ops {
		if r.aborted(o, seen) {
			continue
		}
		o.Replaces = through(o.Replaces, dropped)
		if o.Kind == history.Increment && o.Result == history.OK && o.Ack == kvs.Cached.String() && r.outlived(o) {
			o.Ack = kvs.Stored.String()
		}
		level, _ := kvs.ParseLevel(o.Level) // it is one
		writes := o.Kind == history.Write || o.Kind == history.Delete
		if kept := level.Causal() || level == kvs.Transaction; kept && writes && o.Result == history.OK {
			e, ok := r.ends[o.Run]
			if n, named := e.Attempts[o.Call]; !ok || e.Outcome != history.OK || !named || n != o.Attempt {
				o.Result, o.End = history.Unknown, 0
			} else {
				o.End = r.endedAt[o.Run] // acknowledged at the latest
			}
		}
		h.Ops = append(h.Ops, *o)
	}
	for _, e := range r.ends {
		h.Ends = append(h.Ends, e)
	}
	return h
}

// underWay is how long, at most, what a cache has acknowledged waits for the store where nothing worse than a moment without
// store befalls its node: 50 ms, and the pauses between tries.
const underWay = 2 * time.Second

// peril is a time in which a node is gone or may be taken for dead, and what it has not stored is lost.
type peril struct {
	node     string
	from, to int64
}

// endanger begins a peril; over ends it, where it ends.
func (r *recorder) endanger(node string) (over func()) {
	p := &peril{node, r.now(), math.MaxInt64 - int64(underWay)}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.perils = append(r.perils, p)
	return func() {
		at := r.now()
		r.mu.Lock()
		defer r.mu.Unlock()
		p.to = at
	}
}

// outlived reports whether no peril of the node that acknowledged an operation came before it can have stored it: then the
// operation may not be lost, whatever its acknowledgement says.
func (r *recorder) outlived(o *history.Op) bool {
	return !slices.ContainsFunc(r.perils, func(p *peril) bool {
		return p.node == o.Node && p.from-int64(underWay) < o.End && o.Begin < p.to+int64(underWay)
	})
}

// aborted reports whether an operation belongs to an execution of a transaction that did not commit, or of which nobody
// has seen that it did: a run commits once, as a whole. seen are the write ids that other runs, or the store at the end,
// have shown.
func (r *recorder) aborted(o *history.Op, seen map[string]bool) bool {
	if o.Level != kvs.Transaction.String() {
		return false
	}
	e := r.ends[o.Run]
	if e.Outcome == history.OK {
		n, named := e.Attempts[o.Call]
		return !named || n != o.Attempt
	}
	return e.Outcome == history.Failed || o.Kind != history.Write || !seen[o.Values[0]]
}

// shown are the write ids that runs other than their own, or the store, have shown.
func (r *recorder) shown(finals []history.Final) map[string]bool {
	out := map[string]bool{}
	for _, f := range finals {
		for _, id := range f.Values {
			out[id] = true
		}
	}
	for _, o := range r.ops {
		if o.Kind == history.Read {
			for _, id := range o.Values {
				if !strings.HasPrefix(id, o.Run+"/") {
					out[id] = true
				}
			}
		}
	}
	return out
}

// through gives ids with those that were dropped replaced by what they had replaced.
func through(ids []string, dropped map[string][]string) []string {
	var out []string
	for _, id := range ids {
		if before, gone := dropped[id]; gone {
			out = append(out, through(before, dropped)...)
		} else {
			out = append(out, id)
		}
	}
	return out
}
