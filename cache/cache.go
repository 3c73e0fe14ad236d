package cache

import (
	"context"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/ristretto/v2"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// Bounds of Config.MaxBytes.
const (
	DefaultMaxBytes = 256 << 20
	MinMaxBytes     = 4 << 20
)

// Tier is what a Cache reads and writes through; kvs.Store says what its methods promise.
type Tier interface {
	Get(ctx context.Context, key kvs.Key) (kvs.Entry, error)
	Put(ctx context.Context, key kvs.Key, v value.Value, o kvs.PutOptions) (kvs.Revision, error)
	Delete(ctx context.Context, key kvs.Key, expect kvs.Revision) error
	Watch(ctx context.Context, prefix kvs.Key) (<-chan kvs.Entry, error)
}

// Config of a Cache.
type Config struct {
	// Store is the tier below. Required. It is not closed by the cache, and must outlive it.
	Store Tier
	// MaxBytes is what the cache holds at most: keys, values and what it needs to keep them, about 400 bytes each; 0
	// means DefaultMaxBytes. Values over about an eighth of it are read and written through and never cached. Versions
	// that have left the cache are garbage until Go's collector comes by, and not counted.
	MaxBytes int64
	// Logger hears of lost watches; nil discards.
	Logger *slog.Logger
}

func (c Config) validate() (Config, error) {
	if c.MaxBytes == 0 {
		c.MaxBytes = DefaultMaxBytes
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case c.Store == nil:
		return c, fault.New(fault.InvalidArgument, "cache: Store is required")
	case c.MaxBytes < MinMaxBytes:
		return c, fault.New(fault.InvalidArgument, "cache: MaxBytes is %d: give at least %d, or 0 for the default", c.MaxBytes, MinMaxBytes)
	}
	return c, nil
}

// Cache keeps copies of a store's values in memory. All methods are safe for concurrent use. The values it returns are
// shared: do not write to what they hold.
type Cache struct {
	store  Tier
	log    *slog.Logger
	limits limits
	seed   maphash.Seed
	mask   uint64 // of hashes: all ones, but for tests of collisions
	policy *ristretto.Cache[uint64, *cell]
	front  front
	shards [shardCount]shard

	bytes     atomic.Int64 // of all cells in the table
	queued    atomic.Int64 // Sets that wait in ristretto's buffer
	evictions atomic.Uint64
	refused   atomic.Uint64

	closed    atomic.Bool
	closeOnce sync.Once
	life      context.Context // of the watch and of reads for others; ends with Close
	end       context.CancelFunc
	work      sync.WaitGroup
}

// New makes a Cache and begins to watch the store; it returns once the watch stands, or with the store's error.
func New(cfg Config) (*Cache, error) {
	cfg, err := cfg.validate()
	if err != nil {
		return nil, err
	}
	c := &Cache{store: cfg.Store, log: cfg.Logger, limits: limitsOf(cfg.MaxBytes), seed: maphash.MakeSeed(), mask: ^uint64(0)}
	c.front = make(front, c.limits.slots)
	for i := range c.shards {
		c.shards[i].cells = make(map[uint64]*cell)
		c.shards[i].notes = make(map[kvs.Key]*note)
	}
	c.policy, err = ristretto.NewCache(&ristretto.Config[uint64, *cell]{
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
	c.life, c.end = context.WithCancel(context.Background())
	changes, err := c.store.Watch(c.life, "")
	if err != nil {
		c.end()
		c.policy.Close()
		e := fault.From(err)
		return nil, fault.New(e.Code, "cache: watch the store: %w", e)
	}
	c.admit(true)
	c.work.Go(func() { c.follow(changes) })
	return c, nil
}

// Close drops everything and waits for reads under way, which end as unavailable, as does every later call.
// Idempotent.
func (c *Cache) Close() error {
	c.closeOnce.Do(func() {
		c.closed.Store(true)
		c.end()
		c.admit(false) // from here on no read begins
		c.work.Wait()
		c.admit(false) // in case the watch had just come back
		for i := range c.shards {
			c.shards[i].drain()
		}
		c.policy.Close() // it must not be read while it closes
	})
	return nil
}

func errClosed() error {
	return fault.New(fault.Unavailable, "the cache is closed: this node is shutting down")
}

// Stats of a Cache since it was made; Bytes and Entries are of now.
type Stats struct {
	Hits      uint64 // Gets answered from memory
	Misses    uint64 // Gets that waited for the store, alone or with others
	Reads     uint64 // reads of the store
	Evictions uint64 // versions that made room for others
	Refused   uint64 // versions that were not admitted
	Bytes     int64  // held, as counted against MaxBytes
	Entries   int    // keys held
}

// Stats takes a little time for each of a few shards and does not stop the cache, so its fields may be of slightly
// different moments.
func (c *Cache) Stats() Stats {
	s := Stats{Bytes: c.bytes.Load(), Evictions: c.evictions.Load(), Refused: c.refused.Load()}
	for i := range c.shards {
		sh := &c.shards[i]
		s.Hits += sh.hits.Load()
		s.Misses += sh.misses.Load()
		s.Reads += sh.reads.Load()
		sh.mu.Lock()
		s.Entries += len(sh.cells)
		sh.mu.Unlock()
	}
	return s
}

func (c *Cache) hash(key kvs.Key) uint64 { return maphash.String(c.seed, string(key)) & c.mask }

func (c *Cache) shard(h uint64) *shard { return &c.shards[h%shardCount] }

// Contains reports whether a Get of key would be answered from memory now.
func (c *Cache) Contains(key kvs.Key) bool {
	h := c.hash(key)
	s := c.shard(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.versionLocked(h, key) != nil
}
