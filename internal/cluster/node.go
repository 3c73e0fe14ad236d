package cluster

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/squall-faas/squall/cache"
	"github.com/squall-faas/squall/coordinator"
	"github.com/squall-faas/squall/executor"
	"github.com/squall-faas/squall/executor/runtime"
	"github.com/squall-faas/squall/executor/runtime/native"
	"github.com/squall-faas/squall/internal/backbone"
	"github.com/squall-faas/squall/internal/caller"
	"github.com/squall-faas/squall/internal/offload"
	"github.com/squall-faas/squall/kvs"
)

// ExecutorConfig of one executor node.
type ExecutorConfig struct {
	Name       string
	Slots      int   // 0 is the number of cores, at least 2
	MaxQueue   int   // 0 is executor.Config's default
	CacheBytes int64 // 0 is cache.Config's default
	Natives    *native.Registry
	Runtimes   []runtime.Runtime // shared with other executors of the process; not closed here
	Heartbeat  time.Duration     // 0 is executor.Config's default
	Release    string
	Logger     *slog.Logger
}

// ExecutorNode is an executor with what it stands on.
type ExecutorNode struct {
	*executor.Executor
	Cache  *cache.Cache
	Caller *caller.Caller
}

// StartExecutor starts an executor over a backbone, which stays the caller's to close, after the node.
func StartExecutor(b *backbone.Backbone, cfg ExecutorConfig) (n *ExecutorNode, err error) {
	n = &ExecutorNode{}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close())
		}
	}()
	if n.Cache, err = cache.New(cache.Config{Store: b.User, MaxBytes: cfg.CacheBytes, Logger: cfg.Logger}); err != nil {
		return n, err
	}
	off, err := offload.New(offload.Config{Store: b.System})
	if err != nil {
		return n, err
	}
	if n.Caller, err = caller.New(caller.Config{Bus: b.Bus, Offload: off, Namespace: b.Namespace, Logger: cfg.Logger}); err != nil {
		return n, err
	}
	ec := executor.Config{
		Name: cfg.Name, Namespace: b.Namespace, Bus: b.Bus, System: b.System, Cache: n.Cache, Offload: off, Caller: n.Caller,
		Runtimes: cfg.Runtimes, Slots: cfg.Slots, MaxQueue: cfg.MaxQueue, Heartbeat: cfg.Heartbeat, Release: cfg.Release,
		Logger: cfg.Logger,
	}
	if cfg.Natives != nil {
		ec.Natives = cfg.Natives
	}
	n.Executor, err = executor.New(ec)
	return n, err
}

// Close leaves the cluster; Drain first to finish what is under way.
func (n *ExecutorNode) Close() error {
	var errs []error
	if n.Executor != nil {
		errs = append(errs, n.Executor.Close())
	}
	if n.Caller != nil {
		n.Caller.Close()
	}
	if n.Cache != nil {
		errs = append(errs, n.Cache.Close())
	}
	return errors.Join(errs...)
}

// StartCoordinator starts a coordinator over a backbone, which stays the caller's to close, after the node.
func StartCoordinator(ctx context.Context, b *backbone.Backbone, cfg coordinator.Config) (*coordinator.Coordinator, error) {
	cfg.Namespace, cfg.Bus, cfg.System = b.Namespace, b.Bus, b.System
	for _, store := range []kvs.Store{b.System, b.User} {
		if s, ok := store.(coordinator.Sweeper); ok {
			cfg.Sweepers = append(cfg.Sweepers, s)
		}
	}
	return coordinator.New(ctx, cfg)
}
