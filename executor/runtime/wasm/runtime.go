package wasm

import (
	"container/list"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	goruntime "runtime"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/squall-faas/squall/executor/runtime"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/wasmbin"
)

// Config of a Runtime. The zero Config is usable: everything is kept in memory.
type Config struct {
	// CacheDir is where compiled code is kept from start to start, several times the size of the modules; it may be
	// shared by processes. Empty, or not writable: modules are compiled anew in every process, 1–2 s for a Go module.
	CacheDir string
	// Logger hears of what no invocation can be told; nil discards.
	Logger *slog.Logger
	// MaxInstances bounds the running instances, 1,024 if 0; invocations past it are overloaded. Each takes two
	// mappings of the process's 65,530, and the Go collector's pauses grow with them.
	MaxInstances int
	// MaxIdle bounds the idle instances that are kept for the next invocation, 256 if 0; none if negative.
	MaxIdle int
	// MaxIdleBytes bounds their memory, 1 GiB if 0. An instance that has grown over a quarter of it is not kept.
	MaxIdleBytes uint64
	// IdleTime is how long an instance is kept unused, one minute if 0.
	IdleTime time.Duration
}

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.MaxInstances <= 0 {
		c.MaxInstances = 1024
	}
	switch {
	case c.MaxIdle == 0:
		c.MaxIdle = 256
	case c.MaxIdle < 0:
		c.MaxIdle = 0
	}
	if c.MaxIdleBytes == 0 {
		c.MaxIdleBytes = 1 << 30
	}
	if c.IdleTime <= 0 {
		c.IdleTime = time.Minute
	}
	return c
}

// Runtime implements runtime.Runtime over wazero. Its methods are safe for concurrent use.
type Runtime struct {
	cfg     Config
	engine  wazero.Runtime
	cache   wazero.CompilationCache
	compile chan struct{} // holds a token while no module compiles
	pool    pool

	mu        sync.Mutex
	functions map[*function]struct{}

	closeOnce sync.Once
	stop      chan struct{}
	stopped   chan struct{}
}

// New starts a Runtime. ctx bounds the start alone.
func New(ctx context.Context, cfg Config) (*Runtime, error) {
	cfg = cfg.withDefaults()
	r := &Runtime{
		cfg:       cfg,
		cache:     openCache(cfg),
		compile:   make(chan struct{}, 1),
		functions: make(map[*function]struct{}),
		stop:      make(chan struct{}),
		stopped:   make(chan struct{}),
	}
	r.pool = pool{
		maxInstances: cfg.MaxInstances, maxIdle: cfg.MaxIdle, maxIdleBytes: cfg.MaxIdleBytes,
		idle: make(map[*function][]*list.Element),
	}
	r.compile <- struct{}{}
	r.engine = wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().
		WithCompilationCache(r.cache).
		WithDebugInfoEnabled(false))
	for _, b := range []wazero.HostModuleBuilder{buildHost(r.engine), buildWASI(r.engine)} {
		if _, err := b.Instantiate(ctx); err != nil {
			_ = r.engine.Close(ctx)
			return nil, fault.New(fault.Internal, "start the WebAssembly host modules: %w", err)
		}
	}
	go r.trim()
	return r, nil
}

// openCache opens the cache of compiled code on disk, or else in memory.
func openCache(cfg Config) wazero.CompilationCache {
	if cfg.CacheDir == "" {
		return wazero.NewCompilationCache()
	}
	err := os.MkdirAll(cfg.CacheDir, 0o700)
	if err == nil {
		err = writable(cfg.CacheDir)
	}
	if err == nil {
		var c wazero.CompilationCache
		if c, err = wazero.NewCompilationCacheWithDir(cfg.CacheDir); err == nil {
			return c
		}
	}
	cfg.Logger.Warn("the cache of compiled WebAssembly is not writable: modules are compiled again in every process", "dir", cfg.CacheDir, "err", err)
	return wazero.NewCompilationCache()
}

// writable reports why dir cannot be written to.
func writable(dir string) error {
	f, err := os.CreateTemp(dir, "probe-*")
	if err != nil {
		return err
	}
	_ = f.Close()
	return os.Remove(f.Name())
}

// Kind implements runtime.Runtime.
func (r *Runtime) Kind() runtime.Kind { return runtime.Wasm }

// Load implements runtime.Runtime: it checks, meters and compiles a module. Code that is not a sound module of the
// ABI is invalid_module; one that wants more memory at its start than it may have is out_of_memory.
func (r *Runtime) Load(ctx context.Context, spec runtime.Spec, code []byte) (runtime.Callable, error) {
	limits := spec.Limits.WithDefaults()
	m, err := wasmbin.Inspect(code)
	if err != nil {
		return nil, err
	}
	if err := m.CheckABI(); err != nil {
		return nil, err
	}
	memory := min(uint64(limits.Memory), maxMemory) / pageSize * pageSize
	if least := uint64(m.Memory.Min) * pageSize; least > memory {
		return nil, fault.New(fault.OutOfMemory, "the module needs %d bytes of memory to start and its limit is %d: raise the limit", least, memory)
	}
	metered, err := wasmbin.Meter(code, wasmbin.Options{TickModule: hostModule, TickName: tickName, Every: ticksEvery})
	if err != nil {
		return nil, err
	}
	select {
	case <-r.compile:
		defer func() { r.compile <- struct{}{} }() // buffered: does not block after Close
	case <-ctx.Done():
		return nil, fault.From(context.Cause(ctx))
	case <-r.stop:
		return nil, errClosed
	}
	select {
	case <-r.stop:
		return nil, errClosed
	default:
	}
	// Half the processors compile, the others go on running functions.
	workers := (goruntime.GOMAXPROCS(0) + 1) / 2
	ctx = experimental.WithCompilationWorkers(ctx, workers)
	compiled, err := r.engine.CompileModule(ctx, metered)
	if errors.As(err, new(*fs.PathError)) { // the module compiles: it is the disk that does not take what came of it
		r.cfg.Logger.Warn("a compiled module was not kept: it is compiled again in every process", "function", spec.Name, "dir", r.cfg.CacheDir, "err", err)
		compiled, err = r.engine.CompileModule(ctx, metered) // it is in memory now
	}
	if err != nil {
		return nil, fault.New(fault.InvalidModule, "compile the module: %w", err)
	}
	f := &function{rt: r, compiled: compiled, memory: memory, output: limits.Output, unused: make(chan struct{})}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.functions[f] = struct{}{}
	return f, nil
}

// maxMemory is the most that one instance can address, less a page, so that a length in bytes is a u32.
const maxMemory = 1<<32 - pageSize

func (r *Runtime) forget(f *function) {
	r.mu.Lock()
	delete(r.functions, f)
	r.mu.Unlock()
}

// trim closes instances that have been idle too long.
func (r *Runtime) trim() {
	defer close(r.stopped)
	t := time.NewTicker(r.cfg.IdleTime / 2)
	defer t.Stop()
	for {
		select {
		case now := <-t.C:
			r.pool.trim(now.Add(-r.cfg.IdleTime))
		case <-r.stop:
			return
		}
	}
}

// Close implements runtime.Runtime. It lets no new invocation begin and waits for those under way, which end at their
// deadline at the latest; cancel them first to be quick.
func (r *Runtime) Close() error {
	var err error
	r.closeOnce.Do(func() {
		close(r.stop)
		<-r.stopped
		r.pool.shut()
		<-r.compile // and never again
		for {
			r.mu.Lock()
			var f *function
			for f = range r.functions {
				break
			}
			r.mu.Unlock()
			if f == nil {
				break
			}
			_ = f.Close() // the engine's Close reports what matters
		}
		ctx := context.Background()
		err = r.engine.Close(ctx)
		if cacheErr := r.cache.Close(ctx); err == nil {
			err = cacheErr
		}
	})
	if err != nil {
		return fault.New(fault.Internal, "close the WebAssembly engine: %w", err)
	}
	return nil
}
