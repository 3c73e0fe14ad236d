package jetkv_test

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/natsconn"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/jetkv"
	"github.com/squall-faas/squall/value"
)

// cluster runs three servers with replicated JetStream.
func cluster(t *testing.T) *fleet {
	t.Helper()
	var f *fleet
	for range 5 { // a port may be taken by somebody else in between
		if f = startFleet(t); f != nil {
			break
		}
	}
	if f == nil {
		t.Fatal("the servers do not start")
	}
	until(t, "the cluster has a leader", func() bool {
		for _, srv := range f.servers {
			if srv.JetStreamIsLeader() && len(srv.JetStreamClusterPeers()) == len(f.servers) {
				return true
			}
		}
		return false
	})
	return f
}

func startFleet(t *testing.T) *fleet {
	t.Helper()
	// Each must know where the others will be before they are there: take free ports, and give them back.
	var held []net.Listener
	var routes []*url.URL
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, l)
		routes = append(routes, &url.URL{Scheme: "nats", Host: l.Addr().String()})
	}
	f := &fleet{}
	name := id.Token(8) // who takes a dead server's port is not taken for it
	for i, l := range held {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		srv, err := server.NewServer(&server.Options{
			ServerName: fmt.Sprint("s", i), Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
			JetStream: true, StoreDir: t.TempDir(), Routes: routes,
			Cluster: server.ClusterOpts{Name: name, Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port},
		})
		if err != nil {
			t.Fatal(err)
		}
		srv.Start()
		t.Cleanup(func() {
			srv.Shutdown()
			srv.WaitForShutdown()
		})
		f.servers = append(f.servers, srv)
	}
	for _, srv := range f.servers {
		if !srv.ReadyForConnections(10 * time.Second) {
			for _, srv := range f.servers {
				srv.Shutdown()
			}
			return nil
		}
	}
	return f
}

// fleet connects to any server that runs, one after another. Without sockets: a dead server's port is soon another's.
type fleet struct {
	servers []*server.Server
	turn    atomic.Int64
}

func (f *fleet) InProcessConn() (net.Conn, error) {
	for range f.servers {
		if srv := f.servers[int(f.turn.Add(1))%len(f.servers)]; srv.Running() {
			return srv.InProcessConn()
		}
	}
	return nil, errors.New("no server runs")
}

// Three replicas: nobody reads behind his own writes, and nothing acknowledged is lost when the leader is.
func TestReplicated(t *testing.T) {
	servers := cluster(t)
	var stores []*jetkv.Store
	for i := range 3 {
		conn, err := natsconn.Dial(within(t), natsconn.Options{InProcess: servers, Name: fmt.Sprint("store ", i)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(conn.Close)
		stores = append(stores, open(t, conn, jetkv.Config{Shards: 2, Replicas: 3}))
	}
	ctx := within(t)
	changes, err := stores[0].Watch(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	last := map[kvs.Key]kvs.Revision{}
	write := func(round int) {
		var wg sync.WaitGroup
		for w := range 6 {
			wg.Go(func() {
				s := stores[w%len(stores)]
				for i := range 40 {
					key := kvs.Key(fmt.Sprint("key ", w, i%4))
					rev, err := s.Put(ctx, key, value.MustOf(round*100+i), kvs.PutOptions{})
					if err != nil {
						t.Errorf("put: %v", err)
						return
					}
					e, err := s.Get(ctx, key)
					if err != nil || e.Revision != rev {
						t.Errorf("get after put: revision %d, %v; put was %d", e.Revision, err, rev)
						return
					}
					mu.Lock()
					last[key] = rev
					mu.Unlock()
				}
			})
		}
		wg.Wait()
	}
	write(0)
	if t.Failed() {
		return
	}
	big := make([]byte, 2<<20)
	put(t, stores[0], "big", big)
	holds(t, stores[1], "big", big)

	// The leader of a shard goes while others write.
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for round := 1; ; round++ {
			select {
			case <-stop:
				write(round) // once more without it
				return
			default:
				write(round)
			}
		}
	}()
	leaderOf(t, servers, "SQUALL_KV_0").Shutdown()
	close(stop)
	<-done
	for key, rev := range last {
		for _, s := range stores {
			var e kvs.Entry
			until(t, "the last write of each key is everywhere", func() bool {
				var err error
				e, err = s.Get(ctx, key)
				return err == nil && e.Revision >= rev
			})
			if e.Revision != rev {
				t.Errorf("key %q is at revision %d, the last put was %d", key, e.Revision, rev)
			}
		}
	}
	for len(last) > 0 {
		select {
		case e, ok := <-changes:
			if !ok {
				t.Fatal("the watch ended")
			}
			if e.Revision == last[e.Key] {
				delete(last, e.Key)
			}
		case <-ctx.Done():
			t.Fatalf("the watch did not bring %d keys", len(last))
		}
	}
	if err := stores[2].Delete(ctx, "big", 0); err != nil {
		t.Fatal(err)
	}
	_, err = stores[2].Get(ctx, "big")
	fails(t, err, fault.NotFound)
}

func leaderOf(t *testing.T, f *fleet, stream string) *server.Server {
	t.Helper()
	conn, err := natsconn.Dial(within(t), natsconn.Options{InProcess: f})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(within(t), stream)
	if err != nil {
		t.Fatal(err)
	}
	for _, srv := range f.servers {
		if srv.Name() == s.CachedInfo().Cluster.Leader {
			return srv
		}
	}
	t.Fatal("no leader")
	return nil
}
