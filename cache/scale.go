package cache

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"

	"github.com/squall-faas/squall/cache/reuse"
)

// How often the budget is looked at: memory that is short is given back within resizeEvery.
const (
	resizeEvery = 500 * time.Millisecond
	splitEvery  = 5 * time.Second
)

// minCapacity is the least that a cachelet may hold.
const minCapacity = 256 << 10

// keepSized has the cachelets' capacities follow what they save, and the whole follow the memory that the process has
// left (Faa$T §4: compute follows load elsewhere, bandwidth is peers').
func (ls *cachelets) keepSized() {
	c := ls.c
	pressure := reuse.NewPressure(reuse.PressureConfig{Max: c.limits.soft, Min: minCapacity, Reserve: memoryReserve()})
	tick := time.NewTicker(resizeEvery)
	defer tick.Stop()
	lastSplit, lastSpread := time.Now(), time.Now()
	for {
		kicked := false
		select {
		case <-tick.C:
			for _, l := range ls.list() {
				l.sampler.tick(l.sparsest())
			}
		case <-ls.kick:
			kicked = true
		case <-c.life.Done():
			return
		}
		now := time.Now()
		ls.tick.Store(now.Unix())
		ls.share(pressure.Budget(now, ls.memory()) - c.pins.outside.Load())
		ls.unloadIdle(now)
		if d := now.Sub(lastSplit); d >= splitEvery || kicked {
			ls.split(d)
			lastSplit = now
		}
		if d := now.Sub(lastSpread); d >= spreadEvery {
			c.spread.decide(d)
			lastSpread = now
		}
	}
}

// share has the cachelets share so many bytes.
func (ls *cachelets) share(total int64) {
	total = max(total, minCapacity)
	ls.mu.Lock()
	// What runs pin comes and goes: not every change is worth one.
	if grows := total - ls.total; grows == 0 || grows > 0 && grows < ls.c.limits.soft/64 && total < ls.c.limits.soft {
		ls.mu.Unlock()
		return
	}
	ls.total = total
	out := ls.fitLocked(nil)
	ls.mu.Unlock()
	out.apply()
}

// split divides the budget anew by the applications' miss-ratio curves.
func (ls *cachelets) split(since time.Duration) {
	all := ls.list()
	if len(all) < 2 {
		for _, l := range all {
			l.sketch.Advance()
		}
		return
	}
	ls.mu.Lock()
	budget := ls.budgetLocked()
	ls.mu.Unlock()
	apps := make([]reuse.App, len(all))
	for i, l := range all {
		curve := l.sketch.Curve()
		apps[i] = reuse.App{Curve: curve, Rate: curve.Accesses() / math.Max(since.Seconds(), 1e-3), Have: l.capacity.Load()}
		l.sketch.Advance()
	}
	parts := reuse.Split(apps, reuse.Terms{Budget: budget, Floor: budget / int64(16*len(all)), Grain: max(budget/256, 64<<10), Still: 0.02})
	out := make(shares, len(all))
	for i, l := range all {
		out[l] = parts[i]
	}
	out.apply()
}

// resize sets what a cachelet may hold, and drops at once what is too much.
func (l *Cachelet) resize(bytes int64) {
	bytes = max(bytes, minCapacity/4)
	if l.capacity.Swap(bytes) == bytes {
		return
	}
	l.policy.UpdateMaxCost(bytes)
	if over := l.bytes.Load() - bytes; over > 0 {
		l.c.shed(over, l)
	}
}

// squeeze makes room for what runs have pinned.
func (c *Cache) squeeze() {
	if over := -c.room(); over > 0 {
		c.shed(over+c.limits.hard/32, nil)
	}
}

// room is how many bytes are free.
func (c *Cache) room() int64 { return c.limits.hard - c.bytes.Load() - c.pins.outside.Load() }

// Rebalance has the budget divided anew now, for tests and benchmarks that do not want to wait.
func (c *Cache) Rebalance() {
	select {
	case c.cachelets.kick <- struct{}{}:
	default:
	}
}

// Shares are the capacities of the applications' cachelets in bytes.
func (c *Cache) Shares() map[string]int64 {
	out := make(map[string]int64)
	for _, l := range c.cachelets.list() {
		out[l.app] = l.capacity.Load()
	}
	return out
}

// memory is how much the process has and takes.
func (c *Cache) memory() reuse.Memory {
	samples := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/goal:bytes"},
		{Name: "/gc/cycles/total:gc-cycles"},
	}
	metrics.Read(samples)
	n := func(i int) int64 { return int64(samples[i].Value.Uint64()) }
	return reuse.Memory{
		Limit: memoryLimit(), InUse: n(0) - n(1), Heap: n(2), Live: n(3), Goal: n(4), Cached: c.bytes.Load(),
		Collections: samples[5].Value.Uint64(),
	}
}

// memoryLimit is what the process may take: the least of its own limit and its control group's; without one, so much that
// nothing is ever short.
func memoryLimit() int64 {
	limit := debug.SetMemoryLimit(-1)
	for _, path := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err == nil && n > 0 {
			limit = min(limit, n)
		}
	}
	return limit
}

// memoryReserve stays free of the limit, for what is no cache.
func memoryReserve() int64 {
	const each = 16 << 20
	return int64(each * runtime.GOMAXPROCS(0))
}
