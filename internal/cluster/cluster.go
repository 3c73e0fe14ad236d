package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/coordinator"
	"github.com/squall-faas/squall/executor/runtime"
	"github.com/squall-faas/squall/executor/runtime/native"
	"github.com/squall-faas/squall/executor/runtime/wasm"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/backbone"
	"github.com/squall-faas/squall/internal/bus"
	"github.com/squall-faas/squall/internal/natsconn"
)

// Config of a cluster in this process. The zero Config is one coordinator and one executor on an in-memory bus, with a
// store that nothing survives.
type Config struct {
	Namespace string // "" is "default"

	// Server carries messages and state; nil keeps both in memory.
	Server *natsconn.Server
	// Network of the in-memory bus: limits, and a seed for its faults.
	Network bus.Options

	Executors  int                // 0 is 1
	Executor   ExecutorConfig     // for each; Name is a prefix, "executor" where it is empty
	Coordinate coordinator.Config // Name "coordinator" where it is empty

	// WasmCache is the directory that compiled modules are kept in; "" keeps them in memory.
	WasmCache string
	// NoWasm leaves the WebAssembly runtime out.
	NoWasm bool

	// Ready is how long to wait until every executor takes work; 0 is 10 s.
	Ready  time.Duration
	Logger *slog.Logger // nil discards
}

// Cluster is a whole cluster in this process. Safe for concurrent use.
type Cluster struct {
	Client  *client.Client
	Natives *native.Registry
	Memory  *backbone.Memory // nil over NATS

	cfg  Config
	wasm *wasm.Runtime

	mu          sync.Mutex // guards what follows
	coordinator *coordinator.Coordinator
	executors   []*ExecutorNode
	backbones   []*backbone.Backbone
	closed      bool
}

// Start starts a cluster and returns when its executors take work.
func Start(ctx context.Context, cfg Config) (c *Cluster, err error) {
	c = &Cluster{cfg: cfg, Natives: native.New()}
	if c.cfg.Executors == 0 {
		c.cfg.Executors = 1
	}
	if c.cfg.Executor.Name == "" {
		c.cfg.Executor.Name = "executor"
	}
	if c.cfg.Coordinate.Name == "" {
		c.cfg.Coordinate.Name = "coordinator"
	}
	if c.cfg.Ready == 0 {
		c.cfg.Ready = 10 * time.Second
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	if cfg.Server == nil {
		if c.Memory, err = backbone.NewMemory(cfg.Namespace, cfg.Network); err != nil {
			return c, err
		}
	}
	if !cfg.NoWasm {
		if c.wasm, err = wasm.New(ctx, wasm.Config{CacheDir: cfg.WasmCache, Logger: cfg.Logger}); err != nil {
			return c, err
		}
	}
	c.Natives.OnChange(c.announce)
	if err = c.StartCoordinator(ctx); err != nil {
		return c, err
	}
	for range c.cfg.Executors {
		if _, err = c.AddExecutor(ctx); err != nil {
			return c, err
		}
	}
	b, err := c.join(ctx, "client")
	if err != nil {
		return c, err
	}
	if c.Client, err = client.Over(b, c.Natives, cfg.Logger); err != nil {
		return c, err
	}
	return c, c.await(ctx)
}

// await returns when every executor takes work.
func (c *Cluster) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Ready)
	defer cancel()
	for {
		c.mu.Lock()
		want, co := len(c.executors), c.coordinator
		c.mu.Unlock()
		if _, up := co.Executors(); up >= want {
			return nil
		}
		select {
		case <-ctx.Done():
			return fault.New(fault.NoExecutor, "not all of the %d executors were up after %v", want, c.cfg.Ready)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// join gives a backbone to one more node.
func (c *Cluster) join(ctx context.Context, node string) (*backbone.Backbone, error) {
	var b *backbone.Backbone
	if c.Memory != nil {
		b = c.Memory.Join(node)
	} else {
		var err error
		b, err = backbone.Dial(ctx, backbone.Options{
			Namespace: c.cfg.Namespace, Server: c.cfg.Server, Conn: natsconn.Options{Name: node}, Logger: c.cfg.Logger,
		})
		if err != nil {
			return nil, err
		}
	}
	c.mu.Lock()
	c.backbones = append(c.backbones, b)
	c.mu.Unlock()
	return b, nil
}

// StartCoordinator starts the coordinator, or starts it again after StopCoordinator.
func (c *Cluster) StartCoordinator(ctx context.Context) error {
	b, err := c.join(ctx, c.cfg.Coordinate.Name)
	if err != nil {
		return err
	}
	cfg := c.cfg.Coordinate
	if cfg.Logger == nil {
		cfg.Logger = c.cfg.Logger
	}
	co, err := StartCoordinator(ctx, b, cfg)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.coordinator = co
	return nil
}

// StopCoordinator ends it as a kill would: open runs are left as they are.
func (c *Cluster) StopCoordinator() error { return c.Coordinator().Close() }

// Coordinator is the one that was started last.
func (c *Cluster) Coordinator() *coordinator.Coordinator {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.coordinator
}

// AddExecutor starts one more executor.
func (c *Cluster) AddExecutor(ctx context.Context) (*ExecutorNode, error) {
	c.mu.Lock()
	name := fmt.Sprintf("%s-%d", c.cfg.Executor.Name, len(c.executors)+1)
	c.mu.Unlock()
	b, err := c.join(ctx, name)
	if err != nil {
		return nil, err
	}
	cfg := c.cfg.Executor
	cfg.Name, cfg.Natives = name, c.Natives
	if cfg.Logger == nil {
		cfg.Logger = c.cfg.Logger
	}
	if c.wasm != nil {
		cfg.Runtimes = append([]runtime.Runtime{c.wasm}, cfg.Runtimes...)
	}
	n, err := StartExecutor(b, cfg)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.executors = append(c.executors, n)
	return n, nil
}

// Executors are all that were started, the first one first; some may be closed.
func (c *Cluster) Executors() []*ExecutorNode {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*ExecutorNode(nil), c.executors...)
}

func (c *Cluster) announce() {
	for _, e := range c.Executors() {
		e.Announce()
	}
}

// Close ends the client, the executors and the coordinator, and waits for them. The server stays its owner's. Idempotent.
func (c *Cluster) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	executors, backbones, co := c.executors, c.backbones, c.coordinator
	c.mu.Unlock()
	var errs []error
	if c.Client != nil {
		errs = append(errs, c.Client.Close())
	}
	for _, e := range executors {
		errs = append(errs, e.Close())
	}
	if co != nil {
		errs = append(errs, co.Close())
	}
	if c.wasm != nil {
		errs = append(errs, c.wasm.Close())
	}
	for _, b := range backbones {
		errs = append(errs, b.Close())
	}
	if c.Memory != nil {
		errs = append(errs, c.Memory.Close())
	}
	return errors.Join(errs...)
}
