package executor

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/sched"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/kvs"
)

// credits is the shell around the ledger: coordinators send runs here only against credits for free slots. Safe for
// concurrent use.
type credits struct {
	e       *Executor
	starved atomic.Bool // somebody has nothing left to spend: tell as soon as there is

	mu       sync.Mutex // guards what follows
	ledger   sched.Ledger
	starting int // runs that came with a credit and have not asked for a slot
	window   int // at the last grant
}

func peerOf(p wire.Peer) sched.Peer { return sched.Peer{Name: p.Name, Life: p.Incarnation} }

// claim takes in a coordinator that wants to send work.
func (c *credits) claim(from wire.Peer) {
	c.mu.Lock()
	c.ledger.Claim(peerOf(from))
	c.mu.Unlock()
	c.e.digest.restart()
	c.e.Announce()
}

// spend takes in a run that came with a credit; false where the credit is not good.
func (c *credits) spend(from wire.Peer, n uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	ok := c.ledger.Spend(peerOf(from), n)
	if ok {
		c.starting++
	}
	c.starved.Store(c.ledger.Starved())
	return ok
}

// entered counts a run that has asked for a slot, or never will.
func (c *credits) entered() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.starting--
}

// lost takes the credits of a coordinator that is gone back.
func (c *credits) lost(p wire.Peer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ledger.Drop(peerOf(p))
}

// reset begins anew: this is another life, and what was granted in the one before is void.
func (c *credits) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ledger = sched.Ledger{}
}

// grant hands out what is free now, and tells for each coordinator what it has.
func (c *credits) grant() (grants []wire.Grant, load wire.Load) {
	busy, queued, mean, stuck := c.e.slots.state(time.Now())
	c.mu.Lock()
	defer c.mu.Unlock()
	load = wire.Load{Busy: busy, Queued: queued + c.starting, Mean: int64(mean)}
	c.window = sched.Window(c.e.cfg.Slots, mean, stuck)
	if stuck && c.ledger.Unspent() > 0 {
		c.ledger.Revoke()
	}
	c.ledger.Grant(c.window, busy+queued+c.starting)
	c.starved.Store(c.ledger.Starved())
	for _, g := range c.ledger.Grants() {
		grants = append(grants, wire.Grant{To: wire.Peer{Name: g.To.Name, Incarnation: g.To.Life}, Limit: g.Limit, Spent: g.Spent, Serial: g.Serial})
	}
	return grants, load
}

// loadFor is the word for one coordinator; nil where it has claimed nothing.
func (c *credits) loadFor(p wire.Peer) *wire.Load {
	grants, load := c.grant()
	for _, g := range grants {
		if g.To == p {
			load.Grant = g
			return &load
		}
	}
	return nil
}

// freed hears that a slot is free, or a place in the queue. Who has nothing to spend is told when that is worth a message.
func (c *credits) freed() {
	if !c.starved.Load() {
		return
	}
	busy, queued := c.e.slots.load()
	c.mu.Lock()
	worth := c.window - busy - queued - c.starting - c.ledger.Unspent()
	window := c.window
	c.mu.Unlock()
	if worth >= max(1, window/4) {
		c.e.reports.hurry()
	}
}

// errReturned ends what waits for a slot in a run that goes back to its owner.
var errReturned = fault.New(fault.Cancelled, "the run was sent back: there is no slot for it here")

// refuse sends a run back that came with a credit that was taken back.
func (e *Executor) refuse(from wire.Peer, h *wire.Header) {
	e.mu.Lock()
	e.endedLocked(h.Run, h.Plan.Epoch)
	e.mu.Unlock()
	e.send(from, &wire.Busy{Run: h.Run, Epoch: h.Plan.Epoch, Load: e.credits.loadFor(from)})
}

// giveBack sends the run back to its owner if nothing of it was begun here, so that it does not wait behind long jobs. A run
// with parts elsewhere stays in line: its owner hears of it once, and takes it away if it has a better place. A run whose
// owner sends no work against credits, or is gone, stays too: nobody would place it anew.
func (a *activity) giveBack() error {
	load := a.e.credits.loadFor(a.owner())
	if load == nil {
		return nil
	}
	a.mu.Lock()
	alone := len(a.header.Executors) == 1
	epoch := a.header.Plan.Epoch
	ok := !a.over && !a.begun && !a.returned && load.Grant.To == a.header.Owner &&
		(alone || !a.wished && !a.header.Level.Session() && a.header.Level != kvs.Transaction)
	if ok {
		a.returned, a.wished = alone, true
	}
	a.mu.Unlock()
	if !ok {
		return nil
	}
	if alone {
		a.e.settle(a)
		a.drop(errReturned)
	}
	a.e.send(load.Grant.To, &wire.Busy{Run: a.run, Epoch: epoch, Load: load, Kept: !alone})
	if alone {
		return errReturned
	}
	return nil
}

// begin reports whether an invocation may be begun here, and notes that one is: from then on the run is not sent back.
func (a *activity) begin() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over || a.returned {
		return false
	}
	a.begun = true
	return true
}

// credited notes that the run came with a credit; false where it needs none any more, or a is nil.
func (a *activity) credited() bool {
	if a == nil {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over || a.begun || a.returned || a.credit {
		return false
	}
	a.credit = true
	return true
}

// spent is called when the run's first invocation has asked for a slot, or none will.
func (a *activity) spent() {
	a.mu.Lock()
	credit := a.credit
	a.credit = false
	a.mu.Unlock()
	if credit {
		a.e.credits.entered()
	}
}
