package bench

import (
	"context"
	"math/rand/v2"

	"github.com/squall-faas/squall/cache/reuse"
	"github.com/squall-faas/squall/fault"
)

const (
	splitStill  = 0.02
	splitGain   = 0.005
	splitEpochs = 24  // of a run: so often the split is looked at again
	splitGrains = 128 // that the budget is given out in
)

// splitApp is one application of a mix.
type splitApp struct {
	bytes int64 // of each of its objects
	of    []int // its accesses
}

// splitMix is several applications on one node.
type splitMix struct {
	name, ratio string
	budget      int64
	apps        []splitApp
	of          []int // whose turn it is, by access
}

// splitShares are the shares of a mix's accesses that hit.
type splitShares struct{ auto, even, static float64 }

// splitMixes are four applications with unlike needs: popular small objects, a loop over large ones that is worth nothing
// until it fits, a working set without favourites, and objects that hardly ever come back. In the first mix they stay as
// they are. In the second one others are busy in each third of the run, and what each of these needs then is most of the
// budget.
func splitMixes(quick bool, seed uint64) []splitMix {
	n, budget := 1_200_000, int64(32<<20)
	if quick {
		n, budget = 60_000, 4<<20
	}
	unit := int(budget >> 20)
	steady := []float64{0.45, 0.05, 0.25, 0.25}
	return []splitMix{
		newSplitMix("steady", "split", n, unit, 1, seed, [][]float64{steady}),
		newSplitMix("shifting", "split_shifting", n, unit, 2, seed+1, [][]float64{
			{0.70, 0.01, 0.04, 0.25}, {0.05, 0.20, 0.15, 0.60}, {0.10, 0.01, 0.64, 0.25},
		}),
	}
}

// newSplitMix draws a mix, for a budget of unit mebibytes, of which the loop and the working set need wide thirds each;
// each of phases has the applications' rates in an equal part of the run.
func newSplitMix(name, ratio string, n, unit, wide int, seed uint64, phases [][]float64) splitMix {
	rng := rand.New(rand.NewPCG(seed, 4))
	m := splitMix{name: name, ratio: ratio, budget: int64(unit) << 20, of: make([]int, n), apps: []splitApp{
		{bytes: 1 << 10}, {bytes: 64 << 10}, {bytes: 2 << 10}, {bytes: 8 << 10},
	}}
	turns := make([]int, len(m.apps))
	for i := range m.of {
		x, a := rng.Float64(), 0
		for rates := phases[i*len(phases)/n]; a < len(rates)-1 && x >= rates[a]; a++ {
			x -= rates[a]
		}
		m.of[i] = a
		turns[a]++
	}
	m.apps[0].of = newZipf(unit*2000).draw(seed, turns[0]) // as many bytes as two budgets
	m.apps[1].of = make([]int, turns[1])
	for i := range m.apps[1].of {
		m.apps[1].of[i] = i % (unit * wide * 5) // 64 KiB each
	}
	m.apps[2].of = make([]int, turns[2])
	for i := range m.apps[2].of {
		m.apps[2].of[i] = rng.IntN(unit * wide * 170) // 2 KiB each
	}
	m.apps[3].of = make([]int, turns[3])
	for i := range m.apps[3].of {
		m.apps[3].of[i] = rng.IntN(unit * 4000) // 31 budgets
	}
	return m
}

func (m *splitMix) run(ctx context.Context) (splitShares, error) {
	static, err := m.bestStatic(ctx)
	if err != nil {
		return splitShares{}, err
	}
	even := make([]int64, len(m.apps))
	for i := range even {
		even[i] = m.budget / int64(len(m.apps))
	}
	n := float64(len(m.of))
	out := splitShares{auto: float64(m.auto()) / n, even: float64(m.static(even)) / n, static: float64(m.static(static)) / n}
	if out.even == 0 || out.static == 0 {
		return out, fault.New(fault.Internal, "split %s: nothing hits, so there is nothing to compare", m.name)
	}
	return out, nil
}

// auto counts the hits of caches whose sizes follow the applications' reuse, from an even split on.
func (m *splitMix) auto() (hits int) {
	apps := make([]reuse.App, len(m.apps))
	caches := make([]*byteLRU, len(m.apps))
	sketches := make([]*reuse.Sketch, len(m.apps))
	next := make([]int, len(m.apps))
	for i := range m.apps {
		apps[i].Have = m.budget / int64(len(m.apps))
		caches[i] = newByteLRU(apps[i].Have)
		sketches[i] = reuse.NewSketch(reuse.Config{MaxBytes: m.budget, Accesses: func() uint64 { return uint64(next[i]) }})
	}
	terms := reuse.Terms{Budget: m.budget, Floor: m.budget / 32, Grain: m.budget / splitGrains, Still: splitStill, Gain: splitGain}
	epoch := len(m.of)/splitEpochs + 1
	was := make([]int, len(m.apps))
	for i, a := range m.of {
		key, bytes := m.apps[a].of[next[a]], m.apps[a].bytes
		next[a]++
		sketches[a].Touch(mixed(uint64(key)<<8|uint64(a)), bytes)
		if caches[a].access(key, bytes) {
			hits++
		}
		if (i+1)%epoch != 0 {
			continue
		}
		for j := range apps {
			apps[j].Curve = sketches[j].Curve()
			apps[j].Rate = float64(next[j] - was[j])
			was[j] = next[j]
			sketches[j].Advance()
		}
		for j, b := range reuse.Split(apps, terms) {
			apps[j].Have = b
			caches[j].resize(b)
		}
	}
	return hits
}

// static counts the hits of caches of fixed sizes.
func (m *splitMix) static(sizes []int64) (hits int) {
	for i := range m.apps {
		hits += m.apps[i].hits(sizes[i])
	}
	return hits
}

// hits of one application's cache alone: applications share nothing but the budget.
func (a *splitApp) hits(bytes int64) (hits int) {
	l := newByteLRU(bytes)
	for _, k := range a.of {
		if l.access(k, a.bytes) {
			hits++
		}
	}
	return hits
}

// bestStatic searches the split that hits most on the very accesses that it is measured with: every one of a coarse grid,
// and from the best of these on, finer and finer, whatever moving a step from one application to another gains.
func (m *splitMix) bestStatic(ctx context.Context) ([]int64, error) {
	known := map[int]map[int64]int{}
	hits := func(sizes []int64) (sum int) {
		for i, b := range sizes {
			if known[i] == nil {
				known[i] = map[int64]int{}
			}
			if _, ok := known[i][b]; !ok {
				known[i][b] = m.apps[i].hits(b)
			}
			sum += known[i][b]
		}
		return sum
	}
	best, most := []int64(nil), -1
	step := m.budget / 16
	var try func(sizes []int64, left int64)
	try = func(sizes []int64, left int64) {
		if len(sizes) == len(m.apps)-1 {
			sizes = append(sizes, left)
			if h := hits(sizes); h > most {
				best, most = append([]int64(nil), sizes...), h
			}
			return
		}
		for b := int64(0); b <= left && ctx.Err() == nil; b += step {
			try(append(sizes, b), left-b)
		}
	}
	try(nil, m.budget)
	for step /= 2; step >= m.budget/splitGrains; {
		better := false
		for from := range best {
			for to := range best {
				if from == to || best[from] < step {
					continue
				}
				if ctx.Err() != nil {
					return nil, fault.From(ctx.Err())
				}
				sizes := append([]int64(nil), best...)
				sizes[from] -= step
				sizes[to] += step
				if h := hits(sizes); h > most {
					best, most, better = sizes, h, true
				}
			}
		}
		if !better {
			step /= 2
		}
	}
	return best, nil
}

// mixed spreads a number over all 64 bits (SplitMix64).
func mixed(k uint64) uint64 {
	k += 0x9e3779b97f4a7c15
	k = (k ^ k>>30) * 0xbf58476d1ce4e5b9
	k = (k ^ k>>27) * 0x94d049bb133111eb
	return k ^ k>>31
}
