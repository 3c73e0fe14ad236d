package bench

import (
	"fmt"
	"time"

	"github.com/squall-faas/squall/internal/reclaim"
)

// simulate runs the simulator in the paper's setting, under each policy, and where 99.9 % stops holding; and the paper's
// cost model.
func (r *codedRun) simulate(seed uint64) {
	m := reclaim.Paper()
	if r.Quick {
		m.Span, m.Objects = 2*time.Hour, 1000
	}
	row := func(name, metric, unit string, v float64, n int) {
		r.report.Rows = append(r.report.Rows, Row{Case: name, Metric: metric, Unit: unit, P50: v, N: n})
	}
	if r.wants(caseAvailability) {
		r.report.Env["seed"] = seed
		policies := reclaim.Policies(m)
		r.progress.Begin("simulate 50 hours", len(policies)+len(sensitivity))
		for _, p := range policies {
			got := reclaim.Simulate(m, p, seed)
			row(caseAvailability, p.Name, "%", 100*got.Availability(), got.Gets)
			row(caseAvailability, p.Name+", lost", "objects/h", float64(got.Lost)/m.Span.Hours(), got.Lost)
			switch p.Name {
			case "Squall":
				r.report.Ratios["availability_paper"] = got.Availability()
			case "repair":
				r.report.Ratios["availability_paper_10_2"] = got.Availability()
			case "repair and delta-sync":
				r.report.Ratios["availability_paper_with_standbys"] = got.Availability()
			}
			r.progress.Step(1)
		}
		row(caseAvailability, "InfiniCache, as published", "%", 95.4, 0)
		row(caseAvailability, "without backup, as published", "%", 81.4, 0)
		for _, x := range sensitivity {
			m, p := m, reclaim.Squall(reclaim.EachRepairs*float64(m.Lenders))
			x.change(&m, &p)
			got := reclaim.Simulate(m, p, seed)
			row(caseAvailability, p.Name+", "+x.name, "%", 100*got.Availability(), got.Gets)
			r.progress.Step(1)
		}
	}
	if !r.wants(caseCost) {
		return
	}
	prices, pool := reclaim.PricesOf2019(), reclaim.PaperPool()
	for _, requests := range costRates {
		serving, warm, sync := pool.HourlyCost(prices, requests)
		row(caseCost, fmt.Sprintf("%.0f requests/h, lent", requests), "$/h", serving+warm+sync, 0)
	}
	row(caseCost, "provisioned", "$/h", prices.Provided, 0)
	row(caseCost, "crossover", "requests/h", pool.Crossover(prices), 0)
}

// costRates are the requests an hour of the table of costs, which the plot marks.
var costRates = []float64{0, 750, 3_654, 10_000, 100_000, 312_000, 1_000_000}

// sensitivity is what is changed, one thing at a time, to see where 99.9 % stops holding.
var sensitivity = []struct {
	name   string
	change func(*reclaim.Model, *reclaim.Policy)
}{
	{"4 times the background", func(m *reclaim.Model, _ *reclaim.Policy) { m.Background *= 4 }},
	{"16 times the background", func(m *reclaim.Model, _ *reclaim.Policy) { m.Background *= 16 }},
	{"no waves", func(m *reclaim.Model, _ *reclaim.Policy) { m.Wave = 0 }},
	{"waves of a quarter", func(m *reclaim.Model, _ *reclaim.Policy) { m.WaveShare = 0.25 }},
	{"waves of all", func(m *reclaim.Model, _ *reclaim.Policy) { m.WaveShare = 1 }},
	{"waves within a minute", func(m *reclaim.Model, _ *reclaim.Policy) { m.WaveFor = time.Minute }},
	{"waves within an hour", func(m *reclaim.Model, _ *reclaim.Policy) { m.WaveFor = time.Hour }},
	{"a tenth of the bandwidth", func(_ *reclaim.Model, p *reclaim.Policy) { p.Repair /= 10 }},
	{"10 times the bandwidth", func(_ *reclaim.Model, p *reclaim.Policy) { p.Repair *= 10 }},
	{"noticed after a minute", func(_ *reclaim.Model, p *reclaim.Policy) { p.Notice = time.Minute }},
	{"not spread over hosts", func(_ *reclaim.Model, p *reclaim.Policy) { p.Spread = false }},
	{"always 10+4", func(m *reclaim.Model, p *reclaim.Policy) { m.Code.Parity, p.Adapts = 4, false }},
	{"always 10+1", func(m *reclaim.Model, p *reclaim.Policy) { m.Code.Parity, p.Adapts = 1, false }},
}
