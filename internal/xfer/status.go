package xfer

import (
	"errors"
	"time"

	"github.com/squall-faas/squall/fault"
)

// status is how a response begins. The numbers are part of the wire format: append-only.
type status uint8

const statusOK status = 0

// statuses are the codes that a refusal may have, by number; 0 is none.
var statuses = [...]fault.Code{
	statusOK: "",
	1:        fault.Unauthorized,
	2:        fault.NotFound,
	3:        fault.InvalidArgument,
	4:        fault.Unsupported,
	5:        fault.Overloaded,
	6:        fault.Unavailable,
	7:        fault.TooLarge,
	8:        fault.Internal,
}

// refusal is an error as it stands in a response. What has no number, such as the end of a context, is the peer's
// trouble, not the reader's: unavailable.
func refusal(err error) (s status, words string, retryAfter time.Duration) {
	var e *fault.Error
	if !errors.As(err, &e) {
		e = fault.New(fault.Unavailable, "%w", err)
	}
	s = 6
	for n, code := range statuses {
		if code == e.Code && code != "" {
			s = status(n)
		}
	}
	return s, e.Message, e.RetryAfter
}

// err is a refusal as the error that the peer at addr gave. A status of a later release is taken as unavailable.
func (s status) err(addr, words string, retryAfter time.Duration) *fault.Error {
	code := fault.Unavailable
	if int(s) < len(statuses) && s != statusOK {
		code = statuses[s]
	}
	e := fault.New(code, "peer %s: %s", addr, words)
	e.RetryAfter = retryAfter
	return e
}
