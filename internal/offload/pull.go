package offload

import (
	"context"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/shm"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/internal/xfer"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// pull brings a value that an executor holds, by the first way that works:
//
//	on this node ─▶ shared memory of this host ─▶ its holder's data port, and others' ─▶ the store ─▶ the store, asked for
//	             └▶ lent memory, where it was put there
func (o *Offload) pull(ctx context.Context, f *wire.Direct) (value.Value, error) {
	if err := checkDirect(f); err != nil {
		return value.Value{}, err
	}
	ref := heldRef(f.ID, f.Incarnation)
	var why error
	if h := o.cfg.Hold; h != nil {
		if data, ok := h.local(ref, f.Sum); ok && int64(len(data)) == f.Size {
			return value.FromPayload(value.Kind(f.Kind), data)
		}
	}
	if f.Lent {
		v, err := o.borrowed(ctx, f)
		if err != nil && ctx.Err() == nil {
			err = fault.New(fault.Unavailable, "the value of %d bytes that executor %s has put in lent memory is not to be had; make it anew: %w", f.Size, f.Executor, err)
		}
		return v, err
	}
	if h := o.cfg.Hold; h != nil {
		if data, ok := o.map1(ctx, f, ref); ok {
			h.copies.add(ref, data, f.Sum)
			return value.FromPayload(value.Kind(f.Kind), data)
		}
	}
	if o.cfg.Client != nil && !o.deaf.has(f.Port, time.Now()) {
		data, err := o.fetch(ctx, f, ref)
		if err == nil {
			if o.cfg.Hold != nil {
				o.cfg.Hold.copies.add(ref, data, f.Sum)
			}
			return value.FromPayload(value.Kind(f.Kind), data)
		}
		if ctx.Err() != nil {
			return value.Value{}, fault.From(err)
		}
		if fault.Is(err, fault.Unreachable) {
			o.deaf.add(f.Port, time.Now())
		}
		why = err
	}
	v, err := o.stored(ctx, f)
	if fault.Is(err, fault.NotFound) && o.cfg.AskStore != nil {
		// The holder may be well, and the way to its data port closed.
		if err = o.cfg.AskStore(ctx, f.Executor, ref); err == nil {
			v, err = o.stored(ctx, f)
		}
	}
	switch {
	case err == nil:
		return v, nil
	case ctx.Err() != nil:
		return value.Value{}, fault.From(ctx.Err())
	case why == nil:
		why = err
	}
	return value.Value{}, fault.New(fault.Unavailable, "the value of %d bytes that executor %s held is nowhere to be had; make it anew: %w", f.Size, f.Executor, why)
}

// checkDirect refuses what no Send made.
func checkDirect(f *wire.Direct) error {
	if f.Size < 0 || f.Size > MaxDirect || (f.Port == "") != f.Lent || len(f.ID) != idLen || len(f.Others) > mostOthers {
		return fault.New(fault.InvalidArgument, "the reference %.64q to a value of %d bytes at %.64q is none that an executor gave", f.ID, f.Size, f.Port)
	}
	return nil
}

// fetch pulls from the data ports. What several gave together and is wrong, one of them gave: its holder alone is asked
// again.
func (o *Offload) fetch(ctx context.Context, f *wire.Direct, ref xfer.Ref) ([]byte, error) {
	began := time.Now()
	all := ports(f)
	data, err := o.cfg.Client.FetchWhole(ctx, all, ref, f.Capability, f.Size, f.Sum)
	if err != nil && len(all) > 1 && ctx.Err() == nil {
		data, err = o.cfg.Client.FetchWhole(ctx, all[:1], ref, f.Capability, f.Size, f.Sum)
	}
	if err == nil && len(all) == 1 {
		o.observe(f, time.Since(began))
	}
	return data, err
}

func (o *Offload) observe(f *wire.Direct, took time.Duration) {
	if o.cfg.Observed != nil {
		o.cfg.Observed(f.Executor, f.Size, took)
	}
}

// map1 maps the value where its holder is another process of this host. That it is not there, or not as it should be, is no
// error: then it is sent.
func (o *Offload) map1(ctx context.Context, f *wire.Direct, ref xfer.Ref) ([]byte, bool) {
	memory := o.cfg.Hold.cfg.Memory
	if memory == nil || o.cfg.Client == nil || f.Host == "" || f.Host != memory.Host() || o.apart.has(f.Port, time.Now()) {
		return nil, false
	}
	raw, err := o.cfg.Client.Share(ctx, f.Port, ref, f.Capability)
	if err != nil {
		return nil, false
	}
	t, err := shm.ParseTicket(raw)
	if err != nil || t.Size() != f.Size {
		return nil, false
	}
	data, err := memory.Map(t)
	if fault.Is(err, fault.NotFound) { // another container of this machine: it will not be there the next time either
		o.apart.add(f.Port, time.Now())
	}
	if err != nil || xfer.Sum(data).Whole(f.Size) != f.Sum {
		return nil, false
	}
	return data, true
}

// stored reads the copy that the holder may have put in the store.
func (o *Offload) stored(ctx context.Context, f *wire.Direct) (value.Value, error) {
	e, err := o.cfg.Store.Get(ctx, kvs.Key(o.cfg.Prefix+f.ID))
	if err != nil {
		return value.Value{}, fault.From(err)
	}
	kind, data, err := e.Value.Payload()
	if err != nil {
		return value.Value{}, fault.From(err)
	}
	if uint8(kind) != f.Kind || int64(len(data)) != f.Size || xfer.Sum(data).Whole(f.Size) != f.Sum {
		return value.Value{}, fault.New(fault.Unavailable, "the stored copy of %q is damaged", f.ID)
	}
	return e.Value, nil
}
