package load

import (
	"context"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/ycsb"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

// Squall is Squall's keys through the SDK: every write merges with what is there, and is stored when it is answered.
type Squall struct {
	Client     *client.Client // closed by who made it
	Durability string         // what its servers were set up for, for reports

	options []client.KVOption
	causal  bool
}

// Open implements Target.
func (s *Squall) Open(_ context.Context, w *ycsb.Workload, _ int) error {
	s.causal = w.Level.Causal()
	s.options = []client.KVOption{client.Consistency(w.Level)}
	return refuseRuns(w, "squall")
}

// Worker implements Target.
func (s *Squall) Worker(context.Context, int) (Worker, error) {
	return bounded{each(s.do)}, nil
}

// bounded gives each call callWait.
type bounded struct{ Worker }

// Do implements Worker.
func (b bounded) Do(ctx context.Context, ops []Op) error {
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	return b.Worker.Do(ctx, ops)
}

func (s *Squall) do(ctx context.Context, op *Op) error {
	switch op.Kind {
	case ycsb.Read:
		return s.get(ctx, op, op.Key)
	case ycsb.Scan:
		data, err := storedRecords(ctx, s.Client.Store(), op.Keys)
		op.Data = append(op.Data, data...)
		return err
	case ycsb.Update:
		if !s.causal {
			break
		}
		// A causal write replaces only what its writer has seen.
		if _, err := s.Client.Siblings(ctx, op.Key, s.options...); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	case ycsb.ReadModifyWrite:
		if err := s.get(ctx, op, op.Key); err != nil {
			return err
		}
	case ycsb.Count:
		return s.count(ctx, op)
	}
	return s.Client.Put(ctx, op.Key, append([]byte(nil), op.Value...), s.options...)
}

func (s *Squall) get(ctx context.Context, op *Op, key string) error {
	b, err := client.Get[[]byte](ctx, s.Client, key, s.options...)
	if fault.Is(err, fault.NotFound) {
		b, err = nil, nil
	}
	op.read(b)
	return err
}

// count names the operation, so that it counts once whatever happens to its answer.
func (s *Squall) count(ctx context.Context, op *Op) error {
	_, err := s.Client.Update(ctx, op.Key, lattice.Op{Kind: lattice.Add, Arg: value.MustOf(int64(1))}, client.IdempotencyKey(operationName(op.Version)))
	return err
}

// operationName names an operation by the version that it has.
func operationName(v ycsb.Version) string {
	const hex = "0123456789abcdef"
	var b [5 + 16]byte
	copy(b[:], "ycsb-")
	for i := range 16 {
		b[len(b)-1-i] = hex[v>>(4*i)&15]
	}
	return string(b[:])
}

// storedRecords reads records as they are stored; nil where there is none.
func storedRecords(ctx context.Context, store kvs.Store, keys []string) ([][]byte, error) {
	names := make([]kvs.Key, len(keys))
	for i, k := range keys {
		names[i] = kvs.Key(k)
	}
	entries, err := store.GetMany(ctx, names)
	if err != nil {
		return nil, err
	}
	out := make([][]byte, len(keys))
	for i, e := range entries {
		if e.Revision == 0 || e.Deleted {
			continue
		}
		if e, err = version.Shown(e); err != nil {
			return nil, err
		}
		if out[i], err = value.As[[]byte](e.Value); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Stored implements Target.
func (s *Squall) Stored(ctx context.Context, keys []string) ([][]byte, error) {
	return storedRecords(ctx, s.Client.Store(), keys)
}

// Counter implements Target.
func (s *Squall) Counter(ctx context.Context, key string) (int64, error) {
	return storedCounter(ctx, s.Client, key)
}

func storedCounter(ctx context.Context, c *client.Client, key string) (int64, error) {
	n, err := client.Get[int64](ctx, c, key)
	if fault.Is(err, fault.NotFound) {
		return 0, nil
	}
	return n, err
}

// Traits implements Target.
func (s *Squall) Traits() Traits { return Traits{Name: "squall", Durability: s.Durability} }

// Close implements Target; the client is its maker's.
func (*Squall) Close() error { return nil }
