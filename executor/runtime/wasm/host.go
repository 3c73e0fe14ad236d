package wasm

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/internal/wasmbin"
	"github.com/squall-faas/squall/value"
)

const (
	// hostModule is the name under which a guest imports the operations below.
	hostModule = wasmbin.HostModule
	// tickName is the host function, in the same module, that metered code calls to ask whether to go on.
	tickName = "tick"
	// ticksEvery is how many units of work a guest does between two ticks, see wasmbin.Options.
	ticksEvery = wasmbin.DefaultEvery
)

// The operations of host_call. The numbers are the ABI's: append-only.
const (
	opGet      = 1
	opPut      = 2
	opDelete   = 3
	opCall     = 4
	opCallDAG  = 5
	opLog      = 6
	opRunID    = 7
	opDeadline = 8
	opLimits   = 9
	opUpdate   = 10
	opSiblings = 11
	opPutWith  = 12
	opAddress  = 13
	opSend     = 14
	opRecv     = 15
	opGetMany  = 16
)

// invocation is what an instance runs for, and the context that wazero hands to the host functions.
type invocation struct {
	fn.Context
	inst *instance

	// The reply that waits to be read: head, then body. Two slices, so that a large value is copied once.
	head []byte
	body []byte
}

// invocationKey finds the invocation in a context that wazero has wrapped.
type invocationKey struct{}

// Value hides the caller's context values: wazero looks for its own on every call, and a guest has none.
func (inv *invocation) Value(key any) any {
	if _, ok := key.(invocationKey); ok {
		return inv
	}
	return nil
}

// current is the invocation for which the guest calls the host.
func current(ctx context.Context) *invocation {
	if inv, ok := ctx.(*invocation); ok {
		return inv
	}
	return ctx.Value(invocationKey{}).(*invocation)
}

// ending is what the host panics with to unwind a guest; wazero turns it into the error of the call.
type ending struct{ err *fault.Error }

func (e *ending) Error() string { return e.err.Error() }

// check ends the guest if its invocation is over.
func (inv *invocation) check() {
	if inv.Err() != nil {
		panic(&ending{fn.Ended(inv.Context)})
	}
}

// sleep pauses the guest for ns nanoseconds, and ends it if its invocation is over first.
func (inv *invocation) sleep(ns int64) {
	t := time.NewTimer(time.Duration(ns))
	defer t.Stop()
	select {
	case <-t.C:
	case <-inv.Done():
		inv.check()
	}
}

// buildHost makes the module "squall".
func buildHost(r wazero.Runtime) wazero.HostModuleBuilder {
	i32 := api.ValueTypeI32
	return r.NewHostModuleBuilder(hostModule).
		NewFunctionBuilder().
		WithGoModuleFunction(api.GoModuleFunc(hostCall), []api.ValueType{i32, i32, i32}, []api.ValueType{i32}).
		Export("host_call").
		NewFunctionBuilder().
		WithGoModuleFunction(api.GoModuleFunc(hostRead), []api.ValueType{i32}, nil).
		Export("host_read").
		NewFunctionBuilder().
		WithGoFunction(api.GoFunc(tick), nil, nil).
		Export(tickName)
}

// tick is where a guest that computes without end meets its deadline. That it runs Go code at all is what lets the
// collector in: compiled WebAssembly has no safe point of its own, and one guest would stall the process's heartbeats.
func tick(ctx context.Context, _ []uint64) { current(ctx).check() }

// hostCall is host_call(op, ptr, len) → length of the reply.
func hostCall(ctx context.Context, mod api.Module, stack []uint64) {
	inv := current(ctx)
	inv.check()
	request, ok := mod.Memory().Read(uint32(stack[1]), uint32(stack[2]))
	if !ok {
		panic(&ending{fault.New(fault.FunctionPanic, "host_call was given a request outside the guest's memory")})
	}
	inv.head, inv.body = append(inv.head[:0], statusOK), nil
	if err := inv.operate(uint32(stack[0]), request); err != nil {
		inv.check() // an operation that failed because time is up ends the guest
		inv.head, inv.body = appendFailure(append(inv.head[:0], statusFailed), fault.From(err)), nil
	}
	stack[0] = uint64(uint32(len(inv.head) + len(inv.body)))
}

// hostRead is host_read(ptr): it copies the last reply to ptr.
func hostRead(ctx context.Context, mod api.Module, stack []uint64) {
	inv := current(ctx)
	n := len(inv.head) + len(inv.body)
	dst, ok := mod.Memory().Read(uint32(stack[0]), uint32(n))
	if !ok {
		panic(&ending{fault.New(fault.FunctionPanic, "host_read was given room outside the guest's memory for %d bytes", n)})
	}
	copy(dst[copy(dst, inv.head):], inv.body)
	inv.body = nil
}

// operate runs one operation on the Context. request aliases the guest's memory: it is copied wherever it outlives
// the call, which a stored value and an argument do.
func (inv *invocation) operate(op uint32, request []byte) error {
	switch op {
	case opGet:
		v, err := inv.GetValue(string(request))
		if err != nil {
			return err
		}
		return inv.reply(v)
	case opGetMany:
		keys, ok := parseTexts(request)
		if !ok {
			return errBadFrame
		}
		vs, err := inv.GetValues(keys)
		if err != nil {
			return err
		}
		return inv.replyList(vs)
	case opSiblings:
		vs, err := inv.SiblingValues(string(request))
		if err != nil {
			return err
		}
		return inv.replyList(vs)
	case opPut:
		key, v, err := parseAddressed(request)
		if err != nil {
			return err
		}
		return inv.PutValue(key, v, fn.PutOptions{})
	case opPutWith:
		key, v, o, err := parsePut(request)
		if err != nil {
			return err
		}
		return inv.PutValue(key, v, o)
	case opUpdate:
		key, op, err := parseUpdate(request)
		if err != nil {
			return err
		}
		v, err := inv.UpdateValue(key, op)
		if err != nil {
			return err
		}
		return inv.reply(v)
	case opDelete:
		return inv.Delete(string(request))
	case opCall:
		name, rest, ok := cutPart(request)
		if !ok {
			return errBadFrame
		}
		args, err := parseValues(append([]byte(nil), rest...))
		if err != nil {
			return err
		}
		v, err := inv.CallValue(string(name), args)
		if err != nil {
			return err
		}
		return inv.reply(v)
	case opCallDAG:
		name, rest, ok := cutPart(request)
		if !ok {
			return errBadFrame
		}
		inputs, err := parseNamed(append([]byte(nil), rest...))
		if err != nil {
			return err
		}
		out, err := inv.CallDAGValues(string(name), inputs)
		if err != nil {
			return err
		}
		inv.body, err = appendNamed(nil, out)
		return err
	case opAddress:
		inv.head = append(inv.head, inv.Address()...)
		return nil
	case opSend:
		to, v, err := parseAddressed(request)
		if err != nil {
			return err
		}
		return inv.SendValue(to, v)
	case opRecv:
		from, v, err := inv.RecvValue()
		if err != nil {
			return err
		}
		inv.head = appendText(inv.head, from)
		return inv.reply(v)
	case opLog:
		texts, ok := parseTexts(request)
		if !ok || len(texts) == 0 {
			return errBadFrame
		}
		inv.inst.out.log(texts[0], texts[1:])
		return nil
	case opRunID:
		inv.head = append(inv.head, inv.RunID()...)
		return nil
	case opDeadline:
		var ns int64
		if at, ok := inv.Deadline(); ok {
			ns = at.UnixNano()
		}
		inv.head = binary.LittleEndian.AppendUint64(inv.head, uint64(ns))
		return nil
	case opLimits:
		inv.head = binary.LittleEndian.AppendUint64(inv.head, inv.inst.mem.limit)
		return nil
	}
	return fault.New(fault.Unsupported, "host operation %d is of a later ABI: upgrade this executor", op)
}

// reply ends the reply with v's wire form.
func (inv *invocation) reply(v value.Value) error {
	k, b, err := v.Payload()
	if err != nil {
		return err
	}
	inv.head, inv.body = append(inv.head, byte(k)), b
	return nil
}

// replyList makes a list of values the reply.
func (inv *invocation) replyList(vs []value.Value) error {
	frame, err := newValuesFrame(vs)
	if err != nil {
		return err
	}
	inv.body = make([]byte, frame.size)
	frame.write(inv.body)
	return nil
}
