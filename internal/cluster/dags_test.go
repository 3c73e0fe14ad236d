package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/executor/runtime/native"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/internal/bus"
)

// TestRandomDAGs runs random DAGs, each once, and holds what they give against a sequential interpreter: without faults; with
// functions that fail as often as they may be tried again, executors that die, messages that are lost, repeated and reordered,
// and callers who call again where the error says that they may; and with functions that go on failing, a poison limit, and
// callers who do not. In the first two every run succeeds. In the last each run that does not gives one clear error, and their
// share is printed.
//
// Without faults there are 1,000 DAGs, else 100; SQUALL_DAGS=n is how many each test has, SQUALL_SEED=n repeats one.
func TestRandomDAGs(t *testing.T) {
	count := 0
	if s := os.Getenv("SQUALL_DAGS"); s != "" {
		var err error
		if count, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	seed := rand.Uint64() >> 1
	if s := os.Getenv("SQUALL_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []dagFaults{{name: "none"}, {name: "inside the budget", fail: 30, crash: true, calls: 4}, {name: "beyond it", fail: 30, ever: 4, crash: true, poison: 2}} {
		t.Run(f.name, func(t *testing.T) {
			n := count
			switch {
			case n > 0:
			case f.crash || testing.Short():
				n = 100
			default:
				n = 1000
			}
			runRandomDAGs(t, f, n, seed)
		})
	}
}

// dagFaults are what befalls the runs of a test.
type dagFaults struct {
	name   string
	fail   uint64 // percent of invocations that fail, once or twice
	ever   uint64 // percent that fail whenever they are tried
	crash  bool   // executors die, and messages suffer
	poison int    // executors that may die under a run; 0 is without bound
	calls  int    // how often a caller calls, as long as the error says that it may: a sync call's message may be lost
}

const (
	dagRetries = 2
	dagCallers = 16
)

// fate is how often an invocation fails; it is known by its function and arguments alone.
func (f *dagFaults) fate(call string) int {
	h := fnv.New64a()
	_, _ = h.Write([]byte(call))
	switch x := h.Sum64(); {
	case x%100 < f.ever:
		return 1 << 20
	case x%100 < f.ever+f.fail:
		return 1 + int(x>>32)%dagRetries
	}
	return 0
}

// dagRuns is one test.
type dagRuns struct {
	*testing.T
	w *world
	f dagFaults

	mu     sync.Mutex     // guards what follows
	failed map[string]int // by run and call
	codes  map[fault.Code]int
	nodes  int
	again  int // calls that were made again
}

// wobble fails as the call's fate is, and takes its time.
func (r *dagRuns) wobble(c fn.Context, call string) error {
	select {
	case <-time.After(time.Duration(len(call)*7919%300) * time.Millisecond): // of virtual time
	case <-c.Done():
		return c.Err()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	key := c.RunID() + " " + call
	if r.failed[key] < r.f.fate(call) {
		r.failed[key]++
		return fault.New(fault.Unavailable, "%s does not work yet", call)
	}
	return nil
}

// functions are what an executor has: even ones lack "inc", odd ones "double", so that runs cross.
func (r *dagRuns) functions(executor string, to *native.Registry) {
	add := func(name string, impl fn.Impl) {
		if _, err := to.Add(name, impl); err != nil {
			panic(err)
		}
	}
	one := func(name string, f func(x int) int) {
		add(name, fn.Native(func(c fn.Context, x int) (int, error) { return f(x), r.wobble(c, fmt.Sprint(name, x)) }))
	}
	if executor[len(executor)-1]%2 == 0 {
		one("double", func(x int) int { return 2 * x })
	} else {
		one("inc", func(x int) int { return x + 1 })
	}
	add("add", fn.Native2(func(c fn.Context, x, y *int) (int, error) {
		return orZero(x) + orZero(y), r.wobble(c, fmt.Sprint("add", orZero(x), orZero(y)))
	}))
	add("range", fn.Native(func(c fn.Context, x int) ([]int, error) { return upTo(x), r.wobble(c, fmt.Sprint("range", x)) }))
	add("total", fn.Native(func(c fn.Context, xs []int) (int, error) { return total(xs), r.wobble(c, fmt.Sprint("total", xs)) }))
	add("plus", fn.Native2(func(_ fn.Context, x, y int) (int, error) { return x + y, nil }))
	add("same", fn.Native(func(_ fn.Context, x int) (int, error) { return x, nil }))
	add("count", fn.Native(func(_ fn.Context, parts []fn.Part) (int, error) { return len(parts), nil }))
}

func orZero(x *int) int {
	if x == nil {
		return 0
	}
	return *x
}

func upTo(x int) []int {
	out := make([]int, 1+x%5)
	for i := range out {
		out[i] = x + i
	}
	return out
}

func total(xs []int) (sum int) {
	for _, x := range xs {
		sum += x
	}
	return sum
}

// drawn is a source of a random DAG with what it comes to.
type drawn struct {
	ref   dag.Ref
	there bool // else it is skipped
	value int
	list  []int // where it is one
}

// dagDrawing draws one DAG.
type dagDrawing struct {
	*dag.Builder
	rng   *rand.Rand
	f     *dagFaults
	ints  []drawn
	lists []drawn
	n     int
	fatal map[string]bool // nodes of which an invocation fails whatever is tried
}

func (d *dagDrawing) pick(of []drawn) drawn { return of[d.rng.IntN(len(of))] }

// name gives the next node's; calls are its wobbly invocations, where it runs.
func (d *dagDrawing) name(there bool, calls ...string) string {
	d.n++
	name := fmt.Sprint("n", d.n)
	for _, call := range calls {
		if there && d.f.fate(call) > dagRetries {
			d.fatal[name] = true
		}
	}
	return name
}

// when puts a condition on an edge now and then.
func (d *dagDrawing) when(x drawn) drawn {
	if d.rng.IntN(6) > 0 {
		return x
	}
	least := d.rng.IntN(40)
	x.ref = dag.When(x.ref, dag.Field().AtLeast(least))
	x.there = x.there && x.value >= least
	return x
}

// node adds one of any kind.
func (d *dagDrawing) node() {
	retry := dag.Retries(dagRetries, 10*time.Millisecond)
	switch d.rng.IntN(9) {
	case 0, 1:
		f, by := "inc", func(x int) int { return x + 1 }
		if d.rng.IntN(2) == 0 {
			f, by = "double", func(x int) int { return 2 * x }
		}
		x := d.when(d.pick(d.ints))
		d.ints = append(d.ints, drawn{d.Call(d.name(x.there, fmt.Sprint(f, x.value)), f, x.ref, retry), x.there, by(x.value) % 1000, nil})
		if by(x.value) >= 1000 {
			d.ints[len(d.ints)-1].value = by(x.value)
		}
	case 2, 3:
		x, y := d.when(d.pick(d.ints)), d.when(d.pick(d.ints))
		a, b := x.value, y.value
		if !x.there {
			a = 0
		}
		if !y.there {
			b = 0
		}
		there := x.there || y.there
		d.ints = append(d.ints, drawn{d.Call(d.name(there, fmt.Sprint("add", a, b)), "add", x.ref, y.ref, retry), there, a + b, nil})
	case 4:
		x := d.when(d.pick(d.ints))
		d.lists = append(d.lists, drawn{d.Call(d.name(x.there, fmt.Sprint("range", x.value)), "range", x.ref, retry), x.there, 0, upTo(x.value)})
	case 5:
		if len(d.lists) == 0 {
			return
		}
		xs := d.pick(d.lists)
		out := drawn{there: xs.there}
		var calls []string
		for _, x := range xs.list {
			out.list = append(out.list, 2*x)
			calls = append(calls, fmt.Sprint("double", x))
		}
		out.ref = d.Map(d.name(xs.there, calls...), "double", xs.ref, retry)
		d.lists = append(d.lists, out)
	case 6:
		if len(d.lists) == 0 {
			return
		}
		xs := d.pick(d.lists)
		if d.rng.IntN(2) == 0 {
			d.ints = append(d.ints, drawn{d.Reduce(d.name(false), "plus", xs.ref, retry), xs.there, total(xs.list), nil})
			return
		}
		d.ints = append(d.ints, drawn{d.Call(d.name(xs.there, fmt.Sprint("total", xs.list)), "total", xs.ref, retry), xs.there, total(xs.list), nil})
	case 7: // two ways to one value: whichever comes first
		x := d.when(d.pick(d.ints))
		var ways []dag.Ref
		for range 2 {
			ways = append(ways, d.Call(d.name(x.there, fmt.Sprint("inc", x.value)), "inc", x.ref, retry))
		}
		d.ints = append(d.ints, drawn{d.Call(d.name(false), "same", dag.Any(ways...), retry), x.there, x.value + 1, nil})
	case 8:
		some := slices.Clone(d.ints)
		d.rng.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
		some = some[:1+d.rng.IntN(min(len(some), 5))]
		var refs []dag.Ref
		present := 0
		for _, x := range some {
			refs = append(refs, x.ref)
			if x.there {
				present++
			}
		}
		k := 1 + d.rng.IntN(len(refs))
		d.ints = append(d.ints, drawn{d.Call(d.name(false), "count", dag.KOf(k, refs...), retry), present >= k, k, nil})
	}
}

// randomDAG draws a DAG of some nodes, with an input, and what its outputs come to: nil for one that is skipped.
func randomDAG(rng *rand.Rand, f *dagFaults, name string) (g *dag.Graph, x int, want map[string]*int, fatal map[string]bool, err error) {
	d := &dagDrawing{Builder: dag.New(name), rng: rng, f: f, fatal: map[string]bool{}}
	x = rng.IntN(50)
	d.ints = []drawn{{d.Input("x"), true, x, nil}}
	for most := 2 + rng.IntN(14); d.n < most; {
		d.node()
	}
	want = map[string]*int{}
	last := len(d.ints) - 1
	for i := range 1 + rng.IntN(2) {
		out := d.ints[last-i*rng.IntN(last+1)]
		name := fmt.Sprint("y", i)
		if d.Output(name, out.ref); out.there {
			want[name] = &out.value
		} else {
			want[name] = nil
		}
	}
	g, err = d.Build()
	return g, x, want, d.fatal, err
}

func runRandomDAGs(t *testing.T, f dagFaults, count int, seed uint64) {
	r := &dagRuns{T: t, f: f, failed: map[string]int{}, codes: map[fault.Code]int{}}
	edit := func(w *world) {
		w.compiled, w.slots = r.functions, 4
		if w.cfg.Crashes = f.poison; f.poison == 0 {
			w.cfg.Crashes = 1 << 20
		}
	}
	inSeededWorld(t, bus.Options{Seed: seed | 1}, "", edit, func(t *testing.T, w *world) {
		r.T, r.w = t, w
		t.Logf("seed %d", seed)
		s := &soaking{T: t, w: w, rng: rand.New(rand.NewPCG(seed, 1))}
		for range 4 {
			s.join()
		}
		for _, f := range []string{"inc", "double", "add", "range", "total", "plus", "same", "count"} {
			s.register(f)
		}
		stop := make(chan struct{})
		var faults, calls sync.WaitGroup
		still := func() {}
		if f.crash {
			still = s.unreliable()
			faults.Go(func() { r.crash(s, stop) })
		}
		began := time.Now()
		for k := range dagCallers {
			calls.Go(func() {
				for i := k; i < count; i += dagCallers {
					r.one(rand.New(rand.NewPCG(seed, uint64(100+i))), fmt.Sprint("g", i))
				}
			})
		}
		calls.Wait()
		took := time.Since(began)
		close(stop)
		faults.Wait()
		still()
		time.Sleep(time.Minute) // of virtual time: nobody's part of a run is left
		synctest.Wait()
		if open := w.co.Open(); open != 0 {
			t.Errorf("%d runs are open", open)
		}
		errored := 0
		for _, n := range r.codes {
			errored += n
		}
		t.Logf("%d DAGs of %d nodes together: %d runs succeeded, %d (%.1f %%) did not: %v; %d crashes, %d calls made again, %v of virtual time",
			count, r.nodes, count-errored, errored, 100*float64(errored)/float64(count), r.codes, s.crashes, r.again, took)
		if f.ever == 0 && errored > 0 {
			t.Errorf("inside the budget %d runs failed", errored)
		}
		if f.ever > 0 && count >= 100 && errored == 0 {
			t.Error("no run failed: this shows nothing")
		}
		if f.crash && count >= 100 && s.crashes == 0 {
			t.Error("no executor died: this shows nothing")
		}
	})
}

// crash has executors die, one after another, and others join.
func (r *dagRuns) crash(s *soaking, stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(1000+s.rng.IntN(3000)) * time.Millisecond):
		}
		names := slices.Sorted(maps.Keys(r.w.nodes))
		victim := names[s.rng.IntN(len(names))]
		s.crashes++
		r.w.memory.Network.Crash(victim)
		delete(r.w.nodes, victim)
		for parity := range 2 { // two of each kind
			have := 0
			for name := range r.w.nodes {
				if int(name[len(name)-1])%2 == parity {
					have++
				}
			}
			for ; have < 2; have++ {
				if (s.next+1)%2 != int("0"[0])%2^parity {
					s.next++
				}
				s.join()
			}
		}
	}
}

// one draws a DAG, runs it once, and judges how that ends.
func (r *dagRuns) one(rng *rand.Rand, name string) {
	g, x, want, fatal, err := randomDAG(rng, &r.f, name)
	if err != nil {
		r.Errorf("%s: %v", name, err)
		return
	}
	r.mu.Lock()
	r.nodes += len(g.Nodes)
	r.mu.Unlock()
	if _, err := r.w.client.RegisterDAG(r.w.ctx, g); err != nil {
		r.Errorf("%s: %v\n%s", name, err, g.YAML())
		return
	}
	out, err := r.call(name, x)
	for again := 1; err != nil && again < r.f.calls && fault.From(err).Retryable(); again++ {
		r.mu.Lock()
		r.again++
		r.mu.Unlock()
		out, err = r.call(name, x)
	}
	if err != nil {
		r.judge(g, err, fatal)
		return
	}
	for output, want := range want {
		got, err := client.Output[*int](out, output)
		if err != nil || (got == nil) != (want == nil) || got != nil && *got != *want {
			r.Errorf("%s of %d gives %s = %v, %v; want %v\n%s", name, x, output, shown(got), err, shown(want), g.YAML())
		}
	}
}

func (r *dagRuns) call(name string, x int) (client.Outputs, error) {
	ctx, cancel := context.WithTimeout(r.w.ctx, 2*time.Minute)
	defer cancel()
	return r.w.client.CallDAG(ctx, name, client.Inputs{"x": x})
}

func shown(x *int) string {
	if x == nil {
		return "nothing"
	}
	return strconv.Itoa(*x)
}

// judge holds an error against what it may be: a function's own, of a node that fails whatever is tried; or the poison limit's.
func (r *dagRuns) judge(g *dag.Graph, err error, fatal map[string]bool) {
	var f *fault.Error
	if !errors.As(err, &f) {
		r.Errorf("%s: %v is no error of Squall's", g.Name, err)
		return
	}
	r.mu.Lock()
	r.codes[f.Code]++
	r.mu.Unlock()
	switch {
	case f.Code == fault.Unavailable && fatal[f.Node] && f.Function != "" && f.Run != "" && strings.Contains(f.Message, "does not work yet"):
	case f.Code == fault.ExecutorCrashed && r.f.poison > 0 && strings.Contains(f.Message, "executors died"):
	case f.Code == fault.OutcomeUnknown && r.f.poison > 0 && strings.Contains(f.Message, "may or may not have finished"): // its call was lost
	case f.Code == fault.NoExecutor && r.f.poison > 0 && strings.Contains(f.Message, "no executor that is up has"): // those that have the function are dead
	default:
		r.Errorf("%s: %+v; nodes that fail: %v\n%s", g.Name, f, fatal, g.YAML())
	}
}
