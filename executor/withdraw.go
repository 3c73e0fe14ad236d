package executor

import (
	"context"
	"errors"
	"time"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/value"
)

// errWithdrawn ends an invocation whose result nobody needs any more. That it ends so is not reported to anyone.
var errWithdrawn = fault.New(fault.Cancelled, "the result is of no more use: another one came first, or what needed it was skipped")

func withdrawn(ctx context.Context) bool {
	return ctx.Err() != nil && errors.Is(context.Cause(ctx), errWithdrawn)
}

// withdrawals are the invocations at one place that may be taken back one by one, each with a context of its own. Those of
// plain graphs end with their run only, and are not in here.
type withdrawals map[dag.Invocation]*revocable

type revocable struct {
	ctx context.Context
	end context.CancelCauseFunc
}

// mayWithdraw reports whether invocations of a node may be taken back before the run ends.
func (s *spec) mayWithdraw(node int) bool {
	return s.graph.Requires&dag.Conditional != 0 || s.graph.Nodes[node].Hedge > 0 || streams(s.functions[node])
}

// admit notes an invocation that is about to be run here.
func (a *activity) admit(inv dag.Invocation) {
	if !a.spec.mayWithdraw(inv.Node) {
		return
	}
	r := &revocable{}
	r.ctx, r.end = context.WithCancelCause(a.ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.revocable == nil {
		a.revocable = withdrawals{}
	}
	a.revocable[inv] = r
}

// context is what an invocation runs in.
func (a *activity) context(inv dag.Invocation) (ctx context.Context, own bool) {
	if !a.spec.mayWithdraw(inv.Node) {
		return a.ctx, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if r := a.revocable[inv]; r != nil {
		return r.ctx, true
	}
	return a.ctx, false
}

// leaveOff forgets an invocation that has ended; it reports whether it was taken back.
func (a *activity) leaveOff(inv dag.Invocation) bool {
	if !a.spec.mayWithdraw(inv.Node) {
		return false
	}
	a.mu.Lock()
	r := a.revocable[inv]
	delete(a.revocable, inv)
	a.mu.Unlock()
	if r == nil {
		return false
	}
	was := withdrawn(r.ctx)
	r.end(errReleased)
	return was
}

// withdraw takes back an invocation, here or at another site.
func (a *activity) withdraw(c dag.Command) {
	a.mu.Lock()
	r, epoch := a.revocable[c.Invocation], a.header.Plan.Epoch
	a.mu.Unlock()
	if c.Site != a.self {
		if p := a.site(c.Site); p.Name != "" {
			a.e.send(p, &wire.Withdraw{Run: a.run, Epoch: epoch, Invocation: c.Invocation})
		}
		return
	}
	if r != nil {
		r.end(errWithdrawn)
	}
}

// decline tells the home of a source that a node here does not need it.
func (a *activity) decline(c dag.Command) {
	a.mu.Lock()
	m := &wire.Decline{Header: a.header, Source: c.Source, Node: c.Invocation.Node}
	a.mu.Unlock()
	m.Header.Remaining = wire.Until(a.until, time.Now())
	a.e.send(a.site(c.Site), m)
}

// passAbsence tells another site that a source will have no value.
func (a *activity) passAbsence(c dag.Command) {
	a.mu.Lock()
	m := &wire.Deliver{Header: a.header, Absent: []wire.Absence{{Source: c.Source, Err: c.Err}}, Stats: a.stats.snapshot()}
	a.mu.Unlock()
	m.Header.Remaining = wire.Until(a.until, time.Now())
	a.e.send(a.site(c.Site), m)
}

// declined hears that a node elsewhere does not need what is made here.
func (e *Executor) declined(from wire.Peer, m *wire.Decline) {
	a := e.join(&m.Header)
	if a == nil {
		return
	}
	epoch := m.Header.Plan.Epoch
	a.post(epoch, func() {
		if a.welcome(from, epoch) {
			a.advance(dag.Event{Kind: dag.Declined, Source: m.Source, Invocation: dag.Invocation{Node: m.Node}})
		}
	})
}

// withdraw takes back what an Exec has asked for.
func (e *Executor) withdraw(m *wire.Withdraw) {
	e.mu.Lock()
	defer e.mu.Unlock()
	v := e.visits[m.Run]
	if v == nil || v.items == 0 {
		return // it has ended
	}
	if r := v.revocable[m.Invocation]; r != nil {
		r.end(errWithdrawn)
		return
	}
	if v.early == nil {
		v.early = map[dag.Invocation]bool{}
	}
	v.early[m.Invocation] = true // its plan is being read, or it has ended
}

// admitItem gives an invocation for another node's home a context of its own, where it may be taken back. The caller calls
// done when it has ended.
func (e *Executor) admitItem(v *visit, s *spec, inv dag.Invocation) (ctx context.Context, done func()) {
	if !s.mayWithdraw(inv.Node) {
		return v.ctx, func() {}
	}
	r := &revocable{}
	r.ctx, r.end = context.WithCancelCause(v.ctx)
	e.mu.Lock()
	defer e.mu.Unlock()
	if v.early[inv] {
		r.end(errWithdrawn)
	}
	if v.revocable == nil {
		v.revocable = withdrawals{}
	}
	v.revocable[inv] = r
	return r.ctx, func() {
		e.mu.Lock()
		delete(v.revocable, inv)
		e.mu.Unlock()
		r.end(errReleased)
	}
}

// late gives the run machine the run times that this executor knows.
func (a *activity) late(s *spec) func(int, []value.Value, float64) (time.Duration, bool) {
	ask := a.e.cfg.Late
	if ask == nil || s.graph.Requires&dag.Hedged == 0 {
		return nil
	}
	return func(node int, args []value.Value, quantile float64) (time.Duration, bool) {
		return ask(s.functions[node].Version, int64(sizeOf(args)), quantile)
	}
}
