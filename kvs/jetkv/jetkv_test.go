package jetkv_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"github.com/squall-faas/squall/internal/natsconn"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/jetkv"
	"github.com/squall-faas/squall/kvs/kvstest"
)

// Tests that wait for a TTL cost no CPU: they need not wait for each other.
func TestMain(m *testing.M) {
	if os.Getenv(serveEnv) != "" {
		serveChild()
		return
	}
	flag.Parse()
	for name, value := range map[string]string{"test.parallel": "16", "rapid.checks": "25"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// serve runs a server, with its files in dir.
func serve(t testing.TB, dir string, d natsconn.Durability) *natsconn.Server {
	t.Helper()
	o := natsconn.ServerOptions{StoreDir: dir, Durability: d}
	srv, err := natsconn.Embed(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Shutdown)
	return srv
}

func dial(t testing.TB, srv *natsconn.Server) *nats.Conn {
	t.Helper()
	conn, err := srv.Dial(within(t), natsconn.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

func open(t testing.TB, conn *nats.Conn, c jetkv.Config) *jetkv.Store {
	t.Helper()
	if c.Namespace == "" {
		c.Namespace = "test"
	}
	if c.Timeout == 0 {
		c.Timeout = 2 * time.Minute // a busy machine is no outage
	}
	s, err := jetkv.Open(within(t), conn, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestConformance(t *testing.T) {
	for _, memory := range []bool{false, true} {
		t.Run(fmt.Sprintf("memory=%v", memory), func(t *testing.T) {
			// A server each: the thousands of keys of some tests would make the lists of others slow.
			kvstest.Run(t, func(t *testing.T) kvs.Store {
				return open(t, dial(t, serve(t, t.TempDir(), natsconn.Interval)), jetkv.Config{Memory: memory})
			})
		})
	}
}

// TestReplicatedConformance holds three replicas against what a cluster may do differently; with SQUALL_LONG against all.
func TestReplicatedConformance(t *testing.T) {
	servers := cluster(t)
	only := []string{"meta data", "get many", "read your writes", "current", "write many, right and wrong", "batches of many writers", "fences", "fences raised under a writer",
		"commit", "bad commits, and the largest", "transfers", "write skew", "feed", "news", "news of expiry", "increments of many"}
	if long() {
		only = nil
	}
	var n atomic.Int64
	kvstest.Run(t, func(t *testing.T) kvs.Store {
		conn, err := natsconn.Dial(within(t), natsconn.Options{InProcess: servers})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(conn.Close)
		return open(t, conn, jetkv.Config{Namespace: fmt.Sprint("ns", n.Add(1)), Shards: 2, Replicas: 3})
	}, only...)
}
