package cache

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/ristretto/v2"

	"github.com/squall-faas/squall/cache/reuse"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// MaxApps bounds the applications whose cachelets one node has at a time; a small cache has room for fewer.
const MaxApps = 64

// Cachelet is one application's part of a node's cache (Faa$T §3): what it has read first counts against its own share of
// the node's bytes, which follows what the share saves. All methods are safe for concurrent use. A key that several
// applications read is held once. A cachelet that was unloaded because it was idle may still be used: it stands for the one
// that takes its place.
type Cachelet struct {
	c      *Cache
	app    string
	policy *ristretto.Cache[uint64, *cell]
	sketch *reuse.Sketch

	sampler sampler

	bytes    atomic.Int64
	capacity atomic.Int64  // what it may hold
	queued   atomic.Int64  // Sets that wait in the policy's buffer
	accesses atomic.Uint64 // Gets, as far as the sample tells
	hits     atomic.Uint64 // those of them that were answered from memory, likewise
	misses   atomic.Uint64
	used     atomic.Int64 // unix seconds, by the tick
	gone     atomic.Bool  // it was unloaded

	extents  [kvs.Transaction + 1]atomic.Uint64 // of its sessions
	recalled atomic.Pointer[reuse.Record]       // what an earlier life had left
}

// App is the application's name.
func (l *Cachelet) App() string { return l.app }

// touch tells the sketch of an access.
func (l *Cachelet) touch(h uint64, bytes int64) { l.sketch.Touch(h, bytes) }

// live is the cachelet that stands for l now. The caller holds no lock.
func (l *Cachelet) live() *Cachelet {
	if !l.gone.Load() {
		return l
	}
	if now, err := l.c.cachelets.get(l.app); err == nil {
		return now
	}
	return l // and what it reads is not cached
}

// use notes that the application is there.
func (l *Cachelet) use() {
	if now := l.c.cachelets.tick.Load(); l.used.Load() != now {
		l.used.Store(now)
	}
}

// cachelets are those of one node.
type cachelets struct {
	c         *Cache
	peerReads atomic.Uint64
	tick      atomic.Int64 // unix seconds, twice a second: a clock that costs nothing
	kick      chan struct{}
	memory    func() reuse.Memory

	mu    sync.RWMutex // guards what follows; no shard's lock is taken while it is held
	all   map[string]*Cachelet
	main  *Cachelet
	total int64 // bytes that they share
}

func (ls *cachelets) init(c *Cache) (err error) {
	ls.c, ls.all, ls.kick, ls.total = c, make(map[string]*Cachelet), make(chan struct{}, 1), c.limits.soft
	if ls.memory = c.cfg.memory; ls.memory == nil {
		ls.memory = c.memory
	}
	ls.tick.Store(time.Now().Unix())
	ls.main, err = ls.get("")
	return err
}

// get gives an application's cachelet, and makes it at the first time.
func (ls *cachelets) get(app string) (*Cachelet, error) {
	ls.mu.RLock()
	l := ls.all[app]
	ls.mu.RUnlock()
	if l != nil {
		l.use()
		return l, nil
	}
	l, grown, err := ls.add(app)
	if err != nil {
		return nil, err
	}
	grown.apply()
	return l, nil
}

func (ls *cachelets) add(app string) (*Cachelet, shares, error) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l := ls.all[app]; l != nil {
		return l, nil, nil
	}
	if ls.c.closed.Load() {
		return nil, nil, errClosed()
	}
	if n := len(ls.all); n > ls.c.limits.apps { // the main one is not counted
		return nil, nil, fault.New(fault.Overloaded, "%d applications have a cachelet on this node already, as many as its cache has room for: run some of them on other nodes", n-1).
			With(func(e *fault.Error) { e.RetryAfter = time.Minute })
	}
	l, err := ls.c.newCachelet(app)
	if err != nil {
		return nil, nil, err
	}
	ls.all[app] = l
	if ls.c.cfg.Recall != nil {
		ls.c.work.Go(l.prewarm) // stop waits for mu before it waits for this
	}
	return l, ls.fitLocked(l), nil
}

// shares are what cachelets may hold from now on.
type shares map[*Cachelet]int64

// apply resizes: who gives comes first, so that there is room for who takes.
func (s shares) apply() {
	for _, gives := range []bool{true, false} {
		for l, bytes := range s {
			if bytes <= l.capacity.Load() == gives {
				l.resize(bytes)
			}
		}
	}
}

// budgetLocked is what the cachelets hold together: what further ones than the main one cost in themselves comes out of it.
func (ls *cachelets) budgetLocked() int64 {
	return max(ls.total-int64(len(ls.all)-1)*ls.c.limits.application(), minCapacity)
}

// fitLocked has all take the same part of the budget, relative to each other, as now. A newcomer gets an even part.
func (ls *cachelets) fitLocked(newcomer *Cachelet) shares {
	budget, sum := ls.budgetLocked(), int64(0)
	out := make(shares, len(ls.all))
	for _, l := range ls.all {
		if l == newcomer {
			out[l] = budget / int64(len(ls.all))
		} else {
			sum += l.capacity.Load()
		}
	}
	rest := budget - out[newcomer]
	for _, l := range ls.all {
		if l != newcomer {
			out[l] = int64(float64(rest) * float64(l.capacity.Load()) / float64(max(sum, 1)))
		}
	}
	delete(out, nil)
	return out
}

// pass waits for who is just making a cachelet. Who comes later sees that the cache is closed.
func (ls *cachelets) pass() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
}

// list gives them by name.
func (ls *cachelets) list() []*Cachelet {
	ls.mu.RLock()
	defer ls.mu.RUnlock()
	out := make([]*Cachelet, 0, len(ls.all))
	for _, l := range ls.all {
		out = append(out, l)
	}
	slices.SortFunc(out, func(a, b *Cachelet) int { return strings.Compare(a.app, b.app) })
	return out
}

func (ls *cachelets) close() {
	for _, l := range ls.list() {
		l.policy.Close()
	}
}

func (c *Cache) newCachelet(app string) (*Cachelet, error) {
	l := &Cachelet{c: c, app: app}
	l.sketch = reuse.NewSketch(reuse.Config{Keys: c.limits.tracked, MaxBytes: 4 * c.limits.soft, Accesses: l.accesses.Load})
	var err error
	l.policy, err = ristretto.NewCache(&ristretto.Config[uint64, *cell]{
		NumCounters:        c.limits.counters,
		MaxCost:            c.limits.soft,
		BufferItems:        64,
		KeyToHash:          func(h uint64) (uint64, uint64) { return h, 0 },
		Cost:               c.dequeued,
		OnEvict:            func(i *ristretto.Item[*cell]) { c.turnedOut(i.Value, &c.evictions) },
		OnReject:           func(i *ristretto.Item[*cell]) { c.turnedOut(i.Value, &c.refused) },
		IgnoreInternalCost: true,
	})
	if err != nil {
		return nil, fault.New(fault.Internal, "cache: %w", err)
	}
	l.capacity.Store(c.limits.soft)
	l.used.Store(c.cachelets.tick.Load())
	return l, nil
}

// Cachelet gives an application's cachelet and makes it at the first time; "" is what belongs to none. overloaded where
// there is room for no more.
func (c *Cache) Cachelet(app string) (*Cachelet, error) { return c.cachelets.get(app) }

// Main is the cachelet of what belongs to no application.
func (c *Cache) Main() *Cachelet { return c.cachelets.main }

// The methods of a Cache that belong to no application are those of its main cachelet.

// Get is Cachelet.Get.
func (c *Cache) Get(ctx context.Context, key kvs.Key) (value.Value, error) {
	return c.Main().Get(ctx, key)
}

// Entry is Cachelet.Entry.
func (c *Cache) Entry(ctx context.Context, key kvs.Key) (kvs.Entry, error) {
	return c.Main().Entry(ctx, key)
}

// Put is Cachelet.Put.
func (c *Cache) Put(ctx context.Context, key kvs.Key, v value.Value) (kvs.Revision, error) {
	return c.Main().Put(ctx, key, v)
}

// Delete is Cachelet.Delete.
func (c *Cache) Delete(ctx context.Context, key kvs.Key) error { return c.Main().Delete(ctx, key) }
