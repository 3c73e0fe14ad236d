package cluster_test

import (
	"testing"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/internal/cluster"
	"github.com/squall-faas/squall/internal/natsconn"
)

// server embeds a NATS server with JetStream, which ends with the test.
func server(t testing.TB) *natsconn.Server {
	t.Helper()
	s, err := natsconn.Embed(natsconn.ServerOptions{StoreDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	return s
}

// TestOverNATS runs the same compositions over a real server: sync, durable, with references and with values too large
// for a message.
func TestOverNATS(t *testing.T) {
	ctx, c := start(t, cluster.Config{Server: server(t), Executors: 3})
	register(ctx, t, c, "increment", client.Native(increment))
	register(ctx, t, c, "square", client.Native(square))
	registerDAG(ctx, t, c, compose())
	for _, opts := range [][]client.CallOption{nil, {client.Durable()}} {
		out, err := c.Client.CallDAG(ctx, "compose", client.Inputs{"x": 2}, opts...)
		if err != nil {
			t.Fatal(err)
		}
		if y, err := client.Output[int](out, "y"); err != nil || y != 9 {
			t.Fatalf("y = %d, %v", y, err)
		}
	}
}

func benchmarkNATS(b *testing.B, opts ...client.CallOption) {
	ctx, c := start(b, cluster.Config{Server: server(b)})
	register(ctx, b, c, "increment", client.Native(increment))
	register(ctx, b, c, "square", client.Native(square))
	registerDAG(ctx, b, c, compose())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Client.CallDAG(ctx, "compose", client.Inputs{"x": 3}, opts...); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkComposeNATS(b *testing.B)        { benchmarkNATS(b) }
func BenchmarkComposeNATSDurable(b *testing.B) { benchmarkNATS(b, client.Durable()) }

func BenchmarkComposeNATSDurable32(b *testing.B) {
	ctx, c := start(b, cluster.Config{Server: server(b)})
	register(ctx, b, c, "increment", client.Native(increment))
	register(ctx, b, c, "square", client.Native(square))
	registerDAG(ctx, b, c, compose())
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := c.Client.CallDAG(ctx, "compose", client.Inputs{"x": 3}, client.Durable()); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
