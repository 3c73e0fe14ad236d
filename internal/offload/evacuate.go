package offload

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/xfer"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// Evacuate puts what this node holds for others in the store, under the names that the references have: for a node that
// leaves while runs need it still. It says how many values are there; the rest is lost with the node, and made anew.
func (o *Offload) Evacuate(ctx context.Context) (stored int, err error) {
	if o.cfg.Hold == nil {
		return 0, nil
	}
	all := o.cfg.Hold.all()
	done := make([]bool, len(all))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, x := range all {
		group.Go(func() error {
			err := o.deposit(ctx, x)
			done[i] = err == nil
			return err
		})
	}
	err = group.Wait()
	for _, ok := range done {
		if ok {
			stored++
		}
	}
	return stored, err
}

// Deposit stores a value that this node holds, for a reader who cannot reach its data port. not_found: it holds none under
// that reference.
func (o *Offload) Deposit(ctx context.Context, ref xfer.Ref) error {
	if o.cfg.Hold != nil {
		if x, ok := o.cfg.Hold.kept(ref); ok {
			return o.deposit(ctx, x)
		}
	}
	return fault.New(fault.NotFound, "this node does not hold the value, or not any more: make it anew")
}

func (o *Offload) deposit(ctx context.Context, x kept) error {
	v, err := value.FromPayload(x.kind, x.data)
	if err != nil {
		return err
	}
	left := max(time.Until(x.until), time.Second)
	_, err = o.cfg.Store.Put(ctx, kvs.Key(o.cfg.Prefix+x.id), v, kvs.PutOptions{TTL: left})
	return err
}

// kept is a held value as Evacuate needs it.
type kept struct {
	id    string
	kind  value.Kind
	data  []byte
	until time.Time
}

func (h *Hold) all() []kept {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]kept, 0, len(h.values))
	for _, x := range h.values {
		out = append(out, x.keptLocked())
	}
	return out
}

func (h *Hold) kept(ref xfer.Ref) (kept, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	x := h.values[ref]
	if x == nil {
		return kept{}, false
	}
	return x.keptLocked(), true
}

func (x *held) keptLocked() kept { return kept{x.ref.Key, x.kind, x.data, x.until} }
