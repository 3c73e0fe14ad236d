package native

import (
	"runtime/debug"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/value"
)

// function is one loaded version.
type function struct {
	invoke func(fn.Context, []value.Value) (value.Value, error)
}

// GoexitObserver is what a Context may also implement. A function that calls runtime.Goexit, as t.FailNow does, takes
// the goroutine of its caller with it, and nothing can stop that; so Invoke never returns, and Goexited is called
// instead, once, on the dying goroutine. To run each call on a goroutine of its own would cost every call ten times
// what the call costs now.
type GoexitObserver interface{ Goexited(err *fault.Error) }

// Invoke implements runtime.Callable on the caller's goroutine. It returns when the function does: a native function
// that ignores its Context cannot be ended. See GoexitObserver for the one case in which it does not return.
func (f function) Invoke(c fn.Context, args []value.Value) (out value.Value, err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if r := recover(); r != nil {
			out, err = value.Value{}, fn.Panicked(r, debug.Stack())
			return
		}
		if o, ok := c.(GoexitObserver); ok {
			o.Goexited(fault.New(fault.FunctionExited, "the function ended its goroutine with runtime.Goexit: return an error instead"))
		}
	}()
	out, err = f.invoke(c, args)
	returned = true
	if err != nil {
		return value.Value{}, fn.Failed(c, err)
	}
	return out, nil
}

// Close implements runtime.Callable.
func (function) Close() error { return nil }
