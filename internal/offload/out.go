package offload

import (
	"context"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sync/errgroup"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// Out is Send to whoever can read the store, for ttl.
func (o *Offload) Out(ctx context.Context, ttl time.Duration, vs ...value.Value) ([]wire.Value, error) {
	return o.Send(ctx, Terms{TTL: ttl}, vs...)
}

// Send gives the form in which vs travel together in one message, in their order, each by the path that its terms and its
// size have it take. Where those that are to travel inline exceed the threshold, the largest leave the message until the
// rest fits. What leaves is held by this node or put in the store, side by side, and stays there for the terms' time. Send
// blocks on the store only for those that go there.
//
// Inline forms are copies, except those of nothing; what is held is not copied. too_large: a value over MaxValue, or over
// MaxDirect to an executor, or more small values than one message holds; else the store's error. Nothing has been
// offloaded, or expires by itself, where Send fails.
func (o *Offload) Send(ctx context.Context, t Terms, vs ...value.Value) ([]wire.Value, error) {
	out := make([]wire.Value, len(vs))
	holds := o.cfg.Hold != nil
	room := 0
	for _, v := range vs {
		if n := 1 + v.Size(); choose(t, n, o.cfg.Threshold, holds) == Inline {
			room += n
		}
	}
	// One buffer for all small ones: append may move it, and what was cut from it before stays good.
	buf := make([]byte, 0, min(room, o.cfg.Threshold+o.cfg.Threshold/4))
	total, away := 0, false
	for i, v := range vs {
		if n := v.Size(); choose(t, 1+n, o.cfg.Threshold, holds) != Inline {
			if n > t.most() {
				return nil, tooLarge(i, len(vs), n, t.most())
			}
			away = true
			continue
		}
		from := len(buf)
		b, err := v.Append(buf)
		if err != nil {
			return nil, fault.From(err)
		}
		if n := len(b) - from - 1; n > t.most() { // what Size had only estimated
			return nil, tooLarge(i, len(vs), n, t.most())
		}
		buf = b
		out[i].Inline = b[from:len(b):len(b)]
		total += len(b) - from
	}
	if !away && total <= o.cfg.Threshold {
		return out, nil
	}
	if err := o.spill(ctx, t, vs, out); err != nil {
		return nil, err
	}
	return out, nil
}

func tooLarge(i, of, n, most int) error {
	return fault.New(fault.TooLarge, "value %d of %d has %d bytes: at most %d (%d MiB) are allowed; put it under several keys and pass references", i+1, of, n, most, most>>20)
}

// far is one value that leaves its message.
type far struct {
	at   int
	kind value.Kind
	data []byte
}

// spill offloads what has no inline form yet, and then the largest until the rest fits.
func (o *Offload) spill(ctx context.Context, t Terms, vs []value.Value, out []wire.Value) error {
	var gone []far
	held := o.cfg.Hold != nil && t.To != "" && t.Path != Remote
	cost := farBytes
	if held || o.lends(t) {
		cost = heldBytes
	}
	total := 0
	bySize := make([]int, 0, len(out))
	for i := range out {
		if out[i].Inline == nil {
			kind, data, err := vs[i].Payload()
			if err != nil {
				return fault.From(err)
			}
			if len(data) > t.most() {
				return tooLarge(i, len(vs), len(data), t.most())
			}
			gone = append(gone, far{i, kind, data})
			total += cost
			continue
		}
		total += len(out[i].Inline)
		bySize = append(bySize, i)
	}
	slices.SortStableFunc(bySize, func(a, b int) int { return len(out[b].Inline) - len(out[a].Inline) })
	for _, i := range bySize {
		b := out[i].Inline
		if total <= o.cfg.Threshold {
			break
		}
		if len(b) < worthwhile || len(b) < 2*cost {
			return fault.New(fault.TooLarge, "%d values, %d bytes of them small ones, do not fit a message of %d bytes: pass them as one list",
				len(vs), total, o.cfg.Threshold)
		}
		gone = append(gone, far{i, value.Kind(b[0]), b[1:]})
		total += cost - len(b)
	}
	if total > o.cfg.Threshold {
		return fault.New(fault.TooLarge, "the references to %d values do not fit a message of %d bytes: pass them as one list", len(vs), o.cfg.Threshold)
	}
	if t.TTL == 0 {
		t.TTL = o.cfg.TTL
	}
	var puts []far
	for _, f := range gone {
		if held {
			if d := o.cfg.Hold.put(t.Run, o.portOf(t.To), t.TTL, f.kind, f.data); d != nil {
				out[f.at] = wire.Value{Held: d}
				continue
			}
		}
		puts = append(puts, f)
	}
	return o.store(ctx, t, puts, out)
}

func (o *Offload) portOf(executor string) string {
	if o.cfg.PortOf == nil {
		return ""
	}
	return o.cfg.PortOf(executor)
}

// store puts values in lent memory or in the store, side by side.
func (o *Offload) store(ctx context.Context, t Terms, gone []far, out []wire.Value) error {
	if len(gone) == 0 {
		return nil
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, f := range gone {
		group.Go(func() error {
			if d := o.lend(ctx, t, f); d != nil {
				out[f.at] = wire.Value{Held: d}
				return nil
			}
			v, err := value.FromPayload(f.kind, f.data)
			if err != nil {
				return err
			}
			// 128 random bits: the key is also the capability to read the value.
			key := o.cfg.Prefix + id.Token(32)
			if _, err := o.cfg.Store.Put(ctx, kvs.Key(key), v, kvs.PutOptions{TTL: t.TTL}); err != nil {
				return fault.From(err)
			}
			out[f.at] = wire.Value{Far: &wire.FarAway{Key: key, Size: 1 + len(f.data), Hash: hash(f.kind, f.data)}}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		e := fault.From(err)
		return fault.New(e.Code, "offload %d of %d values: %w", len(gone), len(out), e)
	}
	return nil
}

// hash is xxhash64 of the wire form, without assembling it.
func hash(kind value.Kind, data []byte) uint64 {
	var d xxhash.Digest
	d.Reset()
	_, _ = d.Write([]byte{byte(kind)}) // never fails
	_, _ = d.Write(data)
	return d.Sum64()
}
