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

// Out gives the form in which vs travel together in one message, in their order. Where they exceed the threshold, the
// largest are put in the store, side by side, until the rest fits; they stay there for ttl, or for the configured TTL
// if ttl is 0. Out blocks on the store only then.
//
// Inline forms are copies, except those of nothing. too_large: a value over kvs.MaxValue, or more small values than
// one message holds; else the store's error. Nothing has been offloaded, or expires by itself, where Out fails.
func (o *Offload) Out(ctx context.Context, ttl time.Duration, vs ...value.Value) ([]wire.Value, error) {
	out := make([]wire.Value, len(vs))
	room := 0
	for _, v := range vs {
		if n := 1 + v.Size(); n <= o.cfg.Threshold {
			room += n
		}
	}
	// One buffer for all small ones: append may move it, and what was cut from it before stays good.
	buf := make([]byte, 0, min(room, o.cfg.Threshold+o.cfg.Threshold/4))
	total, large := 0, false
	for i, v := range vs {
		if n := v.Size(); n > o.cfg.Threshold {
			if n > kvs.MaxValue {
				return nil, tooLarge(i, len(vs), n)
			}
			large = true
			continue
		}
		from := len(buf)
		b, err := v.Append(buf)
		if err != nil {
			return nil, fault.From(err)
		}
		if n := len(b) - from - 1; n > kvs.MaxValue { // what Size had only estimated
			return nil, tooLarge(i, len(vs), n)
		}
		buf = b
		out[i].Inline = b[from:len(b):len(b)]
		total += len(b) - from
	}
	if !large && total <= o.cfg.Threshold {
		return out, nil
	}
	if err := o.spill(ctx, ttl, vs, out); err != nil {
		return nil, err
	}
	return out, nil
}

func tooLarge(i, of, n int) error {
	return fault.New(fault.TooLarge, "value %d of %d has %d bytes: at most %d (64 MiB) are allowed; put it under several keys and pass references", i+1, of, n, kvs.MaxValue)
}

// far is one value that leaves its message.
type far struct {
	at   int
	kind value.Kind
	data []byte
}

// spill offloads what has no inline form yet, and then the largest until the rest fits.
func (o *Offload) spill(ctx context.Context, ttl time.Duration, vs []value.Value, out []wire.Value) error {
	var gone []far
	total := 0
	bySize := make([]int, 0, len(out))
	for i := range out {
		if out[i].Inline == nil {
			kind, data, err := vs[i].Payload()
			if err != nil {
				return fault.From(err)
			}
			if len(data) > kvs.MaxValue {
				return tooLarge(i, len(vs), len(data))
			}
			gone = append(gone, far{i, kind, data})
			total += farBytes
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
		if len(b) < worthwhile {
			return fault.New(fault.TooLarge, "%d values, %d bytes of them small ones, do not fit a message of %d bytes: pass them as one list",
				len(vs), total, o.cfg.Threshold)
		}
		gone = append(gone, far{i, value.Kind(b[0]), b[1:]})
		total += farBytes - len(b)
	}
	if total > o.cfg.Threshold {
		return fault.New(fault.TooLarge, "the references to %d values do not fit a message of %d bytes: pass them as one list", len(vs), o.cfg.Threshold)
	}
	if ttl == 0 {
		ttl = o.cfg.TTL
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, f := range gone {
		group.Go(func() error {
			v, err := value.FromPayload(f.kind, f.data)
			if err != nil {
				return err
			}
			// 128 random bits: the key is also the capability to read the value.
			key := o.cfg.Prefix + id.Token(32)
			if _, err := o.cfg.Store.Put(ctx, kvs.Key(key), v, kvs.PutOptions{TTL: ttl}); err != nil {
				return fault.From(err)
			}
			out[f.at] = wire.Value{Far: &wire.FarAway{Key: key, Size: 1 + len(f.data), Hash: hash(f.kind, f.data)}}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		e := fault.From(err)
		return fault.New(e.Code, "offload %d of %d values: %w", len(gone), len(vs), e)
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
