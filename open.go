package squall

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/internal/cluster"
	"github.com/squall-faas/squall/internal/natsconn"
)

// Config of Open. The zero Config is a cluster of one executor in memory, which nothing survives.
type Config struct {
	// Dir keeps state there, on an embedded NATS server with JetStream; "" keeps it in memory. Writes are fsynced.
	Dir string
	// Listen is the host:port where that server also takes clients and executors of other processes; "" is nowhere.
	// Needs Dir.
	Listen string
	// Namespace of everything; "" is "default".
	Namespace string
	// Executors in this process; 0 is 1.
	Executors int
	// Slots is how many functions one executor runs at once; 0 is the number of cores, at least 2.
	Slots int
	// CacheBytes of each executor; 0 is 256 MiB.
	CacheBytes int64
	// WasmCache is where compiled modules are kept; "" is a directory of the user's cache.
	WasmCache string
	// Logger of everything; nil discards.
	Logger *slog.Logger
}

// Squall is a whole cluster in this process, and a client of it. Safe for concurrent use.
type Squall struct {
	*client.Client
	cluster *cluster.Cluster
	server  *natsconn.Server
}

// Open starts a cluster inside this process and returns when it takes calls. Close it.
func Open(ctx context.Context, cfg Config) (*Squall, error) {
	s := &Squall{}
	if cfg.Dir != "" || cfg.Listen != "" {
		server, err := natsconn.Embed(natsconn.ServerOptions{StoreDir: cfg.Dir, Listen: cfg.Listen, Logger: cfg.Logger})
		if err != nil {
			return nil, err
		}
		s.server = server
	}
	c, err := cluster.Start(ctx, cluster.Config{
		Namespace: cfg.Namespace, Server: s.server, Executors: cfg.Executors, Logger: cfg.Logger,
		Executor:  cluster.ExecutorConfig{Slots: cfg.Slots, CacheBytes: cfg.CacheBytes, Release: Version},
		WasmCache: wasmCache(cfg.WasmCache),
	})
	if err != nil {
		s.shutdown()
		return nil, err
	}
	s.cluster, s.Client = c, c.Client
	return s, nil
}

// wasmCache is where compiled modules are kept: what the user says, or a directory of the user's cache, or, where
// there is none, memory.
func wasmCache(dir string) string {
	if dir != "" {
		return dir
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(base, "squall", "wasm")
}

// URL is where other processes connect; "" without Listen.
func (s *Squall) URL() string {
	if s.server == nil {
		return ""
	}
	return s.server.URL()
}

// Close waits up to ten seconds for runs under way, then ends everything. Idempotent.
func (s *Squall) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var errs []error
	for _, e := range s.cluster.Executors() {
		if err := e.Drain(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			errs = append(errs, err)
		}
	}
	errs = append(errs, s.cluster.Close())
	s.shutdown()
	return errors.Join(errs...)
}

func (s *Squall) shutdown() {
	if s.server != nil {
		s.server.Shutdown()
	}
}
