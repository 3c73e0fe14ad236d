// The functions of the conformance suite as one WebAssembly module: the first argument names the function.
package main

import (
	"github.com/squall-faas/squall/executor/runtime/runtimetest/testdata/functions"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/value"
)

func init() { fn.Serve(fn.Impl{Invoke: dispatch}) }

func main() {}

func dispatch(c fn.Context, args []value.Value) (value.Value, error) {
	name, err := value.As[string](args[0])
	if err != nil {
		return value.Value{}, err
	}
	impl, ok := functions.Table[name]
	if !ok {
		return value.Value{}, fault.New(fault.UnknownFunction, "the suite has no function %q", name)
	}
	return impl.Invoke(c, args[1:])
}
