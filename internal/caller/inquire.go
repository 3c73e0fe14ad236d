package caller

import (
	"context"
	"iter"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/bus"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/wire"
)

const (
	inquireEach  = time.Second
	inquireAfter = time.Second // calls younger than this are left in peace
	inquireLimit = 1000        // runs per inquiry
	// patience is how many inquiries in a row may find no sign of a run. Each may be wrong once: an outcome can be on
	// its way while the coordinator has forgotten the run.
	patience = 4
	// recordedPatience is how many inquiries in a row may find no coordinator when the outcome is stored: the run
	// outlives its coordinator, so it is worth waiting for another.
	recordedPatience = 60
)

// inquire asks now and then whether the runs behind long calls are alive.
func (c *Caller) inquire() {
	t := time.NewTicker(inquireEach)
	defer t.Stop()
	for {
		select {
		case <-c.stop:
			return
		case <-t.C:
			c.inquireOnce()
		}
	}
}

func (c *Caller) inquireOnce() {
	open := c.longCalls(time.Now())
	if len(open) == 0 {
		return
	}
	runs := make([]id.Run, len(open))
	for i, p := range open {
		runs[i] = p.run
	}
	ctx, cancel := context.WithTimeout(context.Background(), inquireEach)
	defer cancel()
	a, err := c.inquireRuns(ctx, runs)
	for i, p := range open {
		state := wire.Unknown
		if err == nil && i < len(a.States) {
			state = a.States[i]
		}
		switch {
		case p.admit && state != wire.Unknown: // it was admitted, and the message that said so was lost
			p.answer(reply{outcome: &wire.Outcome{Run: p.run, State: wire.Running}})
			continue
		case state == wire.Running:
			p.unseen, p.absent = 0, 0
			continue
		case err != nil:
			p.absent++
		default:
			p.unseen, p.absent = p.unseen+1, 0
			if p.recorded { // whoever had been asked to send it has gone
				c.repeatAwait(p.run)
			}
		}
		if p.unseen < patience && (p.recorded && p.absent < recordedPatience || p.unseen+p.absent < patience) {
			continue
		}
		why := "its coordinator does not answer"
		if err == nil {
			why = "its coordinator went away and took the run's state along"
		}
		p.answer(reply{err: fault.New(fault.OutcomeUnknown, "run %s may or may not have finished: %s; call again if it is safe to repeat, or use a durable call", p.run, why)})
	}
}

// repeatAwait asks for a stored outcome again, without waiting: it comes to the inbox.
func (c *Caller) repeatAwait(run id.Run) {
	b := wire.MustEncode(&wire.RunOp{Run: run, Reply: c.inbox})
	if err := c.cfg.Bus.Publish(bus.Msg{Subject: c.subjects.Run(wire.OpAwait), Data: b}); err != nil {
		c.log.Debug("outcome not asked for again", "run", run, "err", err)
	}
}

func (c *Caller) inquireRuns(ctx context.Context, runs []id.Run) (*wire.Answer, error) {
	b, err := wire.Encode(&wire.Inquiry{Runs: runs, Reply: c.inbox})
	if err != nil {
		return nil, err
	}
	out, err := c.cfg.Bus.Request(ctx, c.subjects.Run(wire.OpInquire), b)
	if err != nil {
		return nil, err
	}
	var a wire.Answer
	return &a, wire.Decode(out, &a)
}

func (c *Caller) longCalls(now time.Time) []*pending {
	c.mu.Lock()
	defer c.mu.Unlock()
	var open []*pending
	for p := range all(c.pending) {
		if now.Sub(p.since) >= inquireAfter && len(open) < inquireLimit {
			open = append(open, p)
		}
	}
	return open
}

// all walks the waits for every run; the caller holds the lock.
func all(waits map[id.Run]*pending) iter.Seq[*pending] {
	return func(yield func(*pending) bool) {
		for _, p := range waits {
			for ; p != nil; p = p.next {
				if !yield(p) {
					return
				}
			}
		}
	}
}
