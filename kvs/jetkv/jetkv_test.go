package jetkv_test

import (
	"context"
	"flag"
	"fmt"
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
	flag.Parse()
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
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
			srv := serve(t, t.TempDir(), natsconn.Interval)
			var n atomic.Int64
			kvstest.Run(t, func(t *testing.T) kvs.Store {
				return open(t, dial(t, srv), jetkv.Config{Namespace: fmt.Sprint("ns", n.Add(1)), Memory: memory})
			})
		})
	}
}
