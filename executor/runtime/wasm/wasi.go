package wasm

import (
	"context"
	"crypto/rand"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// exited is what proc_exit panics with: wazero's own closes the module under our feet.
type exited struct{ status uint32 }

func (e *exited) Error() string { return "the guest called exit" }

// buildWASI makes the module "wasi_snapshot_preview1". Its functions over files find none: a guest has standard
// output and error and nothing else.
func buildWASI(r wazero.Runtime) wazero.HostModuleBuilder {
	b := r.NewHostModuleBuilder(wasi_snapshot_preview1.ModuleName)
	wasi_snapshot_preview1.NewFunctionExporter().ExportFunctions(b)
	exit := func(_ context.Context, stack []uint64) { panic(&exited{uint32(stack[0])}) }
	return b.NewFunctionBuilder().
		WithGoFunction(api.GoFunc(exit), []api.ValueType{api.ValueTypeI32}, nil).
		Export("proc_exit")
}

// wasiConfig is what one instance sees of the world. wazero's default clock, sleep and randomness are fakes.
func wasiConfig(inst *instance) wazero.ModuleConfig {
	return wazero.NewModuleConfig().
		WithName("").         // many instances of one module
		WithStartFunctions(). // _initialize is called apart, under the invocation
		WithStdout(inst.out.stdout()).
		WithStderr(inst.out.stderr()).
		WithRandSource(rand.Reader).
		WithSysWalltime().
		WithSysNanotime().
		WithNanosleep(func(ns int64) { inst.inv.sleep(ns) })
}
