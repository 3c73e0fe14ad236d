package version

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/lattice"
)

const (
	// mostTries is how often a write that others come before is tried.
	mostTries = 100
	// mostLost is how many answers in a row may be lost before a write is given up: each has cost the store's patience.
	mostLost = 3
)

// group is the writes of one key that are carried out together: they are one write of the store, all of it or nothing.
type group struct {
	key  kvs.Key
	ops  []*op
	shut bool // takes no more

	base  *Version // what they are applied to; nil where that has to be read
	fresh bool     // base is what the store has just answered, not what was remembered
	bare  bool     // base has no value
	guess bool     // base is none, because the keys before were new too
	next  *Version // what base becomes; nil before the first try
	made  []made   // by each of ops

	over  kvs.Revision // what next was made of when it was sent, also where that was a tombstone
	maybe bool         // next was sent, nobody knows whether it is stored, and it may still be
	lost  int          // answers
}

// made is what one op made of the version before.
type made struct {
	v       *Version
	changed bool
}

// carryOut ends every op of the groups.
func (w *Writer) carryOut(ctx context.Context, all []*group) {
	for try := 0; len(all) > 0; try++ {
		if try == mostTries {
			for _, g := range all {
				g.fail(fault.New(fault.Unavailable, "others keep writing key %.64q: try again, or spread it over several keys", string(g.key)))
			}
			return
		}
		if try > 1 {
			pause(ctx, time.Duration(min(try, 20))*time.Millisecond)
		}
		all = w.try(ctx, all)
	}
}

// pause waits up to most, or until ctx ends.
func pause(ctx context.Context, most time.Duration) {
	t := time.NewTimer(rand.N(most))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// try makes one attempt for each group and gives those that have to be tried again.
func (w *Writer) try(ctx context.Context, all []*group) (again []*group) {
	all = w.look(ctx, all)
	writes := make([]kvs.Write, 0, len(all))
	under := make([]*group, 0, len(all))
	for _, g := range all {
		switch ready, err := w.prepare(g); {
		case err != nil:
			g.fail(err)
		case ready:
			g.over = g.base.Revision
			write, err := g.next.Write(expectation(g.base))
			if err != nil {
				g.fail(err)
				continue
			}
			writes, under = append(writes, write), append(under, g)
		case g.base == nil:
			again = append(again, g)
		}
	}
	if len(writes) == 0 {
		return again
	}
	begin := time.Now()
	results, err := w.store.WriteMany(ctx, writes, kvs.Fence{})
	for i, g := range under {
		r := kvs.Result{Err: err}
		if err == nil {
			r = results[i]
		}
		switch {
		case r.Err == nil:
			if g.guess {
				w.memory.met(false)
			}
			w.settle(ctx, g, r.Revision, begin)
			continue
		case fault.Is(r.Err, fault.Conflict): // what was sent is not stored, unless it was before
			if g.guess {
				w.memory.met(true)
			}
		case mayBeStored(r.Err):
			if g.lost++; g.lost == mostLost {
				g.fail(unconfirmed(g.key, r.Err))
				continue
			}
			g.maybe = true
		default:
			g.fail(r.Err)
			continue
		}
		w.memory.forget(g.key)
		g.base, g.guess = nil, false
		again = append(again, g)
	}
	return again
}

// mayBeStored reports whether a write that ended in err may be stored.
func mayBeStored(err error) bool {
	return fault.Is(err, fault.Unavailable) && !fault.From(err).Final || fault.Is(err, fault.DeadlineExceeded) || fault.Is(err, fault.Cancelled)
}

// expectation is what a write after base expects.
func expectation(base *Version) kvs.Revision {
	if base.Absent {
		return 0
	}
	return base.Revision
}

// look finds out what the groups stand on: from memory, else from the store. It gives those that go on.
func (w *Writer) look(ctx context.Context, all []*group) []*group {
	var ask []*group
	var keys []kvs.Key
	kept := make([]*group, 0, len(all))
	for _, g := range all {
		if g.base == nil && g.next == nil {
			g.base, g.bare = w.memory.recall(g.key)
			g.fresh = false
			if g.base == nil && g.blind() && w.memory.expectNovel() {
				g.base, g.guess = None(g.key), true
			}
		}
		if g.base == nil {
			ask, keys = append(ask, g), append(keys, g.key)
		} else {
			kept = append(kept, g)
		}
	}
	if len(ask) == 0 {
		return kept
	}
	entries, err := w.store.GetMany(ctx, keys)
	for i, g := range ask {
		if err == nil {
			entries[i].Key = g.key
			if err := w.arrive(g, entries[i]); err != nil {
				g.fail(err)
			} else if len(g.ops) > 0 {
				kept = append(kept, g)
			}
			continue
		}
		if g.maybe {
			g.fail(unconfirmed(g.key, err))
		} else {
			g.fail(err)
		}
	}
	return kept
}

// blind reports whether the group may be written before its key was read: its last write decides what is there, whatever
// there was. If there was something, the store refuses it, and it is read after all.
func (g *group) blind() bool {
	for _, p := range g.ops {
		if p.m.Kind != Assign || p.m.Wins {
			return false
		}
	}
	return true
}

// arrive takes in what the store has of a group's key, and settles the question whether what was sent is stored. Where it
// is, or cannot be known any more, the ops end.
func (w *Writer) arrive(g *group, e kvs.Entry) error {
	v, err := w.open(e)
	if err != nil {
		for _, p := range g.ops {
			if p.m.Kind != Assign && p.m.Kind != Remove || fault.Is(err, fault.Unsupported) {
				return err
			}
		}
		v = None(g.key) // what cannot be read can be overwritten
		v.Revision, v.Absent = e.Revision, false
	}
	if g.next == nil {
		w.memory.met(v.Revision != 0)
	}
	g.base, g.fresh, g.bare = v, true, false
	w.memory.learn(v)
	if !g.maybe || v.Revision == g.over && v.Stamp != g.next.Stamp {
		return nil // nothing was stored. What may still be is sent again as it was: of the two, one at most can succeed
	}
	g.maybe = false // what it expected is no longer there
	switch stored, known := g.found(v); {
	case stored:
		w.saw(g)
		g.succeed(v.Revision)
	case !known:
		return fault.New(fault.Unavailable, "the write of key %.64q was not confirmed, and others wrote the key since: read it before you try again", string(g.key))
	}
	return nil
}

// found tells whether v, which the store has, is or came after what was sent, where that can be known.
func (g *group) found(v *Version) (stored, known bool) {
	if v.Stamp == g.next.Stamp {
		return true, true
	}
	for i, p := range g.ops { // all or nothing: one tells of all
		switch {
		case !g.made[i].changed:
		case p.m.Kind == Update:
			return v.Applied.Has(p.m.ID), true
		case p.m.Kind == Put:
			multi, ok := v.State.(lattice.MultiValue)
			return ok && multi.Clock.Covers(dotOf(g.made[i].v, p.m.Stamp)), true
		}
	}
	for _, p := range g.ops {
		switch {
		case p.m.Wins:
			return false, false // a write over it leaves no trace of it
		case p.m.Kind != Drop && p.m.Stamp.Less(v.Stamp):
			return true, true // or it has lost, which is the same to everybody
		}
	}
	return false, true
}

// dotOf is the dot of the sibling that was written with a stamp.
func dotOf(v *Version, s hlc.Stamp) lattice.Dot {
	if multi, ok := v.State.(lattice.MultiValue); ok {
		for _, sibling := range multi.Siblings {
			if sibling.Stamp == s {
				return sibling.Dot
			}
		}
	}
	return lattice.Dot{}
}

// context is what p's writer has seen once v, which p made, is stored.
func (p *op) context(v *Version) lattice.VectorClock {
	dot := dotOf(v, p.m.Stamp)
	if dot == (lattice.Dot{}) {
		return p.m.Context
	}
	return p.m.Context.Join(lattice.VectorClock{dot.Actor: dot.Counter})
}

// prepare makes what the group stores; not ready where nothing is to be stored, or base is nil and has to be read first.
// Ops that do not go with what is there end with their error.
func (w *Writer) prepare(g *group) (ready bool, err error) {
	if g.maybe {
		return true, nil // what was sent before, as it was
	}
	v := g.base
	kept := make([]*op, 0, len(g.ops))
	g.made = make([]made, 0, len(g.ops))
	var own lattice.VectorClock // of the ops before
	for _, p := range g.ops {
		if p.m.Kind == Put || p.m.Kind == Drop {
			w.bring(p, own)
		}
		next, changed, err := w.apply(g, v, p)
		if vain := err != nil || !changed; vain && !g.fresh {
			g.base, g.next = nil, v // what was remembered may be long gone
			return false, nil
		}
		if err == nil && !changed && p.m.Kind == Assign {
			err = w.behind(v)
		}
		if err != nil {
			p.finish(nil, err)
			continue
		}
		ready = ready || changed
		v, kept, g.made = next, append(kept, p), append(g.made, made{next, changed})
		if p.m.Kind == Put || p.m.Kind == Drop {
			own = own.Join(p.context(next))
		}
	}
	g.ops, g.next = kept, v
	if !ready {
		g.succeed(g.base.Revision)
	}
	return ready, nil
}

// bring has a causal write replace what its session has seen of the key until now, and the session's writes that are carried
// out with it: of writes at the same time the session has no order, so the one that is applied last follows the others. Else
// the writes of many goroutines through one Writer would stay beside each other.
func (w *Writer) bring(p *op, own lattice.VectorClock) {
	if !w.sessionless && !p.cond {
		p.m.Context = p.m.Context.Join(w.memory.seen(p.m.Key)).Join(own)
	}
}

// saw has the session remember its causal writes of a group before the next one of the key begins.
func (w *Writer) saw(g *group) {
	if w.sessionless {
		return
	}
	for i, p := range g.ops {
		if p.m.Kind == Put || p.m.Kind == Drop {
			w.memory.see(g.key, p.context(g.made[i].v))
		}
	}
}

// apply is one op after v, the first of its group after base.
func (w *Writer) apply(g *group, v *Version, p *op) (*Version, bool, error) {
	if p.cond {
		have := expectation(v)
		if !v.Expires.IsZero() && !v.Expires.After(w.clock.Wall()) {
			have = 0
		}
		if have != p.want {
			return nil, false, kvs.Conflict(p.m.Key, p.want, have)
		}
	}
	if g.bare && p.m.Kind == Put && v == g.base && !p.m.Context.Covers(asMulti(v).Siblings[0].Dot) {
		return nil, false, nil // its value stays as a sibling, and has to be read
	}
	if p.cond && (p.m.Kind == Put || p.m.Kind == Drop) {
		p.m.Context = v.Clock() // it is what its writer has named
	}
	p.m.Stamp = w.clock.Now()
	return Apply(v, &p.m)
}

// behind is why an assignment loses to what the store has: stamps that are made after v was met are later than v's, unless
// v's clock is so far ahead that it was refused.
func (w *Writer) behind(v *Version) error {
	return fault.New(fault.ClockSkew, "key %.64q was written by a clock that is %v ahead of this machine's, and the later write wins: check the time services of both", string(v.Key),
		v.Stamp.Wall().Sub(w.clock.Wall()).Round(time.Millisecond))
}

// settle ends a group that was stored at revision rev.
func (w *Writer) settle(ctx context.Context, g *group, rev kvs.Revision, begin time.Time) {
	stored := g.next.Stored(rev)
	w.memory.learn(stored)
	w.saw(g)
	if rev != 0 && !stored.Absent {
		if err := w.skew.probe(ctx, w.store, g.key, rev, begin); err != nil {
			g.fail(err)
			return
		}
	}
	g.succeed(rev)
}

// succeed ends the ops, each with what it made, stored at rev.
func (g *group) succeed(rev kvs.Revision) {
	for i, p := range g.ops {
		p.finish(g.made[i].v.Stored(rev), nil)
	}
	g.ops = nil
}

func (g *group) fail(err error) {
	for _, p := range g.ops {
		p.finish(nil, err)
	}
	g.ops = nil
}
