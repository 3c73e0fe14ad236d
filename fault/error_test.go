package fault_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/squall-faas/squall/fault"
)

func TestNew(t *testing.T) {
	inner := fault.New(fault.WrongType, "a text is no int")
	placed := inner.With(func(e *fault.Error) { e.Node = "sq" })
	for _, tc := range []struct {
		got  *fault.Error
		want string
	}{
		{fault.New(fault.TooLarge, "%d bytes", 7), "7 bytes [too_large]"},
		{fault.New(fault.WrongType, "argument 1: %w", inner), "argument 1: a text is no int [wrong_type]"},
		{fault.New(fault.InvalidDAG, "%w: correct it", placed), "node sq: a text is no int: correct it [invalid_dag]"},
		{fault.New(fault.Unavailable, "open: %w", errors.New("no [wrong_type]")), "open: no [wrong_type] [unavailable]"},
	} {
		if tc.got.Error() != tc.want {
			t.Errorf("%q, want %q", tc.got, tc.want)
		}
	}
	if !errors.Is(fault.New(fault.Internal, "a: %w", inner), inner) {
		t.Error("the cause is lost")
	}
}

func TestFrom(t *testing.T) {
	e := fault.New(fault.Conflict, "x")
	for _, tc := range []struct {
		err  error
		want fault.Code
	}{
		{nil, ""},
		{e, fault.Conflict},
		{fmt.Errorf("put: %w", e), fault.Conflict},
		{fmt.Errorf("wait: %w", context.DeadlineExceeded), fault.DeadlineExceeded},
		{context.Canceled, fault.Cancelled},
		{errors.New("x"), fault.Internal},
	} {
		if got := fault.CodeOf(tc.err); got != tc.want {
			t.Errorf("%v is %q, want %q", tc.err, got, tc.want)
		}
	}
	if fault.From(nil) != nil {
		t.Error("nothing is a fault")
	}
}
