package bench

import (
	"context"
	"math/rand/v2"

	"github.com/squall-faas/squall/kvs/jetkv"
)

// Cache is the suite of `squall bench cache`: what a hit costs at each consistency level, what a durable write costs, and
// which share of the reads hits. The zero Cache, with a Launch, measures everything.
type Cache struct {
	Options

	Seed   uint64 // of the hit-ratio workloads; 0 draws one
	Shards int    // streams of the store that is written to: 1, 2, 4, 8 or 16; 0 is jetkv.DefaultShards
}

var cacheTargets = []Target{
	{Ratio: "hit_lww_ns", Limit: 300},
	{Ratio: "hit_dsc_ns", Limit: 1500},
	{Ratio: "durable_put_over_jetstream", Limit: 0.9, AtLeast: true},
	{Ratio: "durable_batch_over_jetstream", Limit: 3, AtLeast: true},
}

// caseRatios is the case of the hit ratios, which are simulated and take no cluster.
const caseRatios = "ratios"

// cacheRun is one run of the suite.
type cacheRun struct{ *suite }

// Run measures, and ends all that it started. A value that is not the one that was written is an error.
func (c Cache) Run(ctx context.Context) (*Report, error) {
	cases := append(append(hitNames(), putNames()...), caseRatios)
	return c.run(ctx, "cache", cases, cacheTargets, func(ctx context.Context, own *suite) error {
		if own.shards = c.Shards; own.shards == 0 {
			own.shards = jetkv.DefaultShards
		}
		own.report.Env["shards"] = own.shards
		r := &cacheRun{own}
		if err := r.hits(ctx); err != nil {
			return err
		}
		if err := r.puts(ctx); err != nil {
			return err
		}
		if !r.wants(caseRatios) {
			return nil
		}
		seed := c.Seed
		if seed == 0 {
			seed = rand.Uint64() >> 1
		}
		r.report.Env["ratios_seed"] = seed
		r.progress.Begin("hit ratios", -1)
		rows, ratios, err := hitRatios(ctx, r.Quick, seed)
		if err != nil {
			return err
		}
		r.report.Rows = append(r.report.Rows, rows...)
		for name, x := range ratios {
			r.report.Ratios[name] = x
		}
		return nil
	})
}
