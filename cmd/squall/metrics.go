package main

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/squall-faas/squall"
	"github.com/squall-faas/squall/coordinator"
)

// registry is a process's metrics, with those of its coordinator.
func registry(co *coordinator.Coordinator) *prometheus.Registry {
	r := prometheus.NewRegistry()
	gauge := func(name, help string, f func() int) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(f()) }))
	}
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "squall_build_info", Help: "The release that runs.", ConstLabels: prometheus.Labels{"release": squall.Version},
	}, func() float64 { return 1 }))
	gauge("squall_coordinator_executors", "Executors that the coordinator knows.", func() int { n, _ := co.Executors(); return n })
	gauge("squall_coordinator_executors_up", "Executors that take work.", func() int { _, n := co.Executors(); return n })
	gauge("squall_coordinator_open_runs", "Runs that are open.", co.Open)
	return r
}
