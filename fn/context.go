package fn

import (
	"context"
	"time"

	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/value"
)

// PutOptions of one write; the zero value is the usual write.
type PutOptions struct {
	// TTL after which the key is gone; 0 keeps it. Rounded up to whole seconds.
	TTL time.Duration
	// Ack is when the write is answered; "" is "cached", and "durable" in durable runs.
	//
	//	cached   by this node's cache; it is stored within 50 ms, and lost if the node is killed before
	//	stored   by the store's quorum
	//	durable  fsynced
	Ack string
}

// Context is what a running function sees of Squall. It ends at the invocation's deadline or when its run is
// cancelled. It is valid until the function returns; its methods are safe for concurrent use in native functions.
//
// It embeds context.Context, the one place in Squall where that is done, because a function has exactly one and
// passes it to whatever it calls. Methods cannot have type parameters, so the typed forms are the functions of this
// package: Get, Put, Add, Send, Call and their like.
type Context interface {
	context.Context // Deadline, Done, Err, Value

	// RunID is the id of the run that this invocation belongs to.
	RunID() string
	// Log writes a line, with slog's key-value pairs, to the executor's log; the last lines travel with an error.
	Log(msg string, args ...any)

	// GetValue reads the value under key through the node's cache, at the run's consistency level; not_found where there
	// is none.
	GetValue(key string) (value.Value, error)
	// GetValues reads several keys as GetValue does, in their order. Those that the node does not have it reads together, which
	// takes little longer than one. Values stand by their keys' places; null where there is none.
	GetValues(keys []string) ([]value.Value, error)
	// SiblingValues reads all values that were written to key concurrently at a causal level, and that no write which had
	// read them has replaced; the first is GetValue's. Elsewhere it is just that one.
	SiblingValues(key string) ([]value.Value, error)
	// PutValue writes the value under key, at the run's consistency level, and returns when o says.
	PutValue(key string, v value.Value, o PutOptions) error
	// Delete removes key; a key that is not there is no error.
	Delete(key string) error
	// UpdateValue carries out a lattice's operation on key and gives what the key reads as afterwards. It counts once, also
	// when the invocation is executed again after a crash or a retry.
	UpdateValue(key string, op lattice.Op) (value.Value, error)

	// Address names this invocation; whoever has it can send to it for as long as it runs.
	Address() string
	// SendValue sends a message to an invocation and returns once it is in its mailbox. not_found where it has returned, or
	// its executor is gone; overloaded where its mailbox is full.
	SendValue(to string, v value.Value) error
	// RecvValue waits for a message, in the order in which they came. The slot is given back meanwhile.
	RecvValue() (from string, v value.Value, err error)

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

// GetMany reads the values under several keys as Ts; keys that are not there are left out. See Context.GetValues.
func GetMany[T any](c Context, keys []string) (map[string]T, error) {
	vs, err := c.GetValues(keys)
	if err != nil {
		return nil, err
	}
	out := make(map[string]T, len(vs))
	for i, v := range vs {
		if v.IsNull() {
			continue
		}
		if out[keys[i]], err = value.As[T](v); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Siblings reads all values that were written to key concurrently; see Context.SiblingValues.
func Siblings[T any](c Context, key string) ([]T, error) {
	vs, err := c.SiblingValues(key)
	if err != nil {
		return nil, err
	}
	out := make([]T, len(vs))
	for i, v := range vs {
		if out[i], err = value.As[T](v); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Put writes x under key; see Context.PutValue.
func Put[T any](c Context, key string, x T) error { return PutWith(c, key, x, PutOptions{}) }

// PutWith is Put with options.
func PutWith[T any](c Context, key string, x T, o PutOptions) error {
	v, err := value.Of(x)
	if err != nil {
		return err
	}
	return c.PutValue(key, v, o)
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
