package jetkv_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/squall-faas/squall/internal/natsconn"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/jetkv"
	"github.com/squall-faas/squall/value"
)

// BenchmarkStore measures 128 B values over an embedded server, one at a time and 32 at a time.
func BenchmarkStore(b *testing.B) {
	for _, d := range []natsconn.Durability{natsconn.Durable, natsconn.Interval} {
		b.Run(d.String(), func(b *testing.B) {
			s := open(b, dial(b, serve(b, b.TempDir(), d)), jetkv.Config{})
			ctx := context.Background()
			v := value.MustOf(make([]byte, 128))
			const keys = 1 << 10
			names := make([]kvs.Key, keys)
			revs := make([]kvs.Revision, keys)
			for i := range names {
				names[i] = kvs.Key(fmt.Sprint("key ", i))
				revs[i] = put(b, s, names[i], make([]byte, 128))
			}
			var err error
			for name, op := range map[string]func(i int) error{
				"put": func(i int) error { _, err := s.Put(ctx, names[i%keys], v, kvs.PutOptions{}); return err },
				"get": func(i int) error { _, err := s.Get(ctx, names[i%keys]); return err },
			} {
				b.Run(name, func(b *testing.B) {
					b.ReportAllocs()
					for i := 0; b.Loop(); i++ {
						if err := op(i); err != nil {
							b.Fatal(err)
						}
					}
				})
				b.Run(name+" 32 at a time", func(b *testing.B) {
					b.ReportAllocs()
					b.SetParallelism(16) // of two processors
					var n atomic.Int64
					b.RunParallel(func(pb *testing.PB) {
						for pb.Next() {
							if err := op(int(n.Add(1))); err != nil {
								b.Error(err)
								return
							}
						}
					})
					b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
				})
			}
			b.Run("compare and set", func(b *testing.B) {
				b.ReportAllocs()
				key := kvs.Key("counter")
				var rev kvs.Revision
				if e, err := s.Get(ctx, key); err == nil {
					rev = e.Revision
				}
				for b.Loop() {
					if rev, err = s.CompareAndSet(ctx, key, v, rev, kvs.PutOptions{}); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("delete and create", func(b *testing.B) {
				for b.Loop() {
					if _, err := s.CompareAndSet(ctx, "lock", v, 0, kvs.PutOptions{}); err != nil {
						b.Fatal(err)
					}
					if err := s.Delete(ctx, "lock", 0); err != nil {
						b.Fatal(err)
					}
				}
			})
			for _, size := range []int{512 << 10, 8 << 20} {
				big := value.MustOf(make([]byte, size))
				b.Run(fmt.Sprint("put ", size>>10, " KiB"), func(b *testing.B) {
					b.SetBytes(int64(size))
					for b.Loop() {
						if _, err := s.Put(ctx, "big", big, kvs.PutOptions{}); err != nil {
							b.Fatal(err)
						}
					}
				})
				b.Run(fmt.Sprint("get ", size>>10, " KiB"), func(b *testing.B) {
					b.SetBytes(int64(size))
					for b.Loop() {
						if _, err := s.Get(ctx, "big"); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
			b.Run("list 1000 keys", func(b *testing.B) {
				for b.Loop() {
					if _, err := s.List(ctx, "", "", 1000); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
