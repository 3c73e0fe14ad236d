package demo

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/squall-faas/squall/coordinator/gateway"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/backbone"
	"github.com/squall-faas/squall/internal/cluster"
	"github.com/squall-faas/squall/internal/natsconn"
)

// house is the whole cluster that the demo runs on.
type house struct {
	*cluster.Cluster
	dir    string // of JetStream; goes away with the house
	server *natsconn.Server
	url    string // of the gateway
	took   time.Duration

	backbone *backbone.Backbone // the gateway's
	gateway  *gateway.Gateway
	lenders  []*lender // none without Config.Lent
	hang     func()    // ends serving
	serving  sync.WaitGroup
	served   error
}

// open starts a cluster whose state is on disk.
func open(ctx context.Context, cfg Config) (h *house, err error) {
	began := time.Now()
	h = &house{hang: func() {}}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	if h.dir, err = os.MkdirTemp("", "squall-demo-nats-"); err != nil {
		return h, fault.New(fault.Unavailable, "a directory for the cluster's state: %w", err)
	}
	if h.server, err = natsconn.Embed(natsconn.ServerOptions{StoreDir: h.dir, Logger: cfg.Logger}); err != nil {
		return h, err
	}
	cc := cluster.Config{Server: h.server, Executors: executors, WasmCache: wasmCache(), Logger: cfg.Logger}
	if cfg.Lent {
		cc.Executor = holdNothing()
	}
	if h.Cluster, err = cluster.Start(ctx, cc); err != nil {
		return h, err
	}
	if cfg.Lent {
		if err = h.lend(ctx, cfg); err != nil {
			return h, err
		}
	}
	err = h.listen(ctx, cfg)
	h.took = time.Since(began)
	return h, err
}

// listen starts the gateway.
func (h *house) listen(ctx context.Context, cfg Config) (err error) {
	h.backbone, err = backbone.Dial(ctx, backbone.Options{Server: h.server, Conn: natsconn.Options{Name: "gateway"}, Logger: cfg.Logger})
	if err != nil {
		return err
	}
	address := cfg.Listen
	if address == "" {
		address = "127.0.0.1:0"
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return fault.New(fault.InvalidArgument, "the gateway cannot listen: choose another address with --listen: %w", err)
	}
	at, ok := ln.Addr().(*net.TCPAddr)
	h.gateway, err = gateway.New(gateway.Config{Backbone: h.backbone, Loopback: ok && at.IP.IsLoopback(), Logger: cfg.Logger})
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	h.url = "http://" + ln.Addr().String()
	ctx, h.hang = context.WithCancel(context.WithoutCancel(ctx))
	h.serving.Go(func() { h.served = h.gateway.Serve(ctx, ln) })
	return nil
}

// wasmCache is where compiled modules are kept from demo to demo; "" keeps them in memory.
func wasmCache() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "squall", "wasm")
}

// invocations is how many functions have run on all executors so far.
func (h *house) invocations() (n uint64) {
	for _, e := range h.Executors() {
		n += e.Invocations()
	}
	return n
}

// close ends everything and removes the state.
func (h *house) close() error {
	h.hang()
	h.serving.Wait()
	errs := []error{h.served}
	if h.gateway != nil {
		h.gateway.Close()
	}
	if c := h.Cluster; c != nil {
		errs = append(errs, c.Close())
	}
	for _, l := range h.lenders {
		errs = append(errs, l.close())
	}
	if h.backbone != nil {
		errs = append(errs, h.backbone.Close())
	}
	if h.server != nil {
		h.server.Shutdown()
	}
	if h.dir != "" {
		errs = append(errs, os.RemoveAll(h.dir))
	}
	return errors.Join(errs...)
}
