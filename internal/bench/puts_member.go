package bench

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/kvs"
)

const fnPuts = "puts"

// putTask asks putMany for writes: Count of them, numbered from First on in steps of Stride.
type putTask struct {
	Case   string
	Keys   int // that they go to; 0 is one for each
	First  int
	Count  int
	Stride int
	Ack    string
	Flush  bool // they are done when everything is stored
}

// putTook is how many nanoseconds each write took, or each batch, and all of them together.
type putTook struct {
	Each    []int64
	Whole   int64
	Batches int64 // that the node's cache has stored meanwhile
	Batched int64 // writes in them
}

// batchCounter is a store that counts the batches that go through it.
type batchCounter struct {
	kvs.Store
	batches, writes atomic.Int64
}

// WriteMany counts, and passes on.
func (b *batchCounter) WriteMany(ctx context.Context, writes []kvs.Write, fence kvs.Fence) ([]kvs.Result, error) {
	b.batches.Add(1)
	b.writes.Add(int64(len(writes)))
	return b.Store.WriteMany(ctx, writes, fence)
}

// putMany writes, and waits for each write.
func (m *member) putMany(c fn.Context, t putTask) (putTook, error) {
	keys, values := make([]string, t.Count), make([][]byte, t.Count)
	for i := range t.Count {
		n := t.First + i*t.Stride
		keys[i], values[i] = putKey(t.Case, t.Keys, n), cachedValue(n)
	}
	out := putTook{Each: make([]int64, t.Count)}
	batches, batched := m.batches.batches.Load(), m.batches.writes.Load()
	first := time.Now()
	began := first
	for i := range t.Count {
		if err := fn.PutWith(c, keys[i], values[i], fn.PutOptions{Ack: t.Ack}); err != nil {
			return out, err
		}
		now := time.Now()
		out.Each[i] = int64(now.Sub(began))
		began = now
	}
	if t.Flush {
		if err := m.node.Cache.Flush(c); err != nil {
			return out, err
		}
		out.Each = []int64{int64(time.Since(first))}
	}
	out.Whole = int64(time.Since(first))
	out.Batches, out.Batched = m.batches.batches.Load()-batches, m.batches.writes.Load()-batched
	return out, nil
}
