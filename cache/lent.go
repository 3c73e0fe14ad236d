package cache

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/squall-faas/squall/internal/recent"
	"github.com/squall-faas/squall/kvs"
)

// Lent is memory that the fleet lends, between the caches of the nodes and the store: it may have the bytes of a large
// version, and may lose them. All methods are safe for concurrent use.
type Lent interface {
	// Get gives the size bytes that were put under a name; an error where they are not there, or do not come soon.
	Get(ctx context.Context, name string, size int64) ([]byte, error)
	// Put keeps payload, which must not change before it returns, under a name that stands for nothing else, for ttl. That
	// it is there already is no error.
	Put(ctx context.Context, name string, payload []byte, ttl time.Duration) error
}

// header is a store that tells which version is current before it reads a long value; see kvs.Headed.
type header interface {
	Head(ctx context.Context, key kvs.Key) (kvs.Headed, error)
}

// DefaultLentFrom is that of Config.LentFrom: below, to ask the tier's catalog takes a good part of the time that the store
// needs for the bytes.
const DefaultLentFrom = 512 << 10

const (
	// lentFor is how long a version stays in lent memory, unless something else needs the room.
	lentFor = 10 * time.Minute
	// lentAgain is how many keys a node remembers that it has read from the store lately. What it has to read again has left
	// its cache: lent memory is asked for it, and offered it where it does not have it. What is read once is not worth its
	// place there, nor the question.
	lentAgain = 1024
	// lentQueue is how many offers wait; more are dropped.
	lentQueue = 8
	// mostLentKey is the longest key, in bytes, of which versions are lent: their names have to fit a key as well.
	mostLentKey = 900
)

// lent reads large versions from lent memory, and offers them. Which version is current the store says, each time: a name is
// of one version for ever, and what comes is held against the checksums that the store has of it.
type lent struct {
	tier   Lent   // nil where there is none
	store  header // likewise
	from   int64
	offers chan offer

	mu   sync.Mutex // guards seen
	seen *recent.Window[kvs.Key, kvs.Revision]
}

// offer is a version that the store had to be read for.
type offer struct {
	name  string
	entry kvs.Entry
}

func (l *lent) init(c Config) {
	if h, ok := c.Store.(header); ok && c.Lent != nil {
		l.tier, l.store, l.from = c.Lent, h, int64(c.LentFrom)
		l.offers, l.seen = make(chan offer, lentQueue), recent.New[kvs.Key, kvs.Revision](lentAgain)
	}
}

// nameOf a version. Its time is part of it for the case that a store is made anew, and counts from 1 again.
func nameOf(e *kvs.Entry) string {
	return strconv.FormatUint(uint64(e.Revision), 36) + "-" + strconv.FormatInt(e.Written.UnixNano(), 36) + "/" + string(e.Key)
}

// fromStore is a Get of the store, of which the bytes may come from lent memory.
func (c *Cache) fromStore(ctx context.Context, key kvs.Key) (kvs.Entry, error) {
	l := &c.lent
	if l.tier == nil || len(key) > mostLentKey {
		return c.store.Get(ctx, key)
	}
	h, err := l.store.Head(ctx, key)
	if err != nil || h.Rest == nil {
		return h.Entry, err
	}
	if h.Size < l.from || h.Written.IsZero() || !l.again(key, h.Revision) {
		return h.Rest(ctx)
	}
	name := nameOf(&h.Entry)
	payload, err := l.tier.Get(ctx, name, h.Size)
	if err == nil {
		var e kvs.Entry
		if e, err = h.With(payload); err == nil {
			c.lentHits.Add(1)
			return e, nil
		}
	}
	e, err := h.Rest(ctx)
	if err == nil && e.Revision == h.Revision {
		c.lentMisses.Add(1)
		select {
		case l.offers <- offer{name, e}:
		default: // others are on their way: this one is read from the store once more
		}
	}
	return e, err
}

// again reports whether a version was read here before, and notes that it is read now.
func (l *lent) again(key kvs.Key, r kvs.Revision) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, ok := l.seen.Get(key)
	if ok && before == r {
		return true
	}
	l.seen.Add(apart(key), r)
	return false
}

// keepLent puts what is offered, one after the other, until the cache closes.
func (c *Cache) keepLent() {
	for {
		select {
		case o := <-c.lent.offers:
			_, payload, err := o.entry.Value.Payload()
			ttl := lentFor
			if x := o.entry.Expires; !x.IsZero() {
				ttl = min(ttl, time.Until(x))
			}
			if err == nil && ttl > 0 {
				err = c.lent.tier.Put(c.life, o.name, payload, ttl)
			}
			if err != nil {
				c.log.Debug("a version was not put in lent memory", "err", err)
			}
		case <-c.life.Done():
			return
		}
	}
}

// LentStats is how many large versions that this cache had lost had their bytes in lent memory, and how many were read from
// the store.
func (c *Cache) LentStats() (hits, misses uint64) { return c.lentHits.Load(), c.lentMisses.Load() }
