package coordinator

import (
	"context"
	"strings"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

func runKey(run id.Run) kvs.Key { return kvs.Key(wire.RunKey(run)) }

func recordValue(rec *wire.RunRecord) (value.Value, error) {
	b, err := wire.Encode(rec)
	if err != nil {
		return value.Value{}, err
	}
	return value.Of(b)
}

// admitDurable stores a run before anybody is told of it. A record that is there already is this very run's: the call
// was repeated.
func (c *Coordinator) admitDurable(ctx context.Context, call *wire.Call, p *pin) {
	if _, err := inputs(call, p); err != nil {
		c.refuse(call, err)
		return
	}
	now := time.Now()
	rec := &wire.RunRecord{Call: *call, Spec: p.hash, Started: now.UnixNano(), Epoch: 1}
	if call.Remaining > 0 {
		rec.Expires = now.Add(time.Duration(call.Remaining)).UnixNano()
	}
	v, err := recordValue(rec)
	if err == nil {
		var rev kvs.Revision
		if rev, err = c.cfg.System.CompareAndSet(ctx, runKey(call.Run), v, 0, kvs.PutOptions{}); err == nil {
			c.admit(call, p, uint64(rev))
			return
		}
	}
	if !fault.Is(err, fault.Conflict) {
		c.refuse(call, err)
		return
	}
	c.mu.Lock()
	known := c.knownLocked(call)
	c.mu.Unlock()
	if known {
		return
	}
	there, rev, err := c.recordOf(ctx, call.Run)
	switch {
	case err != nil:
		c.refuse(call, err)
	case there.Outcome == nil:
		c.adoptRun(ctx, there, rev)
		c.mu.Lock()
		c.knownLocked(call)
		c.mu.Unlock()
	case call.Mode.Async():
		c.reply(call.Reply, &wire.Outcome{Run: call.Run, State: wire.Running})
	default:
		c.reply(call.Reply, there.Outcome)
	}
}

// keepRecords adopts the durable runs that were open when the coordinator before this one ended, and then, now and
// again, removes the records that are old. Records carry no TTL, because a TTL would cost each of them a third fsync.
func (c *Coordinator) keepRecords() {
	for {
		wait := sweepEach
		if err := c.scanRecords(c.ctx); err != nil {
			c.log.Error("run records cannot be read; open durable runs wait", "err", err)
			wait = scanAgain
		} else if err := c.sweepEffects(c.ctx); err != nil && c.ctx.Err() == nil {
			c.log.Warn("records of what ended runs have written stay for now", "err", err)
		}
		select {
		case <-c.ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

const (
	sweepEach = 6 * time.Hour
	scanAgain = 2 * time.Second
)

// sweep has the stores look for garbage, now and again until the coordinator closes.
func (c *Coordinator) sweep() {
	t := time.NewTicker(time.Hour)
	defer t.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-t.C:
		}
		for _, s := range c.cfg.Sweepers {
			removed, err := s.Sweep(c.ctx)
			if err != nil && c.ctx.Err() == nil {
				c.log.Warn("garbage in the store stays for another hour", "err", err)
			} else if removed > 0 {
				c.log.Info("swept garbage out of the store", "count", removed)
			}
		}
	}
}

func (c *Coordinator) scanRecords(ctx context.Context) error {
	for cursor := ""; ; {
		page, err := c.cfg.System.List(ctx, wire.RunPrefix, cursor, 1000)
		if err != nil {
			return err
		}
		for _, k := range page.Keys {
			run, err := id.ParseRun(string(k[len(wire.RunPrefix):]))
			if err != nil {
				continue // not a run's
			}
			rec, rev, err := c.recordOf(ctx, run)
			switch {
			case fault.Is(err, fault.UnknownRun): // gone meanwhile
			case err != nil:
				c.log.Warn("a run's record cannot be read", "run", run, "err", err)
			case rec.Outcome == nil:
				c.adoptRun(ctx, rec, rev)
			case time.Since(time.Unix(0, rec.Ended)) > wire.RunRetention:
				if err := c.cfg.System.Delete(ctx, k, kvs.Revision(rev)); err != nil {
					c.log.Warn("an old run's record stays", "run", run, "err", err)
				}
			}
		}
		if cursor = page.Next; cursor == "" {
			return nil
		}
	}
}

// sweepEffects removes the records of what invocations have written whose runs have ended: nobody executes those again.
func (c *Coordinator) sweepEffects(ctx context.Context) error {
	open := map[id.Run]bool{}
	for cursor := ""; ; {
		page, err := c.cfg.System.List(ctx, wire.EffectsPrefix, cursor, 1000)
		if err != nil {
			return err
		}
		for _, k := range page.Keys {
			name, _, _ := strings.Cut(string(k[len(wire.EffectsPrefix):]), "/")
			run, err := id.ParseRun(name)
			if err != nil {
				continue // not a run's
			}
			keep, known := open[run]
			if !known {
				rec, _, err := c.recordOf(ctx, run)
				if err != nil && !fault.Is(err, fault.UnknownRun) {
					return err
				}
				keep = err == nil && rec.Outcome == nil
				open[run] = keep
			}
			if keep {
				continue
			}
			if err := c.cfg.System.Delete(ctx, k, 0); err != nil {
				return err
			}
		}
		if cursor = page.Next; cursor == "" {
			return nil
		}
	}
}

// adoptRun makes a stored run this coordinator's own. The record is written again, so that a collector of the owner
// before, which expects the earlier revision, cannot record its outcome any more.
//
// Who asks for a run while it is being adopted waits for that: to adopt it twice would fence its own first plan.
func (c *Coordinator) adoptRun(ctx context.Context, rec *wire.RunRecord, rev uint64) {
	name := rec.Call.Run
	c.mu.Lock()
	if c.runs[name] != nil {
		c.mu.Unlock()
		return
	}
	if others := c.adopting[name]; others != nil {
		c.mu.Unlock()
		select {
		case <-others:
		case <-ctx.Done():
		}
		return
	}
	done := make(chan struct{})
	c.adopting[name] = done
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.adopting, name)
		c.mu.Unlock()
		close(done)
	}()
	rec.Epoch += adoptionStep
	v, err := recordValue(rec)
	if err != nil {
		c.log.Error("run cannot be adopted", "run", rec.Call.Run, "err", err)
		return
	}
	next, err := c.cfg.System.CompareAndSet(ctx, runKey(rec.Call.Run), v, kvs.Revision(rev), kvs.PutOptions{})
	if err != nil {
		return // its collector has just ended it, or somebody else adopted it
	}
	e, err := c.cfg.System.Get(ctx, kvs.Key(wire.SpecKey(rec.Spec)))
	if err != nil && !fault.Is(err, fault.NotFound) {
		c.log.Warn("run not adopted: its plan cannot be read; whoever asks for it has it tried again", "run", rec.Call.Run, "err", err)
		return // the store is away, or this coordinator leaves: that is no outcome of the run's
	}
	var p *pin
	if err == nil {
		p, err = decodePin(rec.Spec, rec.Call.Name, e.Value)
	}
	now := time.Now()
	r := &run{
		call: rec.Call, pin: p, started: time.Unix(0, rec.Started), record: uint64(next), epoch: rec.Epoch,
		giveUp: now.Add(adoptionWait),
	}
	if rec.Expires > 0 {
		r.until = time.Unix(0, rec.Expires)
	}
	if err == nil {
		r.inputs, err = inputs(&rec.Call, p)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.runs[r.id()] = r
	c.log.Info("adopted a durable run", "run", r.id(), "dag", rec.Call.Name)
	if err != nil {
		c.concludeLocked(r, fault.From(err))
		return
	}
	c.placeLocked(r)
}

const (
	// adoptionStep separates the epochs of one owner from those of the next, which does not know how many recoveries
	// there were.
	adoptionStep = 1000
	// adoptionWait is how long a durable run waits for an executor when it was acknowledged, has lost the one it had, or
	// was adopted: after a restart of everything they need a while.
	adoptionWait = 10 * time.Minute
)

// recordOutcome stores the outcome of a run that its owner ends.
func (c *Coordinator) recordOutcome(r *run, o *wire.Outcome) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), storeLimit)
	defer cancel()
	o.Stored = true
	v, err := recordValue(&wire.RunRecord{
		Call: wire.Call{Run: r.id(), Target: r.call.Target, Name: r.call.Name, Mode: r.call.Mode}, Spec: r.pin.specHash(),
		Started: r.started.UnixNano(), Epoch: r.epoch, Outcome: o, Ended: time.Now().UnixNano(),
	})
	if err != nil {
		return err
	}
	_, err = c.cfg.System.CompareAndSet(ctx, runKey(r.id()), v, kvs.Revision(r.record), kvs.PutOptions{})
	if fault.Is(err, fault.Conflict) {
		return nil // its collector was faster: that outcome stands
	}
	return err
}

// answerFromRecord sends a recorded outcome to whoever waits for it.
func (c *Coordinator) answerFromRecord(run id.Run, to []string) {
	ctx, cancel := context.WithTimeout(c.ctx, storeLimit)
	defer cancel()
	o := &wire.Outcome{Run: run, State: wire.Errored}
	rec, _, err := c.recordOf(ctx, run)
	switch {
	case err != nil:
		o.Err = c.outward(err)
	case rec.Outcome == nil:
		o.Err = fault.New(fault.OutcomeUnknown, "run %s has ended without a record of its outcome", run)
	default:
		o = rec.Outcome
	}
	for _, w := range to {
		c.reply(w, o)
	}
}
