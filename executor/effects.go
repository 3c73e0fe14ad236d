package executor

import (
	"context"
	"time"

	"github.com/squall-faas/squall/cache"
	"github.com/squall-faas/squall/cache/session"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

// An invocation of a durable run has its effects once, however often it is executed: its writes are kept back, and when it
// returns they are recorded, with its output, by create-if-absent. Who finds a record there already stores the writes of
// that one, which is harmless to do again, and takes its output for its own. An invocation that writes nothing needs no
// record: to execute it again changes nothing. A hedged invocation does the same in any run, for two executions of it may be
// under way at once.

// recall looks for the effects of an earlier execution; done where there are some, which are stored by now.
func (e *Executor) recall(ctx context.Context, c *call, s *cache.Session) (out value.Value, st *session.State, done bool, err error) {
	rec, err := e.effectsOf(ctx, c)
	if err != nil || rec == nil {
		return value.Value{}, nil, false, err
	}
	out, st, err = e.adopt(ctx, c, s, rec)
	return out, st, err == nil, err
}

func (e *Executor) effectsOf(ctx context.Context, c *call) (*wire.Effects, error) {
	got, err := e.cfg.System.Get(ctx, effectsKey(c))
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	b, err := value.As[[]byte](got.Value)
	if err != nil {
		return nil, err
	}
	rec := &wire.Effects{}
	return rec, wire.Decode(b, rec)
}

func effectsKey(c *call) kvs.Key {
	if !c.terms.durable {
		return kvs.Key(wire.HedgeKey(c.run, c.invocation.Node, c.invocation.Item))
	}
	return kvs.Key(wire.EffectsKey(c.run, c.invocation.Node, c.invocation.Item))
}

// hedgeLasts is how long the record of a hedged invocation is kept where its run has no deadline.
const hedgeLasts = time.Hour

// recordTTL is how long the record of what the invocation writes is kept: a durable run's are swept after its end.
func (c *call) recordTTL() time.Duration {
	switch {
	case c.terms.durable:
		return 0
	case c.until.IsZero():
		return hedgeLasts
	}
	return max(0, time.Until(c.until)) + lingering
}

// adopt stores the writes of a record and gives its output.
func (e *Executor) adopt(ctx context.Context, c *call, s *cache.Session, rec *wire.Effects) (value.Value, *session.State, error) {
	writes := make([]version.Mutation, len(rec.Writes))
	for i, b := range rec.Writes {
		m, err := version.DecodeMutation(b)
		if err != nil {
			return value.Value{}, nil, err
		}
		writes[i] = m
	}
	out, err := e.cfg.Offload.In(ctx, rec.Output)
	if err != nil {
		return value.Value{}, nil, err
	}
	if err := s.Replay(writes); err != nil {
		return value.Value{}, nil, err
	}
	st, err := s.Finish(ctx)
	return out, st, err
}

// settleEffects ends a durable invocation that has returned out.
func (e *Executor) settleEffects(ctx context.Context, c *call, s *cache.Session, out value.Value) (value.Value, *session.State, error) {
	kept := s.Kept()
	if len(kept) == 0 {
		st, err := s.Finish(ctx)
		return out, st, err
	}
	rec := &wire.Effects{Writes: make([][]byte, len(kept))}
	var err error
	for i := range kept {
		if rec.Writes[i], err = kept[i].Encode(); err != nil {
			return value.Value{}, nil, err
		}
	}
	outs, err := e.cfg.Offload.Out(ctx, wire.RunRetention, out)
	if err != nil {
		return value.Value{}, nil, err
	}
	rec.Output = outs[0]
	b, err := wire.Encode(rec)
	if err != nil {
		return value.Value{}, nil, err
	}
	_, err = e.cfg.System.CompareAndSet(ctx, effectsKey(c), value.MustOf(b), 0, kvs.PutOptions{TTL: c.recordTTL()})
	if fault.Is(err, fault.Conflict) { // another execution was faster: its effects count
		other, err := e.effectsOf(ctx, c)
		if err != nil {
			return value.Value{}, nil, err
		}
		if other == nil {
			return value.Value{}, nil, fault.New(fault.Unavailable, "the record of what %s writes was there and is not: try again", c.function.Name)
		}
		return e.adopt(ctx, c, s, other)
	}
	if err != nil {
		return value.Value{}, nil, err
	}
	st, err := s.Finish(ctx)
	return out, st, err
}
