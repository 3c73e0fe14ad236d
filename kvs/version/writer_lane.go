package version

import (
	"context"
	"sync"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
)

const (
	// lanes is how many parts of the slots have writes of their own under way: as many as a new store has streams.
	lanes = 4
	// mostSingles is how many writes of a lane go on their own at once, and from how many on a batch is made of those that
	// wait: an atomic batch costs about as much as a dozen single writes, whatever its size (BenchmarkWriter).
	mostSingles = 16
	// batchKeys and batchBytes bound one batch.
	batchKeys  = 900
	batchBytes = 4 << 20
)

// op is one write that somebody waits for.
type op struct {
	m    Mutation
	cond bool
	want kvs.Revision // where cond: 0 for a key that must not exist
	done chan result  // has room for its one result
}

type result struct {
	v   *Version
	err error
}

func (p *op) finish(v *Version, err error) { p.done <- result{v, err} }

// lane is where the writes of one part of the slots pass.
type lane struct {
	mu      sync.Mutex // guards what follows
	closed  bool
	queue   []*op
	flying  map[kvs.Key]struct{} // keys with a write under way: the next waits for it, and is one with all others of the key
	singles int
	batch   bool
}

func (w *Writer) lane(key kvs.Key) *lane { return &w.lanes[w.store.Slot(key)*lanes/kvs.Slots] }

// submit carries out one write: at once, on this goroutine, where the lane has room.
func (w *Writer) submit(ctx context.Context, p *op) (*Version, error) {
	if err := ctx.Err(); err != nil {
		return nil, fault.From(err)
	}
	l := w.lane(p.m.Key)
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil, errWriterClosed()
	}
	if _, busy := l.flying[p.m.Key]; !busy && !l.batch && l.singles < mostSingles {
		all := []*group{{key: p.m.Key, ops: []*op{p}}}
		l.departLocked(all)
		l.singles++
		l.mu.Unlock()
		w.carryOut(ctx, all)
		w.landed(l, all, false)
		r := <-p.done
		return r.v, r.err
	}
	l.queue = append(l.queue, p)
	l.mu.Unlock()
	select {
	case r := <-p.done:
		return r.v, r.err
	case <-ctx.Done():
	}
	if l.withdraw(p) {
		return nil, fault.From(ctx.Err())
	}
	return nil, unconfirmed(p.m.Key, ctx.Err())
}

// withdraw takes p out of the queue; false where it is under way.
func (l *lane) withdraw(p *op) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, q := range l.queue {
		if q == p {
			l.queue = append(l.queue[:i], l.queue[i+1:]...)
			return true
		}
	}
	return false
}

func (l *lane) departLocked(all []*group) {
	if l.flying == nil {
		l.flying = make(map[kvs.Key]struct{})
	}
	for _, g := range all {
		l.flying[g.key] = struct{}{}
	}
}

// landed takes off what was under way, and starts what waits for it.
func (w *Writer) landed(l *lane, all []*group, batch bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, g := range all {
		delete(l.flying, g.key)
	}
	if batch {
		l.batch = false
	} else {
		l.singles--
	}
	for !l.closed && !l.batch && len(l.queue) > 0 {
		ready := l.readyLocked()
		switch {
		case len(ready) >= mostSingles:
			l.batch = true
			w.startLocked(l, ready, true)
		case len(ready) > 0 && l.singles < mostSingles:
			l.singles++
			w.startLocked(l, ready[:1], false)
		default:
			return
		}
	}
}

// readyLocked groups the writes that wait by their keys, as many as go into one batch, without those of keys that have a
// write under way. A conditional write stands alone.
func (l *lane) readyLocked() []*group {
	var all []*group
	at := make(map[kvs.Key]*group)
	bytes := 0
	for _, p := range l.queue {
		if _, busy := l.flying[p.m.Key]; busy {
			continue
		}
		g := at[p.m.Key]
		switch {
		case g == nil && len(all) > 0 && (len(all) == batchKeys || bytes+p.m.Value.Size() > batchBytes):
			return all
		case g == nil:
			g = &group{key: p.m.Key}
			at[p.m.Key], all = g, append(all, g)
		case g.shut:
			continue
		case p.cond:
			g.shut = true // those after it come after it
			continue
		}
		g.ops, g.shut = append(g.ops, p), p.cond
		bytes += p.m.Value.Size()
	}
	return all
}

// startLocked carries out groups in the background.
func (w *Writer) startLocked(l *lane, all []*group, batch bool) {
	l.departLocked(all)
	gone := make(map[*op]struct{})
	for _, g := range all {
		for _, p := range g.ops {
			gone[p] = struct{}{}
		}
	}
	kept := l.queue[:0]
	for _, p := range l.queue {
		if _, ok := gone[p]; !ok {
			kept = append(kept, p)
		}
	}
	clear(l.queue[len(kept):])
	l.queue = kept
	w.work.Go(func() {
		w.carryOut(w.life, all)
		w.landed(l, all, batch)
	})
}

// close ends what waits.
func (l *lane) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, p := range l.queue {
		p.finish(nil, errWriterClosed())
	}
	l.queue = nil
}

func errWriterClosed() error { return fault.New(fault.Cancelled, "the client is closed") }

func unconfirmed(key kvs.Key, why error) error {
	return fault.New(fault.CodeOf(fault.From(why)), "the write of key %.64q was not confirmed; it may be stored: read it before you try again: %w", string(key), why)
}
