package wasm

import (
	"context"
	"time"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/value"
)

// instance is one instance of a module. It runs one invocation at a time and belongs to whoever took it from the
// pool.
type instance struct {
	f   *function
	mod api.Module
	mem memory
	out output
	inv invocation

	alloc, invoke api.Function
	stack         [2]uint64 // parameters and results of calls
	argsPtr       uint32    // what squall_alloc gave last
	argsCap       uint32    // and its length: 0 where the guest owns it now

	broken bool      // its state is in doubt: never to be used again
	idle   time.Time // since when it has been in the pool
}

// instantiate makes an instance and initialises it, under the invocation that it is made for.
func (f *function) instantiate(c fn.Context) (*instance, error) {
	inst := &instance{f: f, mem: memory{limit: f.memory}}
	inst.out.inst = inst
	inst.inv.inst = inst
	inst.inv.Context = c
	defer func() { inst.inv.Context = nil }()

	ctx := experimental.WithMemoryAllocator(&inst.inv, &inst.mem)
	mod, err := f.rt.engine.InstantiateModule(ctx, f.compiled, wasiConfig(inst))
	if err != nil {
		inst.mem.Free() // wazero does not, where the start function fails
		return nil, inst.explain(err, "instantiate")
	}
	inst.mod = mod
	if init := mod.ExportedFunction("_initialize"); init != nil {
		if _, err := init.Call(&inst.inv); err != nil {
			err = inst.explain(err, "initialise")
			inst.close()
			return nil, err
		}
	}
	inst.alloc, inst.invoke = mod.ExportedFunction("squall_alloc"), mod.ExportedFunction("squall_invoke")
	inst.out.flush()
	return inst, nil
}

// close gives the instance's memory back. Nothing may hold a view of it.
func (inst *instance) close() { _ = inst.mod.Close(context.Background()) }

// call runs the function once.
func (inst *instance) call(c fn.Context, args []value.Value) (value.Value, error) {
	frame, err := newValuesFrame(args)
	if err != nil {
		return value.Value{}, err
	}
	if frame.size > maxArgs {
		return value.Value{}, fault.New(fault.TooLarge, "the arguments take %d bytes and at most %d are passed to a function: store them and pass a reference", frame.size, maxArgs)
	}
	inst.inv.Context = c
	defer inst.done()
	if err := inst.pass(frame); err != nil {
		return value.Value{}, err
	}
	inst.stack[0] = uint64(uint32(frame.size))
	if err := inst.invoke.CallWithStack(&inst.inv, inst.stack[:]); err != nil {
		return value.Value{}, inst.explain(err, "run")
	}
	return inst.result(uint32(inst.stack[0]>>32), uint32(inst.stack[0]))
}

// done ends an invocation.
func (inst *instance) done() {
	inst.out.flush()
	inst.inv.Context, inst.inv.body = nil, nil
	if cap(inst.inv.head) > maxKeptHead {
		inst.inv.head = nil
	}
}

const (
	// maxArgs bounds an arguments frame.
	maxArgs = 64 << 20
	// keptArgs is the largest arguments frame whose buffer stays the host's: the guest owns larger ones.
	keptArgs    = 32 << 10
	maxKeptHead = 64 << 10
)

// pass writes the arguments into the guest's memory.
func (inst *instance) pass(frame valuesFrame) error {
	n := uint32(frame.size)
	if n > inst.argsCap {
		want := n
		if n <= keptArgs {
			want = min(max(2*n, 1<<10), keptArgs)
		}
		inst.stack[0] = uint64(want)
		if err := inst.alloc.CallWithStack(&inst.inv, inst.stack[:]); err != nil {
			return inst.explain(err, "take its arguments")
		}
		inst.argsPtr, inst.argsCap = uint32(inst.stack[0]), want
		if want > keptArgs {
			inst.argsCap = 0
		}
	}
	dst, ok := inst.mod.Memory().Read(inst.argsPtr, n)
	if !ok || inst.argsPtr == 0 {
		inst.broken = true
		if inst.argsPtr == 0 {
			return fault.New(fault.OutOfMemory, "the function has no room for arguments of %d bytes under its memory limit of %d: raise the limit or pass a reference", n, inst.f.memory)
		}
		return fault.New(fault.FunctionPanic, "squall_alloc gave %d bytes at %d, outside the guest's memory", n, inst.argsPtr)
	}
	frame.write(dst)
	return nil
}

// result reads the frame that squall_invoke returned.
func (inst *instance) result(ptr, n uint32) (value.Value, error) {
	frame, ok := inst.mod.Memory().Read(ptr, n)
	if !ok || n == 0 {
		inst.broken = true
		return value.Value{}, fault.New(fault.FunctionPanic, "squall_invoke gave a result of %d bytes at %d, which is empty or outside the guest's memory", n, ptr)
	}
	if frame[0] == statusFailed {
		if e, ok := parseFailure(frame[1:]); ok {
			return value.Value{}, e
		}
	}
	if frame[0] != statusOK || n < 2 {
		inst.broken = true
		return value.Value{}, fault.New(fault.FunctionPanic, "squall_invoke gave a result that does not parse: the module does not keep to the ABI, see docs/formats/wasm-abi.md")
	}
	if size := int64(n) - 2; size > inst.f.output {
		return value.Value{}, fault.New(fault.TooLarge, "the result takes %d bytes and at most %d are allowed: store it and return its key, or raise the output limit", size, inst.f.output)
	}
	kind := value.Kind(frame[1])
	if n == 2 {
		return value.FromPayload(kind, nil)
	}
	return value.FromPayload(kind, append([]byte(nil), frame[2:]...))
}
