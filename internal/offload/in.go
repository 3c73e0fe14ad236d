package offload

import (
	"context"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// In gives back the value of v. An inline one keeps v's bytes, which the caller gives up writing to; an offloaded one
// is read from the store, or pulled from the executor that holds it, on which In blocks, and checked against its size and
// hash. unavailable: the reference has
// expired, was discarded, or does not name what it refers to; whoever knows how to makes the value anew. Other codes:
// invalid_argument for what no Out made, and the context's end.
func (o *Offload) In(ctx context.Context, v wire.Value) (value.Value, error) {
	switch {
	case v.Held != nil:
		return o.pull(ctx, v.Held)
	case v.Far == nil:
		return value.Parse(v.Inline)
	}
	f := *v.Far
	switch {
	case !strings.HasPrefix(f.Key, o.cfg.Prefix):
		return value.Value{}, fault.New(fault.InvalidArgument, "the reference to key %.64q is none to an offloaded value: it must begin with %q", f.Key, o.cfg.Prefix)
	case f.Size < 1 || f.Size > 1+MaxDirect:
		return value.Value{}, fault.New(fault.InvalidArgument, "the reference %.64q says %d bytes: expect 1 to %d", f.Key, f.Size, 1+MaxDirect)
	}
	e, err := o.cfg.Store.Get(ctx, kvs.Key(f.Key))
	switch fault.CodeOf(err) {
	case "":
	case fault.DeadlineExceeded, fault.Cancelled:
		return value.Value{}, fault.From(err)
	case fault.NotFound:
		return value.Value{}, fault.New(fault.Unavailable, "the offloaded value %q of %d bytes is gone: it expired or was released; make it anew", f.Key, f.Size)
	default:
		return value.Value{}, fault.New(fault.Unavailable, "the offloaded value %q of %d bytes cannot be read now: %w", f.Key, f.Size, err)
	}
	kind, data, err := e.Value.Payload()
	if err != nil {
		return value.Value{}, fault.New(fault.Unavailable, "the offloaded value %q cannot be read: %w", f.Key, err)
	}
	if len(data)+1 != f.Size || hash(kind, data) != f.Hash {
		return value.Value{}, fault.New(fault.Unavailable, "the offloaded value %q has %d bytes that are not the %d its reference names: it is damaged; make it anew",
			f.Key, len(data)+1, f.Size)
	}
	return e.Value, nil
}

// InAll is In of each, the offloaded ones side by side. It fails with the first error.
func (o *Offload) InAll(ctx context.Context, vs []wire.Value) ([]value.Value, error) {
	out := make([]value.Value, len(vs))
	var away []int
	for i, v := range vs {
		if v.Away() {
			away = append(away, i)
			continue
		}
		var err error
		if out[i], err = o.In(ctx, v); err != nil {
			return nil, err
		}
	}
	if len(away) == 0 {
		return out, nil
	}
	group, all := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, i := range away {
		group.Go(func() (err error) {
			out[i], err = o.In(all, vs[i])
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return out, nil
}

// Discard deletes from the store what Out put there for vs, and lets go of what this node holds for them; their references
// resolve no more. It is best effort: what it cannot reach goes by its TTL.
func (o *Offload) Discard(ctx context.Context, vs []wire.Value) {
	var group errgroup.Group
	group.SetLimit(parallel)
	for _, v := range vs {
		if v.Held != nil && o.cfg.Hold != nil {
			o.cfg.Hold.discard(heldRef(v.Held.ID, v.Held.Incarnation))
		}
		if v.Far == nil || !strings.HasPrefix(v.Far.Key, o.cfg.Prefix) {
			continue
		}
		group.Go(func() error {
			_ = o.cfg.Store.Delete(ctx, kvs.Key(v.Far.Key), 0)
			return nil
		})
	}
	_ = group.Wait()
}
