package cache

import (
	"context"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/squall-faas/squall/fault"
)

const (
	// batchKeys and batchBytes bound one batch. A larger batch spreads an fsync over more writes, a smaller one keeps who
	// waits from waiting for others.
	batchKeys  = 1000
	batchBytes = 4 << 20
	// largeBytes is what a key's writes hold from which on they are stored apart, so that the others do not wait for them,
	// largeLanes of them side by side.
	largeBytes = 1 << 20
	largeLanes = 2
)

// writeBack brings what is pending to the store, in the order in which it was written first, batch after batch: while one
// is under way the next one fills up, so that batches grow with the load (group commit).
//
// A shard's lock is taken before mu.
type writeBack struct {
	c     *Cache
	small lane
	large lane
	hurry chan struct{} // ends a pause in which a batch gathers

	mu       sync.Mutex // guards what follows, and the lanes
	held     int64      // bytes of writes that nobody waits for: they were acknowledged, or given up
	waited   int64      // bytes of the others
	watched  int        // who waits for progress
	under    map[*batch]struct{}
	progress chan struct{} // closed, and made anew, whenever a batch has ended
	refusal  error         // why the last batch was not stored; nil when it was
	closed   error
}

// lane is a queue of keys.
type lane struct {
	queue []*pending
	past  past
	wake  chan struct{}
}

// batch is what is being stored.
type batch struct {
	all   []*pending
	since time.Time // the oldest write
	began time.Time
}

func (b *writeBack) init(c *Cache) {
	b.c, b.progress, b.under = c, make(chan struct{}), make(map[*batch]struct{})
	b.small.wake, b.large.wake, b.hurry = make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{}, 1)
}

// start runs the lanes until the cache closes.
func (b *writeBack) start() {
	b.c.work.Go(func() { b.run(&b.small) })
	for range largeLanes {
		b.c.work.Go(func() { b.run(&b.large) })
	}
}

// bytes are how many are not stored yet.
func (b *writeBack) bytes() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held + b.waited
}

// oldestLocked is when the oldest write that is not stored was made; zero where there is none.
func (b *writeBack) oldestLocked() time.Time {
	var oldest time.Time
	see := func(t time.Time) {
		if oldest.IsZero() || t.Before(oldest) {
			oldest = t
		}
	}
	for under := range b.under {
		see(under.since)
	}
	for _, l := range []*lane{&b.small, &b.large} {
		if len(l.queue) > 0 {
			see(l.queue[0].since)
		}
	}
	return oldest
}

// admit waits until a write of n bytes may be let in. One that nobody is going to wait for has to wait as long as too much
// of those, or something too old, is not stored: that is what a killed node loses. One that somebody waits for, as long as
// too much was given up.
func (b *writeBack) admit(ctx context.Context, n int64, held bool) error {
	cfg := &b.c.cfg
	for {
		b.mu.Lock()
		if b.closed != nil {
			defer b.mu.Unlock()
			return b.closed
		}
		full := b.held > 0 && b.held+n > cfg.MaxDirty
		if held && !full {
			oldest := b.oldestLocked()
			full = !oldest.IsZero() && time.Since(oldest) > cfg.MaxDirtyAge
		} else if !held {
			full = b.held > cfg.MaxDirty
		}
		if !full {
			b.onLocked(n, held)
			b.mu.Unlock()
			return nil
		}
		waiting, progress, refusal := b.held+b.waited, b.progress, b.refusal
		b.watchLocked()
		b.mu.Unlock()
		select {
		case <-progress:
			b.unwatch()
		case <-ctx.Done():
			b.unwatch()
			return b.away(ctx, waiting, refusal)
		}
	}
}

// away is what a write gets that was not let in.
func (b *writeBack) away(ctx context.Context, waiting int64, refusal error) error {
	if ctx.Err() != context.DeadlineExceeded && refusal == nil {
		return fault.From(ctx.Err())
	}
	if refusal == nil {
		refusal = ctx.Err()
	}
	return fault.New(fault.Unavailable, "the store does not take writes, and %d bytes wait for it on this node already, as much as may be lost with it; try again when it is back: %w", waiting, refusal).
		With(func(e *fault.Error) { e.RetryAfter = time.Second })
}

func (b *writeBack) onLocked(n int64, held bool) {
	if held {
		b.held += n
	} else {
		b.waited += n
	}
}

// off takes a write's bytes off.
func (b *writeBack) off(n int64, held bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.onLocked(-n, held)
}

// leave notes that nobody waits for a write any more.
func (b *writeBack) leave(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waited, b.held = b.waited-n, b.held+n
}

// refused is why the last batch was not stored; nil when it was.
func (b *writeBack) refused() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.refusal
}

// add queues what is pending under a key. The lock of the key's shard is held.
func (b *writeBack) add(p *pending) {
	if p.queued {
		return
	}
	p.queued = true
	l := &b.small
	if p.bytes >= largeBytes {
		l = &b.large
	}
	b.mu.Lock()
	p.since = p.writes[0].at
	l.queue = append(l.queue, p)
	if b.hurriedLocked() {
		b.hurryLocked()
	}
	b.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run stores a lane's batches until the cache closes.
func (b *writeBack) run(l *lane) {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 5*time.Millisecond, time.Second
	for {
		if wait := b.gather(l); wait > 0 {
			if !b.pause(wait) {
				return
			}
			continue
		}
		fence := b.c.fence.Load() // before: what is taken was written under this fence, or a later one
		next := b.take(l)
		if next == nil {
			select {
			case <-l.wake:
				continue
			case <-b.c.life.Done():
				return
			}
		}
		left, err := b.c.storeBatch(next.all, fence)
		b.done(l, next, left, err)
		if err == nil {
			wait.Reset()
			continue
		}
		b.c.log.Warn("writes wait for the store", "keys", len(left), "err", err)
		pause := time.NewTimer(wait.NextBackOff())
		select {
		case <-pause.C:
		case <-b.c.life.Done():
			pause.Stop()
			return
		}
	}
}

// take gives a lane's next batch; nil where nothing is queued.
func (b *writeBack) take(l *lane) *batch {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(l.queue) == 0 {
		return nil
	}
	most := batchKeys
	if l == &b.large {
		most = 1
		if len(l.queue) > 1 { // another lane
			select {
			case l.wake <- struct{}{}:
			default:
			}
		}
	}
	n := min(len(l.queue), most)
	next := &batch{all: l.queue[:n:n], since: l.queue[0].since, began: time.Now()}
	l.queue = l.queue[n:]
	if len(l.queue) == 0 {
		l.queue = nil
	}
	for _, p := range next.all {
		if p.since.Before(next.since) {
			next.since = p.since
		}
	}
	b.under[next] = struct{}{}
	return next
}

// done ends a batch. What is left goes back to the front of the queue.
func (b *writeBack) done(l *lane, ended *batch, left []*pending, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(left) > 0 {
		l.queue = append(left, l.queue...)
	}
	delete(b.under, ended)
	now := time.Now()
	l.past = past{keys: len(ended.all), took: now.Sub(ended.began), ended: now}
	b.refusal = err
	b.signalLocked()
}

// signalLocked wakes those who wait for progress.
func (b *writeBack) signalLocked() {
	close(b.progress)
	b.progress = make(chan struct{})
}

// abandon ends every write that waits, and refuses later ones.
func (b *writeBack) abandon(why error) {
	b.mu.Lock()
	b.closed = why
	b.mu.Unlock()
	b.drop(why)
}

// drop ends every write that waits.
func (b *writeBack) drop(why error) {
	b.mu.Lock()
	b.small.queue, b.large.queue = nil, nil
	b.mu.Unlock()
	for i := range b.c.shards {
		s := &b.c.shards[i]
		s.mu.Lock()
		for _, p := range s.pending {
			for _, w := range p.writes {
				b.c.endLocked(w, nil, why)
			}
			p.writes, p.flying = nil, 0
			b.c.settleLocked(p, nil)
		}
		s.mu.Unlock()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.signalLocked()
}

// Flush returns once everything that was written before is stored, or with ctx's end, or with an error once the cache is
// closed: what was not stored by then is lost.
func (c *Cache) Flush(ctx context.Context) error {
	before := time.Now()
	c.dirty.watch()
	defer c.dirty.unwatch()
	for {
		c.dirty.mu.Lock()
		oldest, progress, closed := c.dirty.oldestLocked(), c.dirty.progress, c.dirty.closed
		waiting, refusal := c.dirty.held+c.dirty.waited, c.dirty.refusal
		c.dirty.mu.Unlock()
		if closed != nil {
			return closed
		}
		if oldest.IsZero() || oldest.After(before) {
			return nil
		}
		select {
		case <-progress:
		case <-ctx.Done():
			why := ctx.Err()
			if refusal != nil {
				why = refusal
			}
			return fault.New(fault.CodeOf(fault.From(why)), "%d bytes of writes are not stored yet: %w", waiting, why)
		}
	}
}
