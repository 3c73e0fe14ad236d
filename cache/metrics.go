package cache

import "github.com/prometheus/client_golang/prometheus"

// metric is one number of Stats.
type metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(*Stats) float64
}

var figures = []metric{
	counter("hits_total", "Reads answered from memory.", func(s *Stats) uint64 { return s.Hits }),
	counter("misses_total", "Reads that waited for a peer or the store.", func(s *Stats) uint64 { return s.Misses }),
	counter("store_reads_total", "Reads of the store.", func(s *Stats) uint64 { return s.Reads }),
	counter("peer_reads_total", "Reads answered by a peer.", func(s *Stats) uint64 { return s.PeerReads }),
	counter("evictions_total", "Versions that made room for others.", func(s *Stats) uint64 { return s.Evictions }),
	counter("refused_total", "Versions that were not admitted.", func(s *Stats) uint64 { return s.Refused }),
	counter("pushes_total", "Changes that the store pushed.", func(s *Stats) uint64 { return s.Pushes }),
	counter("repaired_total", "Changes that a periodic check found because their push was lost.", func(s *Stats) uint64 { return s.Repaired }),
	gauge("bytes", "Bytes held, or pinned for runs.", func(s *Stats) int64 { return s.Bytes }),
	gauge("entries", "Keys held.", func(s *Stats) int64 { return int64(s.Entries) }),
	gauge("dirty_bytes", "Bytes of writes that are not stored yet.", func(s *Stats) int64 { return s.Dirty }),
	gauge("pinned_bytes", "Bytes kept for runs.", func(s *Stats) int64 { return s.Pinned }),
	gauge("pinned_runs", "Runs for which something is kept.", func(s *Stats) int64 { return int64(s.Runs) }),
}

func name(s string) string { return "squall_cache_" + s }

func counter(what, help string, of func(*Stats) uint64) metric {
	return metric{prometheus.NewDesc(name(what), help, nil, nil), prometheus.CounterValue, func(s *Stats) float64 { return float64(of(s)) }}
}

func gauge(what, help string, of func(*Stats) int64) metric {
	return metric{prometheus.NewDesc(name(what), help, nil, nil), prometheus.GaugeValue, func(s *Stats) float64 { return float64(of(s)) }}
}

// Of each application: their number is bounded by MaxApps at a time.
var (
	appLabels       = []string{"app"}
	descAppBytes    = prometheus.NewDesc(name("app_bytes"), "Bytes held for an application.", appLabels, nil)
	descAppCapacity = prometheus.NewDesc(name("app_capacity_bytes"), "Bytes that may be held for an application.", appLabels, nil)
	descAppHits     = prometheus.NewDesc(name("app_hits_total"), "Reads of an application answered from memory, estimated from a sample.", appLabels, nil)
	descAppMisses   = prometheus.NewDesc(name("app_misses_total"), "Reads of an application that waited for a peer or the store.", appLabels, nil)
)

// RegisterMetrics registers what Stats and AppStats give with r; one cache to a registerer.
func (c *Cache) RegisterMetrics(r prometheus.Registerer) error { return r.Register(collector{c}) }

type collector struct{ c *Cache }

// Describe implements prometheus.Collector.
func (collector) Describe(out chan<- *prometheus.Desc) {
	for i := range figures {
		out <- figures[i].desc
	}
	for _, d := range []*prometheus.Desc{descAppBytes, descAppCapacity, descAppHits, descAppMisses} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	s := c.c.Stats()
	for i := range figures {
		out <- prometheus.MustNewConstMetric(figures[i].desc, figures[i].kind, figures[i].of(&s))
	}
	for _, a := range c.c.AppStats() {
		out <- prometheus.MustNewConstMetric(descAppBytes, prometheus.GaugeValue, float64(a.Bytes), a.App)
		out <- prometheus.MustNewConstMetric(descAppCapacity, prometheus.GaugeValue, float64(a.Capacity), a.App)
		out <- prometheus.MustNewConstMetric(descAppHits, prometheus.CounterValue, float64(a.Hits), a.App)
		out <- prometheus.MustNewConstMetric(descAppMisses, prometheus.CounterValue, float64(a.Misses), a.App)
	}
}
