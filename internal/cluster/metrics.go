package cluster

import "github.com/prometheus/client_golang/prometheus"

// RegisterMetrics registers the figures of the node with r: of its slots, its clock and its cache.
func (n *ExecutorNode) RegisterMetrics(r prometheus.Registerer) error {
	for _, c := range []prometheus.Collector{
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
	} {
		if err := r.Register(c); err != nil {
			return err
		}
	}
	return n.Cache.RegisterMetrics(r)
}
