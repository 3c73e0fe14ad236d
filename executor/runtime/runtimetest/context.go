package runtimetest

import (
	"context"
	"fmt"
	"sync"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/value"
)

// RunID is the run of every Context of this package.
const RunID = "0190a2c4-0000-7000-8000-000000000001"

// Context is an fn.Context over maps. It knows the function "double" and the DAG "pair". Safe for concurrent use.
type Context struct {
	context.Context
	post    *post
	address string

	mu       sync.Mutex // guards what follows
	values   map[string]value.Value
	siblings map[string][]value.Value // besides the one in values
	states   map[string]lattice.State
	updates  uint64
	put      fn.PutOptions // of the last write
	lines    []string
}

var _ fn.Context = (*Context)(nil)

// NewContext makes a Context that ends with ctx.
func NewContext(ctx context.Context) *Context { return newContext(ctx, newPost()) }

func newContext(ctx context.Context, p *post) *Context {
	return &Context{
		Context: ctx, post: p, address: p.open(), values: map[string]value.Value{},
		siblings: map[string][]value.Value{}, states: map[string]lattice.State{},
	}
}

// NewPair makes two Contexts that end with ctx, and whose functions can send to each other.
func NewPair(ctx context.Context) (a, b *Context) {
	p := newPost()
	return newContext(ctx, p), newContext(ctx, p)
}

// RunID implements fn.Context.
func (c *Context) RunID() string { return RunID }

// Log implements fn.Context: it keeps the line.
func (c *Context) Log(msg string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines = append(c.lines, fmt.Sprintln(append([]any{msg}, args...)...))
}

// Lines gives what was logged.
func (c *Context) Lines() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.lines...)
}

// GetValue implements fn.Context.
func (c *Context) GetValue(key string) (value.Value, error) {
	vs, err := c.SiblingValues(key)
	if err != nil {
		return value.Value{}, err
	}
	return vs[0], nil
}

// GetValues implements fn.Context.
func (c *Context) GetValues(keys []string) ([]value.Value, error) {
	out := make([]value.Value, len(keys))
	for i, key := range keys {
		v, err := c.GetValue(key)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

// SiblingValues implements fn.Context.
func (c *Context) SiblingValues(key string) ([]value.Value, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.states[key]; s != nil {
		return []value.Value{s.Read()}, nil
	}
	v, ok := c.values[key]
	if !ok {
		return nil, fault.New(fault.NotFound, "there is no value under %q", key)
	}
	return append([]value.Value{v}, c.siblings[key]...), nil
}

// Concurrent adds values to key that are concurrent to the one there.
func (c *Context) Concurrent(key string, vs ...value.Value) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.siblings[key] = append(c.siblings[key], vs...)
}

// PutValue implements fn.Context: it keeps the value and, for LastPut, the options.
func (c *Context) PutValue(key string, v value.Value, o fn.PutOptions) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgetLocked(key)
	c.values[key], c.put = v, o
	return nil
}

// LastPut gives the options of the last write.
func (c *Context) LastPut() fn.PutOptions {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.put
}

// UpdateValue implements fn.Context, as one actor.
func (c *Context) UpdateValue(key string, op lattice.Op) (value.Value, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.updates++
	s, err := lattice.Apply(c.states[key], op, lattice.By{Actor: 1, Stamp: hlc.Stamp{Time: c.updates, Node: 1}})
	if err != nil {
		return value.Value{}, err
	}
	c.states[key] = s
	return s.Read(), nil
}

// Delete implements fn.Context.
func (c *Context) Delete(key string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgetLocked(key)
	return nil
}

func (c *Context) forgetLocked(key string) {
	delete(c.values, key)
	delete(c.siblings, key)
	delete(c.states, key)
}

// CallValue implements fn.Context.
func (c *Context) CallValue(function string, args []value.Value) (value.Value, error) {
	if function != "double" {
		return value.Value{}, fault.New(fault.UnknownFunction, "no function %q is registered", function)
	}
	if len(args) != 1 {
		return value.Value{}, fault.New(fault.WrongArity, "takes 1 argument, got %d", len(args))
	}
	n, err := value.As[int](args[0])
	if err != nil {
		return value.Value{}, err
	}
	if n < 0 {
		return value.Value{}, &fault.Error{Code: fault.Overloaded, Message: "too much", Function: "double", Executor: "e1", RetryAfter: 7}
	}
	return value.Of(2 * n)
}

// CallDAGValues implements fn.Context.
func (c *Context) CallDAGValues(dag string, inputs map[string]value.Value) (map[string]value.Value, error) {
	if dag != "pair" {
		return nil, fault.New(fault.UnknownDAG, "no DAG %q is registered", dag)
	}
	return map[string]value.Value{"a": inputs["n"], "b": inputs["s"]}, nil
}
