package executor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/squall-faas/squall/cache"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/internal/caller"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/value"
)

const (
	keepLines = 20                    // log lines that travel with an error
	overdueIn = 20 * time.Millisecond // for a function that notices its end to return by itself
)

// invocation is the fn.Context of one call.
type invocation struct {
	context.Context
	e       *Executor
	call    *call
	until   time.Time
	session *cache.Session

	mu      sync.Mutex // guards what follows
	lines   []string
	away    int // calls that this function waits for; its slot is given back meanwhile
	isStuck bool
	isBack  bool
	box     *mailbox      // once somebody has asked for it
	fed     int64         // bytes that were read from streams
	starved time.Duration // of waiting for their items
}

var _ fn.Context = (*invocation)(nil)

// Deadline is the try's, which need not be one of the underlying context.
func (i *invocation) Deadline() (time.Time, bool) { return i.until, !i.until.IsZero() }

// Err tells a deadline from a cancellation.
func (i *invocation) Err() error {
	if err := i.Context.Err(); err == nil || !errors.Is(context.Cause(i.Context), context.DeadlineExceeded) {
		return err
	}
	return context.DeadlineExceeded
}

// RunID names the run.
func (i *invocation) RunID() string { return i.call.run.String() }

// Log keeps the last lines for an error, and passes the line on to the executor's log.
func (i *invocation) Log(msg string, args ...any) {
	i.e.log.Info(msg, append([]any{"run", i.call.run, "fn", i.call.function.Name}, args...)...)
	var line strings.Builder
	line.WriteString(msg)
	for k := 0; k+1 < len(args); k += 2 {
		fmt.Fprintf(&line, " %v=%v", args[k], args[k+1])
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.lines) == keepLines {
		i.lines = append(i.lines[:0], i.lines[1:]...)
	}
	i.lines = append(i.lines, line.String())
}

// explain adds the last log lines to an error that has no details yet.
func (i *invocation) explain(err error) error {
	if err == nil {
		return nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.lines) == 0 {
		return err
	}
	return fault.From(err).With(func(f *fault.Error) {
		f.Detail = strings.TrimSpace(strings.Join(i.lines, "\n") + "\n" + f.Detail)
	})
}

// GetValue reads through the node's cache.
func (i *invocation) GetValue(key string) (value.Value, error) {
	return i.session.Get(i, kvs.Key(key))
}

// GetValues reads several keys through the node's cache.
func (i *invocation) GetValues(keys []string) ([]value.Value, error) {
	names := make([]kvs.Key, len(keys))
	for j, key := range keys {
		names[j] = kvs.Key(key)
	}
	return i.session.GetMany(i, names)
}

// SiblingValues reads all concurrent values.
func (i *invocation) SiblingValues(key string) ([]value.Value, error) {
	return i.session.Siblings(i, kvs.Key(key))
}

// PutValue writes through the node's cache.
func (i *invocation) PutValue(key string, v value.Value, o fn.PutOptions) error {
	ack, err := kvs.ParseAck(o.Ack)
	if err != nil {
		return err
	}
	return i.session.Put(i, kvs.Key(key), v, cache.PutOptions{TTL: o.TTL, Ack: ack})
}

// UpdateValue carries out a lattice's operation.
func (i *invocation) UpdateValue(key string, op lattice.Op) (value.Value, error) {
	return i.session.Update(i, kvs.Key(key), op, cache.PutOptions{})
}

// Delete removes a key through the node's cache.
func (i *invocation) Delete(key string) error {
	return i.session.Delete(i, kvs.Key(key))
}

// CallValue calls a function and waits for it.
func (i *invocation) CallValue(function string, args []value.Value) (value.Value, error) {
	r, err := i.wait(caller.Request{Target: wire.TargetFunction, Name: function, Values: args})
	if err != nil {
		return value.Value{}, err
	}
	if len(r.Values) != 1 {
		return value.Value{}, fault.New(fault.Internal, "function %s answered with %d values", function, len(r.Values))
	}
	return r.Values[0], nil
}

// CallDAGValues runs a DAG and waits for it.
func (i *invocation) CallDAGValues(dag string, inputs map[string]value.Value) (map[string]value.Value, error) {
	req := caller.Request{Target: wire.TargetDAG, Name: dag}
	for name, v := range inputs {
		req.Inputs = append(req.Inputs, name)
		req.Values = append(req.Values, v)
	}
	r, err := i.wait(req)
	if err != nil {
		return nil, err
	}
	out := make(map[string]value.Value, len(r.Names))
	for k, name := range r.Names {
		out[name] = r.Values[k]
	}
	return out, nil
}

// wait makes a call with the slot given back.
func (i *invocation) wait(req caller.Request) (*caller.Result, error) {
	req.Depth = i.call.depth + 1
	req.Level, req.Ack = i.call.terms.level, i.call.terms.ack
	if req.Depth > i.e.cfg.MaxDepth {
		return nil, fault.New(fault.DepthExceeded, "functions call functions %d levels deep, the limit: is there a call without an end?", i.e.cfg.MaxDepth)
	}
	i.leave()
	r, err := i.e.cfg.Caller.Call(i, req)
	i.comeBack()
	return r, err
}

// leave gives the slot back when the first of the function's goroutines waits.
func (i *invocation) leave() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.away++; i.away == 1 {
		i.e.slots.release()
	}
}

// comeBack waits for a slot when the last one returns. The slot is the function's own, so it is taken even when the
// run has ended: whoever runs the function gives it back.
func (i *invocation) comeBack() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.away--; i.away == 0 {
		i.e.slots.acquireAlways()
	}
}

// overdue notes that the function has not returned though its context has ended.
func (i *invocation) overdue() {
	time.AfterFunc(overdueIn, func() {
		i.mu.Lock()
		if i.isBack {
			i.mu.Unlock()
			return
		}
		i.isStuck = true
		i.mu.Unlock()
		stuck := i.e.stuck.Add(1)
		i.e.log.Warn("a native function ignores the end of its context and keeps its slot; let it watch c.Done()",
			"fn", i.call.function.Name, "run", i.call.run, "stuck", stuck)
		if withdrawn(i.Context) { // nobody waits for it
			return
		}
		why := fault.From(ended(i.Context, context.Cause(i.Context))).With(func(f *fault.Error) {
			f.Run, f.Function, f.Executor = i.RunID(), i.call.function.Name, i.e.cfg.Name
		})
		if home := i.call.home; home != nil { // the try has failed, though the function has not returned
			home.advance(home.failed(i.call.invocation, why))
		} else if i.call.late != nil {
			i.call.late(why)
		}
	})
}

// returned takes that back.
func (i *invocation) returned() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.isBack = true
	if i.isStuck {
		i.e.stuck.Add(-1)
	}
}
