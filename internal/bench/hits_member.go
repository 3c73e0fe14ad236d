package bench

import (
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/ristretto/v2"
	"golang.org/x/sync/errgroup"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

const fnHits = "hits"

// What readHits reads from.
const (
	fromCache     = "cache"     // the node's, through the function's Context
	fromMap       = "map"       // a Go map and a mutex: what memory itself takes
	fromRistretto = "ristretto" // ristretto alone
	fromStore     = "store"     // the store, over NATS
)

// hitReads asks readHits for reads.
type hitReads struct {
	Keys  int    // how many there are
	Seed  uint64 // of the order in which they are read
	Reads int    // 0 has each key be read once, many at a time, so that it is cached
	From  string
	Count bool // allocations instead of time
}

// hitsFound is what readHits has found.
type hitsFound struct {
	Sum     uint64    // of all words read
	Hits    int       // reads that did not miss the cache's memory
	Mallocs float64   // a read
	Nanos   []float64 // a read, of chunkReads reads each
}

// hitReader is what readHits reads, made by its first call; it is called once at a time.
type hitReader struct {
	zipf  *zipf
	names []string

	mu        sync.Mutex // guards plain
	plain     map[string][]byte
	ristretto *ristretto.Cache[string, []byte]
}

func (h *hitReader) prepare(keys int) error {
	if len(h.names) == keys {
		return nil
	}
	h.zipf, h.names, h.plain = newZipf(keys), make([]string, keys), make(map[string][]byte, keys)
	var err error
	h.ristretto, err = ristretto.NewCache(&ristretto.Config[string, []byte]{
		NumCounters: 10 * int64(keys), MaxCost: 2 * int64(keys) * cachedBytes, BufferItems: 64, IgnoreInternalCost: true,
	})
	if err != nil {
		return fault.New(fault.Internal, "ristretto: %w", err)
	}
	for k := range h.names {
		name := cacheKey(k)
		h.names[k], h.plain[strings.Clone(name)] = name, cachedValue(k) // who reads has the key, but not the map's own
		for !h.ristretto.Set(name, cachedValue(k), cachedBytes) {
			h.ristretto.Wait() // its queue was full
		}
	}
	h.ristretto.Wait()
	return nil
}

// readHits reads keys, and every byte of every value.
func (m *member) readHits(c fn.Context, d hitReads) (hitsFound, error) {
	h := &m.hits
	if err := h.prepare(d.Keys); err != nil {
		return hitsFound{}, err
	}
	misses := m.node.Cache.Stats().Misses
	var out hitsFound
	var err error
	reads := d.Reads
	if d.Reads == 0 {
		reads = len(h.names)
		out.Sum, err = h.loadAll(c)
	} else {
		keys := make([]string, d.Reads)
		for i, k := range h.zipf.draw(d.Seed, d.Reads) {
			keys[i] = h.names[k]
		}
		get, e := m.getFrom(c, d.From)
		if e != nil {
			return out, e
		}
		read := func() { out.Nanos, out.Sum, err = timed(keys, get) }
		if d.Count {
			out.Mallocs = mallocs(read) / float64(d.Reads)
		} else {
			read()
		}
	}
	out.Hits = reads - int(m.node.Cache.Stats().Misses-misses)
	return out, err
}

func (m *member) getFrom(c fn.Context, from string) (func(key string) ([]byte, error), error) {
	h := &m.hits
	switch from {
	case fromCache:
		return func(key string) ([]byte, error) { return fn.Get[[]byte](c, key) }, nil
	case fromMap:
		return func(key string) ([]byte, error) {
			h.mu.Lock()
			b := h.plain[key]
			h.mu.Unlock()
			return b, nil
		}, nil
	case fromRistretto:
		return func(key string) ([]byte, error) {
			b, ok := h.ristretto.Get(key)
			if !ok {
				return nil, fault.New(fault.NotFound, "ristretto has no %s", key)
			}
			return b, nil
		}, nil
	case fromStore:
		store := m.backbone.User
		return func(key string) ([]byte, error) {
			e, err := store.Get(c, kvs.Key(key))
			if err != nil {
				return nil, err
			}
			return value.As[[]byte](e.Value)
		}, nil
	}
	return nil, fault.New(fault.InvalidArgument, "nothing to read from %q", from)
}

// loadAll reads every key through the node's cache.
func (h *hitReader) loadAll(c fn.Context) (uint64, error) {
	var sum, next atomic.Uint64
	var g errgroup.Group
	for range 16 * runtime.GOMAXPROCS(0) {
		g.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(h.names) {
					return nil
				}
				b, err := fn.Get[[]byte](c, h.names[i])
				if err != nil {
					return err
				}
				sum.Add(sumWords(b))
			}
		})
	}
	err := g.Wait()
	return sum.Load(), err
}
