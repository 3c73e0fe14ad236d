package cache

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

// Put writes v under key and returns its revision once it is stored: the last writer wins, which may be another one. It
// blocks on the store. After an error that leaves open whether v was stored (a deadline, a store that went away) the write
// goes on waiting for the store in the background.
func (l *Cachelet) Put(ctx context.Context, key kvs.Key, v value.Value) (kvs.Revision, error) {
	return l.PutWith(ctx, key, v, kvs.PutOptions{}, kvs.Stored)
}

// PutWith is Put with options, answered when ack says; the revision is 0 where that is before it is stored.
func (l *Cachelet) PutWith(ctx context.Context, key kvs.Key, v value.Value, o kvs.PutOptions, ack kvs.Ack) (kvs.Revision, error) {
	m := version.Mutation{Kind: version.Assign, Key: key, Value: v}
	var err error
	if m.TTL, err = o.Lifetime(); err != nil {
		return 0, err
	}
	got, err := l.Write(ctx, m, ack)
	if err != nil {
		return 0, err
	}
	return got.Revision, nil
}

// Delete removes key from the store and the cache, once that is stored; a key that is not there is no error.
func (l *Cachelet) Delete(ctx context.Context, key kvs.Key) error {
	_, err := l.Write(ctx, version.Mutation{Kind: version.Remove, Key: key}, kvs.Stored)
	return err
}

// Write carries out a mutation, whose stamp it draws if there is none. Gets here see it when Write returns. With
// kvs.Cached that is at once, and got is what they see; else when it is stored, and got is what it has made of the key.
// Errors: clock_skew, fenced, unavailable where ctx ends while too much waits for the store, the store's, and those of
// version.Apply.
func (l *Cachelet) Write(ctx context.Context, m version.Mutation, ack kvs.Ack) (got *version.Version, err error) {
	w, got, err := l.enqueue(ctx, m, ack, true)
	if err != nil || w.done == nil {
		return got, err
	}
	return l.c.await(ctx, w)
}

// writeAll carries out writes that were kept back, in their order where they are of one key, and waits for all.
func (l *Cachelet) writeAll(ctx context.Context, all []version.Mutation, ack kvs.Ack) ([]*version.Version, error) {
	out := make([]*version.Version, len(all))
	under := make([]*write, 0, len(all))
	var first error
	for i := range all {
		w, got, err := l.enqueue(ctx, all[i], ack, false)
		if err != nil {
			first = err
			break
		}
		out[i], under = got, append(under, w)
	}
	for i, w := range under {
		if w.done == nil {
			continue
		}
		var err error
		if out[i], err = l.c.await(ctx, w); err != nil && first == nil {
			first = err
		}
	}
	return out, first
}

// enqueue lets a write in and shows it. got is what Gets here see then. A fresh write was begun just now; another may have
// been stored before.
func (l *Cachelet) enqueue(ctx context.Context, m version.Mutation, ack kvs.Ack, fresh bool) (w *write, got *version.Version, err error) {
	c := l.c
	if w, err = l.admit(ctx, m, ack); err != nil {
		return nil, nil, err
	}
	w.fresh = fresh
	l = l.live()
	h := c.hash(w.Key)
	s := c.shard(h)
	var known *version.Version
	for {
		s.mu.Lock()
		// What is not known cannot be updated.
		if w.Kind != version.Update || known != nil || s.pending[w.Key] != nil || s.cellLocked(h, w.Key) != nil {
			break
		}
		s.mu.Unlock()
		it, err := l.look(ctx, w.Key)
		if err != nil {
			c.dirty.off(w.bytes, w.heldLocked())
			return nil, nil, err
		}
		if !it.dirty { // else it is pending, or was a moment ago
			known = &it.Version
		}
	}
	defer s.mu.Unlock()
	w.draw(c.cfg.Clock)
	p, err := c.pendLocked(s, h, w, l, known)
	if err != nil {
		c.dirty.off(w.bytes, w.heldLocked())
		return nil, nil, err
	}
	if n := s.notes[w.Key]; n != nil {
		n.flight = nil // a Get that begins now must not join a read from before
	}
	c.dirty.add(p)
	return w, &p.view.Version, nil
}

// await waits until a write is stored. Who gives up leaves the write to the background.
func (c *Cache) await(ctx context.Context, w *write) (*version.Version, error) {
	select {
	case r := <-w.done:
		return r.got, r.err
	case <-ctx.Done():
	}
	s := c.shard(c.hash(w.Key))
	s.mu.Lock()
	select {
	case r := <-w.done:
		s.mu.Unlock()
		return r.got, r.err
	default:
	}
	w.left = true
	c.dirty.leave(w.bytes)
	s.mu.Unlock()
	err := fault.From(ctx.Err())
	if refusal := c.dirty.refused(); refusal != nil {
		err = fault.From(refusal)
	}
	return nil, fault.New(err.Code, "the write of key %.64q is not confirmed; it may still be stored: read it before you try again: %w", string(w.Key), err)
}

// admit checks a mutation and lets it in.
func (l *Cachelet) admit(ctx context.Context, m version.Mutation, ack kvs.Ack) (*write, error) {
	c := l.c
	if err := m.Key.Check(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fault.From(err)
	}
	if err := c.mayWrite(); err != nil {
		return nil, err
	}
	x, err := kvs.CheckValue(m.Value)
	if err != nil {
		return nil, err
	}
	w := &write{Mutation: m, bytes: int64(len(m.Key)+x.Size()) + writeBytes}
	held := ack == kvs.Cached && w.bytes <= c.cfg.MaxDirty
	if !held {
		w.done = make(chan written, 1)
	}
	if err := c.dirty.admit(ctx, w.bytes, held); err != nil {
		return nil, err
	}
	if err := c.mayWrite(); err != nil { // it may have waited for long
		c.dirty.off(w.bytes, held)
		return nil, err
	}
	// A copy of what is too large to be cached would be made for nothing: somebody waits until it is stored.
	kept := compacted{key: m.Key, value: x}
	w.payload = int64(x.Size())
	if held || int64(x.Size()) <= c.limits.entry {
		if kept, w.payload, err = own(m.Key, x); err != nil {
			c.dirty.off(w.bytes, held)
			return nil, err
		}
	}
	w.Key, w.Value, w.at = kept.key, kept.value, time.Now()
	return w, nil
}

// writeBytes is what a write that waits costs beside its key and value.
const writeBytes = 512

// draw gives a write its stamp, and its id: a write that had to wait is as young as what it has waited for. An operation
// without an id that outlives its execution has one at least for this execution, so that a lost answer does not count twice.
func (w *write) draw(clock *hlc.Clock) {
	if w.Stamp.IsZero() {
		w.Stamp = clock.Now()
	}
	if w.Kind == version.Update && w.ID == (lattice.OpID{}) {
		binary.BigEndian.PutUint64(w.ID[:8], w.Stamp.Time)
		binary.BigEndian.PutUint64(w.ID[8:], w.Stamp.Node)
	}
}

// mayWrite refuses writes once the cache is closed, of a node that was declared dead, and of one whose clock would win over
// everybody's, or lose to everybody's.
func (c *Cache) mayWrite() error {
	if c.closing.Load() {
		return errClosed()
	}
	if err := c.fenced.Load(); err != nil {
		return *err
	}
	if c.cfg.Skewed == nil {
		return nil
	}
	if off := c.cfg.Skewed(); off > maxSkew || off < -maxSkew {
		return fault.New(fault.ClockSkew, "this node's clock is %v off the others': it may not write until its clock is set; check its time service", off.Round(time.Millisecond))
	}
	return nil
}

// outrun is the error of a write that is to be applied to v and would be lost without a word: v's stamp is later, and so far
// ahead that this node's clock did not follow it, as it does with others. nil for all others: to lose to a write at the same
// time is what the last writer wins means.
func (c *Cache) outrun(v *version.Version, m *version.Mutation) error {
	if m.Kind != version.Assign && m.Kind != version.Remove || m.Wins || m.Stamp.Compare(v.Stamp) >= 0 || c.cfg.Clock.Observe(v.Stamp) {
		return nil
	}
	return fault.New(fault.ClockSkew, "key %.64q was written by a clock that is %v ahead of this node's, and the later write wins: check the time services of both", string(v.Key),
		v.Stamp.Wall().Sub(c.cfg.Clock.Wall()).Round(time.Millisecond))
}

// lost is outrun for a write that is about to be stored. One that was kept back may have been stored before: it only shows.
func (c *Cache) lost(v *version.Version, w *write) error {
	err := c.outrun(v, &w.Mutation)
	if err != nil && !w.fresh {
		c.log.Warn("a write is lost to a clock that is ahead", "key", string(w.Key), "err", err)
		return nil
	}
	return err
}

// known is what this node has of a key; nil for nothing.
func (c *Cache) known(key kvs.Key) *version.Version {
	h := c.hash(key)
	s := c.shard(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.versionLocked(h, key); v != nil {
		return &v.Version
	}
	return nil
}
