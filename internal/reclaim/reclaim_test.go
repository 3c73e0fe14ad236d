package reclaim

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/cache/coded/layout"
)

// small is a model that runs in milliseconds.
func small() Model {
	return Model{
		Lenders: 30, Hosts: 10, Span: 10 * time.Hour, Background: 20, Burst: 0.02, BurstExponent: 1.5, BurstMost: 6, Idle: 60,
		Objects: 100, Bytes: 10_000_000, Popular: 0.9, Requests: 1000, Code: layout.Code{Data: 4, Parity: 2},
	}
}

// TestReplays: a seed gives one result, another one gives another.
func TestReplays(t *testing.T) {
	for _, p := range Policies(small()) {
		a, b, c := Simulate(small(), p, 1), Simulate(small(), p, 1), Simulate(small(), p, 2)
		if a != b {
			t.Errorf("%s: %+v, and then %+v", p.Name, a, b)
		}
		if a == c {
			t.Errorf("%s: two seeds give %+v", p.Name, a)
		}
	}
}

// TestPoliciesHelp: each step is better than the one before.
func TestPoliciesHelp(t *testing.T) {
	a := map[string]float64{}
	for _, p := range Policies(small()) {
		a[p.Name] = Simulate(small(), p, 3).Availability()
	}
	for _, order := range [][2]string{{"none", "warm-up"}, {"warm-up", "delta-sync"}, {"warm-up", "repair"}, {"repair", "repair and delta-sync"}} {
		if a[order[0]] >= a[order[1]] {
			t.Errorf("%s does no better than %s: %v", order[1], order[0], a)
		}
	}
}

// TestNothingIsReclaimed: then everything hits.
func TestNothingIsReclaimed(t *testing.T) {
	m := small()
	m.Background, m.Burst, m.Idle = 0, 0, 0
	for _, p := range Policies(m) {
		if r := Simulate(m, p, 1); r.Hits != r.Gets || r.Gets == 0 || r.Lost+r.Reclaims > 0 {
			t.Errorf("%s: %+v", p.Name, r)
		}
	}
}

// TestTrace: p losses at once are survived, p+1 are not; with time for a repair between them they are.
func TestTrace(t *testing.T) {
	m := small()
	m.Lenders, m.Hosts, m.Objects, m.Span = 6, 6, 1, time.Hour // each lender has a column
	run := func(p Policy, losses ...Loss) Result {
		m.Trace = losses
		return Simulate(m, p, 1)
	}
	at := func(minute, lender int) Loss { return Loss{time.Duration(minute) * time.Minute, lender} }
	if r := run(Policy{}, at(30, 0), at(30, 1)); r.Lost != 0 || r.Hits != r.Gets {
		t.Errorf("%+v", r)
	}
	if r := run(Policy{}, at(30, 0), at(30, 1), at(30, 2)); r.Lost != 1 || r.Gets-r.Hits != 1 {
		t.Errorf("%+v", r)
	}
	if r := run(Squall(1e6), at(30, 0), at(30, 1), at(35, 2)); r.Lost != 0 || r.Repaired != 3 {
		t.Errorf("%+v", r)
	}
	if r := run(Squall(1e4), at(30, 0), at(30, 1), at(35, 2)); r.Lost != 1 {
		t.Errorf("a repair that takes 25 minutes came in time: %+v", r)
	}
}

// TestWholeHost: spread over hosts, no object is lost with one.
func TestWholeHost(t *testing.T) {
	m := small()
	m.Background, m.Burst, m.HostLoss = 0, 0, 0.5
	spread := Squall(50e6)
	if r := Simulate(m, spread, 1); r.Lost != 0 || r.Reclaims == 0 {
		t.Errorf("%+v", r)
	}
	crowded := spread
	crowded.Spread = false
	m.Hosts = 4
	if r := Simulate(m, crowded, 1); r.Lost == 0 {
		t.Errorf("%+v", r)
	}
}

// TestAdapts: where bursts take more columns than the paper's code has parity, more of it keeps what repair cannot.
func TestAdapts(t *testing.T) {
	m := small()
	m.Lenders, m.Hosts, m.Burst, m.BurstMost, m.Code = 100, 50, 0.05, 20, layout.Code{Data: 10, Parity: 2}
	fixed := Squall(50e6)
	fixed.Adapts = false
	a, b := Simulate(m, fixed, 1), Simulate(m, Squall(50e6), 1)
	if a.Lost == 0 || b.Lost > a.Lost/10 {
		t.Errorf("as given %+v, as chosen %+v", a, b)
	}
}

// TestSane: whatever the model, hits are no more than gets, and what is never repaired is never moved.
func TestSane(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := small()
		m.Span = time.Hour
		m.Lenders = rapid.IntRange(1, 40).Draw(t, "lenders")
		m.Hosts = rapid.IntRange(1, m.Lenders).Draw(t, "hosts")
		m.HostLoss = rapid.Float64Range(0, 5).Draw(t, "host loss")
		m.Wave, m.WaveShare, m.WaveFor = 20*time.Minute, rapid.Float64Range(0, 1).Draw(t, "wave"), time.Minute
		p := rapid.SampledFrom(Policies(m)).Draw(t, "policy")
		r := Simulate(m, p, rapid.Uint64().Draw(t, "seed"))
		if r.Hits > r.Gets || r.Gets == 0 || p.Repair == 0 && r.Repaired > 0 || p.Repair == 0 && p.Sync == 0 && r.Moved > 0 {
			t.Fatalf("%+v", r)
		}
	})
}

// TestCost: against the paper's: 400 functions that are warmed and backed up cost about 40 cents an hour without requests,
// and at some 312,000 requests an hour as much as the provisioned cache.
func TestCost(t *testing.T) {
	serving, warm, sync := PaperPool().HourlyCost(PricesOf2019(), 0)
	if serving != 0 || warm < 0.05 || warm > 0.08 || sync < 0.2 || sync > 0.4 {
		t.Error(serving, warm, sync)
	}
	if x := PaperPool().Crossover(PricesOf2019()); x < 280_000 || x > 340_000 {
		t.Error(x)
	}
}
