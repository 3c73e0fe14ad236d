package ops

import (
	"context"
	"testing"

	"github.com/squall-faas/squall/cache"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/internal/ycsb"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// cached is a function's context over a node's cache.
type cached struct {
	fn.Context
	ctx context.Context
	s   *cache.Session
}

func (c cached) GetValues(keys []string) ([]value.Value, error) {
	names := make([]kvs.Key, len(keys))
	for i, key := range keys {
		names[i] = kvs.Key(key)
	}
	return c.s.GetMany(c.ctx, names)
}

// BenchmarkDo is a call of 100 verified reads that the node's cache answers, of 100,000 records of 10 × 100 B, Zipfian.
func BenchmarkDo(b *testing.B) {
	var p ycsb.Properties
	p.Set("recordcount", "100000", "")
	p.Set("readproportion", "1", "")
	p.Set("updateproportion", "0", "")
	p.Set("requestdistribution", "zipfian", "")
	w, err := ycsb.New(&p)
	if err != nil {
		b.Fatal(err)
	}
	store := kvs.NewMemory()
	c, err := cache.New(cache.Config{Node: "n", Store: store, MaxBytes: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	s, err := c.Begin(cache.SessionConfig{Run: "r", Level: kvs.LWW})
	if err != nil {
		b.Fatal(err)
	}
	x := cached{ctx: context.Background(), s: s}
	for i := range int64(100000) {
		key := w.Key(i)
		if err := s.Put(x.ctx, kvs.Key(key), value.MustOf(w.Record.Append(nil, key, 1)), cache.PutOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	calls := make([][]byte, 4096)
	stream := w.Stream(ycsb.NewInserts(100000), 1, 1, 0, 1)
	var op ycsb.Op
	for i := range calls {
		calls[i] = AppendSetup(nil, Setup{Workload: Describe(w), Check: true})
		for range 100 {
			stream.Next(&op)
			calls[i] = AppendOp(calls[i], &op)
		}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if out, err := Do(x, calls[i%len(calls)]); err != nil || len(out) > 0 {
			b.Fatal(out, err)
		}
	}
}
