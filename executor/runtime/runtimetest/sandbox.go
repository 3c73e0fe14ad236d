package runtimetest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/squall-faas/squall/executor/runtime"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/value"
)

// testSandbox: nothing outside can be reached, and what would kill a process ends one invocation.
func testSandbox(t *testing.T, h Harness) {
	got, err := value.As[[]string](call(t, h.Load(t, "escapes", runtime.Limits{}), within(t, time.Minute)))
	if err != nil || len(got) > 0 {
		t.Errorf("the function reached %v, %v", got, err)
	}
	e := faultOf(t, h, h.Load(t, "exit", runtime.Limits{}), within(t, time.Minute), fault.FunctionExited, 3)
	if !strings.Contains(e.Message, "status 3") {
		t.Errorf("message is %q, want it to name the status", e.Message)
	}
	wantFault(t, h, h.Load(t, "exit", runtime.Limits{}), within(t, time.Minute), fault.FunctionExited, 0)
	e = faultOf(t, h, h.Load(t, "crash", runtime.Limits{}), within(t, time.Minute), fault.FunctionPanic)
	if !strings.Contains(e.Message, "in the background") || !strings.Contains(e.Detail, "functions.Crash") {
		t.Errorf("a panic in the background reads %q\n%s", e.Message, e.Detail)
	}
	wantFault(t, h, h.Load(t, "goexit", runtime.Limits{}), within(t, time.Minute), fault.FunctionPanic)
}

// testRunaways: what does not return is ended.
func testRunaways(t *testing.T, h Harness) {
	for _, tc := range []struct {
		name string
		args []any
	}{
		{"spin", nil},
		{"calltree", []any{60}},
		{"sleep", []any{time.Hour}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := h.Load(t, tc.name, runtime.Limits{})
			wantFault(t, h, f, within(t, 50*time.Millisecond), fault.DeadlineExceeded, tc.args...)
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(50*time.Millisecond, cancel)
			wantFault(t, h, f, NewContext(ctx), fault.Cancelled, tc.args...)
		})
	}
}

func testOutputLimit(t *testing.T, h Harness) {
	const limit = 1 << 20
	f := h.Load(t, "zeros", runtime.Limits{Output: limit})
	c := within(t, time.Minute)
	if b, err := value.As[[]byte](call(t, f, c, limit)); err != nil || len(b) != limit {
		t.Errorf("a result at the limit: %d bytes, %v", len(b), err)
	}
	e := faultOf(t, h, f, c, fault.TooLarge, limit+1)
	if !strings.Contains(e.Message, "1048577") {
		t.Errorf("message is %q, want it to give the size", e.Message)
	}
}

func testMemory(t *testing.T, h Harness) {
	limits := runtime.Limits{Memory: 64 << 20}
	c := within(t, time.Minute)
	e := faultOf(t, h, h.Load(t, "hog", limits), c, fault.OutOfMemory)
	if !strings.Contains(e.Message, "64 MiB") {
		t.Errorf("message is %q, want it to give the limit", e.Message)
	}
	// Garbage is no growth.
	if n, err := value.As[int](call(t, h.Load(t, "churn", limits), c, 300)); err != nil || n != 300 {
		t.Errorf("churn = %d, %v", n, err)
	}
	// An argument that does not fit.
	wantFault(t, h, h.Load(t, "echo", runtime.Limits{Memory: 16 << 20}), c, fault.OutOfMemory, make([]byte, 32<<20))
	wantFault(t, h, h.Load(t, "echo", limits), c, fault.TooLarge, make([]byte, 65<<20))

	// Recursion that is too deep for the memory ends in one of two ways, by which stack is full first.
	_, err := h.Load(t, "deep", limits).Invoke(c, values(t, 1<<40))
	if code := fault.CodeOf(err); code != fault.OutOfMemory && code != fault.FunctionPanic {
		t.Errorf("deep recursion gave %v", err)
	}
	healthy(t, h)
	if _, err := h.Load(t, "deep", limits).Invoke(c, values(t, 10_000)); err != nil {
		t.Errorf("recursion of 10,000 calls gave %v", err)
	}
}

// testPrinted: what a function prints is its log, and is bounded.
func testPrinted(t *testing.T, h Harness) {
	f := h.Load(t, "prints", runtime.Limits{})
	c := within(t, time.Minute)
	call(t, f, c, 2)
	want := "line 0 stream stdout\nline 1 stream stdout\nno newline stream stderr\n"
	if got := strings.Join(c.Lines(), ""); got != want {
		t.Errorf("logged %q, want %q", got, want)
	}
	c = within(t, time.Minute)
	call(t, f, c, 50_000)
	lines := c.Lines()
	if len(lines) > 20_000 || !strings.Contains(lines[len(lines)-1], "dropped") {
		t.Errorf("50,000 lines became %d, the last %q", len(lines), lines[len(lines)-1])
	}
}

// testLeftovers: a goroutine that a function left behind does not act in another invocation.
func testLeftovers(t *testing.T, h Harness) {
	f := h.Load(t, "leftovers", runtime.Limits{})
	for range 5 {
		call(t, f, within(t, time.Minute))
	}
	healthy(t, h)
}
