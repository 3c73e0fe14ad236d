package runtimetest

import (
	"context"
	"fmt"
	"sync"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/value"
)

// RunID is the run of every Context of this package.
const RunID = "0190a2c4-0000-7000-8000-000000000001"

// Context is an fn.Context over a map. It knows the function "double" and the DAG "pair". Safe for concurrent use.
type Context struct {
	context.Context

	mu     sync.Mutex
	values map[string]value.Value
	lines  []string
}

var _ fn.Context = (*Context)(nil)

// NewContext makes a Context that ends with ctx.
func NewContext(ctx context.Context) *Context {
	return &Context{Context: ctx, values: make(map[string]value.Value)}
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
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.values[key]
	if !ok {
		return value.Value{}, fault.New(fault.NotFound, "there is no value under %q", key)
	}
	return v, nil
}

// PutValue implements fn.Context.
func (c *Context) PutValue(key string, v value.Value) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.values[key] = v
	return nil
}

// Delete implements fn.Context.
func (c *Context) Delete(key string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.values, key)
	return nil
}

// CallValue implements fn.Context.
func (c *Context) CallValue(function string, args []value.Value) (value.Value, error) {
	if function != "double" {
		return value.Value{}, fault.New(fault.UnknownFunction, "no function %q is registered", function)
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
