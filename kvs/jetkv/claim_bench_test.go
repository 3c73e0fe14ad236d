package jetkv

import (
	"fmt"
	"testing"

	"github.com/squall-faas/squall/internal/natsconn"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// BenchmarkFenced measures writes of 1 KiB under a fence to one stream of an embedded server that fsyncs: as single messages
// under claims, and as a batch. Where they meet is maxClaimed.
func BenchmarkFenced(b *testing.B) {
	srv, err := natsconn.Embed(natsconn.ServerOptions{Durability: natsconn.Durable, StoreDir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer srv.Shutdown()
	conn, err := srv.Dial(b.Context(), natsconn.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	s, err := Open(b.Context(), conn, Config{Namespace: "bench", Shards: 1})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }() // never fails
	f, err := s.Fence(b.Context(), "w")
	if err != nil {
		b.Fatal(err)
	}
	v := value.MustOf(make([]byte, 1024))
	for _, n := range []int{1, 4, 8, 12, 16, 32} {
		writes := make([]kvs.Write, n)
		for i := range writes {
			writes[i] = kvs.Write{Key: kvs.Key(fmt.Sprint("key ", i)), Value: v, Expect: kvs.AnyRevision}
		}
		for name, few := range map[string]int{"claims": n, "batch": 0} {
			b.Run(fmt.Sprintf("%d/%s", n, name), func(b *testing.B) {
				s.few = few
				for b.Loop() {
					r, err := s.WriteMany(b.Context(), writes, f)
					if err != nil {
						b.Fatal(err)
					}
					for i := range r {
						if r[i].Err != nil {
							b.Fatal(r[i].Err)
						}
						writes[i].Expect = r[i].Revision
					}
				}
			})
		}
	}
}
