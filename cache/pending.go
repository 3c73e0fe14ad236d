package cache

import (
	"time"

	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
)

// pending is what was written to a key here and is not stored yet: the writes in their order, over what the store is known
// to have. It is not the table's to evict. Its shard's lock guards it.
//
//	base ──writes, in order──▶ view, which Gets here see
//
// When a newer base becomes known, from a push, a read or a write that came too late, the view is made anew.
type pending struct {
	h      uint64
	s      *shard
	home   *Cachelet
	base   *version.Version // what the store has; nil while that is not known
	writes []*write
	flying int // the first of writes, which are on their way to the store
	view   *item
	queued bool // it is in the write-back queue, or in a batch
	// followed is closed when the store's feed has been told of the key; nil where it knew of it. What is stored before that
	// could be overwritten by others unheard.
	followed chan struct{}
	since    time.Time // the oldest of writes was made
	bytes    int64     // of writes

	// What the last attempt tried to store, and over which revision, where its answer was lost.
	tried *version.Version
	over  kvs.Revision

	passed kvs.Revision // that the store is known to have, though no more of it is
}

// write is one mutation under way.
type write struct {
	version.Mutation
	payload int64 // bytes that its value holds
	bytes   int64 // that it counts for
	at      time.Time
	done    chan written     // where somebody waits for it; else nil
	left    bool             // he does not any more
	tried   bool             // it may have been stored: an answer was lost
	fresh   bool             // it was begun just now, and was never stored before
	got     *version.Version // that it makes, in the attempt under way
}

// written is what became of a write.
type written struct {
	got *version.Version // that the store has now
	err error
}

// heldLocked reports whether nobody waits for the write: it was acknowledged, or given up.
func (w *write) heldLocked() bool { return w.done == nil || w.left }

// triedLocked is of how many writes the last attempt was, whose answer was lost.
func (p *pending) triedLocked() int {
	n := 0
	for n < len(p.writes) && p.writes[n].tried {
		n++
	}
	return n
}

// endLocked tells whoever waits what became of a write, and counts it off. The lock of the key's shard is held.
func (c *Cache) endLocked(w *write, got *version.Version, err error) {
	if w.done != nil {
		w.done <- written{got, err} // there is room for it
	}
	c.dirty.off(w.bytes, w.heldLocked())
}

// pendLocked adds a write to what is pending under its key and shows it to Gets. known is what the caller has found to be
// stored, nil for nothing; it counts where the cache does not know better.
func (c *Cache) pendLocked(s *shard, h uint64, w *write, home *Cachelet, known *version.Version) (*pending, error) {
	p := s.pending[w.Key]
	if p == nil {
		p = &pending{h: h, s: s, home: home, base: known, since: w.at}
		if v := s.versionLocked(h, w.Key); v != nil && (known == nil || !known.Newer(&v.Version)) {
			p.base = &v.Version
		}
	}
	view := p.base
	switch {
	case p.view != nil:
		view = &p.view.Version
	case view == nil:
		view = version.None(w.Key)
	}
	next, changed, err := version.Apply(view, &w.Mutation)
	if err == nil && !changed && w.fresh {
		err = c.outrun(view, &w.Mutation)
	}
	if err != nil {
		return nil, err
	}
	if changed || p.view == nil {
		if err := c.showLocked(p, next, w); err != nil {
			return nil, err
		}
	}
	if changed {
		c.supersedeLocked(p, w)
	}
	p.writes, p.bytes = append(p.writes, w), p.bytes+w.bytes
	if s.pending[w.Key] == nil {
		s.pending[w.Key] = p
		if s.cellLocked(h, w.Key) == nil {
			p.followed = c.interest.begin(h, w.Key)
		}
	}
	c.placeLocked(p)
	return p, nil
}

// supersedeLocked drops the writes that nobody would ever see: w has won over them, nobody waits for them, and they are
// not under way.
func (c *Cache) supersedeLocked(p *pending, w *write) {
	if w.Kind != version.Assign && w.Kind != version.Remove {
		return
	}
	for n := len(p.writes) - 1; n >= p.flying; n-- {
		old := p.writes[n]
		if old.Kind != version.Assign && old.Kind != version.Remove || !old.heldLocked() || old.tried {
			return
		}
		p.writes[n] = nil
		p.writes, p.bytes = p.writes[:n], p.bytes-old.bytes
		c.endLocked(old, nil, nil)
	}
}

// showLocked makes v the view. w is the write that has made it, nil for several.
func (c *Cache) showLocked(p *pending, v *version.Version, w *write) error {
	shown := *v
	shown.Revision, shown.Written = 0, time.Time{}
	now := time.Now()
	var it *item
	var err error
	if w != nil {
		it, err = ownItem(&shown, w, now)
	} else {
		it, err = itemOf(&shown, now)
	}
	if err != nil {
		return err
	}
	it.dirty = true
	p.view = it
	return nil
}

// placeLocked puts the view into the table, if it fits, and in any case leaves nothing older there.
func (c *Cache) placeLocked(p *pending) {
	cl := p.s.cellLocked(p.h, p.view.Key)
	if cl != nil && cl.version.Load() == p.view || c.installLocked(p.s, p.h, p.view, p.home) {
		return
	}
	if cl = p.s.cellLocked(p.h, p.view.Key); cl != nil {
		c.dropLocked(p.s, cl)
	}
}

// rebaseLocked takes into account that the store has v, and makes the view anew.
func (c *Cache) rebaseLocked(s *shard, h uint64, p *pending, v *version.Version) {
	if p.base != nil && p.base.Revision >= v.Revision && v.Revision != 0 {
		return
	}
	p.base = v
	var last *write
	for _, w := range p.writes {
		// What does not go with this base is decided about, and answered, when it is stored.
		if next, changed, err := version.Apply(v, &w.Mutation); err == nil && changed {
			v, last = next, w
		}
	}
	if err := c.showLocked(p, v, last); err != nil {
		c.log.Debug("what is pending cannot be shown", "key", string(p.view.Key), "err", err)
		return
	}
	c.placeLocked(p)
}

// settleLocked ends what is pending under a key: it is stored as v, which is nil where that is not known.
func (c *Cache) settleLocked(p *pending, v *item) {
	s, key := p.s, p.view.Key
	delete(s.pending, key)
	cl := s.cellLocked(p.h, key)
	switch {
	case v == nil || v.Absent:
		if cl != nil {
			c.dropLocked(s, cl)
		}
	case cl == nil:
		c.installLocked(s, p.h, v, p.home)
	case !c.replaceLocked(s, cl, v): // the view shows the same
		c.dropLocked(s, cl)
	}
	if v != nil && s.cellLocked(p.h, key) == nil {
		c.departLocked(s, &v.Version)
	}
	c.interest.lookLocked(s, p.h, key)
}
