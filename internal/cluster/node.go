package cluster

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/squall-faas/squall/cache"
	"github.com/squall-faas/squall/cache/coded"
	"github.com/squall-faas/squall/cache/coded/lend"
	"github.com/squall-faas/squall/coordinator"
	"github.com/squall-faas/squall/executor"
	"github.com/squall-faas/squall/executor/runtime"
	"github.com/squall-faas/squall/executor/runtime/native"
	"github.com/squall-faas/squall/internal/backbone"
	"github.com/squall-faas/squall/internal/caller"
	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/internal/offload"
	"github.com/squall-faas/squall/internal/peer"
	"github.com/squall-faas/squall/internal/shm"
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

	// Listen is where the data port listens, host:port, "" is loopback, any port; Announce is how others reach it, "" is
	// where it listens.
	Listen, Announce string
	// HoldBytes bounds what the node holds for others to pull; 0 is offload.DefaultHold.
	HoldBytes int64
	// Unshared keeps the node from sharing memory with other processes of its host.
	Unshared bool
	// Observed is told of values that came from other executors; see offload.Config.
	Observed func(executor string, bytes int64, took time.Duration)
	// Late is executor.Config's: when a hedged invocation is late; nil goes by what executors have learnt.
	Late func(version string, in int64, quantile float64) (time.Duration, bool)
	// Wall is this node's wall clock; nil is time.Now. Tests set it wrong.
	Wall func() time.Time
	// Lend says how much of its memory the node lends to the coded tier.
	Lend Lend
	// Cache tunes the cache beyond CacheBytes; what StartExecutor sets itself is overwritten.
	Cache cache.Config
}

// ExecutorNode is an executor with what it stands on.
type ExecutorNode struct {
	*executor.Executor
	Cache  *cache.Cache
	Caller *caller.Caller
	Peers  *peer.Peers
	Hold   *offload.Hold // what it holds for other executors
	memory *shm.Store    // nil where there is none
	learnt *profiles
	lent   *lending // nil until it has begun
}

// StartExecutor starts an executor over a backbone, which stays the caller's to close, after the node.
func StartExecutor(b *backbone.Backbone, cfg ExecutorConfig) (n *ExecutorNode, err error) {
	n = &ExecutorNode{}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close())
		}
	}()
	secret, err := peer.Secret(context.Background(), b.System)
	if err != nil {
		return n, err
	}
	hc := offload.HoldConfig{Executor: cfg.Name, Namespace: b.Namespace, Secret: secret, MaxBytes: cfg.HoldBytes}
	if b.Pipes == nil && !cfg.Unshared { // in one process they hand over nothing by files
		if hc.Memory, err = shm.Open(shm.Config{}); err != nil {
			logger(cfg).Info("no memory is shared with other processes of this host", "executor", cfg.Name, "err", err)
		}
		n.memory = hc.Memory
	}
	if n.Hold, err = offload.NewHold(hc); err != nil {
		return n, err
	}
	pc := peer.Config{
		Hold: n.Hold,
		Name: cfg.Name, Namespace: b.Namespace, Bus: b.Bus, Secret: secret, Listen: cfg.Listen, Announce: cfg.Announce, Wall: cfg.Wall, Logger: cfg.Logger,
	}
	if b.Pipes != nil {
		pc.Listener, pc.Dial = b.Pipes.Listen(cfg.Name), b.Pipes.Dial
	}
	if n.Peers, err = peer.New(pc); err != nil {
		return n, err
	}
	if n.lent, err = newLending(b, cfg, secret, n.Peers.Port()); err != nil {
		return n, err
	}
	cc := cfg.Cache
	if !cfg.Lend.Uncached {
		cc.Lent = lentVersions{n.lent.tier}
	}
	cc.Store, cc.Logger, cc.Node, cc.Peers, cc.Skewed = b.User, cfg.Logger, cfg.Name, n.Peers, n.Peers.Skew
	if cfg.CacheBytes != 0 {
		cc.MaxBytes = cfg.CacheBytes
	}
	cc.Clock = hlc.New(xxhash.Sum64String(cfg.Name)^uint64(time.Now().UnixNano()), cfg.Wall)
	cc.Keep, cc.Recall = keepAccess(b.System), recallAccess(b.System)
	cc.Fenced = func() { go n.Rejoin() } // the cache waits for its answer
	if n.Cache, err = cache.New(cc); err != nil {
		return n, err
	}
	n.Peers.Serve(n.Cache)
	n.learnt = startProfiles(b.System, cfg.Name, logger(cfg))
	observed, late := n.learnt.transferred, n.learnt.late
	if cfg.Observed != nil {
		observed = func(executor string, bytes int64, took time.Duration) {
			n.learnt.transferred(executor, bytes, took)
			cfg.Observed(executor, bytes, took)
		}
	}
	if cfg.Late != nil {
		late = cfg.Late
	}
	off, err := offload.New(offload.Config{
		Store: b.System, MaxPayload: b.Bus.MaxPayload(), Hold: n.Hold, Client: n.Peers.Client(), Tier: lentValues{n.lent.tier},
		PortOf: n.Peers.PortOf, AskStore: n.Peers.AskStore, Observed: observed,
	})
	if err != nil {
		return n, err
	}
	n.Peers.Deposit(off.Deposit)
	if n.Caller, err = caller.New(caller.Config{Bus: b.Bus, Offload: off, Namespace: b.Namespace, Logger: cfg.Logger}); err != nil {
		return n, err
	}
	ec := executor.Config{
		Name: cfg.Name, Namespace: b.Namespace, Bus: b.Bus, System: b.System, Cache: n.Cache, Offload: off, Caller: n.Caller,
		State: b.User, Port: n.Peers.Port(), Hold: n.Hold,
		Runtimes: cfg.Runtimes, Slots: cfg.Slots, MaxQueue: cfg.MaxQueue, Heartbeat: cfg.Heartbeat, Release: cfg.Release,
		Profiler: arrivals{n.learnt, n.lent}, Late: late, Launch: n.learnt.launch, Logger: cfg.Logger,
	}
	if cfg.Natives != nil {
		ec.Natives = cfg.Natives
	}
	if n.Executor, err = executor.New(ec); err != nil {
		return n, err
	}
	n.lent.start(n.Load, n.Slots())
	return n, nil
}

// Objects is the node's way to the coded tier.
func (n *ExecutorNode) Objects() *coded.Tier { return n.lent.tier }

// Lent is what the node lends now, and what lies there; zero where it lends nothing.
func (n *ExecutorNode) Lent() lend.Stats {
	if n.lent == nil || n.lent.lender == nil {
		return lend.Stats{}
	}
	return n.lent.lender.Stats()
}

// Drain stops taking runs and waits for those under way, and meanwhile moves what others keep in this node's memory to other
// lenders; ctx bounds both. Close afterwards.
func (n *ExecutorNode) Drain(ctx context.Context) error {
	var moving sync.WaitGroup
	moving.Go(func() { n.lent.drain(ctx) })
	defer moving.Wait()
	return n.Executor.Drain(ctx)
}

// Shared is what the node shares by memory, and maps of others.
func (n *ExecutorNode) Shared() shm.Stats {
	if n.memory == nil {
		return shm.Stats{}
	}
	return n.memory.Stats()
}

func logger(cfg ExecutorConfig) *slog.Logger {
	if cfg.Logger != nil {
		return cfg.Logger
	}
	return slog.New(slog.DiscardHandler)
}

// Rejoin has the executor come back as another life, once there is one.
func (n *ExecutorNode) Rejoin() {
	if n.Executor != nil {
		n.Executor.Rejoin()
	}
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
	if n.Peers != nil {
		errs = append(errs, n.Peers.Close())
	}
	if n.Cache != nil {
		errs = append(errs, n.Cache.Close())
	}
	errs = append(errs, n.lent.close())
	if n.learnt != nil {
		n.learnt.close()
	}
	if n.Hold != nil {
		n.Hold.Clear()
	}
	if n.memory != nil {
		errs = append(errs, n.memory.Close())
	}
	return errors.Join(errs...)
}

// StartCoordinator starts a coordinator over a backbone, which stays the caller's to close, after the node.
func StartCoordinator(ctx context.Context, b *backbone.Backbone, cfg coordinator.Config) (*coordinator.Coordinator, error) {
	cfg.Namespace, cfg.Bus, cfg.System, cfg.State = b.Namespace, b.Bus, b.System, b.User
	for _, store := range []kvs.Store{b.System, b.User} {
		if s, ok := store.(coordinator.Sweeper); ok {
			cfg.Sweepers = append(cfg.Sweepers, s)
		}
	}
	return coordinator.New(ctx, cfg)
}
