package load

import (
	"bytes"
	"context"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/ycsb"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// Memory is kvs.Memory, in this process, without anything around it.
type Memory struct{ store *kvs.Memory }

// NewMemory makes an empty one.
func NewMemory() *Memory { return &Memory{kvs.NewMemory()} }

// Open implements Target.
func (*Memory) Open(_ context.Context, w *ycsb.Workload, _ int) error { return refuseRuns(w, "memory") }

// refuseRuns is for targets that have no functions.
func refuseRuns(w *ycsb.Workload, name string) error {
	if w.DAG != nil {
		return fault.New(fault.InvalidArgument, "target %s runs no functions: a workload of DAGs needs the target functions, or null", name)
	}
	return nil
}

// Worker implements Target.
func (m *Memory) Worker(context.Context, int) (Worker, error) { return each(m.do), nil }

// each is a Worker that carries out the operations of a call one after the other.
type each func(ctx context.Context, op *Op) error

// Do implements Worker.
func (f each) Do(ctx context.Context, ops []Op) error {
	for i := range ops {
		ops[i].Err = f(ctx, &ops[i])
	}
	return nil
}

func (m *Memory) do(ctx context.Context, op *Op) error {
	switch op.Kind {
	case ycsb.Read:
		return m.get(ctx, op, op.Key)
	case ycsb.Scan:
		for _, key := range op.Keys {
			if err := m.get(ctx, op, key); err != nil {
				return err
			}
		}
		return nil
	case ycsb.ReadModifyWrite:
		if err := m.get(ctx, op, op.Key); err != nil {
			return err
		}
		return m.put(ctx, op)
	case ycsb.Count:
		return m.count(ctx, op.Key)
	}
	return m.put(ctx, op)
}

func (m *Memory) get(ctx context.Context, op *Op, key string) error {
	e, err := m.store.Get(ctx, kvs.Key(key))
	if fault.Is(err, fault.NotFound) {
		op.read(nil)
		return nil
	} else if err != nil {
		return err
	}
	b, err := value.As[[]byte](e.Value)
	op.read(b)
	return err
}

func (m *Memory) put(ctx context.Context, op *Op) error {
	v, err := value.Of(bytes.Clone(op.Value)) // the store keeps it
	if err != nil {
		return err
	}
	_, err = m.store.Put(ctx, kvs.Key(op.Key), v, kvs.PutOptions{})
	return err
}

func (m *Memory) count(ctx context.Context, key string) error {
	for {
		n, revision := int64(0), kvs.Revision(0)
		e, err := m.store.Get(ctx, kvs.Key(key))
		if err == nil {
			n, err = value.As[int64](e.Value)
			revision = e.Revision
		}
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		if _, err = m.store.CompareAndSet(ctx, kvs.Key(key), value.MustOf(n+1), revision, kvs.PutOptions{}); !fault.Is(err, fault.Conflict) {
			return err
		}
	}
}

// Stored implements Target.
func (m *Memory) Stored(ctx context.Context, keys []string) ([][]byte, error) {
	var op Op
	for _, key := range keys {
		if err := m.get(ctx, &op, key); err != nil {
			return nil, err
		}
	}
	return op.Data, nil
}

// Counter implements Target.
func (m *Memory) Counter(ctx context.Context, key string) (int64, error) {
	e, err := m.store.Get(ctx, kvs.Key(key))
	if fault.Is(err, fault.NotFound) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	return value.As[int64](e.Value)
}

// Traits implements Target.
func (*Memory) Traits() Traits { return Traits{Name: "memory", Durability: "memory"} }

// Close implements Target.
func (m *Memory) Close() error { return m.store.Close() }
