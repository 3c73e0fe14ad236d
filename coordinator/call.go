package coordinator

import (
	"context"
	"slices"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/bus"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/wire"
)

// call takes in a request for a run. It runs on the one goroutine of the subscription: whatever has to wait for the
// store goes to another.
func (c *Coordinator) call(m bus.Msg) {
	var call wire.Call
	if err := wire.Decode(m.Data, &call); err != nil {
		c.log.Warn("call refused", "err", err)
		return
	}
	k := pinKey{call.Target, call.Name, len(call.Values)}
	if call.Target == wire.TargetDAG {
		k.arity = 0
	}
	if p := c.registry.pinned(k); p != nil && !call.Mode.Durable() {
		c.admit(&call, p, 0)
		return
	}
	c.do(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, storeLimit)
		defer cancel()
		if err := id.CheckName(call.Target.String(), call.Name); err != nil {
			c.refuse(&call, err)
			return
		}
		p, err := c.registry.pin(ctx, k)
		if err != nil {
			c.refuse(&call, err)
			return
		}
		if !call.Mode.Durable() {
			c.admit(&call, p, 0)
			return
		}
		c.admitDurable(ctx, &call, p)
	})
}

// refuse answers a call that does not become a run.
func (c *Coordinator) refuse(call *wire.Call, err error) {
	c.reply(call.Reply, &wire.Outcome{Run: call.Run, State: wire.Errored, Err: c.outward(err).With(func(e *fault.Error) {
		if e.Run == "" {
			e.Run = call.Run.String()
		}
	})})
}

func (c *Coordinator) reply(to string, o *wire.Outcome) {
	if to == "" {
		return
	}
	b, err := wire.Encode(o)
	if err == nil {
		err = c.cfg.Bus.Publish(bus.Msg{Subject: to, Data: b})
	}
	if err != nil {
		c.log.Warn("reply not sent; the caller asks again", "run", o.Run, "err", err)
	}
}

// inputs puts a call's values in the order of the graph's inputs; wrong_arity names what is missing and what is too
// much.
func inputs(call *wire.Call, p *pin) ([]wire.Value, error) {
	if call.Target == wire.TargetFunction {
		return call.Values, nil // the pin was resolved for this arity
	}
	if len(call.Inputs) != len(call.Values) {
		return nil, fault.New(fault.InvalidArgument, "a call with %d input names and %d values", len(call.Inputs), len(call.Values))
	}
	want := p.graph.Inputs
	if slices.Equal(call.Inputs, want) {
		return call.Values, nil
	}
	out := make([]wire.Value, len(want))
	have := make([]bool, len(want))
	for i, name := range call.Inputs {
		k := slices.Index(want, name)
		if k < 0 {
			return nil, fault.New(fault.WrongArity, "DAG %s has no input %q: its inputs are %q", p.name, name, want)
		}
		if have[k] {
			return nil, fault.New(fault.WrongArity, "DAG %s is given input %q twice", p.name, name)
		}
		out[k], have[k] = call.Values[i], true
	}
	if k := slices.Index(have, false); k >= 0 {
		return nil, fault.New(fault.WrongArity, "DAG %s needs input %q, which the call does not give: its inputs are %q", p.name, want[k], want)
	}
	return out, nil
}

// admit makes a call a run and places it. record is the revision of its record, 0 where there is none.
func (c *Coordinator) admit(call *wire.Call, p *pin, record uint64) {
	in, err := inputs(call, p)
	if err != nil {
		c.refuse(call, err)
		return
	}
	now := time.Now()
	r := &run{
		call: *call, inputs: in, pin: p, started: now, until: call.Remaining.Deadline(now), record: record,
		epoch: 1, giveUp: now.Add(c.cfg.PlaceWait),
	}
	if call.Mode.Durable() && call.Mode.Async() { // acknowledged, and nobody stands and waits
		r.giveUp = now.Add(adoptionWait)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.knownLocked(call) {
		return
	}
	if len(c.runs) >= c.cfg.MaxRuns {
		c.refuse(call, fault.New(fault.Overloaded, "%d runs are open, the most this coordinator takes: try again later", len(c.runs)).
			With(func(e *fault.Error) { e.RetryAfter = time.Second }))
		return
	}
	c.runs[r.id()] = r
	if call.Mode.Async() {
		c.reply(call.Reply, &wire.Outcome{Run: r.id(), State: wire.Running})
	}
	c.placeLocked(r)
}

// knownLocked answers a repeated call: a run that is open stays the one run of its id, and the outcome of one that has
// ended is sent again.
func (c *Coordinator) knownLocked(call *wire.Call) bool {
	if r := c.runs[call.Run]; r != nil {
		switch {
		case call.Mode.Async():
			c.reply(call.Reply, &wire.Outcome{Run: call.Run, State: wire.Running})
		case r.call.Mode.Recorded():
			r.waiters = append(r.waiters, call.Reply)
		}
		return true
	}
	e, ok := c.ended.Get(call.Run)
	if !ok {
		return false
	}
	if call.Mode.Async() {
		c.reply(call.Reply, &wire.Outcome{Run: call.Run, State: wire.Running})
	} else {
		c.repeatLocked(e, call.Run, call.Reply)
	}
	return true
}

// repeatLocked has the outcome of a run that has ended sent again.
func (c *Coordinator) repeatLocked(e ended, run id.Run, to string) {
	switch {
	case e.stored:
		c.goLocked(func() { c.answerFromRecord(run, []string{to}) })
		return
	case e.outcome != nil:
		c.reply(to, e.outcome)
		return
	}
	if err := c.mux.Send(e.collector, &wire.Query{Run: run}); err != nil {
		c.log.Debug("collector not asked to repeat a reply", "run", run, "err", err)
	}
}
