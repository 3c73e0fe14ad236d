package cache

import (
	"context"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
)

// attempt is what one batch tries for one key.
type attempt struct {
	p       *pending
	n       int              // how many of its writes
	base    *version.Version // what the store has; nil until that is known
	next    *version.Version // what it makes of that
	changed bool             // it is something else: else all of its writes lost, or were stored before
	again   bool             // the store has something else than this node knew
	began   time.Time
	gen     uint64 // checks that had ended when it began
}

// mostRounds is how often a batch looks again at keys that others keep writing before the next batch has its turn.
const mostRounds = 8

// storeBatch stores what is pending under some keys. It gives what could not be stored for now, and where that is the
// store's fault an error that says why; who has to wait for it goes on waiting.
func (c *Cache) storeBatch(all []*pending, fence *kvs.Fence) (left []*pending, err error) {
	under := make([]*attempt, 0, len(all))
	for _, p := range all {
		under = append(under, &attempt{p: p})
	}
	for round := 0; len(under) > 0 && err == nil && round < mostRounds; round++ {
		under, err = c.tryBatch(c.life, under, *fence)
	}
	if fault.Is(err, fault.Fenced) {
		c.fencedOff(fence, err)
		return nil, nil
	}
	for _, a := range under {
		a.p.s.mu.Lock()
		a.p.flying = 0
		if len(a.p.writes) > 0 {
			left = append(left, a.p)
		}
		a.p.s.mu.Unlock()
	}
	return left, err
}

// tryBatch makes one attempt for each key and gives those that have to be tried again.
func (c *Cache) tryBatch(ctx context.Context, all []*attempt, fence kvs.Fence) ([]*attempt, error) {
	if err := c.findBases(ctx, all); err != nil {
		return all, err
	}
	for _, a := range all {
		if err := awaitFollowed(ctx, a.p.followed); err != nil {
			return all, err
		}
	}
	writes := make([]kvs.Write, 0, len(all))
	under := make([]*attempt, 0, len(all))
	var later []*attempt
	size := 0
	for _, a := range all {
		if size > batchBytes {
			later = append(later, a)
			continue
		}
		if !c.prepare(a) {
			continue
		}
		if !a.changed {
			c.landed(a, a.base)
			continue
		}
		w, err := a.next.Write(expected(a.base))
		if err != nil {
			c.failed(a, err)
			continue
		}
		if c.cfg.Break == BreakCompareAndSet {
			w.Expect = kvs.AnyRevision
		}
		writes, under, size = append(writes, w), append(under, a), size+w.Value.Size()+len(w.Options.Meta)
	}
	if len(writes) == 0 {
		return later, nil
	}
	results, err := c.store.WriteMany(ctx, writes, fence)
	if err != nil {
		// Any of them may have been stored. What lies there now is looked at before they are tried again.
		for _, a := range under {
			c.unanswered(a)
		}
		return append(under, later...), err
	}
	for i, r := range results {
		a := under[i]
		switch {
		case r.Err == nil:
			c.landed(a, a.next.Stored(r.Revision))
		case fault.Is(r.Err, fault.Conflict):
			a.base, a.again = nil, true
			later = append(later, a)
		case fault.From(r.Err).Final || !fault.Is(r.Err, fault.Unavailable) && !fault.Is(r.Err, fault.DeadlineExceeded) && !fault.Is(r.Err, fault.Cancelled):
			c.failed(a, r.Err)
		default:
			c.unanswered(a)
			later, err = append(later, a), r.Err
		}
	}
	return later, err
}

// expected is the revision that a write over base expects.
func expected(base *version.Version) kvs.Revision {
	if base.Absent {
		return 0
	}
	return base.Revision
}

// findBases asks the store what it has, for the attempts that do not know.
func (c *Cache) findBases(ctx context.Context, all []*attempt) error {
	var ask []*attempt
	var keys []kvs.Key
	now, gen := time.Now(), c.checks.ended.Load()
	for _, a := range all {
		if a.base != nil {
			continue
		}
		a.began, a.gen = now, gen
		a.p.s.mu.Lock()
		key := a.p.view.Key
		if !a.again && a.p.tried == nil {
			a.base = a.p.base
		}
		a.p.s.mu.Unlock()
		if a.base == nil {
			ask, keys = append(ask, a), append(keys, key)
		}
	}
	if len(ask) == 0 {
		return nil
	}
	entries, err := c.store.GetMany(ctx, keys)
	if err != nil {
		return err
	}
	for i, a := range ask {
		entries[i].Key = keys[i]
		v, err := version.Open(entries[i])
		if err != nil {
			// What cannot be read can be overwritten.
			v = &version.Version{Key: keys[i], Revision: entries[i].Revision, Absent: entries[i].Deleted}
		}
		c.met(v)
		a.base = v
		a.p.s.mu.Lock()
		if a.p.s.pending[keys[i]] == a.p {
			c.rebaseLocked(a.p.s, a.p.h, a.p, v)
		}
		a.p.s.mu.Unlock()
	}
	return nil
}

// prepare decides what an attempt stores; false where no write is left. Writes that do not go with what is there end with
// their error.
func (c *Cache) prepare(a *attempt) bool {
	p := a.p
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	if len(p.writes) == 0 { // they were given up
		return false
	}
	unknown := false
	if p.tried != nil {
		a.n = p.triedLocked()
		p.flying = a.n
		switch {
		case p.over == a.base.Revision:
			// Nothing was stored. But the attempt may be on its way still: it is sent again as it was, so that one of the two
			// succeeds at most, and if that is the first, what comes after it is not taken for what was there before.
			a.next, a.changed = p.tried, true
			return true
		case p.tried.Stamp == a.base.Stamp: // it had succeeded
			a.next, a.changed = a.base, false
			return true
		}
		unknown, p.tried = true, nil
	}
	v := a.base
	a.changed = false
	kept := p.writes[:0]
	for _, w := range p.writes {
		var next *version.Version
		var changed bool
		var err error
		if unknown && w.tried && w.Wins {
			// It was never stored, or was and then overwritten: to write it again might undo what came after it.
			err = fault.New(fault.Unavailable, "whether the write of key %.64q was stored before another one is not known: read the key before you try again", string(w.Key))
		} else {
			if w.Wins && !w.tried && w.Stamp.Compare(v.Stamp) <= 0 {
				w.Stamp = c.cfg.Clock.Now() // it has met v
			}
			next, changed, err = version.Apply(v, &w.Mutation)
			if err == nil && !changed && !w.tried {
				err = c.lost(v, w)
			}
		}
		w.tried = false
		if err != nil {
			if w.heldLocked() {
				c.log.Warn("a write that was acknowledged as cached does not go with what is stored", "key", string(w.Key), "err", err)
			}
			p.bytes -= w.bytes
			c.endLocked(w, nil, err)
			continue
		}
		a.changed = a.changed || changed
		w.got, v, kept = next, next, append(kept, w)
	}
	clear(p.writes[len(kept):])
	p.writes, a.next = kept, v
	a.n, p.flying = len(kept), len(kept)
	if len(kept) == 0 {
		p.queued = false
		c.settleLocked(p, nil)
		return false
	}
	return true
}

// unanswered notes that an attempt may have succeeded.
func (c *Cache) unanswered(a *attempt) {
	p := a.p
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	p.tried, p.over = a.next, a.base.Revision
	for _, w := range p.writes[:min(a.n, len(p.writes))] {
		w.tried = true
	}
	a.base = nil
}

// landed ends the writes of an attempt, after which the store has v.
func (c *Cache) landed(a *attempt, v *version.Version) {
	p := a.p
	var it *item
	p.s.mu.Lock()
	var last *write
	if a.n > 0 && a.n <= len(p.writes) {
		last = p.writes[a.n-1]
	}
	p.s.mu.Unlock()
	if last == nil {
		return // they were given up
	}
	it, err := ownItem(v, last, a.began)
	if err != nil {
		it = nil
	} else {
		it.gen = a.gen
		c.cover(v)
	}
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	if !c.takeOffLocked(a, func(w *write) (*version.Version, error) {
		if w.got == nil {
			return v, nil
		}
		return w.got.Stored(v.Revision), nil
	}) {
		return
	}
	if n := p.s.notes[v.Key]; n != nil {
		n.pass(v.Revision)
	}
	newer := p.base != nil && p.base.Revision > v.Revision
	if len(p.writes) == 0 {
		switch {
		case p.passed > max(v.Revision, revisionOf(p.base)):
			it = nil // the store has something newer, of which no more is known
		case newer:
			if it, err = itemOf(p.base, p.base.Written); err != nil {
				it = nil
			}
		}
		c.settleLocked(p, it)
		return
	}
	if !newer {
		p.base = v
	}
	c.dirty.add(p)
}

func revisionOf(v *version.Version) kvs.Revision {
	if v == nil {
		return 0
	}
	return v.Revision
}

// takeOffLocked ends the writes of an attempt; false where they were given up before.
func (c *Cache) takeOffLocked(a *attempt, what func(*write) (*version.Version, error)) bool {
	p := a.p
	if len(p.writes) < a.n || p.flying == 0 {
		return false
	}
	for _, w := range p.writes[:a.n] {
		got, err := what(w)
		p.bytes -= w.bytes
		c.endLocked(w, got, err)
	}
	p.writes, p.flying, p.queued, p.tried = p.writes[a.n:], 0, false, nil
	return true
}

// failed ends the writes of an attempt that will never be stored.
func (c *Cache) failed(a *attempt, err error) {
	c.log.Warn("a write is refused", "key", string(a.base.Key), "err", err)
	p := a.p
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	if !c.takeOffLocked(a, func(*write) (*version.Version, error) { return nil, err }) {
		return
	}
	if len(p.writes) == 0 {
		c.settleLocked(p, nil)
		return
	}
	p.base = nil
	c.dirty.add(p)
}
