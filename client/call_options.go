package client

import "time"

// CallOption changes one call.
type CallOption func(*callOptions)

type callOptions struct {
	durable bool
	trace   bool
	key     string
	runTime time.Duration
}

// Durable stores the run before anything is answered: it survives the loss of every process, and its outcome is
// recorded exactly once.
func Durable() CallOption { return func(o *callOptions) { o.durable = true } }

// IdempotencyKey names the run: a call with the same key and target is the same run, and answered with its outcome.
func IdempotencyKey(key string) CallOption { return func(o *callOptions) { o.key = key } }

// RunTime bounds an async run; a sync call has its context's deadline.
func RunTime(d time.Duration) CallOption { return func(o *callOptions) { o.runTime = d } }

// Trace asks where the run's time goes, by node: see Outputs.Stats.
func Trace() CallOption { return func(o *callOptions) { o.trace = true } }
