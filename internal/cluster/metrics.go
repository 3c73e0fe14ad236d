package cluster

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/squall-faas/squall/cache/coded"
	"github.com/squall-faas/squall/cache/coded/lend"
)

// RegisterMetrics registers the figures of the node with r: of its slots, its clock, its cache, and lent memory.
func (n *ExecutorNode) RegisterMetrics(r prometheus.Registerer) error {
	for _, c := range append([]prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "squall_executor_slots", Help: "Functions that may run at once.",
		}, func() float64 { return float64(n.Slots()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "squall_executor_stuck_slots", Help: "Slots held by native functions past their deadline.",
		}, func() float64 { return float64(n.Stuck()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "squall_executor_invocations_total", Help: "Functions that were started.",
		}, func() float64 { return float64(n.Invocations()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "squall_executor_clock_skew_seconds",
			Help: "How far this node's clock is ahead of the fleet's median; beyond a quarter of a second either way it may not write.",
		}, func() float64 { return n.Peers.Skew().Seconds() }),
	}, n.lendingMetrics()...) {
		if err := r.Register(c); err != nil {
			return err
		}
	}
	return n.Cache.RegisterMetrics(r)
}

// lendingMetrics are those of what the node lends, squall_lender, and of what it does with objects wherever they are,
// squall_objects. The latter are of this process: clients have their own.
func (n *ExecutorNode) lendingMetrics() (all []prometheus.Collector) {
	gauge := func(name, help string, f func(lend.Stats) int64) {
		all = append(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(f(n.Lent())) }))
	}
	count := func(name, help string, f func(lend.Stats) int64) {
		all = append(all, prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(f(n.Lent())) }))
	}
	done := func(name, help string, f func(coded.Stats) int64) {
		all = append(all, prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(f(n.Objects().Stats())) }))
	}
	gauge("squall_lender_lent_bytes", "Memory that is lent now; it is taken only as far as it is used.", func(s lend.Stats) int64 { return s.Limit })
	gauge("squall_lender_used_bytes", "Of that, what holds something.", func(s lend.Stats) int64 { return s.Used })
	gauge("squall_lender_resident_bytes", "Memory that the process has from the system for it.", func(s lend.Stats) int64 { return s.Resident })
	gauge("squall_lender_columns", "Columns of objects that lie here, each one of its object's data or parity columns.", func(s lend.Stats) int64 { return int64(s.Columns) })
	count("squall_lender_hits_total", "Shards that were asked for and were here.", func(s lend.Stats) int64 { return s.Gets })
	count("squall_lender_misses_total", "Shards that were asked for and were not here.", func(s lend.Stats) int64 { return s.Misses })
	count("squall_lender_evicted_columns_total", "Columns that were dropped because the memory was full, or was needed for work.", func(s lend.Stats) int64 { return s.Evicted })
	done("squall_objects_gets_total", "Objects that this node has read.", func(s coded.Stats) int64 { return s.Gets })
	done("squall_objects_puts_total", "Objects that this node has put.", func(s coded.Stats) int64 { return s.Puts })
	done("squall_objects_misses_total", "Objects of which too few shards were left when this node read them.", func(s coded.Stats) int64 { return s.Misses })
	done("squall_objects_rebuilt_stripes_total", "Stripes that this node had to compute from parity when it read.", func(s coded.Stats) int64 { return s.Rebuilt })
	done("squall_objects_repaired_columns_total", "Lost columns that this node has rebuilt on others.", func(s coded.Stats) int64 { return s.Repaired })
	done("squall_objects_moved_bytes_total", "Bytes that this node has sent for repairs, and before it left.", func(s coded.Stats) int64 { return s.Moved })
	for name, c := range map[string]struct {
		help string
		of   func(hits, misses uint64) uint64
	}{
		"squall_cache_lent_hits_total":   {"Large versions that had left the cache and whose bytes came from lent memory.", func(hits, _ uint64) uint64 { return hits }},
		"squall_cache_lent_misses_total": {"Large versions that had left the cache and that lent memory did not have.", func(_, misses uint64) uint64 { return misses }},
	} {
		all = append(all, prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: c.help}, func() float64 { return float64(c.of(n.Cache.LentStats())) }))
	}
	return all
}
