package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/squall-faas/squall/fault"
)

// hints say what to look at next, where the message itself cannot.
var hints = map[fault.Code]string{
	fault.Unreachable:     "is a cluster up? 'squall dev' starts one here, 'squall status' asks one how it is",
	fault.UnknownFunction: "'squall fn ls' lists what is registered",
	fault.UnknownDAG:      "'squall dag ls' lists what is registered",
	fault.UnknownRun:      "'squall run ls' lists open runs and the latest",
	fault.NotFound:        "'squall kv ls' lists the keys",
	fault.NoExecutor:      "'squall executor' starts one, 'squall status' shows those that are up",
	fault.Unauthorized:    "give --creds, --user and SQUALL_PASSWORD, or SQUALL_TOKEN; 'squall context save' keeps them",
	fault.OutcomeUnknown:  "'squall run … --durable' survives the loss of a coordinator",
}

// report prints an error to stderr and gives the exit code.
func (a *app) report(cmd *cobra.Command, err error) int {
	e, ours := asFault(err)
	if a.set.Output == "json" || a.set.Output == "jsonl" {
		b, _ := json.Marshal(e) // strings and numbers only
		a.say("%s\n", b)
		return e.Code.ExitCode()
	}
	a.say("squall: %s\n", e.Error())
	hint := hints[e.Code]
	if parent := cmd.Parent(); parent != nil && parent.Name() == "obj" && e.Code == fault.NotFound {
		hint = "'squall obj ls' lists objects, 'squall obj stat KEY' shows what is left of one"
	}
	if !ours {
		hint = fmt.Sprintf("see '%s --help'", cmd.CommandPath())
	}
	if hint != "" {
		a.say("hint: %s\n", hint)
	}
	if e.Detail != "" {
		a.say("%s\n", e.Detail)
	}
	return e.Code.ExitCode()
}

// asFault gives err as a fault; what is none, and no context's end, is cobra's complaint about the command line.
func asFault(err error) (e *fault.Error, ours bool) {
	if errors.As(err, &e) {
		return e, true
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fault.From(err), true
	}
	return fault.New(fault.InvalidArgument, "%w", err), false
}

// say writes to stderr; where that cannot be written there is nobody to tell.
func (a *app) say(format string, args ...any) { _, _ = fmt.Fprintf(a.errs, format, args...) }
