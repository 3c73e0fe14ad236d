package offload

import (
	"context"
	"sync"
	"time"
	"unsafe"
	"weak"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/internal/xfer"
	"github.com/squall-faas/squall/value"
)

// Tier keeps values in memory that the fleet lends. It may lose what it has taken, and never gives back anything else. All
// methods are safe for concurrent use.
type Tier interface {
	// Room reports whether so many bytes would be taken now, as far as this node knows. It asks nobody.
	Room(bytes int64) bool
	// Put keeps b under a key that was never used, for ttl. b must not change before it returns, and is not kept.
	Put(ctx context.Context, key string, b []byte, ttl time.Duration) error
	// Get gives it, at most limit bytes.
	Get(ctx context.Context, key string, limit int64) ([]byte, error)
	// Drop forgets them, soon, without waiting for it.
	Drop(keys ...string)
}

const (
	// DefaultLendFrom is the least payload that goes to the Tier by default: below, an object's entry in the catalog costs
	// about what the value in the store does.
	DefaultLendFrom = 256 << 10
	// lendPatience bounds how long the tier may take for a value, and for each 16 MiB of it; then it goes to the store.
	lendPatience = 3 * time.Second
)

// lends reports whether values that leave under these terms may go to lent memory: those of a run, on their way to another
// executor. They can be made anew; what a durable run passes, and what leaves a run, goes to the store, which loses nothing.
func (o *Offload) lends(t Terms) bool {
	return o.cfg.Tier != nil && o.cfg.Hold != nil && t.To != "" && t.Run != ""
}

// lend puts a value in lent memory; nil where that is not for it, or does not work.
func (o *Offload) lend(ctx context.Context, t Terms, f far) *wire.Direct {
	if len(f.data) < o.cfg.LendFrom || !o.lends(t) {
		return nil
	}
	return o.cfg.Hold.lent.put(ctx, t, f)
}

// borrowed reads a value from lent memory.
func (o *Offload) borrowed(ctx context.Context, f *wire.Direct) (value.Value, error) {
	if o.cfg.Tier == nil {
		return value.Value{}, fault.New(fault.Unavailable, "the value %q is in lent memory, which this node does not read", f.ID)
	}
	data, err := o.cfg.Tier.Get(ctx, f.ID, f.Size)
	if err != nil {
		return value.Value{}, err
	}
	if int64(len(data)) != f.Size || xfer.Sum(data).Whole(f.Size) != f.Sum {
		return value.Value{}, fault.New(fault.Unavailable, "what is in lent memory as %q is not the value of %d bytes that its reference names", f.ID, f.Size)
	}
	if o.cfg.Hold != nil {
		o.cfg.Hold.copies.add(heldRef(f.ID, f.Incarnation), data, f.Sum)
	}
	return value.FromPayload(value.Kind(f.Kind), data)
}

// lentValues are the values that this node has put in lent memory, by run: they are dropped with it. The same bytes for
// several readers are put once. Safe for concurrent use.
type lentValues struct {
	hold *Hold
	tier Tier // set once, before anything is put

	mu    sync.Mutex // guards what follows
	runs  map[string]map[place]*lentValue
	swept time.Time
}

// lentValue is one of them. done is closed when the tier has taken it, with ref, or has not.
type lentValue struct {
	at    weak.Pointer[byte] // keeps nothing alive: while it points, its bytes are the same
	until time.Time
	done  chan struct{}
	ref   *wire.Direct
}

// place tells bytes apart by where they are, without keeping them alive.
type place struct {
	at   uintptr
	size int
	kind value.Kind
}

// good reports whether the value is of bytes that have stayed where they were, and lasts until then.
func (v *lentValue) good(until time.Time) bool { return v.at.Value() != nil && !v.until.Before(until) }

const sweepLent = time.Minute

func (l *lentValues) put(ctx context.Context, t Terms, f far) *wire.Direct {
	tier := l.tier
	first := unsafe.SliceData(f.data)
	o := place{uintptr(unsafe.Pointer(first)), len(f.data), f.kind}
	now := time.Now()
	l.mu.Lock()
	if v := l.runs[t.Run][o]; v != nil && v.good(now.Add(t.TTL/2)) {
		l.mu.Unlock()
		select {
		case <-v.done:
			return v.ref
		case <-ctx.Done():
			return nil
		}
	}
	if !tier.Room(int64(len(f.data))) {
		l.mu.Unlock()
		return nil
	}
	l.sweepLocked(now)
	v := &lentValue{at: weak.Make(first), until: now.Add(t.TTL), done: make(chan struct{})}
	if l.runs == nil {
		l.runs = map[string]map[place]*lentValue{}
	}
	if l.runs[t.Run] == nil {
		l.runs[t.Run] = map[place]*lentValue{}
		l.hold.count.Add(1)
	}
	l.runs[t.Run][o] = v
	l.mu.Unlock()
	defer close(v.done)

	ref := &wire.Direct{
		Executor: l.hold.cfg.Executor, Incarnation: l.hold.incarnation, ID: id.Token(idLen), Kind: uint8(f.kind), Size: int64(len(f.data)),
		Sum: xfer.Sum(f.data).Whole(int64(len(f.data))), Expires: v.until.UnixMilli(), Lent: true,
	}
	ctx, cancel := context.WithTimeout(ctx, lendPatience*time.Duration(1+len(f.data)>>24))
	defer cancel()
	if err := tier.Put(ctx, ref.ID, f.data, t.TTL); err != nil { // the store takes it
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.runs[t.Run][o] == v {
			delete(l.runs[t.Run], o)
		}
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	v.ref = ref
	if l.runs[t.Run][o] != v { // the run has ended meanwhile
		tier.Drop(ref.ID)
	}
	return ref
}

// release drops what is lent for a run.
func (l *lentValues) release(run string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.releaseLocked(run)
}

func (l *lentValues) releaseLocked(run string) {
	values, ok := l.runs[run]
	if !ok {
		return
	}
	delete(l.runs, run)
	l.hold.count.Add(-1)
	var keys []string
	for _, v := range values {
		if v.ref != nil {
			keys = append(keys, v.ref.ID)
		}
	}
	if len(keys) > 0 {
		l.tier.Drop(keys...)
	}
}

// sweepLocked forgets runs of which nobody has said that they have ended. Their values have gone by their TTL.
func (l *lentValues) sweepLocked(now time.Time) {
	if now.Sub(l.swept) < sweepLent {
		return
	}
	l.swept = now
	for run, values := range l.runs {
		over := true
		for _, v := range values {
			over = over && now.After(v.until)
		}
		if over {
			l.releaseLocked(run)
		}
	}
}
