package check

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/squall-faas/squall/cache"
	"github.com/squall-faas/squall/coordinator"
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/executor/runtime/native"
	"github.com/squall-faas/squall/internal/backbone"
	"github.com/squall-faas/squall/internal/bus"
	"github.com/squall-faas/squall/internal/caller"
	"github.com/squall-faas/squall/internal/cluster"
	"github.com/squall-faas/squall/internal/offload"
	"github.com/squall-faas/squall/internal/wire"
)

// stage is a cluster that faults befall.
type stage struct {
	cfg    Config
	rec    *recorder
	memory *backbone.Memory
	caller *caller.Caller

	mu       sync.Mutex // guards what follows
	rng      *rand.Rand
	nodes    []*node
	next     int
	co       *coordinator.Coordinator
	ends     []func() error
	weathers []*weather
}

// node is one executor.
type node struct {
	*cluster.ExecutorNode
	name    string
	odd     bool
	w       *weather
	natives *native.Registry
}

func newStage(ctx context.Context, cfg Config, rec *recorder) (s *stage, err error) {
	s = &stage{cfg: cfg, rec: rec, rng: rand.New(rand.NewPCG(cfg.Seed, 1))}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.memory, err = backbone.NewMemory("", bus.Options{Seed: cfg.Seed | 1}); err != nil {
		return s, err
	}
	s.ends = append(s.ends, s.memory.Close)
	if err := s.coordinate(ctx); err != nil {
		return s, err
	}
	for i := range cfg.Executors {
		if err := s.join(i%2 == 1); err != nil {
			return s, err
		}
	}
	b := s.memory.Join("client")
	s.ends = append(s.ends, b.Close)
	off, err := offload.New(offload.Config{Store: b.System})
	if err != nil {
		return s, err
	}
	if s.caller, err = caller.New(caller.Config{Bus: b.Bus, Offload: off, Namespace: b.Namespace}); err != nil {
		return s, err
	}
	s.ends = append(s.ends, func() error { s.caller.Close(); return nil })
	return s, s.register(ctx)
}

func (s *stage) coordinate(ctx context.Context) error {
	b := s.memory.Join("coordinator")
	co, err := cluster.StartCoordinator(ctx, b, coordinator.Config{Name: "coordinator", Crashes: 1 << 20, Restarts: 64, Logger: s.cfg.Logger})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.co = co
	s.ends = append(s.ends, b.Close, co.Close)
	return nil
}

// join starts an executor.
func (s *stage) join(odd bool) error {
	s.mu.Lock()
	s.next++
	name := fmt.Sprintf("e%d", s.next)
	w := &weather{rng: rand.New(rand.NewPCG(s.cfg.Seed, uint64(1000+s.next))), latency: s.cfg.Latency}
	skew := time.Duration(s.rng.Int64N(int64(160*time.Millisecond))) - 80*time.Millisecond
	s.weathers = append(s.weathers, w)
	s.mu.Unlock()
	if s.cfg.Faults {
		w.lose.Store(150)
		w.mislay.Store(10)
	}
	b := s.memory.Join(name)
	b.User = &store{b.User, w}
	natives, err := functions(name, odd, s.rec)
	if err != nil {
		return err
	}
	n, err := cluster.StartExecutor(b, cluster.ExecutorConfig{
		Name: name, Slots: 4, Natives: natives, Logger: s.cfg.Logger, CacheBytes: 8 << 20,
		Wall:  func() time.Time { return time.Now().Add(skew) },
		Cache: cache.Config{Break: s.cfg.Break, CheckEvery: s.cfg.CheckEvery},
	})
	if err != nil {
		return errors.Join(err, b.Close())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nodes = append(s.nodes, &node{n, name, odd, w, natives})
	s.ends = append(s.ends, b.Close, n.Close)
	return nil
}

// register makes the functions and graphs known, once some executor has each.
func (s *stage) register(ctx context.Context) error {
	for _, f := range []string{"even", "odd", "join"} {
		for _, n := range s.nodes {
			var spec *wire.Admin
			for _, have := range n.natives.Functions() {
				if have.Name == f {
					spec = &wire.Admin{Function: &have}
				}
			}
			if spec == nil {
				continue
			}
			if _, err := n.Caller.Admin(ctx, wire.OpPutFunction, spec); err != nil {
				return err
			}
			break
		}
	}
	graphs, err := shapes()
	if err != nil {
		return err
	}
	for _, g := range graphs {
		if _, err := s.caller.Admin(ctx, wire.OpPutDAG, &wire.Admin{Graph: dag.Encode(g)}); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) close() error {
	s.mu.Lock()
	ends := s.ends
	s.ends = nil
	s.mu.Unlock()
	var errs []error
	for i := len(ends) - 1; i >= 0; i-- {
		if err := ends[i](); err != nil && !errors.Is(err, bus.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
