package executor

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/id"
)

// address names an invocation. The serial number tells apart those that share the rest: a run that another coordinator
// adopts begins afresh with the same numbers, while a function of its former life may still be there.
type address struct {
	executor    string
	incarnation uint64
	run         id.Run
	invocation  dag.Invocation
	serial      uint64
}

// maxAddress is longer than any address.
const maxAddress = id.MaxName + 128

// String is the text that functions hold.
func (a address) String() string {
	return fmt.Sprintf("%s.%d.%s.%d.%d.%d.%d", a.executor, a.incarnation, a.run, a.invocation.Node, a.invocation.Item, a.invocation.Try, a.serial)
}

// parseAddress reads what String gives and nothing else. What it accepts names an executor that may stand in a subject.
func parseAddress(s string) (address, error) {
	var a address
	parts := strings.SplitN(s, ".", 8)
	ok := len(s) <= maxAddress && len(parts) == 7
	if ok {
		var errs [7]error
		a.executor, errs[0] = parts[0], id.CheckName("executor", parts[0])
		a.incarnation, errs[1] = strconv.ParseUint(parts[1], 10, 64)
		a.run, errs[2] = id.ParseRun(parts[2])
		a.invocation.Node, errs[3] = strconv.Atoi(parts[3])
		a.invocation.Item, errs[4] = strconv.Atoi(parts[4])
		a.invocation.Try, errs[5] = strconv.Atoi(parts[5])
		a.serial, errs[6] = strconv.ParseUint(parts[6], 10, 64)
		ok = errors.Join(errs[:]...) == nil && a.String() == s
	}
	if !ok {
		return address{}, fault.New(fault.InvalidArgument, "%.60q is no address of an invocation: pass on unchanged what Address or Recv gives", s)
	}
	return a, nil
}

func hasReturned(to string) *fault.Error {
	return fault.New(fault.NotFound, "the function at %s has returned, or its executor is gone: send only to functions that wait for it", to)
}

// tooMuch refuses a message that would not even fit an empty mailbox.
func tooMuch(size int) error {
	if messageBytes+size <= mailboxBytes {
		return nil
	}
	return fault.New(fault.TooLarge, "the message has %d bytes: at most %d are allowed; put it under a key and send the key", size, mailboxBytes-messageBytes)
}
