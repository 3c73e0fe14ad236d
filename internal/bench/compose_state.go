package bench

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sync/errgroup"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/fault"
)

// durable measures calls that are stored before they are answered: one replica, every write fsynced. Beside them the
// same disk's bare fsync.
func (c *compose) durable(ctx context.Context) error {
	var loads []*load
	if c.wanted(caseDurable) {
		if err := c.register(ctx, caseDurable, fnIncrement, fnSquare); err != nil {
			return err
		}
		loads = c.loops(caseDurable, c.nodes(c.first), func(ctx context.Context, _ int) error {
			return c.compose(ctx, caseDurable, client.Durable())
		})
		for _, l := range loads {
			l.calls = c.Calls
		}
	}
	if c.wants(caseFsync) {
		f, err := os.Create(filepath.Join(c.dir, "fsync"))
		if err != nil {
			return fault.New(fault.Unavailable, "case fsync: %w", err)
		}
		defer func() { _ = f.Close() }()
		record := make([]byte, 512)
		loads = append(loads, &load{name: caseFsync, outstanding: 1, calls: c.Calls, call: func(context.Context, int) error {
			if _, err := f.Write(record); err != nil {
				return err
			}
			return f.Sync()
		}})
	}
	if len(loads) == 0 {
		return nil
	}
	if err := interleave(ctx, loads, c.rounds(), c.progress, "durable calls"); err != nil {
		return err
	}
	for _, l := range loads {
		c.report.Rows = append(c.report.Rows, l.row())
	}
	return nil
}

// cache measures reads of cached values inside a function. Its cluster is its own, over a store in memory: to load
// the keys would otherwise take most of the suite's time, and a hit touches no store.
func (c *compose) cache(ctx context.Context) error {
	if !c.wants(caseCache) {
		return nil
	}
	server, url, err := c.fleet.start(nodeConfig{Role: roleNATS, Name: "nats-cache"})
	if err != nil {
		return err
	}
	defer server.stop()
	owner, _, err := c.fleet.start(nodeConfig{Role: roleCoordinator, Name: "coordinator-cache", URL: url})
	if err != nil {
		return err
	}
	defer owner.stop()
	reader, _, err := c.fleet.start(nodeConfig{Role: roleExecutor, Name: "executor-cache", URL: url, Functions: []string{fnReadCached}})
	if err != nil {
		return err
	}
	defer reader.stop()
	cl, err := client.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = cl.Close() }()

	keys := c.size(cachedKeys, quickKeys)
	sums, err := c.load(ctx, cl, keys)
	if err != nil {
		return err
	}
	read := func(d draw) (found, error) {
		out, err := client.Call[found](ctx, cl, fnReadCached, d)
		if err != nil {
			return out, fault.New(fault.CodeOf(err), "case %s: %w", caseCache, err)
		}
		var want uint64
		numbers := d.numbers()
		for _, k := range numbers {
			want += sums[k]
		}
		return out, check(out.Sum, want, nil)
	}
	c.progress.Begin("cached reads", c.rounds())
	// Ristretto admits what it can when it can: until a whole pass is answered from memory, or nothing changes.
	for range 5 {
		if out, err := read(draw{Keys: keys}); err != nil {
			return err
		} else if out.Hits == out.Reads {
			break
		}
	}
	cached, bare := hdrhistogram.New(1, int64(time.Second), 3), hdrhistogram.New(1, int64(time.Second), 3)
	var allocs []float64
	var reads, hits int
	for round := range c.rounds() {
		out, err := read(draw{Keys: keys, Seed: uint64(round), Reads: c.size(cachedReads, quickReads) / c.rounds()})
		if err != nil {
			return err
		}
		for h, chunks := range map[*hdrhistogram.Histogram][]float64{cached: out.Cached, bare: out.Bare} {
			for _, ns := range chunks {
				if err := h.RecordValue(max(int64(ns), 1)); err != nil {
					return fault.New(fault.Internal, "case %s: %w", caseCache, err)
				}
			}
		}
		allocs = append(allocs, out.Mallocs)
		reads, hits = reads+out.Reads, hits+out.Hits
		c.progress.Step(1)
	}
	slices.Sort(allocs)
	nanos := func(metric string, h *hdrhistogram.Histogram) Row {
		return Row{
			Case: caseCache, Metric: metric, Unit: "ns", N: reads,
			P50: float64(h.ValueAtQuantile(50)), P99: float64(h.ValueAtQuantile(99)), Max: float64(h.Max()),
		}
	}
	c.report.Rows = append(c.report.Rows, nanos("read", cached), nanos("bare_map_read", bare),
		Row{Case: caseCache, Metric: "allocations", Unit: "allocs", P50: allocs[len(allocs)/2], Max: allocs[len(allocs)-1], N: reads},
		Row{Case: caseCache, Metric: "hits", Unit: "share", P50: float64(hits) / float64(reads), N: reads},
	)
	c.report.Env["cached_keys"], c.report.Env["cached_value_bytes"], c.report.Env["cached_zipf"] = keys, cachedBytes, zipfTheta
	return nil
}

// load stores the keys and gives the sum of each value's words.
func (c *compose) load(ctx context.Context, cl *client.Client, keys int) ([]uint64, error) {
	c.progress.Begin("store "+strconv.Itoa(keys)+" keys", keys)
	sums := make([]uint64, keys)
	const writers, step = 64, 500
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(writers)
	for k := range keys {
		g.Go(func() error {
			v := cachedValue(k)
			sums[k] = sumWords(v)
			return cl.Put(ctx, cacheKey(k), v)
		})
		if k%step == 0 {
			c.progress.Step(step)
		}
	}
	return sums, g.Wait()
}

// kill measures from the SIGKILL of the executor that runs a step until the answer, minus what the step takes.
func (c *compose) kill(ctx context.Context) error {
	if !c.wants(caseKill) {
		return nil
	}
	n := c.size(killings, quickKillings)
	c.progress.Begin("kill executors", n)
	spawn := func(i int) (*node, error) {
		n, _, err := c.fleet.start(nodeConfig{Role: roleExecutor, Name: "victim-" + strconv.Itoa(i), URL: c.url, Functions: []string{fnLinger}})
		return n, err
	}
	other, err := spawn(0)
	if err != nil {
		return err
	}
	if err := c.register(ctx, caseKill, fnLinger); err != nil {
		return err
	}
	hist := hdrhistogram.New(1, int64(longestCall), 3)
	for i := range n {
		fresh, err := spawn(i + 1)
		if err != nil {
			return err
		}
		victim, took, err := c.killOne(ctx)
		if err != nil {
			return err
		}
		if victim == other {
			other = fresh
		}
		if err := hist.RecordValue(max(int64(took-lingerFor), 1)); err != nil {
			return fault.New(fault.Internal, "case kill: %w", err)
		}
		c.progress.Step(1)
	}
	other.stop()
	const perMilli = float64(time.Millisecond)
	c.report.Rows = append(c.report.Rows, Row{
		Case: caseKill, Metric: "recovery", Unit: "ms", N: n,
		P50: float64(hist.ValueAtQuantile(50)) / perMilli, Max: float64(hist.Max()) / perMilli,
	})
	return nil
}

// killOne makes a call, kills the executor in the middle of its step, and gives how long the answer took from then.
func (c *compose) killOne(ctx context.Context) (victim *node, took time.Duration, err error) {
	for len(c.fleet.events) > 0 {
		<-c.fleet.events // of the call before: its second try
	}
	type answer struct {
		err error
		at  time.Time
	}
	x := int(c.argument())
	answers := make(chan answer, 1)
	go func() {
		got, err := callDAG[int](ctx, c, caseKill, x)
		answers <- answer{check(got, x+1, err), time.Now()}
	}()
	select {
	case e := <-c.fleet.events:
		victim = e.node
	case a := <-answers:
		return nil, 0, fault.New(fault.Internal, "case kill: the call ended before its step began: %w", a.err)
	}
	middle := time.NewTimer(lingerFor / 2)
	defer middle.Stop()
	<-middle.C
	began := time.Now()
	victim.kill()
	a := <-answers
	if a.err != nil {
		return nil, 0, fault.New(fault.CodeOf(a.err), "case kill: %w", a.err)
	}
	return victim, a.at.Sub(began), nil
}
