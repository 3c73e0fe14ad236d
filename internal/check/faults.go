package check

import (
	"context"
	"time"

	"github.com/squall-faas/squall/internal/bus"
)

// befall has faults befall the nodes until ctx ends: at most one executor at a time is cut off. The first two are a kill and
// a cut, so that a short workload has both.
func (s *stage) befall(ctx context.Context) {
	stop := s.memory.Network.Inject(bus.Rule{Drop: 0.01, Duplicate: 0.03, Reorder: 0.05, MaxDelay: 2 * time.Millisecond})
	defer stop()
	for n := 0; s.wait(ctx, 30*time.Millisecond, 300*time.Millisecond); n++ {
		s.mu.Lock()
		victim := s.nodes[s.rng.IntN(len(s.nodes))]
		what := s.rng.IntN(8)
		switch n {
		case 0:
			what = 0
		case 1:
			what = 2 + what%2
		}
		s.mu.Unlock()
		net := s.memory.Network
		switch what {
		case 0, 1: // it and its writes of the last moments are gone
			s.rec.fault("kill", victim.name)
			s.kill(victim)
			if err := s.join(victim.odd); err != nil {
				s.cfg.Logger.Error("no executor in the place of a killed one", "err", err)
				return
			}
		case 2: // a zombie: given up for dead, while the store takes what it writes
			s.rec.fault("zombie", victim.name)
			over := s.rec.endanger(victim.name)
			net.Isolate(victim.name)
			s.wait(ctx, 2*time.Second, 5*time.Second)
			net.Heal(victim.name)
			over()
		case 3: // cut off from everything
			s.rec.fault("partition", victim.name)
			over := s.rec.endanger(victim.name)
			net.Isolate(victim.name)
			victim.w.down.Store(true)
			s.wait(ctx, 100*time.Millisecond, 4*time.Second)
			victim.w.down.Store(false)
			net.Heal(victim.name)
			over()
		case 4:
			s.rec.fault("no store", victim.name)
			victim.w.down.Store(true)
			s.wait(ctx, 20*time.Millisecond, 300*time.Millisecond)
			victim.w.down.Store(false)
		case 5:
			s.rec.fault("no pushes", victim.name)
			victim.w.lose.Store(1000)
			s.wait(ctx, 50*time.Millisecond, time.Second)
			victim.w.lose.Store(150)
		case 6:
			s.rec.fault("disconnect", victim.name)
			over := s.rec.endanger(victim.name)
			net.Disconnect(victim.name)
			s.wait(ctx, 50*time.Millisecond, 400*time.Millisecond)
			net.Heal(victim.name)
			over()
		case 7:
			s.rec.fault("leave", victim.name)
			s.leave(ctx, victim)
			if err := s.join(victim.odd); err != nil {
				s.cfg.Logger.Error("no executor in the place of one that left", "err", err)
				return
			}
		}
	}
}

// reportWeather notes what befell the nodes' stores, in all.
func (s *stage) reportWeather() {
	s.mu.Lock()
	weathers := s.weathers
	s.mu.Unlock()
	for _, of := range []struct {
		kind  string
		count func(w *weather) uint64
	}{
		{"lost push", func(w *weather) uint64 { return w.lost.Load() }},
		{"late push", func(w *weather) uint64 { return w.late.Load() }},
		{"repeated push", func(w *weather) uint64 { return w.twice.Load() }},
		{"lost answer", func(w *weather) uint64 { return w.mislaid.Load() }},
		{"refused request", func(w *weather) uint64 { return w.refused.Load() }},
	} {
		n := uint64(0)
		for _, w := range weathers {
			n += of.count(w)
		}
		s.rec.faultsOf(of.kind, n)
	}
}

// wait draws a pause; false where ctx ends first.
func (s *stage) wait(ctx context.Context, least, most time.Duration) bool {
	s.mu.Lock()
	d := least + time.Duration(s.rng.Int64N(int64(most-least)))
	s.mu.Unlock()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// kill ends a node as SIGKILL would: what it has not stored is lost.
func (s *stage) kill(n *node) {
	s.forget(n)
	s.rec.endanger(n.name)
	s.memory.Network.Crash(n.name)
	n.Cache.Kill()
}

func (s *stage) leave(ctx context.Context, n *node) {
	s.forget(n)
	s.rec.endanger(n.name)
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_ = n.Drain(ctx) // as far as it comes
	if err := n.Close(); err != nil {
		s.cfg.Logger.Debug("an executor left untidily", "executor", n.name, "err", err)
	}
}

func (s *stage) forget(n *node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, x := range s.nodes {
		if x == n {
			s.nodes = append(s.nodes[:i:i], s.nodes[i+1:]...)
			return
		}
	}
}
