package cache

import "github.com/prometheus/client_golang/prometheus"

var (
	descHits      = prometheus.NewDesc("squall_cache_hits_total", "Reads answered from memory.", nil, nil)
	descMisses    = prometheus.NewDesc("squall_cache_misses_total", "Reads that waited for the store.", nil, nil)
	descReads     = prometheus.NewDesc("squall_cache_store_reads_total", "Reads of the store.", nil, nil)
	descEvictions = prometheus.NewDesc("squall_cache_evictions_total", "Versions that made room for others.", nil, nil)
	descRefused   = prometheus.NewDesc("squall_cache_refused_total", "Versions that were not admitted.", nil, nil)
	descBytes     = prometheus.NewDesc("squall_cache_bytes", "Bytes held.", nil, nil)
	descEntries   = prometheus.NewDesc("squall_cache_entries", "Keys held.", nil, nil)
)

// RegisterMetrics registers what Stats gives with r; one cache to a registerer.
func (c *Cache) RegisterMetrics(r prometheus.Registerer) error { return r.Register(collector{c}) }

type collector struct{ c *Cache }

// Describe implements prometheus.Collector.
func (collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descHits, descMisses, descReads, descEvictions, descRefused, descBytes, descEntries} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	s := c.c.Stats()
	counter := func(d *prometheus.Desc, n uint64) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n))
	}
	counter(descHits, s.Hits)
	counter(descMisses, s.Misses)
	counter(descReads, s.Reads)
	counter(descEvictions, s.Evictions)
	counter(descRefused, s.Refused)
	out <- prometheus.MustNewConstMetric(descBytes, prometheus.GaugeValue, float64(s.Bytes))
	out <- prometheus.MustNewConstMetric(descEntries, prometheus.GaugeValue, float64(s.Entries))
}
