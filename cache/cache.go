package cache

import (
	"context"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/squall-faas/squall/cache/reuse"
	"github.com/squall-faas/squall/cache/session"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/kvs"
)

// Bounds of Config.MaxBytes.
const (
	DefaultMaxBytes = 256 << 20
	MinMaxBytes     = 4 << 20
)

// Tier is what a Cache reads and writes through; kvs.Store says what its methods promise.
type Tier interface {
	Get(ctx context.Context, key kvs.Key) (kvs.Entry, error)
	GetMany(ctx context.Context, keys []kvs.Key) ([]kvs.Entry, error)
	Current(ctx context.Context, key kvs.Key) (kvs.Entry, error)
	WriteMany(ctx context.Context, writes []kvs.Write, fence kvs.Fence) ([]kvs.Result, error)
	Commit(ctx context.Context, writes []kvs.Write, checks []kvs.Check, fence kvs.Fence) ([]kvs.Revision, error)
	Slot(key kvs.Key) int
	Follow(ctx context.Context) (kvs.Feed, error)
	News(ctx context.Context, held []kvs.Held, since kvs.Mark) ([]kvs.Entry, kvs.Mark, error)
}

// Config of a Cache.
type Config struct {
	// Store is the tier below. Required. It is not closed by the cache, and must outlive it.
	Store Tier
	// MaxBytes is what the cache holds at most: keys, values, what it needs to keep them, about 600 bytes each, and what runs
	// have pinned, up to half of it; 0 means DefaultMaxBytes. Values over about a tenth of it are read and written through
	// and never cached, and those over a thirtieth, or a megabyte where that is more, only while there is room. Versions that have left the cache and that no run has pinned are garbage until Go's collector comes
	// by, and not counted; nor are values of writes that somebody waits for.
	MaxBytes int64
	// Node is this node's name, by which other nodes find what runs have pinned here; "" is "local".
	Node string
	// Clock orders this node's writes; nil makes one.
	Clock *hlc.Clock
	// Peers are the other nodes' caches; nil for none.
	Peers Peers
	// MaxDirty is how many bytes of writes may wait to be stored, 0 is 1 MiB; MaxDirtyAge how long the oldest may, 0 is
	// 50 ms. Past either, a write waits. They are what a killed node may lose of writes acknowledged as cached.
	MaxDirty    int64
	MaxDirtyAge time.Duration
	// CheckEvery is the interval at which the store is asked what changed of the held keys, which repairs lost pushes; 0
	// is 2 s. With many keys held it is stretched, up to half a minute for 150,000.
	CheckEvery time.Duration
	// Fenced is called when a write was refused because this node was declared dead, once for each fence; nil ignores it.
	// The cache's writes wait for it to return.
	Fenced func()
	// Skewed tells how far this node's clock is off the fleet's median; nil for a clock that nobody doubts.
	Skewed func() time.Duration
	// IdleAfter is for how long an application may leave its cachelet alone before it is unloaded; 0 is 10 minutes.
	IdleAfter time.Duration
	// Keep keeps the record of what an application has used (reuse.Record) when its cachelet is unloaded, and at Close;
	// Recall gives what was kept last, nil where there is none, and its hot keys are read in the background when the
	// application comes back. nil for either: it comes back to an empty cachelet.
	Keep   func(app string, record []byte) error
	Recall func(app string) ([]byte, error)
	// Bandwidth is how many bytes a second this node can send to others: keys that would take a fourth of it alone are
	// spread over several; 0 is DefaultBandwidth.
	Bandwidth float64
	// Lent is memory that the fleet lends, which is asked for the bytes of versions of LentFrom and more before the store is
	// (0: DefaultLentFrom), where the store can tell which version is current without them (kvs.Headed); what is read from the
	// store a second time is offered to it. nil for none.
	Lent     Lent
	LentFrom int
	// Logger hears of lost feeds and of writes that wait; nil discards.
	Logger *slog.Logger
	// Break disables one rule of the protocol, for tests that must see a checker fail; "" breaks nothing.
	Break Rule

	memory func() reuse.Memory // of the process; tests give their own
}

// Rule names one rule of the consistency protocols that Config.Break can disable. Each makes exactly the promise fail that
// the rule is there for, which is how the history checker is shown to see it.
type Rule string

func (c Config) validate() (Config, error) {
	if c.MaxBytes == 0 {
		c.MaxBytes = DefaultMaxBytes
	}
	if c.Node == "" {
		c.Node = "local"
	}
	if c.Clock == nil {
		c.Clock = hlc.New(maphash.Comparable(maphash.MakeSeed(), c.Node), nil)
	}
	if c.MaxDirty == 0 {
		c.MaxDirty = 1 << 20
	}
	if c.MaxDirtyAge == 0 {
		c.MaxDirtyAge = 50 * time.Millisecond
	}
	if c.CheckEvery == 0 {
		c.CheckEvery = 2 * time.Second
	}
	if c.IdleAfter == 0 {
		c.IdleAfter = 10 * time.Minute
	}
	if c.Bandwidth == 0 {
		c.Bandwidth = DefaultBandwidth
	}
	if c.LentFrom == 0 {
		c.LentFrom = DefaultLentFrom
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case c.Store == nil:
		return c, fault.New(fault.InvalidArgument, "cache: Store is required")
	case c.MaxBytes < MinMaxBytes:
		return c, fault.New(fault.InvalidArgument, "cache: MaxBytes is %d: give at least %d, or 0 for the default", c.MaxBytes, MinMaxBytes)
	case c.MaxDirty < 0 || c.MaxDirtyAge < 0 || c.CheckEvery < 0 || c.IdleAfter < 0 || c.Bandwidth < 0:
		return c, fault.New(fault.InvalidArgument, "cache: MaxDirty, MaxDirtyAge, CheckEvery, IdleAfter and Bandwidth must not be negative")
	}
	return c, nil
}

// Cache keeps copies of a store's values in memory, for all applications of one node. All methods are safe for concurrent
// use. The values it returns are shared: do not write to what they hold.
type Cache struct {
	cfg    Config
	store  Tier
	log    *slog.Logger
	limits limits
	mask   uint64 // of hashes: all ones, but for tests of collisions
	front  front
	shards [shardCount]shard

	bytes     atomic.Int64 // of all cells in the table
	queued    atomic.Int64 // Sets that wait in ristretto's buffers
	evictions atomic.Uint64
	refused   atomic.Uint64
	pushes    atomic.Uint64

	lentHits, lentMisses atomic.Uint64

	cachelets cachelets
	dirty     writeBack
	interest  interest
	checks    checks
	spread    spreads
	pins      pins
	lent      lent
	feed      atomic.Pointer[kvs.Feed]
	after     atomic.Uint64 // a stamp's time: what was not confirmed later is not in the causal cut

	fencing sync.Mutex                // held while the fence changes
	fence   atomic.Pointer[kvs.Fence] // of every write
	fenced  atomic.Pointer[error]     // why this node may not write; nil where it may

	closing   atomic.Bool // writes are refused
	closed    atomic.Bool // all is
	closeOnce sync.Once
	life      context.Context // of the feed and of reads for others; ends with Close
	end       context.CancelFunc
	work      sync.WaitGroup
}

// New makes a Cache and begins to follow the store; it returns once the feed stands, or with the store's error.
func New(cfg Config) (*Cache, error) {
	cfg, err := cfg.validate()
	if err != nil {
		return nil, err
	}
	c := &Cache{cfg: cfg, store: cfg.Store, log: cfg.Logger, limits: limitsOf(cfg.MaxBytes, cfg.MaxDirty), mask: ^uint64(0)}
	c.front = newFront(c.limits.slots)
	for i := range c.shards {
		c.shards[i].cells = make(map[uint64]*cell)
		c.shards[i].notes = make(map[kvs.Key]*note)
		c.shards[i].pending = make(map[kvs.Key]*pending)
	}
	c.fence.Store(&kvs.Fence{})
	c.pins.init(c.limits.hard / 2)
	c.dirty.init(c)
	c.interest.init(c)
	c.checks.init()
	c.spread.init(c)
	c.lent.init(cfg)
	c.life, c.end = context.WithCancel(context.Background())
	feed, err := c.store.Follow(c.life)
	if err != nil {
		c.end()
		e := fault.From(err)
		return nil, fault.New(e.Code, "cache: follow the store: %w", e)
	}
	c.feed.Store(&feed) // before the first cachelet, which may read ahead at once
	if err := c.cachelets.init(c); err != nil {
		c.end()
		feed.Close()
		return nil, err
	}
	c.admit(true)
	c.work.Go(func() { c.follow(feed) })
	for i := range c.interest.lanes {
		c.work.Go(func() { c.interest.run(i) })
	}
	c.dirty.start()
	c.work.Go(c.keepFresh)
	if c.lent.tier != nil {
		c.work.Go(c.keepLent)
	}
	c.work.Go(c.cachelets.keepSized)
	if cfg.Recall != nil {
		c.work.Go(c.cachelets.main.prewarm)
	}
	return c, nil
}

// Clock orders this node's writes.
func (c *Cache) Clock() *hlc.Clock { return c.cfg.Clock }

// Close stores what is dirty, for some seconds at most, has the records of applications kept, drops everything and waits
// for reads under way, which end as unavailable, as does every later call. An error says that writes were lost. Idempotent.
func (c *Cache) Close() error {
	var err error
	c.closeOnce.Do(func() {
		c.closing.Store(true)
		ctx, cancel := context.WithTimeout(context.Background(), flushAtClose)
		err = c.Flush(ctx)
		cancel()
		c.cachelets.keep()
		c.stop()
	})
	return err
}

// Kill is Close without a chance for what is dirty, as a crash would be.
func (c *Cache) Kill() { c.closeOnce.Do(c.stop) }

func (c *Cache) stop() {
	c.closing.Store(true)
	c.closed.Store(true)
	c.end()
	c.dirty.abandon(errClosed())
	c.admit(false)     // from here on no read begins
	c.cachelets.pass() // nor is a cachelet made
	if feed := c.feed.Load(); feed != nil {
		(*feed).Close()
	}
	c.work.Wait()
	c.admit(false) // in case the feed had just come back
	for i := range c.shards {
		c.shards[i].drain()
	}
	c.cachelets.close() // their policies must not be read while they close
}

// flushAtClose is how long Close waits for the store to take what is dirty.
const flushAtClose = 5 * time.Second

func errClosed() error {
	return fault.New(fault.Unavailable, "the cache is closed: this node is shutting down")
}

func (c *Cache) hash(key kvs.Key) uint64 { return session.Hash(key) & c.mask }

func (c *Cache) shard(h uint64) *shard { return &c.shards[h%shardCount] }

// Contains reports whether a Get of key would be answered from memory now.
func (c *Cache) Contains(key kvs.Key) bool {
	h := c.hash(key)
	s := c.shard(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	v := c.hereLocked(s, h, key)
	return v != nil && !v.Absent && !v.expired()
}
