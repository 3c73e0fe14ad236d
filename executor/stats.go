package executor

import (
	"time"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/internal/wire"
)

// stats is where a run's time went, by node, as far as this site knows. Kept only for runs whose caller asked.
type stats map[int]wire.NodeStat

func (s *stats) add(trace bool, inv dag.Invocation, busy, wait time.Duration) {
	if !trace {
		return
	}
	if *s == nil {
		*s = stats{}
	}
	n := (*s)[inv.Node]
	n.Node = inv.Node
	n.Count++
	n.Busy += int64(busy)
	n.Wait += int64(wait)
	n.Max = max(n.Max, int64(busy))
	if inv.Try > 1 {
		n.Tries++
	}
	(*s)[inv.Node] = n
}

func (s stats) snapshot() []wire.NodeStat {
	if len(s) == 0 {
		return nil
	}
	out := make([]wire.NodeStat, 0, len(s))
	for _, n := range s {
		out = append(out, n)
	}
	return out
}

// mergeStats takes in what upstream sites know. A node has one home, whose count only grows: the larger one is newer.
func (a *activity) mergeStats(in []wire.NodeStat) {
	if len(in) == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stats == nil {
		a.stats = stats{}
	}
	for _, n := range in {
		if n.Count > a.stats[n.Node].Count {
			a.stats[n.Node] = n
		}
	}
}
