package fault

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Error is a failure with a stable code and the place where it happened. Its zero fields are simply not known.
// An Error is immutable once it has been returned: the With methods copy.
type Error struct {
	Code    Code   `cbor:"1,keyasint" json:"code"`
	Message string `cbor:"2,keyasint" json:"detail"`

	Run      string `cbor:"3,keyasint,omitempty" json:"run,omitempty"`      // id of the run
	Node     string `cbor:"4,keyasint,omitempty" json:"node,omitempty"`     // node of the DAG
	Function string `cbor:"5,keyasint,omitempty" json:"function,omitempty"` // name of the function
	Executor string `cbor:"6,keyasint,omitempty" json:"executor,omitempty"` // where it happened
	Item     int    `cbor:"7,keyasint,omitempty" json:"item,omitempty"`     // 1-based item of a Map or step of a Reduce; 0 for a Call
	Attempt  int    `cbor:"8,keyasint,omitempty" json:"attempt,omitempty"`  // 1-based try

	// RetryAfter is the hint of an overloaded node, in nanoseconds on the wire.
	RetryAfter time.Duration `cbor:"9,keyasint,omitempty" json:"retry_after_ns,omitempty"`
	// Detail is a stack, the last log lines, or the fields at fault: more lines than a message should have.
	Detail string `cbor:"10,keyasint,omitempty" json:"trace,omitempty"`
	// Final marks an error that retrying cannot help although its code usually allows it.
	Final bool `cbor:"11,keyasint,omitempty" json:"final,omitempty"`

	cause error
}

// New makes an Error. The message says what happened and, where it is not plain, what to do next. A %w verb keeps
// the cause for errors.Is and errors.As on this side of the wire.
func New(code Code, format string, args ...any) *Error {
	wrapped := fmt.Errorf(format, args...)
	e := &Error{Code: code, Message: wrapped.Error(), cause: errors.Unwrap(wrapped)}
	var inner *Error
	if errors.As(e.cause, &inner) { // its code would stand in the middle of the message
		said := inner.Error()
		e.Message = strings.Replace(e.Message, said, strings.TrimSuffix(said, inner.suffix()), 1)
	}
	return e
}

// Error gives the place, the message and the code in one line.
func (e *Error) Error() string {
	at := ""
	switch {
	case e.Node != "" && e.Function != "" && e.Node != e.Function:
		at = fmt.Sprintf("node %s (%s): ", e.Node, e.Function)
	case e.Node != "":
		at = fmt.Sprintf("node %s: ", e.Node)
	case e.Function != "":
		at = fmt.Sprintf("function %s: ", e.Function)
	}
	return at + e.Message + e.suffix()
}

func (e *Error) suffix() string { return " [" + string(e.Code) + "]" }

// Unwrap gives the cause where the error was made on this side of the wire.
func (e *Error) Unwrap() error { return e.cause }

// Is matches a target *Error by its code alone, so that errors.Is(err, &fault.Error{Code: c}) works.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Retryable reports whether the same request may succeed later.
func (e *Error) Retryable() bool { return e.Code.Retryable() && !e.Final }

// With returns a copy changed by edit; it is how a layer adds where an error happened.
func (e *Error) With(edit func(*Error)) *Error {
	c := *e
	edit(&c)
	return &c
}

// From turns any error into an *Error: one in err's chain as it is, a context's end into its code, anything else
// into Internal. From(nil) is nil.
func From(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.DeadlineExceeded):
		return New(DeadlineExceeded, "the deadline passed: %w", err)
	case errors.Is(err, context.Canceled):
		return New(Cancelled, "the call was cancelled: %w", err)
	}
	return New(Internal, "%w", err)
}

// CodeOf is the code of From(err), or "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	return From(err).Code
}

// Is reports whether err carries code.
func Is(err error, code Code) bool { return err != nil && CodeOf(err) == code }
