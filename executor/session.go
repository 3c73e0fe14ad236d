package executor

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/squall-faas/squall/cache"
	"github.com/squall-faas/squall/cache/session"
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/kvs"
)

// terms are those on which an invocation reads and writes state.
type terms struct {
	level   kvs.Level
	ack     kvs.Ack
	durable bool
	once    bool   // its writes are kept back until it returns, and recorded: it may be executed more than once at a time
	began   uint32 // epoch in which the run began anew
	home    string // the run's version home; "" where its session travels along one path
	last    bool   // no invocation of the run comes after this one
	again   bool   // it may have been executed before
}

// pins names what is kept for a run: anew when it begins anew.
func pins(run id.Run, began uint32) string {
	return run.String() + "/" + strconv.FormatUint(uint64(began), 10)
}

// begin makes the session of an invocation.
func (e *Executor) begin(c *call) (*cache.Session, error) {
	ack := c.terms.ack
	if c.terms.durable && ack == kvs.AckDefault {
		ack = kvs.Durable
	}
	cfg := cache.SessionConfig{
		App: c.function.App, Level: c.terms.level, Ack: ack, Carried: c.carried, Home: c.terms.home,
		Last: c.terms.last, Buffer: c.terms.once,
	}
	// Names are made only where they are used: at lww nothing is kept for a run.
	cfg.Invocation = c
	if c.terms.level.Session() {
		cfg.Run = pins(c.run, c.terms.began)
	}
	return e.cfg.Cache.Begin(cfg)
}

// Name is the invocation's in the whole fleet.
func (c *call) Name() string {
	return fmt.Sprintf("%s/%d.%d", c.run, c.invocation.Node, c.invocation.Item)
}

// terms of the run's invocations of a node. The lock is held.
func (a *activity) termsLocked(node int) terms {
	h := &a.header
	t := terms{
		level: h.Level, ack: h.Ack, durable: h.Mode.Durable(), began: h.Began,
		again: h.Plan.Epoch > 1,
	}
	t.once = t.durable || a.spec.graph.Nodes[node].Hedge > 0
	if !h.Level.Session() {
		return t
	}
	if !a.spec.linear {
		if h.Level.Repeatable() && h.Plan.Collector >= 0 && int(h.Plan.Collector) < len(a.sites) {
			t.home = a.sites[h.Plan.Collector].Name
		}
		return t
	}
	t.last = node == len(a.spec.graph.Nodes)-1
	return t
}

// carriedLocked is what the invocations before a node have seen: those that its arguments come from.
func (a *activity) carriedLocked(node int) (*session.State, error) {
	level := a.header.Level
	if !level.Session() || len(a.carries) == 0 {
		return nil, nil
	}
	var parts []*session.State
	for i := range a.spec.graph.Nodes[node].Args {
		arg := &a.spec.graph.Nodes[node].Args[i]
		if arg.Const == nil {
			if s := a.carries[arg.From]; s != nil {
				parts = append(parts, s)
			}
		}
	}
	if len(parts) == 0 {
		return nil, nil
	}
	return session.Join(level, parts...)
}

// carry notes what an invocation has seen and done: whoever takes the node's value goes on from there.
func (a *activity) carry(node int, s *session.State) error {
	if s == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over || a.spec == nil {
		return nil
	}
	return a.carryLocked(a.spec.graph.NodeSource(node), s)
}

// carryEncoded is carry for what came from another node.
func (a *activity) carryEncoded(node int, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	a.mu.Lock()
	level := a.header.Level
	a.mu.Unlock()
	s, err := session.Decode(level, b)
	if err != nil {
		return err
	}
	return a.carry(node, s)
}

func (a *activity) carryLocked(source dag.Source, s *session.State) error {
	if a.carries == nil {
		a.carries = map[dag.Source]*session.State{}
	}
	if before := a.carries[source]; before != nil { // other items of a Map, other steps of a Reduce
		joined, err := session.Join(a.header.Level, before, s)
		if err != nil {
			return err
		}
		s = joined
	}
	a.carries[source] = s
	return nil
}

// arriveWith takes in the session that came with a value.
func (a *activity) arriveWith(v wire.Sourced) error {
	if len(v.Session) == 0 {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	s, err := session.Decode(a.header.Level, v.Session)
	if err != nil {
		return err
	}
	if a.carries[v.Source] != nil {
		return nil // the value came before
	}
	return a.carryLocked(v.Source, s)
}

// encodedCarryLocked is the session that leaves with a source's value.
func (a *activity) encodedCarryLocked(source dag.Source) ([]byte, error) {
	b, err := a.carries[source].Encode()
	a.e.sent(a.header.Level, b)
	return b, err
}

// commit ends a run that is a transaction: where all its values have come together.
func (a *activity) commit() error {
	a.mu.Lock()
	level := a.header.Level
	if level != kvs.Transaction {
		a.mu.Unlock()
		return nil
	}
	parts := make([]*session.State, 0, len(a.carries))
	for _, s := range a.carries {
		parts = append(parts, s)
	}
	until, again := a.until, a.header.Plan.Epoch > 1
	a.mu.Unlock()
	all, err := session.Join(level, parts...)
	if err != nil {
		return err
	}
	ctx := context.WithoutCancel(a.ctx)
	if until.IsZero() {
		until = time.Now().Add(recordTimeout)
	}
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	return a.e.cfg.Cache.CommitTransaction(ctx, a.run.String(), all, again)
}

// beginsAnew reports whether an error asks for the whole run to begin anew rather than to end.
func beginsAnew(err *fault.Error) bool {
	if err == nil {
		return false
	}
	switch err.Code {
	case fault.TxnConflict, fault.SnapshotLost, fault.DependencyLost:
		return true
	}
	return false
}
