package jetkv_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/squall-faas/squall/internal/natsconn"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/jetkv"
	"github.com/squall-faas/squall/value"
)

func names(prefix string, n int) []kvs.Key {
	keys := make([]kvs.Key, n)
	for i := range keys {
		keys[i] = kvs.Key(fmt.Sprint(prefix, i))
	}
	return keys
}

func puts(keys []kvs.Key, v value.Value) []kvs.Write {
	writes := make([]kvs.Write, len(keys))
	for i, key := range keys {
		writes[i] = kvs.Write{Key: key, Value: v, Expect: kvs.AnyRevision}
	}
	return writes
}

// BenchmarkBatches measures what a cache with write-back does, of 128 B values over an embedded server, beside bare
// JetStream.
func BenchmarkBatches(b *testing.B) {
	for _, d := range []natsconn.Durability{natsconn.Durable, natsconn.Interval} {
		b.Run(d.String(), func(b *testing.B) {
			conn := dial(b, serve(b, b.TempDir(), d))
			s := open(b, conn, jetkv.Config{})
			ctx := context.Background()
			v := value.MustOf(make([]byte, 128))
			perSecond := func(b *testing.B, each int) {
				b.ReportMetric(float64(b.N*each)/b.Elapsed().Seconds(), "keys/s")
			}
			js, err := jetstream.New(conn)
			if err != nil {
				b.Fatal(err)
			}
			bare := func(i int) error {
				_, err := js.PublishMsg(ctx, &nats.Msg{Subject: fmt.Sprintf("squall.bare.kv.%x.00.k%d", i%16, i%1024), Data: make([]byte, 180)})
				return err
			}
			keys := names("k", 1024)
			for name, op := range map[string]func(i int) error{
				"bare publish": bare,
				"put":          func(i int) error { _, err := s.Put(ctx, keys[i%1024], v, kvs.PutOptions{}); return err },
			} {
				b.Run(name, func(b *testing.B) {
					for i := 0; b.Loop(); i++ {
						if err := op(i); err != nil {
							b.Fatal(err)
						}
					}
					perSecond(b, 1)
				})
				b.Run(name+" of 32", func(b *testing.B) {
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
					perSecond(b, 1)
				})
			}
			fence, err := s.Fence(ctx, "bench")
			if err != nil {
				b.Fatal(err)
			}
			for _, n := range []int{10, 100, 1000} {
				some := names("batch", n)
				revs := make([]kvs.Revision, n)
				b.Run(fmt.Sprint("write many ", n), func(b *testing.B) {
					for b.Loop() {
						writes := puts(some, v)
						for i := range writes {
							if revs[i] != 0 {
								writes[i].Expect = revs[i]
							}
						}
						r, err := s.WriteMany(ctx, writes, fence)
						if err != nil {
							b.Fatal(err)
						}
						for i := range r {
							if revs[i] = r[i].Revision; r[i].Err != nil {
								b.Fatal(r[i].Err)
							}
						}
					}
					perSecond(b, n)
				})
			}
			b.Run("commit 2", func(b *testing.B) {
				writes := puts([]kvs.Key{"{t}a", "{t}b"}, v)
				for b.Loop() {
					if _, err := s.Commit(ctx, writes, nil, fence); err != nil {
						b.Fatal(err)
					}
				}
			})
			held := make([]kvs.Held, 10_000)
			all := names("held", len(held))
			r, err := s.WriteMany(ctx, puts(all, v), kvs.Fence{})
			if err != nil {
				b.Fatal(err)
			}
			for i := range held {
				held[i] = kvs.Held{Key: all[i], Revision: r[i].Revision}
			}
			b.Run("get", func(b *testing.B) {
				for i := 0; b.Loop(); i++ {
					if _, err := s.Get(ctx, all[i%len(all)]); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("get many 100", func(b *testing.B) {
				for i := 0; b.Loop(); i++ {
					at := i * 100 % len(all)
					if _, err := s.GetMany(ctx, all[at:at+100]); err != nil {
						b.Fatal(err)
					}
				}
				perSecond(b, 100)
			})
			_, mark, err := s.News(ctx, held, kvs.Mark{})
			if err != nil {
				b.Fatal(err)
			}
			ask := func(b *testing.B, since kvs.Mark, want int) {
				for b.Loop() {
					if n, _, err := s.News(ctx, held, since); err != nil || len(n) != want {
						b.Fatalf("%d news, want %d; %v", len(n), want, err)
					}
				}
			}
			b.Run("news of 10000, nothing written", func(b *testing.B) { ask(b, mark, 0) })
			for _, key := range names("elsewhere", 40) {
				put(b, s, key, 1)
			}
			b.Run("news of 10000, 0 of them", func(b *testing.B) { ask(b, mark, 0) })
			if _, err := s.WriteMany(ctx, puts(all[:100], v), kvs.Fence{}); err != nil {
				b.Fatal(err)
			}
			b.Run("news of 10000, 100 of them", func(b *testing.B) { ask(b, mark, 100) })
			b.Run("news of 10000 without a mark", func(b *testing.B) { ask(b, kvs.Mark{}, 100) })
		})
	}
}
