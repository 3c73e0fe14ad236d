package fn_test

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
)

func TestFailed(t *testing.T) {
	open := context.Background()
	cancelled, cancel := context.WithCancel(open)
	cancel()
	late, stop := context.WithTimeout(open, 0)
	defer stop()
	given, give := context.WithCancelCause(open)
	give(fault.New(fault.Unavailable, "shutting down"))
	why, giveUp := context.WithCancelCause(open)
	giveUp(errors.New("no more interest"))

	missing := fault.New(fault.NotFound, "nothing there")
	for _, tc := range []struct {
		name string
		ctx  context.Context
		err  error
		code fault.Code
		says string
	}{
		{"words", open, errors.New("no luck"), fault.FunctionError, "no luck"},
		{"context call", open, missing, fault.NotFound, "nothing there"},
		{"wrapped", open, fmt.Errorf("load: %w", missing), fault.NotFound, "load: nothing there"},
		{"joined", open, errors.Join(errors.New("one"), missing), fault.NotFound, "one\nnothing there"},
		{"a transaction's", open, fault.New(fault.TxnConflict, "read again"), fault.TxnConflict, "read again"},
		{"a snapshot's", open, fault.New(fault.SnapshotLost, "run again"), fault.SnapshotLost, "run again"},
		{"an older node's", open, fault.New(fault.Unsupported, "operation 99"), fault.Unsupported, "operation 99"},
		{"made up", open, fault.New(fault.Internal, "mine"), fault.FunctionError, "mine"},
		{"unknown code", open, fault.New("own_code", "mine"), fault.FunctionError, "mine"},
		{"own deadline", open, context.DeadlineExceeded, fault.FunctionError, "context deadline exceeded"},
		{"deadline", late, fmt.Errorf("ask: %w", context.DeadlineExceeded), fault.DeadlineExceeded, "deadline"},
		{"cancelled", cancelled, context.Canceled, fault.Cancelled, "cancelled"},
		{"cause", given, context.Canceled, fault.Unavailable, "shutting down"},
		{"other cause", why, context.Canceled, fault.Cancelled, "no more interest"},
		{"unrelated", cancelled, errors.New("no luck"), fault.FunctionError, "no luck"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := fn.Failed(tc.ctx, tc.err)
			if e.Code != tc.code || !strings.Contains(e.Message, tc.says) {
				t.Errorf("gave %v, want %s with %q", e, tc.code, tc.says)
			}
		})
	}
	if e := fn.Failed(open, nil); e != nil {
		t.Errorf("no error gave %v", e)
	}
	if missing.Code != fault.NotFound || missing.Message != "nothing there" {
		t.Errorf("the function's own error was changed to %v", missing)
	}
}

func TestPanicked(t *testing.T) {
	catch := func(what any) (e *fault.Error) {
		defer func() { e = fn.Panicked(recover(), debug.Stack()) }()
		thrower(what)
		return nil
	}
	e := catch("boom")
	if e.Code != fault.FunctionPanic || !strings.Contains(e.Message, "boom") {
		t.Errorf("gave %v", e)
	}
	if lines := strings.Split(e.Detail, "\n"); len(lines) < 2 || !strings.Contains(lines[1], "thrower") {
		t.Errorf("the stack does not begin at the panic:\n%s", e.Detail)
	}
	if e := catch(strings.Repeat("x", 1<<20)); len(e.Message) > 2<<10 {
		t.Errorf("a panic with a long value gave a message of %d bytes", len(e.Message))
	}
	if e := catch(errors.New("as an error")); !strings.Contains(e.Message, "as an error") {
		t.Errorf("gave %v", e)
	}
}

//go:noinline
func thrower(what any) { panic(what) }
