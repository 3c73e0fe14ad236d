package version_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/squall-faas/squall/internal/natsconn"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/jetkv"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

// BenchmarkWriter measures durable puts of 128 B, fsynced before each answer, beside bare publishes to as many JetStream
// streams of the same server.
func BenchmarkWriter(b *testing.B) {
	srv, err := natsconn.Embed(natsconn.ServerOptions{StoreDir: b.TempDir()})
	must(b, err)
	b.Cleanup(srv.Shutdown)
	conn, err := srv.Dial(b.Context(), natsconn.Options{})
	must(b, err)
	b.Cleanup(conn.Close)
	store, err := jetkv.Open(b.Context(), conn, jetkv.Config{Namespace: "bench"})
	must(b, err)
	b.Cleanup(func() { must(b, store.Close()) })
	js, err := conn.JetStream()
	must(b, err)
	for i := range jetkv.DefaultShards {
		name := fmt.Sprint("bare", i)
		_, err := js.AddStream(&nats.StreamConfig{Name: name, Subjects: []string{name + ".>"}, MaxMsgsPerSubject: 1})
		must(b, err)
	}
	w := newWriter(b, store)
	ctx := context.Background()
	const keys = 1 << 10
	v := value.MustOf(make([]byte, 128))
	names := make([]kvs.Key, keys)
	bare := make([]string, keys)
	for i := range names {
		names[i], bare[i] = kvs.Key(fmt.Sprint("key ", i)), fmt.Sprint("bare", i%jetkv.DefaultShards, ".", i)
	}
	var warm atomic.Int64
	atOnce(64, func(int) {
		for i := warm.Add(1); i <= keys; i = warm.Add(1) {
			if _, err := w.Put(ctx, names[i-1], v, version.WriteOptions{}); err != nil {
				b.Error(err)
			}
		}
	})
	payload, revs := make([]byte, 128), make([]kvs.Revision, keys)
	for _, writers := range []int{1, 32, 256} {
		for _, op := range []struct {
			name string
			do   func(i int) error
		}{
			{"bare", func(i int) error { _, err := js.Publish(bare[i], payload); return err }},
			{"store", func(i int) error {
				rev, err := store.CompareAndSet(ctx, names[i], v, revs[i], kvs.PutOptions{})
				revs[i] = rev
				return err
			}},
			{"writer", func(i int) error { _, err := w.Put(ctx, names[i], v, version.WriteOptions{}); return err }},
		} {
			for i := range revs { // the one before wrote the same keys
				e, err := w.Get(ctx, names[i], kvs.LWW)
				must(b, err)
				revs[i] = e.Revision
			}
			b.Run(fmt.Sprintf("%s/%d", op.name, writers), func(b *testing.B) {
				b.ReportAllocs()
				turns := make(chan int)
				var done sync.WaitGroup
				for range writers {
					done.Go(func() {
						for i := range turns {
							if err := op.do(i % keys); err != nil {
								b.Error(err)
							}
						}
					})
				}
				for i := 0; b.Loop(); i++ { // goes on when one of the writers is free
					turns <- i
				}
				close(turns)
				done.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
			})
		}
	}
}
