package load

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/internal/load/ops"
	"github.com/squall-faas/squall/internal/ycsb"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// Functions is Squall's functions, which carry out the operations of a call on the cache of the node that they run on; or, of
// a workload of DAGs, whole runs. Reads are verified there.
type Functions struct {
	Client *client.Client // closed by who made it
	// Register makes a function of this package's callable under a name; nil where executors have them.
	Register   func(ctx context.Context, name, function string) error
	Durability string // what the servers were set up for, for reports; what writes wait for stands before it

	w     *ycsb.Workload
	setup ops.Setup
	calls []client.CallOption
}

// The functions, as Register names them.
const (
	fnDo     = "Do"
	fnStep   = "Step"
	fnJoin   = "Join"
	fnSplit  = "Split"
	fnPart   = "Part"
	fnGather = "Gather"
)

// Impls are the functions by name, natively.
func Impls() map[string]fn.Impl {
	return map[string]fn.Impl{
		fnDo: fn.Native(ops.Do), fnStep: fn.Native2(ops.Step), fnJoin: fn.Native3(ops.Join),
		fnSplit: fn.Native2(ops.Split), fnPart: fn.Native(ops.Part), fnGather: fn.Native2(ops.Gather),
	}
}

// Needs are the names that a workload's functions are registered under, and which function each is.
func Needs(w *ycsb.Workload) map[string]string {
	if w.DAG == nil {
		return map[string]string{registered(fnDo, 0): fnDo}
	}
	out := map[string]string{registered(fnDo, 0): fnDo} // loads the records
	for i := range w.DAG.Functions {
		for _, f := range shapeFunctions(w.DAG) {
			out[registered(f, i)] = f
		}
	}
	return out
}

func shapeFunctions(d *ycsb.DAG) []string {
	switch d.Shape {
	case ycsb.Chain:
		return []string{fnStep}
	case ycsb.FanOut:
		return []string{fnSplit, fnPart, fnGather}
	}
	return []string{fnStep, fnJoin}
}

// registered is the name of a function; each DAG has its own.
func registered(function string, i int64) string { return fmt.Sprintf("ycsb-%s-%d", function, i) }

func dagName(d *ycsb.DAG, i int64) string { return fmt.Sprintf("ycsb-%s-%d", d.Shape, i) }

// Open implements Target.
func (f *Functions) Open(ctx context.Context, w *ycsb.Workload, _ int) error {
	f.w = w
	f.setup = ops.Setup{Workload: ops.Describe(w), Check: w.Integrity, Reads: w.Level.Causal(), Ack: w.Ack.String()}
	f.calls = []client.CallOption{client.Consistency(w.Level)}
	if w.Ack != kvs.AckDefault {
		f.calls = append(f.calls, client.WriteAck(w.Ack))
	}
	if err := f.register(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, firstCallWait)
	defer cancel()
	if err := f.call(ctx, nil, nil); err != nil {
		return err
	}
	if w.DAG == nil {
		return nil
	}
	for i := range w.DAG.Functions {
		g, err := graph(w.DAG, i)
		if err != nil {
			return err
		}
		if _, err := f.Client.RegisterDAG(ctx, g); err != nil {
			return err
		}
		if err := f.run(ctx, &Op{Op: ycsb.Op{Kind: ycsb.Run, Record: i}}); err != nil {
			return err
		}
	}
	return nil
}

// firstCallWait bounds the first calls, one of each function: a module is compiled then, which may take longer than a call
// of the run should.
const firstCallWait = 5 * time.Minute

// register has all functions callable.
func (f *Functions) register(ctx context.Context) error {
	needs := Needs(f.w)
	if f.Register != nil {
		for name, function := range needs {
			if err := f.Register(ctx, name, function); err != nil {
				return err
			}
		}
		return nil
	}
	there, err := f.Client.Functions(ctx)
	if err != nil {
		return err
	}
	for _, s := range there {
		delete(needs, s.Name)
	}
	for name := range needs {
		return fault.New(fault.UnknownFunction, "no executor has the function %s: let squall bench ycsb start executors, or register it as WebAssembly", name)
	}
	return nil
}

// graph is the i-th DAG of a shape.
func graph(d *ycsb.DAG, i int64) (*dag.Graph, error) {
	b := dag.New(dagName(d, i))
	in := b.Input("in")
	node := 0
	step := func(from dag.Ref) dag.Ref {
		at := b.Call(fmt.Sprint("n", node), registered(fnStep, i), node, from)
		node++
		return at
	}
	switch d.Shape {
	case ycsb.Chain:
		at := in
		for range d.Length {
			at = step(at)
		}
		b.Output("out", at)
	case ycsb.FanOut:
		parts := b.Map("parts", registered(fnPart, i), b.Call("split", registered(fnSplit, i), d.Width, in))
		b.Output("out", b.Call("gather", registered(fnGather, i), d.Width+1, parts))
	default:
		source := step(in)
		ends := make([]dag.Ref, d.Width)
		for k := range ends {
			ends[k] = source
			for range d.Length {
				ends[k] = step(ends[k])
			}
		}
		at := ends[0]
		if len(ends) == 1 {
			at = step(at)
		}
		for _, end := range ends[1:] {
			at = b.Call(fmt.Sprint("n", node), registered(fnJoin, i), node, at, end)
			node++
		}
		b.Output("out", at)
	}
	return b.Build()
}

// Worker implements Target.
func (f *Functions) Worker(context.Context, int) (Worker, error) {
	if f.w.DAG != nil {
		return bounded{each(f.run)}, nil
	}
	return bounded{&functionWorker{f: f}}, nil
}

// run runs a DAG. The payload comes back at the end.
func (f *Functions) run(ctx context.Context, op *Op) error {
	if op.Kind == ycsb.Insert { // of the load phase
		return f.call(ctx, []Op{*op}, nil)
	}
	message := ops.AppendMessage(nil, f.setup, &op.Op, f.w.DAG.Payload)
	out, err := f.Client.CallDAG(ctx, dagName(f.w.DAG, op.Record), client.Inputs{"in": message}, f.calls...)
	if err != nil {
		return err
	}
	back, err := client.Output[[]byte](out, "out")
	if err != nil {
		return err
	}
	if len(back) < len(message) || !slices.Equal(back[len(back)-f.w.DAG.Payload:], message[len(message)-f.w.DAG.Payload:]) {
		return fault.New(fault.Internal, "the run of %s came back with another payload: %d bytes for %d", dagName(f.w.DAG, op.Record), len(back), len(message))
	}
	return nil
}

type functionWorker struct {
	f *Functions
}

// Do implements Worker.
func (w *functionWorker) Do(ctx context.Context, all []Op) error {
	return w.f.call(ctx, all, func(n, missing, damaged int, err error) {
		if n < len(all) {
			all[n].Missing, all[n].Damaged, all[n].Err = missing, damaged, err
		}
	})
}

// call has a function carry out operations.
func (f *Functions) call(ctx context.Context, all []Op, outcome func(n, missing, damaged int, err error)) error {
	args := make([]byte, 0, 64+len(f.setup.Workload)+12*len(all))
	args = ops.AppendSetup(args, f.setup)
	for i := range all {
		args = ops.AppendOp(args, &all[i].Op)
	}
	v, err := f.Client.CallValue(ctx, registered(fnDo, 0), []any{args}, f.calls...)
	if err != nil {
		return err
	}
	b, err := value.As[[]byte](v)
	if err != nil {
		return err
	}
	var first error
	err = ops.Outcomes(b, func(n, missing, damaged int, err error) {
		if outcome != nil {
			outcome(n, missing, damaged, err)
		} else if first == nil {
			first = err
		}
	})
	if err != nil {
		return err
	}
	return first
}

// Stored implements Target.
func (f *Functions) Stored(ctx context.Context, keys []string) ([][]byte, error) {
	return storedRecords(ctx, f.Client.Store(), keys)
}

// Counter implements Target.
func (f *Functions) Counter(ctx context.Context, key string) (int64, error) {
	return storedCounter(ctx, f.Client, key)
}

// settleCached is how long a write that a cache has acknowledged is waited for: caches store it within 50 ms, or as soon as
// the store answers again.
const settleCached = 10 * time.Second

// Traits implements Target.
func (f *Functions) Traits() Traits {
	t := Traits{Name: "functions", Durability: f.Durability, OwnRecords: true, OwnKeys: true}
	ack := kvs.Cached
	if f.w != nil && f.w.Ack != kvs.AckDefault {
		ack = f.w.Ack
	}
	if ack == kvs.Cached {
		t.Settle = settleCached
	}
	t.Durability = ack.String()
	if f.Durability != "" {
		t.Durability += "+" + f.Durability
	}
	return t
}

// Close implements Target; the client is its maker's.
func (*Functions) Close() error { return nil }
