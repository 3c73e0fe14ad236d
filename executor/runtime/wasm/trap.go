package wasm

import (
	"errors"
	"runtime"
	"strings"

	"github.com/squall-faas/squall/fault"
)

// explain says what it means that wazero gave err when the guest was to do something, and marks the instance broken:
// whatever unwound the guest left its memory as it was in the middle of something.
func (inst *instance) explain(err error, doing string) *fault.Error {
	inst.broken = true
	var end *ending
	if errors.As(err, &end) {
		return end.err
	}
	crash := strings.TrimSuffix(inst.out.crash.String(), "\n")
	var exit *exited
	switch {
	case inst.mem.refused:
		return withDetail(fault.New(fault.OutOfMemory, "the function ran out of memory: it may use %d MiB; give it more, or less to do", inst.f.memory>>20), crash)
	case crash != "": // a Go program prints why it dies, and then traps or exits with status 2
		first, _, _ := strings.Cut(crash, "\n")
		return withDetail(fault.New(fault.FunctionPanic, "the function crashed: %s", first), crash)
	case errors.As(err, &exit):
		return fault.New(fault.FunctionExited, "the function called exit with status %d: return an error instead", exit.status)
	}
	var bug runtime.Error
	if errors.As(err, &bug) {
		return fault.New(fault.Internal, "%s the function: %w", doing, bug)
	}
	text, trace, _ := strings.Cut(err.Error(), "\n")
	if strings.Contains(text, "stack overflow") {
		return fault.New(fault.FunctionPanic, "the function recursed too deeply: its stack is full")
	}
	return withDetail(fault.New(fault.FunctionPanic, "the function trapped: %s", strings.TrimPrefix(text, "wasm error: ")), shorten(trace, maxCrash))
}

func withDetail(e *fault.Error, detail string) *fault.Error {
	if detail == "" {
		return e
	}
	return e.With(func(e *fault.Error) { e.Detail = detail })
}

// shorten cuts s to n bytes.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + " … (cut)"
}
