// Package backbone is what every node stands on: the bus and the two spaces of the store, over NATS or in memory.
package backbone

import (
	"context"
	"errors"
	"log/slog"

	"github.com/squall-faas/squall/internal/bus"
	"github.com/squall-faas/squall/internal/bus/natsbus"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/natsconn"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/jetkv"
)

// Backbone is one node's bus and stores. It is made by Dial, by a Memory, or by hand in tests.
type Backbone struct {
	Namespace string
	Bus       bus.Bus
	System    kvs.Store // Squall's own records
	User      kvs.Store // what users and functions store
	Pipes     *Pipes    // the nodes' data ports, where they are all in this process; nil for TCP

	close func() error
}

// Close releases the stores and then the bus. Idempotent where they are.
func (b *Backbone) Close() error {
	if b.close == nil {
		return nil
	}
	return b.close()
}

// Options of a backbone over NATS.
type Options struct {
	Namespace string // a checked name; "" is "default"
	Conn      natsconn.Options
	Server    *natsconn.Server // connects to this server without a socket; nil dials Conn.URL
	Shards    int              // of a new store; 0 is jetkv.DefaultShards
	Replicas  int              // of each stream; 0 is 1 for a new store
	Memory    bool             // keep the store in the servers' memory
	Logger    *slog.Logger     // nil discards
}

// DefaultNamespace is where everything is that names no other.
const DefaultNamespace = "default"

// Dial connects to NATS and opens the stores. unreachable where no server answers.
func Dial(ctx context.Context, o Options) (*Backbone, error) {
	if o.Namespace == "" {
		o.Namespace = DefaultNamespace
	}
	if err := id.CheckName("namespace", o.Namespace); err != nil {
		return nil, err
	}
	if o.Conn.Logger == nil {
		o.Conn.Logger = o.Logger
	}
	dial := natsconn.Dial
	if o.Server != nil {
		dial = o.Server.Dial
	}
	conn, err := dial(ctx, o.Conn)
	if err != nil {
		return nil, err
	}
	b := &Backbone{Namespace: o.Namespace, Bus: natsbus.New(conn, true)}
	cfg := jetkv.Config{Namespace: o.Namespace, Shards: o.Shards, Replicas: o.Replicas, Memory: o.Memory}
	var stores [2]*jetkv.Store
	for i, space := range []jetkv.Space{jetkv.System, jetkv.User} {
		cfg.Space = space
		if stores[i], err = jetkv.Open(ctx, conn, cfg); err != nil {
			if i > 0 {
				err = errors.Join(err, stores[0].Close())
			}
			return nil, errors.Join(err, b.Bus.Close())
		}
	}
	b.System, b.User = stores[0], stores[1]
	b.close = func() error { return errors.Join(b.User.Close(), b.System.Close(), b.Bus.Close()) }
	return b, nil
}

// Memory is a whole cluster's backbone in this process: nothing leaves it, nothing survives it.
type Memory struct {
	Network   *bus.Network
	pipes     *Pipes
	namespace string
	system    kvs.Store
	user      kvs.Store
}

// NewMemory makes one. payload is the longest message in bytes; 0 is the network's default.
func NewMemory(namespace string, network bus.Options) (*Memory, error) {
	if namespace == "" {
		namespace = DefaultNamespace
	}
	if err := id.CheckName("namespace", namespace); err != nil {
		return nil, err
	}
	return &Memory{bus.NewNetwork(network), newPipes(), namespace, kvs.NewMemory(), kvs.NewMemory()}, nil
}

// Join gives the backbone of one node by its name; all share the stores.
func (m *Memory) Join(node string) *Backbone {
	b := m.Network.Join(node)
	return &Backbone{Namespace: m.namespace, Bus: b, System: m.system, User: m.user, Pipes: m.pipes, close: b.Close}
}

// Close ends the network and drops the stores.
func (m *Memory) Close() error {
	m.Network.Close()
	return errors.Join(m.user.Close(), m.system.Close())
}
