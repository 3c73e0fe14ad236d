package fn

import (
	"context"

	"github.com/squall-faas/squall/value"
)

// Context is what a running function sees of Squall. It ends at the invocation's deadline or when its run is
// cancelled. It is valid until the function returns; its methods are safe for concurrent use in native functions.
//
// It embeds context.Context, the one place in Squall where that is done, because a function has exactly one and
// passes it to whatever it calls. Methods cannot have type parameters, so the typed forms are the functions of this
// package: Get, Put, Call.
type Context interface {
	context.Context // Deadline, Done, Err, Value

	// RunID is the id of the run that this invocation belongs to.
	RunID() string
	// Log writes a line, with slog's key-value pairs, to the executor's log; the last lines travel with an error.
	Log(msg string, args ...any)

	// GetValue reads the value under key through the node's cache; not_found where there is none.
	GetValue(key string) (value.Value, error)
	// PutValue writes the value under key through the node's cache to the store, and returns once it is stored.
	PutValue(key string, v value.Value) error
	// Delete removes key; a key that is not there is no error.
	Delete(key string) error

	// CallValue calls a registered function and waits for its result. The caller's slot is given back while it waits.
	CallValue(function string, args []value.Value) (value.Value, error)
	// CallDAGValues runs a registered DAG and waits for its outputs, likewise.
	CallDAGValues(dag string, inputs map[string]value.Value) (map[string]value.Value, error)
}

// Get reads the value under key as a T; not_found where there is none.
func Get[T any](c Context, key string) (T, error) {
	v, err := c.GetValue(key)
	if err != nil {
		var zero T
		return zero, err
	}
	return value.As[T](v)
}

// Put writes x under key; see Context.PutValue.
func Put[T any](c Context, key string, x T) error {
	v, err := value.Of(x)
	if err != nil {
		return err
	}
	return c.PutValue(key, v)
}

// Call calls a registered function and gives its result as an O; see Context.CallValue.
func Call[O any](c Context, function string, args ...any) (O, error) {
	var zero O
	vs := make([]value.Value, len(args))
	for i, a := range args {
		v, err := value.Of(a)
		if err != nil {
			return zero, err
		}
		vs[i] = v
	}
	out, err := c.CallValue(function, vs)
	if err != nil {
		return zero, err
	}
	return value.As[O](out)
}

// CallDAG runs a registered DAG with the inputs given by name, and gives its outputs; see Context.CallDAGValues.
func CallDAG(c Context, dag string, inputs map[string]any) (map[string]value.Value, error) {
	vs := make(map[string]value.Value, len(inputs))
	for name, x := range inputs {
		v, err := value.Of(x)
		if err != nil {
			return nil, err
		}
		vs[name] = v
	}
	return c.CallDAGValues(dag, vs)
}
