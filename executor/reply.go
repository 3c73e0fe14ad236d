package executor

import (
	"context"
	"time"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/bus"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// reply answers the caller: this is the run's collector, and the run has ended.
func (a *activity) reply(c dag.Command) {
	o := &wire.Outcome{Run: a.run, State: wire.Succeeded, Elapsed: int64(time.Since(a.started)), Err: c.Err}
	if o.Err == nil {
		if err := a.commit(); err != nil {
			o.Err = fault.From(err)
		}
	}
	if beginsAnew(o.Err) && a.again(o.Err) {
		return
	}
	if o.Err == nil {
		o.Values, o.Err = a.encodeOutputs(c.Outputs)
		for _, out := range a.spec.graph.Outputs {
			o.Names = append(o.Names, out.Name)
		}
	}
	if o.Err != nil {
		o.State, o.Names, o.Values = wire.Errored, nil, nil
		o.Err = o.Err.With(func(e *fault.Error) { e.Run = a.run.String() })
	}
	a.finish(o)
}

// again asks the run's owner to begin it anew; false where nobody would hear of it.
func (a *activity) again(why *fault.Error) bool {
	a.mu.Lock()
	owner, epoch, over := a.header.Owner, a.header.Plan.Epoch, a.over
	a.mu.Unlock()
	if over {
		return true // it has begun anew already, or ended
	}
	return a.e.link().Send(owner, &wire.Again{Run: a.run, Epoch: epoch, Err: why}) == nil
}

func (a *activity) encodeOutputs(outputs []value.Value) ([]wire.Value, *fault.Error) {
	keep := a.lasts()
	if a.recorded() {
		keep = wire.RunRetention // what outlives its run is kept for as long as the record that refers to it
	}
	values, err := a.out(keep, outputs...)
	if err != nil {
		return nil, fault.From(err)
	}
	return values, nil
}

// finish records an outcome if the run is recorded, sends it, and lets the run go everywhere.
func (a *activity) finish(o *wire.Outcome) {
	a.mu.Lock()
	header, sites := a.header, a.sites
	if header.Trace && a.spec != nil {
		o.Stats = a.stats.snapshot()
		for i := range o.Stats {
			o.Stats[i].Name = a.spec.graph.Nodes[o.Stats[i].Node].Name
		}
	}
	a.mu.Unlock()
	if header.Mode.Recorded() {
		recorded, err := a.record(&header, o)
		if fault.Is(err, fault.Conflict) { // it is another owner's run by now, and perhaps this very executor's again
			a.e.log.Info("a run that was adopted by another owner has ended here", "run", a.run)
			a.e.abandon(a)
			return
		}
		if err != nil {
			a.e.log.Error("the outcome of a run cannot be recorded", "run", a.run, "err", err)
			recorded = &wire.Outcome{Run: a.run, State: wire.Errored, Err: fault.New(fault.Unavailable,
				"the run has ended, but its outcome cannot be stored: %w", err).With(func(e *fault.Error) { e.Run = a.run.String() })}
		}
		o = recorded
	}
	a.e.answer(header.Reply, o)
	end := wire.Ended{Run: a.run, Epoch: header.Plan.Epoch}
	if o.Err != nil {
		end.Code, end.Why = o.Err.Code, o.Err.Message
	}
	a.e.settle(a)
	a.drop(errReleased)
	for i, p := range sites[:len(header.Executors)] {
		if dag.Site(i) != a.self {
			a.e.reports.released(p, a.run, header.Plan.Epoch)
		}
	}
	a.e.reports.ended(header.Owner, end)
}

// answer sends an outcome to its caller, and keeps it for a while in case it does not arrive.
func (e *Executor) answer(to string, o *wire.Outcome) {
	b, err := wire.Encode(o)
	if err == nil && len(b) > e.cfg.Bus.MaxPayload() {
		err = fault.New(fault.TooLarge, "the outcome has %d bytes, a message may have %d", len(b), e.cfg.Bus.MaxPayload())
	}
	if err != nil {
		b = wire.MustEncode(&wire.Outcome{Run: o.Run, State: wire.Errored, Err: fault.From(err)})
	}
	e.replies.keep(o.Run, bus.Msg{Subject: to, Data: b})
	if err := e.cfg.Bus.Publish(bus.Msg{Subject: to, Data: b}); err != nil {
		e.log.Warn("reply not sent; the caller asks again", "run", o.Run, "err", err)
	}
}

// record stores an outcome, again and again for a while where the store does not answer: to lose it is to lose the run.
func (a *activity) record(h *wire.Header, o *wire.Outcome) (*wire.Outcome, error) {
	until := time.Now().Add(recordPatience)
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		recorded, err := a.e.record(h, o)
		if !fault.Is(err, fault.Unavailable) && !fault.Is(err, fault.DeadlineExceeded) || time.Now().After(until) {
			return recorded, err
		}
		a.e.log.Warn("the outcome of a run is not recorded yet", "run", a.run, "err", err)
		select {
		case <-time.After(pause):
		case <-a.e.stop:
			return nil, err
		}
	}
}

// record stores an outcome unless one is stored already, and gives the one that is. A run that another owner has
// adopted meanwhile is fenced: conflict.
func (e *Executor) record(h *wire.Header, o *wire.Outcome) (*wire.Outcome, error) {
	ctx, cancel := context.WithTimeout(context.Background(), recordTimeout)
	defer cancel()
	o.Stored = true
	rec := wire.RunRecord{Call: wire.Call{Run: h.Run, Mode: h.Mode}, Spec: h.Spec, Epoch: h.Plan.Epoch, Outcome: o, Ended: time.Now().UnixNano()}
	if h.What != nil {
		rec.Call.Target, rec.Call.Name, rec.Started = h.What.Target, h.What.Name, h.What.Started
	}
	b, err := wire.Encode(&rec)
	if err != nil {
		return nil, err
	}
	key := kvs.Key(wire.RunKey(h.Run))
	v, _ := value.Of(b) // bytes always are a value
	_, err = e.cfg.System.CompareAndSet(ctx, key, v, kvs.Revision(h.Record), kvs.PutOptions{})
	if err == nil || !fault.Is(err, fault.Conflict) {
		return o, err
	}
	got, err := e.cfg.System.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	b, err = value.As[[]byte](got.Value)
	if err != nil {
		return nil, err
	}
	var there wire.RunRecord
	if err := wire.Decode(b, &there); err != nil {
		return nil, err
	}
	if there.Outcome == nil {
		return nil, fault.New(fault.Conflict, "run %s was adopted by another owner", h.Run)
	}
	return there.Outcome, nil
}

const (
	recordTimeout  = 15 * time.Second
	recordPatience = 2 * time.Minute
	keepReplies    = 8 << 10
	keepReplyMax   = 4 << 10 // bytes: a larger reply that was lost ends in outcome_unknown
)
