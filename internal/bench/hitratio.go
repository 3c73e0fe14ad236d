package bench

import (
	"context"
	"fmt"

	"github.com/squall-faas/squall/fault"
)

// hitBytes is the length of each value of the hit-ratio workloads: with one size for all, evicting whatever is needed
// again last is the optimum, and not only close to it.
const hitBytes = 1 << 10

// hitScale is how long and how wide the hit-ratio workloads are.
type hitScale struct {
	budget   int64 // bytes of each cache
	keys     int
	accesses int
}

func hitScaleOf(quick bool) hitScale {
	if quick {
		return hitScale{budget: 8 << 20, keys: 25_000, accesses: 50_000}
	}
	return hitScale{budget: 32 << 20, keys: 200_000, accesses: 1_000_000}
}

// hitWorkload is a sequence of keys below a bound.
type hitWorkload struct {
	name string
	keys int
	of   []int
}

// hitWorkloads are three that tell policies apart: popular keys that stay the same, the same with scans of cold keys in
// between, and popular keys that change.
func hitWorkloads(s hitScale, seed uint64) []hitWorkload {
	popular := newZipf(s.keys).draw(seed, s.accesses)

	// A quarter of the accesses walk through cold keys, each of which is needed once.
	scanned := make([]int, s.accesses)
	run, cold, next := s.accesses/40, s.keys, 0
	for i := range scanned {
		if i/run%4 == 3 {
			scanned[i] = cold
			cold++
		} else {
			scanned[i] = popular[next]
			next++
		}
	}

	// Eight times others are popular, all at once. The popular ones lie anywhere, so a step to the side is enough.
	const phases = 8
	shifted := make([]int, s.accesses)
	for i := range shifted {
		shifted[i] = (popular[i] + i*phases/s.accesses*(s.keys/phases+1)) % s.keys
	}
	return []hitWorkload{
		{"zipf", s.keys, popular},
		{"scan", cold, scanned},
		{"shift", s.keys, shifted},
	}
}

// hitRatios measures which share of the accesses caches answer: a node's cachelet against plain LRU and against Belady's
// optimum, of the same bytes, and one budget that is split among applications by their reuse against an even split and
// against the best one that never changes. Shares are of whole runs, which begin with empty caches.
//
// Every policy is charged for a version what the cachelet itself counts for one. From the same budget the cachelet also pays
// for its admission sketch and its buffers, so it holds fewer versions than the others; its share is what a node gets.
func hitRatios(ctx context.Context, quick bool, seed uint64) ([]Row, map[string]float64, error) {
	rows, ratios := []Row(nil), map[string]float64{}
	row := func(name, metric string, share float64, n int) {
		rows = append(rows, Row{Case: name, Metric: metric, Unit: "share", P50: share, N: n})
	}
	scale := hitScaleOf(quick)
	for _, w := range hitWorkloads(scale, seed) {
		n := len(w.of)
		c, err := runCachelet(ctx, w, scale.budget)
		if err != nil {
			return nil, nil, fmt.Errorf("workload %s: %w", w.name, err)
		}
		lru := float64(runLRU(w.of, scale.budget, c.each)) / float64(n)
		best := float64(runBelady(w.of, w.keys, int(scale.budget/c.each))) / float64(n)
		cachelet := float64(c.hits) / float64(n)
		row("hits "+w.name, "cachelet", cachelet, n)
		row("hits "+w.name, "LRU", lru, n)
		row("hits "+w.name, "LRU, payloads counted only", float64(runLRU(w.of, scale.budget, hitBytes))/float64(n), n)
		row("hits "+w.name, "Belady", best, n)
		if lru == 0 || best == 0 {
			return nil, nil, fault.New(fault.Internal, "workload %s: nothing hits, so there is nothing to compare", w.name)
		}
		ratios["hit_"+w.name+"_over_lru"] = cachelet / lru
		ratios["hit_"+w.name+"_over_belady"] = cachelet / best
	}
	for _, m := range splitMixes(quick, seed) {
		s, err := m.run(ctx)
		if err != nil {
			return nil, nil, err
		}
		n := len(m.of)
		row("split "+m.name, "by reuse", s.auto, n)
		row("split "+m.name, "even", s.even, n)
		row("split "+m.name, "best static", s.static, n)
		ratios[m.ratio+"_over_even"] = s.auto / s.even
		ratios[m.ratio+"_over_best_static"] = s.auto / s.static
	}
	return rows, ratios, nil
}
