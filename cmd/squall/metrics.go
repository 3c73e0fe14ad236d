package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/squall-faas/squall/coordinator"
	"github.com/squall-faas/squall/internal/advice"
	"github.com/squall-faas/squall/internal/natsconn"
)

func gauge(r prometheus.Registerer, name, help string, f func() float64) {
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
}

// coordinatorMetrics adds a coordinator's figures to a registry. co gives nil while there is none.
func coordinatorMetrics(r prometheus.Registerer, co func() *coordinator.Coordinator) {
	of := func(f func(*coordinator.Coordinator) int) func() float64 {
		return func() float64 {
			if c := co(); c != nil {
				return float64(f(c))
			}
			return 0
		}
	}
	gauge(r, "squall_coordinator_active", "1 in the coordinator that serves the namespace, 0 in those that stand by.", of(func(*coordinator.Coordinator) int { return 1 }))
	gauge(r, "squall_coordinator_executors", "Executors that the coordinator knows.", of(func(c *coordinator.Coordinator) int { n, _ := c.Executors(); return n }))
	gauge(r, "squall_coordinator_executors_up", "Executors that take work.", of(func(c *coordinator.Coordinator) int { _, n := c.Executors(); return n }))
	gauge(r, "squall_coordinator_open_runs", "Runs that are open.", of((*coordinator.Coordinator).Open))
	gauge(r, "squall_coordinator_waiting_calls", "Calls that wait for a free slot.", of((*coordinator.Coordinator).Waiting))
	r.MustRegister(instanceMetrics(co), adviceMetrics(co))
}

// instanceMetrics tell on how many executors each application runs.
type instanceMetrics func() *coordinator.Coordinator

var instancesDesc = prometheus.NewDesc("squall_coordinator_app_instances", "Executors on which an application runs, or has run in the last ten seconds.", []string{"app"}, nil)

// Describe implements prometheus.Collector.
func (instanceMetrics) Describe(out chan<- *prometheus.Desc) { out <- instancesDesc }

// Collect implements prometheus.Collector.
func (co instanceMetrics) Collect(out chan<- prometheus.Metric) {
	if c := co(); c != nil {
		for app, n := range c.Instances() {
			out <- prometheus.MustNewConstMetric(instancesDesc, prometheus.GaugeValue, float64(n), app)
		}
	}
}

// adviceMetrics tell what a coordinator's adviser has done.
type adviceMetrics func() *coordinator.Coordinator

var (
	adviceAskedDesc    = prometheus.NewDesc("squall_coordinator_advice_asked_total", "Kinds of runs that were to be planned.", nil, nil)
	adviceLeftDesc     = prometheus.NewDesc("squall_coordinator_advice_left_total", "Kinds of runs that were not planned because too many waited for it.", nil, nil)
	adviceSolvedDesc   = prometheus.NewDesc("squall_coordinator_advice_solved_total", "What came of planning them.", []string{"verdict"}, nil)
	advicePlanningDesc = prometheus.NewDesc("squall_coordinator_planning_seconds_total", "Time that planning took.", nil, nil)
	adviceRunsDesc     = prometheus.NewDesc("squall_coordinator_advised_runs_total", "Runs placed with a plan at hand; followed is yes where every node was placed by it.", []string{"followed"}, nil)
)

// Describe implements prometheus.Collector.
func (adviceMetrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{adviceAskedDesc, adviceLeftDesc, adviceSolvedDesc, advicePlanningDesc, adviceRunsDesc} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (co adviceMetrics) Collect(out chan<- prometheus.Metric) {
	var s coordinator.AdviceStats
	if c := co(); c != nil {
		s = c.Advice()
	}
	count := func(d *prometheus.Desc, n float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, n, labels...)
	}
	count(adviceAskedDesc, float64(s.Asked))
	count(adviceLeftDesc, float64(s.Left))
	for _, v := range advice.Verdicts {
		count(adviceSolvedDesc, float64(s.Verdicts[v]), v.String())
	}
	count(advicePlanningDesc, s.Planning.Seconds())
	count(adviceRunsDesc, float64(s.Followed), "yes")
	count(adviceRunsDesc, float64(s.Looked-s.Followed), "no")
}

// natsMetrics are a NATS server's figures.
type natsMetrics struct{ s *natsconn.Server }

// natsFigure is one of them.
type natsFigure struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(*natsconn.Figures) float64
}

var natsFigures = []natsFigure{
	{natsDesc("connections", "Clients connected."), prometheus.GaugeValue, func(f *natsconn.Figures) float64 { return float64(f.Connections) }},
	{natsDesc("routes", "Connections to other servers of the cluster."), prometheus.GaugeValue, func(f *natsconn.Figures) float64 { return float64(f.Routes) }},
	{natsDesc("subscriptions", "Subscriptions."), prometheus.GaugeValue, func(f *natsconn.Figures) float64 { return float64(f.Subscriptions) }},
	{natsDesc("messages_in_total", "Messages received."), prometheus.CounterValue, func(f *natsconn.Figures) float64 { return float64(f.MessagesIn) }},
	{natsDesc("messages_out_total", "Messages sent."), prometheus.CounterValue, func(f *natsconn.Figures) float64 { return float64(f.MessagesOut) }},
	{natsDesc("bytes_in_total", "Bytes received."), prometheus.CounterValue, func(f *natsconn.Figures) float64 { return float64(f.BytesIn) }},
	{natsDesc("bytes_out_total", "Bytes sent."), prometheus.CounterValue, func(f *natsconn.Figures) float64 { return float64(f.BytesOut) }},
	{natsDesc("slow_consumers_total", "Clients that were cut off because they did not keep up."), prometheus.CounterValue, func(f *natsconn.Figures) float64 { return float64(f.SlowConsumers) }},
	{natsDesc("jetstream_streams", "Streams."), prometheus.GaugeValue, func(f *natsconn.Figures) float64 { return float64(f.Streams) }},
	{natsDesc("jetstream_consumers", "Consumers."), prometheus.GaugeValue, func(f *natsconn.Figures) float64 { return float64(f.Consumers) }},
	{natsDesc("jetstream_messages", "Messages stored."), prometheus.GaugeValue, func(f *natsconn.Figures) float64 { return float64(f.Messages) }},
	{natsDesc("jetstream_memory_bytes", "Bytes stored in memory."), prometheus.GaugeValue, func(f *natsconn.Figures) float64 { return float64(f.Memory) }},
	{natsDesc("jetstream_store_bytes", "Bytes stored in files."), prometheus.GaugeValue, func(f *natsconn.Figures) float64 { return float64(f.Store) }},
}

func natsDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("squall_nats_"+name, help, nil, nil)
}

// Describe implements prometheus.Collector.
func (natsMetrics) Describe(out chan<- *prometheus.Desc) {
	for _, f := range natsFigures {
		out <- f.desc
	}
}

// Collect implements prometheus.Collector.
func (m natsMetrics) Collect(out chan<- prometheus.Metric) {
	now, err := m.s.Figures()
	for _, f := range natsFigures {
		if err != nil {
			out <- prometheus.NewInvalidMetric(f.desc, err)
			continue
		}
		out <- prometheus.MustNewConstMetric(f.desc, f.kind, f.of(&now))
	}
}
