package executor

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/squall-faas/squall/cache"
	"github.com/squall-faas/squall/cache/session"
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/executor/runtime"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/value"
)

// call is one invocation, wherever its node's home is.
type call struct {
	run        id.Run
	invocation dag.Invocation
	function   runtime.Spec
	node       *dag.Node
	args       []value.Value
	until      time.Time // the run's deadline; zero is none
	depth      int
	terms      terms
	carried    *session.State // what the invocations before have seen
	after      *session.State // what they and this one have; nil for levels that do not care
	home       *activity      // the node's, where it is on this executor
	revocable  bool           // it has a context of its own
	flow       *flow          // of what it yields, where others may begin with it
	late       func(error)    // else: tells the home that the try has failed though the function has not returned
}

// work runs one invocation, and then whatever follows it on this node, with one slot.
func (a *activity) work(c dag.Command) {
	waited := time.Now()
	f := a.spec.functions[c.Invocation.Node]
	ctx, _ := a.context(c.Invocation)
	_, err := a.e.library.callable(ctx, f) // to compile takes seconds, and no slot
	var own *slots
	if err == nil {
		own, err = a.e.enter(ctx, f, a)
	}
	if err != nil {
		a.spent()
		if !errors.Is(err, errReturned) && !a.leaveOff(c.Invocation) {
			a.advance(a.failed(c.Invocation, err))
		}
		return
	}
	defer a.e.slots.release()
	if !a.begin() {
		if own != nil {
			own.release()
		}
		return
	}
	running := true
	defer func() {
		if own != nil {
			own.release()
		}
		if running && !a.leaveOff(c.Invocation) { // runtime.Goexit: only deferred functions still run
			a.advance(a.failed(c.Invocation, errGoexit))
			a.closeFlow(c.Invocation, errGoexit)
		}
	}()
	for ok := true; ok; {
		ev := a.run1(c, waited)
		if own != nil { // what follows is another function
			own.release()
			own = nil
		}
		if a.leaveOff(c.Invocation) {
			a.closeFlow(c.Invocation, errWithdrawn)
			break
		}
		buf := newCommands()
		*buf = a.step(ev, *buf)
		inv := c.Invocation
		c, ok = a.perform(*buf, true)
		a.closeFlow(inv, asError(ev.Err))
		freeCommands(buf)
		waited = time.Time{}
	}
	running = false
}

var errGoexit = fault.New(fault.FunctionExited, "the function ended its goroutine with runtime.Goexit: return an error instead")

// asError keeps no error from becoming an error that is nil.
func asError(f *fault.Error) error {
	if f == nil {
		return nil
	}
	return f
}

// run1 runs one invocation and gives the event that ends it.
func (a *activity) run1(c dag.Command, waited time.Time) dag.Event {
	call := call{
		run: a.run, invocation: c.Invocation, function: a.spec.functions[c.Invocation.Node],
		node: &a.spec.graph.Nodes[c.Invocation.Node], args: c.Args, until: a.until, depth: a.depth,
		home: a,
	}
	began := time.Now()
	a.mu.Lock()
	call.terms = a.termsLocked(c.Invocation.Node)
	carried, err := a.carriedLocked(c.Invocation.Node)
	a.mu.Unlock()
	call.carried = carried
	var v value.Value
	if err == nil {
		var ctx context.Context
		if ctx, call.revocable = a.context(c.Invocation); withdrawn(ctx) {
			err = errWithdrawn
		} else {
			a.openFlow(&call)
			v, err = a.e.invoke(ctx, &call)
		}
	}
	if err == nil {
		err = a.carry(c.Invocation.Node, call.after)
	}
	if a.trace {
		var wait time.Duration
		if !waited.IsZero() {
			wait = began.Sub(waited)
		}
		a.mu.Lock()
		a.stats.add(true, c.Invocation, time.Since(began), wait)
		a.mu.Unlock()
	}
	if err != nil {
		return a.failed(c.Invocation, err)
	}
	return dag.Event{Kind: dag.Finished, Invocation: c.Invocation, Site: a.self, Value: v}
}

func (a *activity) failed(inv dag.Invocation, err error) dag.Event {
	return dag.Event{Kind: dag.Failed, Invocation: inv, Site: a.self, Err: fault.From(err)}
}

// enter waits for a slot, and for one of the function's own where its concurrency is limited. The caller gives both
// back. a is the part of the run, which may go back to its owner while it waits; nil for an item of a Map.
func (e *Executor) enter(ctx context.Context, f runtime.Spec, a *activity) (own *slots, err error) {
	own = e.limits.of(f)
	if own != nil {
		if a != nil {
			a.spent() // the function is what it waits for, not this node
		}
		if err := own.acquire(ctx); err != nil {
			return nil, err
		}
	}
	var who waiter
	if a != nil {
		who = a
	}
	if err := e.slots.acquireOr(ctx, who); err != nil {
		if own != nil {
			own.release()
		}
		return nil, err
	}
	return own, nil
}

// invoke resolves references, runs the function, and says where a failure happened. The caller holds a slot.
func (e *Executor) invoke(ctx context.Context, c *call) (value.Value, error) {
	e.calls.Add(1)
	v, err := e.try(ctx, c)
	if err == nil && int64(v.Size()) > c.limit(e.cfg.MaxOutput) {
		err = fault.New(fault.TooLarge, "the result has %d bytes, the limit is %d: store it under a key and return the key", v.Size(), c.limit(e.cfg.MaxOutput))
	}
	if err == nil {
		return v, nil
	}
	return value.Value{}, fault.From(err).With(func(f *fault.Error) {
		f.Run, f.Function, f.Executor = c.run.String(), c.function.Name, e.cfg.Name
		clip(f)
	})
}

func (c *call) limit(most int64) int64 {
	if c.function.Limits.Output > 0 {
		return min(most, c.function.Limits.Output)
	}
	return most
}

func (e *Executor) try(ctx context.Context, c *call) (value.Value, error) {
	s, err := e.begin(c)
	if err != nil {
		return value.Value{}, err
	}
	if c.terms.once && (c.terms.again || c.invocation.Try > 1) {
		if out, st, done, err := e.recall(ctx, c, s); done || err != nil {
			c.after = st
			return out, ended(ctx, err)
		}
	}
	out, err := e.run(ctx, c, s)
	if err != nil {
		s.Abort()
		return value.Value{}, err
	}
	if c.terms.once {
		out, c.after, err = e.settleEffects(ctx, c, s, out)
	} else {
		c.after, err = s.Finish(ctx)
	}
	if err != nil {
		s.Abort()
	}
	return out, ended(ctx, err)
}

// run runs the function, within a session that the caller ends.
func (e *Executor) run(ctx context.Context, c *call, s *cache.Session) (out value.Value, err error) {
	args, err := s.Resolve(ctx, c.args)
	if err != nil {
		return value.Value{}, ended(ctx, err)
	}
	callable, err := e.library.callable(ctx, c.function)
	if err != nil {
		return value.Value{}, ended(ctx, err)
	}
	// The try's own limit begins here: to find its arguments and to compile it is not the function's doing.
	until, own := c.deadline(time.Now())
	if own {
		// Only a try with a limit of its own pays for a timer: the run's deadline ends ctx anyway.
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, until)
		defer cancel()
	}
	inv := &invocation{Context: ctx, e: e, call: c, until: until, session: s}
	defer inv.hangUp()
	if p := e.cfg.Profiler; p != nil {
		if began := time.Now(); p.Wants(c.function.Version, began) {
			in := int64(sizeOf(args))
			defer func() {
				if err == nil {
					fed, starved := inv.consumed()
					p.Ran(c.function.Version, in+fed, int64(out.Size()), max(time.Since(began)-starved, 0))
				}
			}()
		}
	}
	if c.function.Kind != runtime.Native {
		v, err := callable.Invoke(inv, args)
		return v, inv.explain(ended(ctx, err))
	}
	if home := c.home; home != nil && !own && !c.revocable { // the run's end is the only end
		home.enter(inv)
		defer home.leave(inv)
		if ctx.Err() != nil {
			inv.overdue()
		}
	} else {
		defer context.AfterFunc(ctx, inv.overdue)()
	}
	return e.native(ctx, inv, callable, args)
}

// native runs a native function, which cannot be stopped: past its deadline the try has failed, while the function
// keeps its slot until it returns.
func (e *Executor) native(ctx context.Context, inv *invocation, callable runtime.Callable, args []value.Value) (value.Value, error) {
	defer inv.returned()
	v, err := callable.Invoke(inv, args)
	return v, inv.explain(ended(ctx, err))
}

// deadline is when the try must have ended, and whether that is sooner than the run's own deadline.
func (c *call) deadline(now time.Time) (until time.Time, own bool) {
	until = c.until
	for _, limit := range []time.Duration{c.node.Timeout, c.function.Limits.Wall} {
		if limit <= 0 {
			continue
		}
		if t := now.Add(limit); until.IsZero() || t.Before(until) {
			until, own = t, true
		}
	}
	return until, own
}

// ended prefers the reason why ctx ended over what its end made of the call.
func ended(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	cause := context.Cause(ctx)
	if errors.Is(cause, context.DeadlineExceeded) {
		return fault.New(fault.DeadlineExceeded, "the function had not returned at its deadline: give it more time, or less to do")
	}
	return cause
}

// functionLimits are the concurrency limits of functions that have one.
type functionLimits struct {
	mu sync.Mutex // guards by
	by map[limited]*slots
}

// limited is a version of a function with a limit: the same code may be registered again with another one.
type limited struct {
	version string
	slots   int
}

func newFunctionLimits() *functionLimits { return &functionLimits{by: map[limited]*slots{}} }

func (l *functionLimits) none(f runtime.Spec) bool { return f.Limits.Slots == 0 }

func (l *functionLimits) of(f runtime.Spec) *slots {
	if l.none(f) {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	k := limited{f.Version, f.Limits.Slots}
	s := l.by[k]
	if s == nil {
		s = newSlots(f.Limits.Slots, 16<<10)
		l.by[k] = s
	}
	return s
}
