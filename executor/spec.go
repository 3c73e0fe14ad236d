package executor

import (
	"context"
	"fmt"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/executor/runtime"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

const (
	keepSpecs     = 1024 // pinned graphs in memory
	keepFunctions = 256  // loaded functions, compiled modules among them
	loadTimeout   = 2 * time.Minute
)

// spec is a graph with its functions' versions, as a run is pinned to them.
type spec struct {
	graph     *dag.Graph
	functions []runtime.Spec // by node
	linear    bool           // one path, along which a run's session travels
}

// loadKey is what a loaded function was made of: the same module may be registered under two names, with limits of
// their own.
type loadKey struct {
	version        string
	memory, output int64 // bytes
}

func keyOf(f runtime.Spec) loadKey {
	if f.Kind == runtime.Native {
		return loadKey{version: f.Version}
	}
	return loadKey{f.Version, f.Limits.Memory, f.Limits.Output}
}

// library finds specs and loads functions, each once. Safe for concurrent use.
type library struct {
	system   kvs.Store
	runtimes map[runtime.Kind]runtime.Runtime
	specs    *lru.Cache[string, *spec]
	loaded   *lru.Cache[loadKey, runtime.Callable]
	flight   singleflight.Group
	observed func(version string, took time.Duration) // of functions that were loaded

	retiring sync.WaitGroup
}

func newLibrary(system kvs.Store, runtimes []runtime.Runtime, to Profiler) *library {
	l := &library{system: system, runtimes: map[runtime.Kind]runtime.Runtime{}, observed: func(string, time.Duration) {}}
	if to != nil {
		l.observed = to.Loaded
	}
	for _, r := range runtimes {
		l.runtimes[r.Kind()] = r
	}
	l.specs, _ = lru.New[string, *spec](keepSpecs) // only fails for a size below 1
	l.loaded, _ = lru.NewWithEvict(keepFunctions, func(_ loadKey, c runtime.Callable) {
		l.retiring.Go(func() { _ = c.Close() }) // waits for invocations under way
	})
	return l
}

// cached gives a spec that is in memory already, or nil.
func (l *library) cached(hash string) *spec {
	s, _ := l.specs.Get(hash)
	return s
}

// spec finds a spec, at the first time in the store.
func (l *library) spec(ctx context.Context, hash string) (*spec, error) {
	if s := l.cached(hash); s != nil {
		return s, nil
	}
	s, err, _ := l.flight.Do("spec/"+hash, func() (any, error) {
		// Others may wait for the same plan: the end of one run must not keep it from them.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
		defer cancel()
		e, err := l.system.Get(ctx, kvs.Key(wire.SpecKey(hash)))
		if err != nil {
			return nil, fault.New(fault.Unavailable, "the plan of the run cannot be read: %w", err)
		}
		s, err := decodeSpec(e.Value)
		if err == nil {
			l.specs.Add(hash, s)
		}
		return s, err
	})
	if err != nil {
		return nil, err
	}
	return s.(*spec), nil
}

func decodeSpec(v value.Value) (*spec, error) {
	b, err := value.As[[]byte](v)
	if err != nil {
		return nil, err
	}
	var w wire.Spec
	if err := wire.Decode(b, &w); err != nil {
		return nil, err
	}
	g, err := dag.Decode(w.Graph)
	if err != nil {
		return nil, err
	}
	if len(w.Functions) != len(g.Nodes) {
		return nil, fault.New(fault.Internal, "a plan of %d nodes has %d functions", len(g.Nodes), len(w.Functions))
	}
	return &spec{graph: g, functions: w.Functions, linear: g.Linear()}, nil
}

// has reports whether a function is loaded.
func (l *library) has(f runtime.Spec) bool { return l.loaded.Contains(keyOf(f)) }

// callable loads a function, at the first time from the store.
func (l *library) callable(ctx context.Context, f runtime.Spec) (runtime.Callable, error) {
	if c, ok := l.loaded.Get(keyOf(f)); ok {
		return c, nil
	}
	c, err, _ := l.flight.Do(fmt.Sprintf("fn/%v", keyOf(f)), func() (any, error) {
		// Others may wait for the same module: the end of one invocation must not end its compilation.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
		defer cancel()
		r := l.runtimes[f.Kind]
		if r == nil {
			return nil, fault.New(fault.NoExecutor, "this executor has no %s runtime", f.Kind)
		}
		began := time.Now()
		var code []byte
		if f.Kind != runtime.Native {
			e, err := l.system.Get(ctx, kvs.Key(wire.CodeKey(f.Version)))
			if err != nil {
				return nil, fault.New(fault.Unavailable, "the code of %s cannot be read: %w", f.Name, err)
			}
			if code, err = value.As[[]byte](e.Value); err != nil {
				return nil, err
			}
		}
		c, err := r.Load(ctx, f, code)
		if err == nil {
			l.loaded.Add(keyOf(f), c)
			l.observed(f.Version, time.Since(began))
		}
		return c, err
	})
	if err != nil {
		return nil, err
	}
	return c.(runtime.Callable), nil
}

// close retires every function and waits for the invocations under way.
func (l *library) close() {
	l.loaded.Purge()
	l.retiring.Wait()
}
