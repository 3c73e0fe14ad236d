package runtimetest

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/squall-faas/squall/executor/runtime"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/value"
)

// Harness gives the functions of testdata/functions as one runtime runs them.
type Harness struct {
	Kind runtime.Kind
	// Load gives the function that functions.Table has under name; the test's cleanup closes it.
	Load func(t *testing.T, name string, limits runtime.Limits) runtime.Callable
}

// sandboxed says that no function can hurt the process.
func (h Harness) sandboxed() bool { return h.Kind != runtime.Native }

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	t.Run("Values", func(t *testing.T) { testValues(t, h) })
	t.Run("Bytes", func(t *testing.T) { testBytes(t, h) })
	t.Run("ArgumentsStayTheFunctions", func(t *testing.T) { testKeep(t, h) })
	t.Run("Faults", func(t *testing.T) { testFaults(t, h) })
	t.Run("PanicHasStack", func(t *testing.T) { testPanicStack(t, h) })
	t.Run("Context", func(t *testing.T) { testContext(t, h) })
	t.Run("ContextFaults", func(t *testing.T) { testContextFaults(t, h) })
	t.Run("Updates", func(t *testing.T) { testUpdates(t, h) })
	t.Run("GetMany", func(t *testing.T) { testGetMany(t, h) })
	t.Run("Siblings", func(t *testing.T) { testSiblings(t, h) })
	t.Run("PutWith", func(t *testing.T) { testPutWith(t, h) })
	t.Run("Messages", func(t *testing.T) { testMessages(t, h) })
	t.Run("MessageFaults", func(t *testing.T) { testMessageFaults(t, h) })
	t.Run("EndedInRecv", func(t *testing.T) { testEndedInRecv(t, h) })
	t.Run("Ended", func(t *testing.T) { testEnded(t, h) })
	t.Run("Concurrent", func(t *testing.T) { testConcurrent(t, h) })
	if h.sandboxed() {
		t.Run("EndedBefore", func(t *testing.T) { testEndedBefore(t, h) })
		t.Run("Sandbox", func(t *testing.T) { testSandbox(t, h) })
		t.Run("CannotBeKept", func(t *testing.T) { testRunaways(t, h) })
		t.Run("Output", func(t *testing.T) { testOutputLimit(t, h) })
		t.Run("Memory", func(t *testing.T) { testMemory(t, h) })
		t.Run("Printed", func(t *testing.T) { testPrinted(t, h) })
		t.Run("Leftovers", func(t *testing.T) { testLeftovers(t, h) })
	}
}

// within is a Context that ends after d. A minute is long enough for any machine, and a hung test fails by itself.
func within(t *testing.T, d time.Duration) *Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return NewContext(ctx)
}

func values(t *testing.T, args ...any) []value.Value {
	t.Helper()
	vs := make([]value.Value, len(args))
	for i, a := range args {
		v, err := value.Of(a)
		if err != nil {
			t.Fatal(err)
		}
		vs[i] = v
	}
	return vs
}

// call runs a function that must succeed.
func call(t *testing.T, f runtime.Callable, c *Context, args ...any) value.Value {
	t.Helper()
	v, err := f.Invoke(c, values(t, args...))
	if err != nil {
		t.Fatalf("invoke(%v): %v", args, err)
	}
	return v
}

// wantFault runs a function that must fail with code, and then checks that a healthy call succeeds.
func wantFault(t *testing.T, h Harness, f runtime.Callable, c *Context, code fault.Code, args ...any) {
	t.Helper()
	_ = faultOf(t, h, f, c, code, args...)
}

// faultOf is wantFault, and gives the fault.
func faultOf(t *testing.T, h Harness, f runtime.Callable, c *Context, code fault.Code, args ...any) *fault.Error {
	t.Helper()
	v, err := f.Invoke(c, values(t, args...))
	var e *fault.Error
	if !errors.As(err, &e) {
		t.Fatalf("gave (%v, %v), want a fault %s", v, err, code)
	}
	if e.Code != code {
		t.Fatalf("fault is %s, want %s: %v\n%s", e.Code, code, err, e.Detail)
	}
	healthy(t, h)
	return e
}

func healthy(t *testing.T, h Harness) {
	t.Helper()
	v := call(t, h.Load(t, "add", runtime.Limits{}), within(t, time.Minute), 20, 22)
	if n, err := value.As[int](v); err != nil || n != 42 {
		t.Fatalf("afterwards add(20, 22) = %d, %v", n, err)
	}
}

type point struct {
	X, Y float64
	Name string
	Tags []string
}

func testValues(t *testing.T, h Harness) {
	for _, tc := range []struct {
		name string
		args []any
		want any
	}{
		{"add", []any{1, 2}, 3},
		{"add", []any{-5, int64(1) << 40}, 1<<40 - 5},
		{"upper", []any{"é"}, "<é>"},
		{"upper", []any{""}, "<>"},
		{"six", nil, 6.5},
		{"join3", []any{"a", true, map[string]int{"k": 1}}, "atrue 1"},
		{"move", []any{point{1, 2, "p", []string{"a", "b"}}, 0.5}, point{1.5, 2.5, "p'", []string{"a", "b"}}},
		{"rev", []any{[]int{1, 2, 3}}, []int{3, 2, 1}},
		{"rev", []any{[]int{}}, []int{}},
		{"pass", []any{map[string]int{"a": 1}}, map[string]int{"a": 1}},
		{"pass", []any{true}, true},
		{"pass", []any{value.Ref("some/key")}, value.Ref("some/key")},
		{"pass", []any{[]string{}}, []string{}},
		{"pass", []any{"text"}, "text"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := call(t, h.Load(t, tc.name, runtime.Limits{}), within(t, time.Minute), tc.args...)
			got := reflect.New(reflect.TypeOf(tc.want))
			if err := v.Into(got.Interface()); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got.Elem().Interface(), tc.want) {
				t.Errorf("%s(%v) = %#v, want %#v", tc.name, tc.args, got.Elem(), tc.want)
			}
		})
	}
	// Between processes a nil slice is an empty list; on one node it may stay nil.
	if vs, err := call(t, h.Load(t, "rev", runtime.Limits{}), within(t, time.Minute), []int(nil)).Elements(); err != nil || len(vs) != 0 {
		t.Errorf("nil turned round has elements %v, %v", vs, err)
	}
	if v := call(t, h.Load(t, "nothing", runtime.Limits{}), within(t, time.Minute), 1); !v.IsNull() {
		t.Errorf("a function that returns nothing gave %v, want null", v.Kind())
	}
}

func testBytes(t *testing.T, h Harness) {
	f := h.Load(t, "echo", runtime.Limits{})
	c := within(t, time.Minute)
	for _, n := range []int{0, 1, 1000, 32<<10 - 9, 32 << 10, 33 << 10, 1 << 20, 0, 7} {
		want := bytes.Repeat([]byte{byte(n), 0xff, 0}, n/3+1)[:n]
		v := call(t, f, c, want)
		if v.Kind() != value.Bytes {
			t.Fatalf("%d bytes came back as %s", n, v.Kind())
		}
		got, err := value.As[[]byte](v)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes came back as %d, %v", n, len(got), err)
		}
	}
}

// testKeep holds a runtime to it that an argument is never overwritten, for a function may keep it.
func testKeep(t *testing.T, h Harness) {
	f := h.Load(t, "keep", runtime.Limits{})
	c := within(t, time.Minute)
	for _, size := range []int{4, 100 << 10} {
		first := bytes.Repeat([]byte{'a'}, size)
		call(t, f, c, first)
		got, err := value.As[[]byte](call(t, f, c, bytes.Repeat([]byte{'b'}, size)))
		if err != nil || !bytes.Equal(got, first) {
			t.Fatalf("the argument of the call before reads %.4q…, %v", got, err)
		}
	}
}

func testFaults(t *testing.T, h Harness) {
	for _, tc := range []struct {
		name string
		args []any
		code fault.Code
		says string
	}{
		{"add", []any{1}, fault.WrongArity, "takes 2 arguments, got 1"},
		{"add", []any{1, 2, 3}, fault.WrongArity, "takes 2 arguments, got 3"},
		{"six", []any{1}, fault.WrongArity, "takes 0 arguments, got 1"},
		{"add", []any{1, "two"}, fault.WrongType, "argument 2"},
		{"rev", []any{7}, fault.WrongType, "argument 1"},
		{"fails", []any{"no such luck"}, fault.FunctionError, "no such luck"},
		{"panics", []any{"boom"}, fault.FunctionPanic, "boom"},
		{"index", []any{3}, fault.FunctionPanic, "index out of range"},
		{"makesup", []any{"internal"}, fault.FunctionError, "made up"},
		{"makesup", []any{"no_such_code"}, fault.FunctionError, "made up"},
		{"own", nil, fault.FunctionError, "context deadline exceeded"},
	} {
		t.Run(tc.name+"/"+string(tc.code), func(t *testing.T) {
			e := faultOf(t, h, h.Load(t, tc.name, runtime.Limits{}), within(t, time.Minute), tc.code, tc.args...)
			if !strings.Contains(e.Message, tc.says) {
				t.Errorf("message is %q, want it to say %q", e.Message, tc.says)
			}
		})
	}
}

func testPanicStack(t *testing.T, h Harness) {
	e := faultOf(t, h, h.Load(t, "index", runtime.Limits{}), within(t, time.Minute), fault.FunctionPanic, 9)
	lines := strings.Split(e.Detail, "\n")
	if len(lines) < 2 || !strings.Contains(lines[1], "functions.Index") {
		t.Errorf("the stack does not begin at the function:\n%s", e.Detail)
	}
}

func testContext(t *testing.T, h Harness) {
	c := within(t, time.Hour)
	xs, err := value.As[[]int](call(t, h.Load(t, "state", runtime.Limits{}), c, "k/\x00é"))
	if err != nil || !reflect.DeepEqual(xs, []int{1, 2, 3}) {
		t.Errorf("state = %v, %v", xs, err)
	}
	if n, err := value.As[int](call(t, h.Load(t, "calls", runtime.Limits{}), c, 21)); err != nil || n != 42 {
		t.Errorf("calls = %d, %v", n, err)
	}
	if s, err := value.As[string](call(t, h.Load(t, "callsdag", runtime.Limits{}), c, 5)); err != nil || s != "5x" {
		t.Errorf("callsdag = %q, %v", s, err)
	}
	about, err := value.As[map[string]string](call(t, h.Load(t, "about", runtime.Limits{}), c))
	if err != nil || about["run"] != RunID || about["deadline"] != "true" {
		t.Errorf("about = %v, %v", about, err)
	}
	about, err = value.As[map[string]string](call(t, h.Load(t, "about", runtime.Limits{}), NewContext(t.Context())))
	if err != nil || about["deadline"] != "false" {
		t.Errorf("without a deadline: about = %v, %v", about, err)
	}
	call(t, h.Load(t, "logs", runtime.Limits{}), c, 3)
	if lines := c.Lines(); len(lines) != 1 || lines[0] != "counting n 3 err none\n" {
		t.Errorf("logged %q", lines)
	}
}

// testContextFaults: what a call on the Context reports keeps its code, through any wrapping.
func testContextFaults(t *testing.T, h Harness) {
	c := within(t, time.Minute)
	e := faultOf(t, h, h.Load(t, "lookup", runtime.Limits{}), c, fault.NotFound, "gone")
	if want := `look up gone: there is no value under "gone"`; e.Message != want {
		t.Errorf("message is %q, want %q", e.Message, want)
	}
	e = faultOf(t, h, h.Load(t, "calls", runtime.Limits{}), c, fault.Overloaded, -1)
	if e.RetryAfter != 7 || e.Function != "double" || e.Executor != "e1" {
		t.Errorf("the fault of the inner call lost something: %+v", e)
	}
}

// testEndedBefore: what is over is not begun; a native function is the executor's to hold back.
func testEndedBefore(t *testing.T, h Harness) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantFault(t, h, h.Load(t, "add", runtime.Limits{}), NewContext(ctx), fault.Cancelled, 1, 2)
}

// testEnded: a function that waits for its Context ends with it.
func testEnded(t *testing.T, h Harness) {
	f := h.Load(t, "wait", runtime.Limits{})
	wantFault(t, h, f, within(t, 20*time.Millisecond), fault.DeadlineExceeded)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	wantFault(t, h, f, NewContext(ctx), fault.Cancelled)
	why, giveUp := context.WithCancelCause(t.Context())
	time.AfterFunc(20*time.Millisecond, func() { giveUp(fault.New(fault.Unavailable, "shutting down")) })
	wantFault(t, h, f, NewContext(why), fault.Unavailable)
}

func testConcurrent(t *testing.T, h Harness) {
	const workers, each = 32, 10
	add := h.Load(t, "add", runtime.Limits{})
	upper := h.Load(t, "upper", runtime.Limits{})
	c := within(t, time.Minute)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				v, err := add.Invoke(c, []value.Value{value.MustOf(w), value.MustOf(i)})
				if n, _ := value.As[int](v); err != nil || n != w+i {
					t.Errorf("add(%d, %d) = %d, %v", w, i, n, err)
				}
				text := strings.Repeat(string(rune('a'+w)), i)
				v, err = upper.Invoke(c, []value.Value{value.MustOf(text)})
				if s, _ := value.As[string](v); err != nil || s != "<"+text+">" {
					t.Errorf("upper(%q) = %q, %v", text, s, err)
				}
			}
		})
	}
	wg.Wait()
}
