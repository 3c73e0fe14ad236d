package client

import (
	"context"
	"slices"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/caller"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/sched"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// Inputs are a DAG's inputs by name: Go values, or Ref for a value in the store.
type Inputs map[string]any

// Ref is an argument that stands for the value under a key: resolved by the executor's cache, and the call is placed
// where the key is cached.
type Ref = value.Ref

// Outputs are what a run answered with.
type Outputs struct {
	names  []string
	values []value.Value
	run    id.Run
	took   time.Duration
	stats  []NodeStat
}

// Value gives an output by name, and whether there is one.
func (o Outputs) Value(name string) (value.Value, bool) {
	i := slices.Index(o.names, name)
	if i < 0 {
		return value.Value{}, false
	}
	return o.values[i], true
}

// Names lists the outputs, in the order in which the DAG names them.
func (o Outputs) Names() []string { return slices.Clone(o.names) }

// Run is the id of the run.
func (o Outputs) Run() string { return o.run.String() }

// Took is the time from the run's first value at its last executor to the reply.
func (o Outputs) Took() time.Duration { return o.took }

// Stats is where the time of the run went, by node; empty unless the call asked with Trace.
func (o Outputs) Stats() []NodeStat { return o.stats }

// NodeStat is where the time of one node went, over all its invocations.
type NodeStat struct {
	Node  string
	Calls int
	Again int           // calls that were retries
	Busy  time.Duration // inside the function, summed
	Wait  time.Duration // for a slot, summed
	Max   time.Duration // the longest call
}

// Output gives an output as a T: wrong_type where it is not one, not_found where there is none of that name.
func Output[T any](o Outputs, name string) (T, error) {
	v, ok := o.Value(name)
	if !ok {
		var zero T
		return zero, fault.New(fault.NotFound, "the run has no output %q: it has %q", name, o.Names())
	}
	return value.As[T](v)
}

// Call calls a function and gives its result as an O.
//
//	n, err := client.Call[int](ctx, c, "increment", 41)
//
// ctx's deadline is the run's, one minute where it has none; cancelling ctx cancels the run.
func Call[O any](ctx context.Context, c *Client, function string, args ...any) (O, error) {
	var zero O
	v, err := c.CallValue(ctx, function, args)
	if err != nil {
		return zero, err
	}
	return value.As[O](v)
}

// CallValue calls a function with options and gives its result undecoded.
func (c *Client) CallValue(ctx context.Context, function string, args []any, opts ...CallOption) (value.Value, error) {
	req, err := request(wire.TargetFunction, function, opts)
	if err != nil {
		return value.Value{}, err
	}
	if req.Values, err = values(args); err != nil {
		return value.Value{}, err
	}
	r, err := c.caller.Call(ctx, req)
	if err != nil {
		return value.Value{}, err
	}
	if len(r.Values) != 1 {
		return value.Value{}, fault.New(fault.Internal, "function %s answered with %d values", function, len(r.Values))
	}
	return r.Values[0], nil
}

// CallDAG runs a DAG and waits for its outputs. ctx's deadline is the run's, one minute where it has none; cancelling
// ctx cancels the run. With Durable the run is stored first and goes on whatever happens to this client.
func (c *Client) CallDAG(ctx context.Context, dag string, in Inputs, opts ...CallOption) (Outputs, error) {
	req, err := dagRequest(dag, in, opts)
	if err != nil {
		return Outputs{}, err
	}
	r, err := c.caller.Call(ctx, req)
	if err != nil {
		return Outputs{}, err
	}
	return outputs(r), nil
}

// StartDAG starts a DAG and returns once it is admitted: with Durable, once it is stored. ctx bounds the admission; the
// run itself has 24 hours, or what RunTime says. A DAG that is not registered is unknown_dag here, not later.
func (c *Client) StartDAG(ctx context.Context, dag string, in Inputs, opts ...CallOption) (*Run, error) {
	req, err := dagRequest(dag, in, opts)
	if err != nil {
		return nil, err
	}
	run, err := c.caller.Start(ctx, req)
	if err != nil {
		return nil, err
	}
	return &Run{c, run}, nil
}

// Start is StartDAG for a function; its run's only output is "result".
func (c *Client) Start(ctx context.Context, function string, args []any, opts ...CallOption) (*Run, error) {
	req, err := request(wire.TargetFunction, function, opts)
	if err != nil {
		return nil, err
	}
	if req.Values, err = values(args); err != nil {
		return nil, err
	}
	run, err := c.caller.Start(ctx, req)
	if err != nil {
		return nil, err
	}
	return &Run{c, run}, nil
}

func dagRequest(dag string, in Inputs, opts []CallOption) (caller.Request, error) {
	req, err := request(wire.TargetDAG, dag, opts)
	if err != nil {
		return req, err
	}
	for name, x := range in {
		v, err := value.Of(x)
		if err != nil {
			return req, fault.New(fault.WrongType, "input %s: %w", name, err)
		}
		req.Inputs = append(req.Inputs, name)
		req.Values = append(req.Values, v)
	}
	return req, nil
}

func request(target wire.Target, name string, opts []CallOption) (caller.Request, error) {
	var o callOptions
	for _, opt := range opts {
		opt.call(&o)
	}
	req := caller.Request{Target: target, Name: name, RunTime: o.runTime, Trace: o.trace, Level: o.level, Ack: o.ack, Priority: o.priority}
	if err := sched.CheckPriority(o.priority); err != nil {
		return req, err
	}
	if err := o.level.Check(); err != nil {
		return req, err
	}
	if o.ack > kvs.Durable {
		return req, fault.New(fault.InvalidArgument, "acknowledgement %d is none: use kvs.Cached, kvs.Stored or kvs.Durable", o.ack)
	}
	if o.durable {
		req.Mode |= wire.Durable
	}
	if o.once != "" {
		req.Run = id.RunFromKey(target.String()+"/"+name, o.once)
		req.Mode |= wire.Kept
	}
	if o.runTime < 0 {
		return req, fault.New(fault.InvalidArgument, "a run time of %v: give a positive one, or 0 for 24 hours", o.runTime)
	}
	return req, nil
}

func values(args []any) ([]value.Value, error) {
	out := make([]value.Value, len(args))
	for i, x := range args {
		v, err := value.Of(x)
		if err != nil {
			return nil, fault.New(fault.WrongType, "argument %d: %w", i+1, err)
		}
		out[i] = v
	}
	return out, nil
}

func outputs(r *caller.Result) Outputs {
	o := Outputs{names: r.Names, values: r.Values, run: r.Run, took: r.Took}
	for _, s := range r.Stats {
		o.stats = append(o.stats, NodeStat{
			Node: s.Name, Calls: s.Count, Again: s.Tries, Busy: time.Duration(s.Busy), Wait: time.Duration(s.Wait), Max: time.Duration(s.Max),
		})
	}
	return o
}
