package cluster_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/squall-faas/squall/cache/coded"
	"github.com/squall-faas/squall/internal/backbone"
	"github.com/squall-faas/squall/internal/cluster"
	"github.com/squall-faas/squall/internal/natsconn"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// benchNodes are six executors that lend and one reader, whose cache keeps nothing that is large; all speak over loopback
// TCP with one server that keeps its files durably.
func benchNodes(b *testing.B, uncached bool) (*backbone.Backbone, *cluster.ExecutorNode) {
	b.Helper()
	server, err := natsconn.Embed(natsconn.ServerOptions{StoreDir: b.TempDir(), Listen: "127.0.0.1:0"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(server.Shutdown)
	start(b, cluster.Config{Server: server, Executors: 6})
	own, err := backbone.Dial(context.Background(), backbone.Options{Conn: natsconn.Options{URL: server.URL(), Name: "reader"}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = own.Close() })
	n, err := cluster.StartExecutor(own, cluster.ExecutorConfig{Name: "reader", CacheBytes: 4 << 20, Lend: cluster.Lend{Most: -1, Uncached: uncached}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = n.Close() })
	if err := n.Objects().Settle(context.Background()); err != nil {
		b.Fatal(err)
	}
	return own, n
}

// BenchmarkLargeMiss is a Get of a large value that the cache does not have, from the store alone and with lent memory beside
// it. The numbers are those of docs/adr/0014.
func BenchmarkLargeMiss(b *testing.B) {
	for _, how := range []struct {
		name     string
		uncached bool
	}{{"store", true}, {"lent", false}} {
		own, n := benchNodes(b, how.uncached)
		ctx := context.Background()
		for _, mib := range []int{1, 4, 16, 64} {
			want := make([]byte, mib<<20)
			_, _ = rand.NewChaCha8([32]byte{byte(mib)}).Read(want)
			key := kvs.Key(fmt.Sprint("v", mib))
			if _, err := own.User.Put(ctx, key, value.MustOf(want), kvs.PutOptions{}); err != nil {
				b.Fatal(err)
			}
			get := func() []byte {
				v, err := n.Cache.Get(ctx, key)
				if err != nil {
					b.Fatal(err)
				}
				_, data, err := v.Payload()
				if err != nil {
					b.Fatal(err)
				}
				return data
			}
			if !bytes.Equal(get(), want) {
				b.Fatal("other bytes")
			}
			before, _ := n.Cache.LentStats()
			for late := time.Now().Add(time.Minute); !how.uncached && time.Now().Before(late); get() {
				if hits, _ := n.Cache.LentStats(); hits > before {
					break
				}
			}
			b.Run(fmt.Sprintf("%dMiB/%s", mib, how.name), func(b *testing.B) {
				b.SetBytes(int64(len(want)))
				b.ReportAllocs()
				for b.Loop() {
					get()
				}
			})
		}
	}
}

// BenchmarkOffer is what it costs to put a value in lent memory, which nobody waits for.
func BenchmarkOffer(b *testing.B) {
	_, n := benchNodes(b, true)
	ctx := context.Background()
	for _, mib := range []int{1, 4, 16} {
		data := make([]byte, mib<<20)
		i := 0
		b.Run(fmt.Sprintf("%dMiB", mib), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				i++
				if _, err := n.Objects().PutBytes(ctx, fmt.Sprint(mib, "/", i), data, coded.PutOptions{Once: true}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
