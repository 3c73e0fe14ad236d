package demo

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/cluster"
	"github.com/squall-faas/squall/internal/natsconn"
)

// house is the whole cluster that the demo runs on.
type house struct {
	*cluster.Cluster
	server *natsconn.Server
	dir    string // of JetStream; goes away with the house
	url    string // of the gateway
	took   time.Duration
}

// open starts a cluster whose state is on disk.
func open(ctx context.Context, cfg Config) (h *house, err error) {
	began := time.Now()
	h = &house{}
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
	h.Cluster, err = cluster.Start(ctx, cluster.Config{
		Server: h.server, Executors: executors, WasmCache: wasmCache(), Logger: cfg.Logger,
	})
	h.took = time.Since(began)
	return h, err
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

// executors prints what each executor has done so far.
func (d *demo) executors() {
	w := d.table("executor", "calls so far", "reads from its cache", "from the store", "held in memory")
	for _, e := range d.Executors() {
		s := e.Cache.Stats()
		w.row(e.Name(), e.Invocations(), s.Hits, s.Reads, megabytes(s.Bytes))
	}
	w.end()
}

// close ends everything and removes the state.
func (h *house) close() error {
	var errs []error
	if h.Cluster != nil {
		errs = append(errs, h.Cluster.Close())
	}
	if h.server != nil {
		h.server.Shutdown()
	}
	if h.dir != "" {
		errs = append(errs, os.RemoveAll(h.dir))
	}
	return errors.Join(errs...)
}
