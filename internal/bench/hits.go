package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sync/errgroup"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

const (
	hitRounds = 10
	hitReadsN = 1 << 20 // of each case with long calls
	hitShort  = 1 << 18 // of each case with short calls
	hitStore  = 1 << 12
	hitCache  = 512 << 20 // bytes of the executor's cache, of which runs may pin half: about twice what the values take
	hitDeps   = 8         // dependencies of each value
	// hitBrief is how many reads one call makes at the levels whose sessions remember what they have read: most functions
	// read less. The first reads of a call find the processor's caches full of what other processes do, so that even those of
	// a Go map take twice as long. hitSession is for what a session costs where that does not count, and a baseline stands
	// beside either.
	hitBrief   = chunkReads
	hitSession = 1024
	// hitFresh is for how long after they were stored the dependencies are measured: later, sessions forget them.
	hitFresh = version.Horizon - 12*time.Second
)

// hitCase is one way to read values that are in memory.
type hitCase struct {
	name  string
	level kvs.Level
	from  string
	reads int // in all
	call  int // in one call; 0 has each round be one call
}

func (c *cacheRun) hitCases() []hitCase {
	long, short, brief, store := c.size(hitReadsN, 1<<13), c.size(hitShort, 1<<12), c.size(hitShort/2, 1<<10), c.size(hitStore, 64)
	return []hitCase{
		{"hit_map", kvs.LWW, fromMap, long, 0},
		{"hit_ristretto", kvs.LWW, fromRistretto, long, 0},
		{"hit_lww", kvs.LWW, fromCache, long, 0},
		{"hit_map_session", kvs.LWW, fromMap, short, hitSession},
		{"hit_rr", kvs.RepeatableRead, fromCache, short, hitSession},
		{"hit_sk", kvs.SingleKey, fromCache, short, hitSession},
		{"hit_mk", kvs.MultiKey, fromCache, short, hitSession},
		{"hit_dsc_session", kvs.DistributedSession, fromCache, short, hitSession},
		{"hit_map_short", kvs.LWW, fromMap, brief, hitBrief},
		{"hit_lww_short", kvs.LWW, fromCache, brief, hitBrief},
		{"hit_dsc", kvs.DistributedSession, fromCache, brief, hitBrief},
		{"hit_store", kvs.LWW, fromStore, store, 0},
	}
}

func hitNames() []string {
	var out []string
	for _, h := range (&cacheRun{&suite{}}).hitCases() {
		out = append(out, h.name)
	}
	return out
}

// hitting is a hitCase that is being measured.
type hitting struct {
	hitCase
	hist   *hdrhistogram.Histogram // of nanoseconds
	allocs []float64
	reads  int
	hits   int
}

// hits measures reads of values that are in memory, inside a function. The values are written with dependencies, and
// measured while sessions still look at these. They lie in a store in memory: to load them would otherwise take most of the
// suite's time, and a hit touches no store.
func (c *cacheRun) hits(ctx context.Context) error {
	var all []*hitting
	for _, h := range c.hitCases() {
		if c.wants(h.name) {
			all = append(all, &hitting{hitCase: h, hist: hdrhistogram.New(1, int64(time.Second), 3)})
		}
	}
	if len(all) == 0 {
		return nil
	}
	keys := c.size(cachedKeys, quickKeys)
	st, err := c.stage(ctx, "hits", "")
	if err != nil {
		return err
	}
	defer st.close()
	if _, err := st.executor(nodeConfig{Name: "executor-hits", Functions: []string{fnHits}, Cache: hitCache}); err != nil {
		return err
	}
	c.progress.Begin("store keys with dependencies", -1)
	stored, err := storeDependent(ctx, st.backbone.User, keys)
	if err != nil {
		return err
	}
	r := hitReaders{c, st, keys, newZipf(keys), make([]uint64, keys)}
	for k := range r.sums {
		r.sums[k] = sumWords(cachedValue(k))
	}
	c.progress.Begin("load the cache", -1)
	// Ristretto admits what it can when it can: until a whole pass is answered from memory, or nothing changes.
	for range 5 {
		if out, err := r.all(ctx); err != nil {
			return err
		} else if out.Hits == keys {
			break
		}
	}
	var parts []func(context.Context, int) error
	for _, h := range all {
		parts = append(parts, func(ctx context.Context, round int) error {
			if time.Since(stored) > hitFresh {
				return nil // what is measured now would not be what it says
			}
			return r.round(ctx, h, round)
		})
	}
	if err := c.alternate(ctx, "reads", c.size(hitRounds, 2), parts); err != nil {
		return err
	}
	c.report.Env["hit_keys"], c.report.Env["hit_value_bytes"], c.report.Env["hit_zipf"] = keys, cachedBytes, zipfTheta
	c.report.Env["hit_dependencies"] = hitDeps
	return c.hitRows(all)
}

func (c *cacheRun) hitRows(all []*hitting) error {
	for _, h := range all {
		if h.reads == 0 {
			return fault.New(fault.DeadlineExceeded, "case %s: the values were too old before anything was measured: is the machine busy?", h.name)
		}
		metric := fmt.Sprintf("read, %d a call", h.reads/c.size(hitRounds, 2))
		if h.call > 0 {
			metric = fmt.Sprintf("read, %d a session", h.call)
		}
		slices.Sort(h.allocs)
		c.report.Rows = append(c.report.Rows,
			Row{
				Case: h.name, Metric: metric, Unit: "ns", N: h.reads,
				P50: float64(h.hist.ValueAtQuantile(50)), P99: float64(h.hist.ValueAtQuantile(99)), Max: float64(h.hist.Max()),
			},
			Row{Case: h.name, Metric: "allocations", Unit: "allocs", P50: h.allocs[len(h.allocs)/2], Max: h.allocs[len(h.allocs)-1], N: h.reads},
		)
		if h.from == fromCache {
			c.report.Rows = append(c.report.Rows, Row{Case: h.name, Metric: "hits", Unit: "share", P50: float64(h.hits) / float64(h.reads), N: h.reads})
		}
		c.report.Ratios[h.name+"_ns"] = float64(h.hist.ValueAtQuantile(50))
	}
	r := c.report.Ratios
	for _, q := range []struct{ name, over, under string }{
		{"hit_lww_over_map", "hit_lww_ns", "hit_map_ns"},
		{"hit_lww_over_ristretto", "hit_lww_ns", "hit_ristretto_ns"},
		{"hit_dsc_over_map", "hit_dsc_ns", "hit_map_short_ns"},
		{"hit_dsc_session_over_map", "hit_dsc_session_ns", "hit_map_session_ns"},
	} {
		if r[q.over] > 0 && r[q.under] > 0 {
			r[q.name] = r[q.over] / r[q.under]
		}
	}
	return nil
}

// hitReaders makes the calls that read, and verifies what was read.
type hitReaders struct {
	*cacheRun
	st   *stage
	keys int
	zipf *zipf
	sums []uint64 // of each value's words
}

// all reads every key once.
func (r *hitReaders) all(ctx context.Context) (hitsFound, error) {
	out, err := callAt[hitsFound](ctx, r.st, kvs.LWW, fnHits, hitReads{Keys: r.keys})
	if err != nil {
		return out, err
	}
	var want uint64
	for _, sum := range r.sums {
		want += sum
	}
	return out, check(out.Sum, want, nil)
}

// read makes one call.
func (r *hitReaders) read(ctx context.Context, h *hitting, seed uint64, reads int, count bool) (hitsFound, error) {
	out, err := callAt[hitsFound](ctx, r.st, h.level, fnHits, hitReads{Keys: r.keys, Seed: seed, Reads: reads, From: h.from, Count: count})
	if err != nil {
		return out, fault.New(fault.CodeOf(err), "case %s: %w", h.name, err)
	}
	var want uint64
	for _, k := range r.zipf.draw(seed, reads) {
		want += r.sums[k]
	}
	return out, check(out.Sum, want, nil)
}

// round is one of a case's.
func (r *hitReaders) round(ctx context.Context, h *hitting, round int) error {
	left := h.reads0(r.cacheRun)
	each := h.call
	if each == 0 {
		each = left
	}
	for i := uint64(0); left > 0; i++ {
		out, err := r.read(ctx, h, uint64(round)<<32|i, each, false)
		if err != nil {
			return err
		}
		for _, ns := range out.Nanos {
			if err := h.hist.RecordValue(max(int64(ns), 1)); err != nil {
				return fault.New(fault.Internal, "case %s: %w", h.name, err)
			}
		}
		h.reads, h.hits, left = h.reads+each, h.hits+out.Hits, left-each
	}
	out, err := r.read(ctx, h, uint64(round), each, true)
	h.allocs = append(h.allocs, out.Mallocs)
	return err
}

// reads0 is how many reads a round of the case has.
func (h *hitting) reads0(c *cacheRun) int { return max(h.hitCase.reads/c.size(hitRounds, 2), 1) }

// storeDependent stores the keys, each twice: so that each can depend on others in the version that was there before. It
// gives when the oldest dependency was stored.
func storeDependent(ctx context.Context, store kvs.Store, keys int) (time.Time, error) {
	clock := hlc.New(rand.Uint64(), nil)
	have := make([]*version.Version, keys)
	for k := range have {
		have[k] = version.None(kvs.Key(cacheKey(k)))
	}
	err := storeAll(ctx, store, have, func(k int) version.Mutation {
		return version.Mutation{Kind: version.Put, Value: value.MustOf([]byte{0}), Stamp: clock.Now()}
	})
	if err != nil {
		return time.Time{}, err
	}
	began := time.Now()
	at := hlc.At(began, 0).Time
	first := slices.Clone(have)
	return began, storeAll(ctx, store, have, func(k int) version.Mutation {
		deps := make([]version.Dep, hitDeps)
		for i := range deps {
			on := first[(k+1+i*12289)%keys]
			deps[i] = version.Dep{Key: on.Key, Revision: on.Revision, Time: at}
		}
		version.SortDeps(deps)
		return version.Mutation{Kind: version.Put, Value: value.MustOf(cachedValue(k)), Stamp: clock.Now(), Context: first[k].Clock(), Deps: deps}
	})
}

// storeAll writes to each key, in batches, and leaves what is stored then in have.
func storeAll(ctx context.Context, store kvs.Store, have []*version.Version, mutation func(k int) version.Mutation) error {
	const batch, parallel = 1000, 4
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for from := 0; from < len(have); from += batch {
		part := have[from:min(from+batch, len(have))]
		g.Go(func() error {
			writes := make([]kvs.Write, len(part))
			for i, base := range part {
				m := mutation(from + i)
				m.Key = base.Key
				next, _, err := version.Apply(base, &m)
				if err != nil {
					return err
				}
				if writes[i], err = next.Write(base.Revision); err != nil {
					return err
				}
				part[i] = next
			}
			results, err := store.WriteMany(ctx, writes, kvs.Fence{})
			if err != nil {
				return err
			}
			for i, r := range results {
				if r.Err != nil {
					return r.Err
				}
				part[i] = part[i].Stored(r.Revision)
			}
			return nil
		})
	}
	return g.Wait()
}

// storeDir is where a NATS server of the suite keeps what it stores.
func (s *suite) storeDir(name string) string { return filepath.Join(s.dir, name) }
