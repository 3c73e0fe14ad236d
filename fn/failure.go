package fn

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/squall-faas/squall/fault"
)

// This file is for runtimes: it says, once for all of them, what becomes of an error or a panic of a function.

// contextCodes are the codes that a call on a Context can report, and so the ones that a function may pass on. A
// function that returns a fault of any other code has made it up: it is a function_error like any other.
var contextCodes = map[fault.Code]bool{
	fault.InvalidArgument: true, fault.InvalidName: true, fault.InvalidKey: true, fault.InvalidDAG: true,
	fault.WrongArity: true, fault.WrongType: true, fault.TooLarge: true, fault.UnknownFunction: true,
	fault.UnknownDAG: true, fault.NotFound: true, fault.Conflict: true, fault.DepthExceeded: true,
	fault.Unauthorized: true, fault.FunctionError: true, fault.FunctionPanic: true, fault.FunctionExited: true,
	fault.OutOfMemory: true, fault.DeadlineExceeded: true, fault.Cancelled: true, fault.NoExecutor: true,
	fault.Overloaded: true, fault.Unreachable: true, fault.Unavailable: true, fault.ExecutorCrashed: true,
	fault.RunLost: true, fault.OutcomeUnknown: true, fault.Unsupported: true, fault.Fenced: true,
	fault.ClockSkew: true, fault.TxnConflict: true, fault.TxnCrossShard: true, fault.SnapshotLost: true,
	fault.SnapshotMemory: true, fault.DependencyLost: true,
}

// Failed is what a runtime reports for err, which a function returned; nil for nil.
//
// An error that came from a call on the Context keeps its code, because the caller can act on it: not_found stays
// not_found through any wrapping, and the wrapping becomes part of the message. The end of ctx is deadline_exceeded
// or cancelled. Everything else is function_error with the function's own words.
func Failed(ctx context.Context, err error) *fault.Error {
	if err == nil {
		return nil
	}
	var inner *fault.Error
	if errors.As(err, &inner) && inner != nil {
		text := strings.Replace(err.Error(), inner.Error(), inner.Message, 1)
		return inner.With(func(e *fault.Error) {
			e.Message = text
			if !contextCodes[e.Code] {
				e.Code = fault.FunctionError
			}
		})
	}
	if (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)) && ctx.Err() != nil {
		return Ended(ctx)
	}
	return fault.New(fault.FunctionError, "%w", err)
}

// Ended is why ctx is over: deadline_exceeded, cancelled, or the fault that was given as its cause. It must be over.
func Ended(ctx context.Context) *fault.Error {
	cause := context.Cause(ctx)
	if cause == nil {
		cause = ctx.Err() // a Context that is none of package context's own
	}
	var given *fault.Error
	switch {
	case errors.As(cause, &given):
		return given
	case errors.Is(cause, context.DeadlineExceeded):
		return fault.New(fault.DeadlineExceeded, "the function had not returned at its deadline: give it a longer timeout or less to do")
	case errors.Is(cause, context.Canceled):
		return fault.New(fault.Cancelled, "the call was cancelled while the function ran")
	}
	return fault.New(fault.Cancelled, "the call was cancelled while the function ran: %w", cause)
}

// maxStack bounds the stack that travels with a function_panic.
const maxStack = 4 << 10

// Panicked is the function_panic for a recovered value; stack is what debug.Stack gave where it was recovered.
func Panicked(recovered any, stack []byte) *fault.Error {
	return fault.New(fault.FunctionPanic, "the function panicked: %s", shorten(fmt.Sprint(recovered), 1<<10)).
		With(func(e *fault.Error) { e.Detail = trimStack(string(stack)) })
}

// trimStack drops the frames above the panic, which are the runtime's and ours, and bounds the rest.
func trimStack(s string) string {
	header, rest, ok := strings.Cut(s, "\n")
	if !ok {
		return s
	}
	if i := strings.LastIndex(rest, "\npanic("); i >= 0 {
		// "panic(…)" and the line with its place.
		if _, after, ok := strings.Cut(rest[i+1:], "\n"); ok {
			if _, after, ok = strings.Cut(after, "\n"); ok {
				rest = after
			}
		}
	}
	return shorten(header+"\n"+rest, maxStack)
}

// shorten cuts s to n bytes and says so.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + " … (cut)"
}
