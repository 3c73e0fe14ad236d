package check

import (
	"maps"
	"math/rand/v2"
	"strconv"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/executor/runtime/native"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/internal/history"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/value"
)

// task is what one step of a run does.
type task struct {
	Call   string
	After  []string
	Level  kvs.Level
	Ack    kvs.Ack
	Reads  []string
	Again  bool // reads its keys twice
	Writes []string
	Count  string // a counter to add one to
}

// trail is what the steps before have done: a step's result.
type trail struct {
	Attempts map[string]int      // that counted, by call
	Seen     map[string][]string // write ids, by key: what may be replaced
}

func (t trail) join(o trail) trail {
	out := trail{Attempts: map[string]int{}, Seen: map[string][]string{}}
	for _, x := range []trail{t, o} {
		maps.Copy(out.Attempts, x.Attempts)
		for k, ids := range x.Seen {
			out.Seen[k] = append(out.Seen[k], ids...)
		}
	}
	return out
}

// functions are what an executor has: even ones have no "odd", odd ones no "even", so that chains go from node to node.
func functions(node string, odd bool, rec *recorder) (*native.Registry, error) {
	r := native.New()
	step := fn.Native2(func(c fn.Context, t task, before trail) (trail, error) { return run(c, rec, node, t, before) })
	join := fn.Native3(func(c fn.Context, t task, a, b trail) (trail, error) { return run(c, rec, node, t, a.join(b)) })
	name := "even"
	if odd {
		name = "odd"
	}
	for f, impl := range map[string]fn.Impl{name: step, "join": join} {
		if _, err := r.Add(f, impl); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// run is one step.
func run(c fn.Context, rec *recorder, node string, t task, before trail) (trail, error) {
	a := rec.begin(c.RunID(), t.Call, node, t.Level, t.Ack, t.After)
	out := before.join(trail{Attempts: map[string]int{t.Call: a.n}})
	reads := t.Reads
	if t.Again {
		reads = append(reads[:len(reads):len(reads)], reads...)
	}
	for _, key := range reads {
		if err := read(c, a, key, out.Seen); err != nil {
			return out, err
		}
	}
	for _, key := range t.Writes {
		if err := write(c, a, key, out.Seen); err != nil {
			return out, err
		}
	}
	if t.Count != "" {
		if err := count(c, a, t.Count); err != nil {
			return out, err
		}
	}
	return out, nil
}

func read(c fn.Context, a *attempt, key string, seen map[string][]string) error {
	o := a.op(history.Read, key)
	vs, err := c.SiblingValues(key)
	if err != nil && !fault.Is(err, fault.NotFound) {
		a.done(o, history.Failed)
		return err
	}
	for _, v := range vs {
		id, err := value.As[string](v)
		if err != nil {
			a.done(o, history.Failed)
			return err
		}
		o.Values = append(o.Values, id)
	}
	seen[key] = o.Values
	a.done(o, history.OK)
	return nil
}

func write(c fn.Context, a *attempt, key string, seen map[string][]string) error {
	o := a.op(history.Write, key)
	o.Values, o.Replaces = []string{a.id()}, seen[key]
	err := c.PutValue(key, value.MustOf(o.Values[0]), fn.PutOptions{})
	if err != nil {
		a.done(o, history.Unknown)
		return err
	}
	seen[key] = o.Values
	a.done(o, history.OK)
	return nil
}

// count adds one. A step that is executed again adds the same one.
func count(c fn.Context, a *attempt, key string) error {
	o := a.op(history.Increment, key)
	o.Values = []string{a.run + "/" + a.call}
	_, err := c.UpdateValue(key, lattice.Op{Kind: lattice.Add, Arg: value.MustOf(1)})
	if err != nil {
		a.done(o, history.Unknown)
		return err
	}
	a.done(o, history.OK)
	return nil
}

// shapes are the graphs that runs are of, by name.
func shapes() (map[string]*dag.Graph, error) {
	out := map[string]*dag.Graph{}
	parity := func(i int) string {
		if i%2 == 0 {
			return "even"
		}
		return "odd"
	}
	for n := 1; n <= 5; n++ {
		b := dag.New("chain" + strconv.Itoa(n))
		var last any = trail{}
		for i := range n {
			last = b.Call("n"+strconv.Itoa(i), parity(i), b.Input("t"+strconv.Itoa(i)), last)
		}
		b.Output("y", last.(dag.Ref))
		g, err := b.Build()
		if err != nil {
			return nil, err
		}
		out[g.Name] = g
	}
	b := dag.New("diamond")
	top := b.Call("n0", "even", b.Input("t0"), trail{})
	b.Output("y", b.Call("n3", "join", b.Input("t3"), b.Call("n1", "even", b.Input("t1"), top), b.Call("n2", "odd", b.Input("t2"), top)))
	g, err := b.Build()
	if err != nil {
		return nil, err
	}
	out[g.Name] = g
	return out, nil
}

// runsPerCounter is how many runs, one after the other, share a counter that only caches answer for.
const runsPerCounter = 12

// tasks draws what the nth run of a level, of a shape, does.
func (c *Config) tasks(rng *rand.Rand, nth int, shape string, level kvs.Level, ack kvs.Ack) []task {
	n := 4
	if shape != "diamond" {
		n = int(shape[len(shape)-1] - '0')
	}
	tag := ""
	if level == kvs.Transaction {
		tag = "{" + strconv.Itoa(rng.IntN(4)) + "}"
	}
	key := func() string { // some keys are drawn far more often than others
		k := int(float64(c.Keys) * rng.Float64() * rng.Float64() * rng.Float64())
		if level == kvs.Strong { // the search for a linearization takes long where one key has many operations
			k = rng.IntN(max(c.Keys/3, 1))
		}
		return level.String() + "/" + tag + strconv.Itoa(k)
	}
	out := make([]task, n)
	for i := range out {
		t := task{Call: "n" + strconv.Itoa(i), Level: level, Ack: ack, Again: rng.IntN(4) == 0}
		switch {
		case shape == "diamond" && (i == 1 || i == 2):
			t.After = []string{"n0"}
		case shape == "diamond" && i == 3:
			t.After = []string{"n1", "n2"}
		case i > 0:
			t.After = []string{"n" + strconv.Itoa(i-1)}
		}
		for range 1 + rng.IntN(2) {
			t.Reads = append(t.Reads, key())
		}
		if rng.IntN(3) > 0 {
			w := key()
			if rng.IntN(3) > 0 { // mostly what was read
				w = t.Reads[rng.IntN(len(t.Reads))]
			} else if level == kvs.Transaction || level.Causal() { // or read now: what is put blindly piles up
				t.Reads = append(t.Reads, w)
			}
			t.Writes = append(t.Writes, w)
		}
		if level == kvs.LWW && rng.IntN(3) == 0 {
			// Each acknowledgement has its own: increments that may be lost with a node, and were not, hide the loss of others.
			// So those that a cache acknowledges have many counters, too: some will see no node in peril.
			which := rng.IntN(4)
			if ack == kvs.Cached {
				which = nth / runsPerCounter
			}
			t.Count = "counter/" + ack.String() + "/" + strconv.Itoa(which)
		}
		out[i] = t
	}
	return out
}
