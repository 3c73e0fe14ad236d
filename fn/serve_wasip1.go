package fn

import (
	"runtime/debug"
	"unsafe"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/value"
)

// The guest's half of the WebAssembly ABI, docs/formats/wasm-abi.md. An instance runs one invocation at a time, so
// its buffers are kept from call to call; nothing that a function may hold on to ever lies in them.

var (
	served Impl // what Serve was given

	argsFrame []byte // what squall_alloc gave out last
	outFrame  []byte // what squall_invoke returned last
	begun     bool   // the first invocation has set the collector up
)

const (
	// keptArgs is the largest arguments frame that is copied out of a kept buffer. A larger one gets a buffer of its
	// own, which the function's arguments then alias.
	keptArgs = 32 << 10
	// keptOut is the largest result buffer that is kept.
	keptOut = 4 << 20
)

// Serve makes i the function that this WebAssembly module is; call it once, from an init function of the module's
// main package. The main function is never called. Outside wasip1 it does nothing, so that one source serves both.
//
//	func init() { fn.Serve(fn.Native(count)) }
//	func main() {}
func Serve(i Impl) { served = i }

//go:wasmexport squall_abi_1
func squallABI1() {}

//go:wasmexport squall_alloc
func squallAlloc(n uint32) unsafe.Pointer {
	switch {
	case n > keptArgs:
		argsFrame = make([]byte, n)
	case cap(argsFrame) == 0 || cap(argsFrame) > keptArgs:
		argsFrame = make([]byte, n, keptArgs)
	}
	argsFrame = argsFrame[:n]
	return unsafe.Pointer(unsafe.SliceData(argsFrame))
}

//go:wasmexport squall_invoke
func squallInvoke(n uint32) uint64 {
	if cap(outFrame) > keptOut {
		outFrame = nil
	}
	outFrame = respond(outFrame[:0], n)
	return packed(outFrame)
}

//go:wasmexport squall_describe
func squallDescribe() uint64 {
	outFrame = appendU32(outFrame[:0], uint32(1+len(served.In)))
	outFrame = appendText(outFrame, value.TypeName(served.Out))
	for _, t := range served.In {
		outFrame = appendText(outFrame, value.TypeName(t))
	}
	return packed(outFrame)
}

func packed(b []byte) uint64 {
	return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b))))<<32 | uint64(len(b))
}

// respond runs the function on the arguments frame of n bytes and appends the frame that answers it to dst.
func respond(dst []byte, n uint32) []byte {
	if !begun {
		begun = true
		boundHeap()
	}
	args, err := takeArgs(n)
	if err != nil {
		return appendFailure(append(dst, statusFailed), fault.From(err))
	}
	c := &guestContext{}
	v, err := run(c, args)
	if err == nil {
		var out []byte
		if out, err = v.Append(append(dst, statusOK)); err == nil {
			c.end()
			return out
		}
	}
	failure := Failed(c, err)
	c.end()
	return appendFailure(append(dst, statusFailed), failure)
}

func run(c *guestContext, args []value.Value) (_ value.Value, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = Panicked(r, debug.Stack())
		}
	}()
	return served.Invoke(c, args)
}

// takeArgs reads the arguments frame; the arguments alias memory that is theirs alone.
func takeArgs(n uint32) ([]value.Value, error) {
	if served.Invoke == nil {
		return nil, fault.New(fault.InvalidModule, "this module serves no function: call fn.Serve from an init function of its main package")
	}
	frame := argsFrame[:n]
	if cap(argsFrame) > keptArgs {
		argsFrame = nil // the arguments own it now
	} else {
		frame = append([]byte(nil), frame...)
	}
	return parseValues(frame)
}

// boundHeap tells the collector how much memory there is: a heap that may only double between collections would
// meet the limit while half of it is garbage.
func boundHeap() {
	b, err := hostCall(opLimits, nil)
	if err != nil || len(b) < 8 {
		return
	}
	if limit := int64(leU64(b)); limit > 0 {
		debug.SetMemoryLimit(limit - limit/8)
	}
}
