package executor

import (
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/wire"
)

var (
	errLeft     = fault.New(fault.Cancelled, "the executor is leaving")
	errFenced   = fault.New(fault.Cancelled, "the executor was declared dead; the run goes on elsewhere")
	errReleased = fault.New(fault.Cancelled, "the run has ended")
)

// handle takes one message off the inbox. It runs on the inbox's one goroutine and must not block.
func (e *Executor) handle(from wire.Peer, msg []byte) {
	t, err := wire.Peek(msg)
	if err != nil {
		e.log.Warn("message refused", "node", from.Name, "err", err)
		return
	}
	switch t {
	case wire.TypeDeliver:
		err = take(msg, func(m *wire.Deliver) { e.deliver(from, m) })
	case wire.TypeClaim:
		err = take(msg, func(*wire.Claim) { e.credits.claim(from) })
	case wire.TypeExec:
		err = take(msg, func(m *wire.Exec) { e.exec(from, m) })
	case wire.TypeResult:
		err = take(msg, func(m *wire.Result) { e.result(from, m) })
	case wire.TypeFailure:
		err = take(msg, e.failure)
	case wire.TypeRelease:
		err = take(msg, e.release)
	case wire.TypeCancel:
		err = take(msg, e.cancel)
	case wire.TypeDecline:
		err = take(msg, func(m *wire.Decline) { e.declined(from, m) })
	case wire.TypeWithdraw:
		err = take(msg, e.withdraw)
	case wire.TypeOffers:
		err = take(msg, e.offers)
	case wire.TypeQuery:
		err = take(msg, func(m *wire.Query) { e.query(from, m) })
	case wire.TypeReplan:
		err = take(msg, e.replan)
	default:
		err = fault.New(fault.Unsupported, "an executor takes no message of type %d", t)
	}
	if err != nil {
		e.log.Warn("message refused", "node", from.Name, "err", err)
	}
}

// take decodes a message and hands it on.
func take[M any, P interface {
	*M
	wire.Message
}](b []byte, f func(P)) error {
	m := P(new(M))
	if err := wire.Decode(b, m); err != nil {
		return err
	}
	f(m)
	return nil
}

// find gives the activity of a run that is here.
func (e *Executor) find(run id.Run) *activity {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.runs[run]
}

// join gives this executor's part of the run that h describes, which may be new here; nil where it is over, or is none
// of this executor's.
func (e *Executor) join(h *wire.Header) *activity {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed || e.isOverLocked(h) {
		return nil
	}
	a := e.runs[h.Run]
	if a != nil && h.Owner != a.owner() && h.Plan.Epoch > a.epoch() {
		// Another owner has adopted the run and starts it afresh.
		go a.drop(errFenced)
		a = nil
	}
	if a != nil && h.Began > a.epoch() { // it begins anew, and the word of that is on its way
		go a.drop(errFenced)
		a = nil
	}
	if a == nil {
		if a = newActivity(e, h); a == nil {
			e.log.Warn("a run's message names other executors", "run", h.Run)
			return nil
		}
		e.runs[h.Run] = a
	}
	return a
}

// deliver brings values for a run.
func (e *Executor) deliver(from wire.Peer, m *wire.Deliver) {
	good := m.Credit > 0 && e.credits.spend(from, m.Credit)
	if m.Credit > 0 && !good && len(m.Header.Executors) == 1 && e.find(m.Header.Run) == nil {
		e.refuse(from, &m.Header)
		return
	}
	a := e.join(&m.Header)
	if good && !a.credited() {
		e.credits.entered()
	}
	if a == nil {
		return
	}
	a.post(m.Header.Plan.Epoch, func() {
		if a.welcome(from, m.Header.Plan.Epoch) {
			a.arrived(m)
		}
	})
}

// exec runs one item for a Map whose home is elsewhere.
func (e *Executor) exec(from wire.Peer, m *wire.Exec) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if v := e.visitingLocked(m); v != nil {
		e.work.Go(func() { e.runItem(v, from, m) })
	}
}

// result brings the result of an item that was delegated.
func (e *Executor) result(from wire.Peer, m *wire.Result) {
	if a := e.find(m.Run); a != nil {
		a.post(m.Epoch, func() { a.itemDone(from, m) })
	}
}

// failure tells the collector that a node failed for good elsewhere.
func (e *Executor) failure(m *wire.Failure) {
	a := e.find(m.Run)
	if a == nil && m.Header != nil {
		a = e.join(m.Header)
	}
	if a != nil {
		a.post(m.Epoch, func() {
			if m.Epoch >= a.epoch() {
				a.advance(dag.Event{Kind: dag.NodeFailed, Err: m.Err})
			}
		})
	}
}

// release lets go of runs that have ended elsewhere.
func (e *Executor) release(m *wire.Release) {
	for i, run := range m.Runs {
		if i < len(m.Epochs) {
			e.releaseOne(run, m.Epochs[i])
		}
	}
}

func (e *Executor) releaseOne(run id.Run, epoch uint32) {
	e.mu.Lock()
	a := e.runs[run]
	if a != nil && a.newest() > epoch {
		e.mu.Unlock()
		return // from one who does not know that it was given up for lost
	}
	delete(e.runs, run)
	v := e.visits[run]
	newer := v != nil && v.newest > epoch // items of a later epoch have overtaken this
	if v != nil && !newer {
		e.endVisitLocked(run, v, errReleased)
	}
	e.endedLocked(run, epoch)
	e.mu.Unlock()
	if !newer {
		e.letGo(run)
	}
	if a != nil {
		a.drop(errReleased)
	}
}

// endedLocked remembers that a run is over up to an epoch: messages of those are ignored. In a later one it goes on.
func (e *Executor) endedLocked(run id.Run, epoch uint32) {
	if known, ok := e.ended.Get(run); !ok || known < epoch {
		e.ended.Add(run, epoch)
	}
	e.signalIdleLocked()
}

// cancel ends a run here; at its collector it answers the caller.
func (e *Executor) cancel(m *wire.Cancel) {
	a := e.find(m.Run)
	if a == nil {
		// The collector may have replied already and the reply may have been lost.
		if e.replies.resend(e, m.Run) {
			return
		}
		e.mu.Lock()
		e.endedLocked(m.Run, m.Epoch) // its first message may still be on the way
		e.mu.Unlock()
		return
	}
	a.post(a.epoch(), func() { a.advance(dag.Event{Kind: dag.Cancelled, Err: m.Err}) })
}

// offers says who will run a Map's items.
func (e *Executor) offers(m *wire.Offers) {
	if a := e.find(m.Run); a != nil {
		a.post(a.epoch(), func() { a.offered(m) })
	}
}

// query tells an owner what is held of a run here.
func (e *Executor) query(from wire.Peer, m *wire.Query) {
	a := e.find(m.Run)
	if a == nil {
		held := wire.Held{Run: m.Run, Epoch: m.Epoch, Ended: e.replies.resend(e, m.Run)}
		e.send(from, &held)
		return
	}
	e.send(from, &wire.Held{Run: m.Run, Epoch: m.Epoch, Sources: a.held(m.Epoch)})
}

// replan gives a run's new plan after a loss; the run may be new here.
func (e *Executor) replan(m *wire.Replan) {
	if a := e.join(&m.Header); a != nil {
		a.post(a.epoch(), func() { a.replanned(m) })
	}
}

// abandon lets go of a part of a run that goes on elsewhere, or begins here anew.
func (e *Executor) abandon(a *activity) {
	e.mu.Lock()
	if e.runs[a.run] == a {
		delete(e.runs, a.run)
	}
	e.signalIdleLocked()
	e.mu.Unlock()
	a.drop(errFenced)
}

// settle notes that a run has ended here.
func (e *Executor) settle(a *activity) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.runs[a.run] == a {
		delete(e.runs, a.run)
	}
	e.endedLocked(a.run, a.epoch())
	e.letGo(a.run)
}

// isOverLocked reports whether the run has ended here as far as whoever sent h can know.
func (e *Executor) isOverLocked(h *wire.Header) bool {
	epoch, ok := e.ended.Get(h.Run)
	return ok && h.Plan.Epoch <= epoch
}
