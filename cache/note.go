package cache

import (
	"context"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
)

// note is kept under a key while reads or writes of it are under way. Its shard's lock guards it.
type note struct {
	users   int          // reads of the store, writes
	seen    kvs.Revision // what is lower is not to be cached
	barrier uint64       // what began before it was raised is not to be cached
	flight  *flight      // that a Get which begins now may join, or nil
}

// flight is one read of the store for all who missed the key.
type flight struct {
	visit
	cancel  context.CancelFunc
	waiters int // guarded by the shard's lock

	done chan struct{} // closed when what follows is set
	got  *item
	err  error
}

// visit is a read of one key from the store, or a write to it, that is under way.
type visit struct {
	c       *Cache
	s       *shard
	h       uint64
	key     kvs.Key
	n       *note
	barrier uint64 // the note's, when it began
	began   time.Time
	gen     uint64 // the last check that had ended then
	// followed is closed when the store's feed has been told of the key; nil where it knew of it.
	followed chan struct{}
}

// visitLocked begins a visit.
func (c *Cache) visitLocked(s *shard, h uint64, key kvs.Key) visit {
	n := s.notes[key]
	if n == nil {
		n = new(note)
		s.notes[key] = n
	}
	n.users++
	return visit{c: c, s: s, h: h, key: key, n: n, barrier: n.barrier, began: time.Now(), gen: c.checks.ended.Load()}
}

// visit begins a visit, and interest in the key.
func (c *Cache) visit(key kvs.Key) visit {
	v, news := c.visitQuietly(key)
	if news {
		v.followed = c.interest.begin(v.h, key)
	}
	return v
}

// visits begins visits of several keys, each once, and interest in them together.
func (c *Cache) visits(keys []kvs.Key) []visit {
	out := make([]visit, len(keys))
	var news []int
	var names []kvs.Key
	for i, key := range keys {
		var isNew bool
		if out[i], isNew = c.visitQuietly(key); isNew {
			news, names = append(news, i), append(names, key)
		}
	}
	if len(news) > 0 {
		followed := c.interest.beginMany(names)
		for _, i := range news {
			out[i].followed = followed
		}
	}
	return out
}

// visitQuietly begins a visit. news says that nobody has seen to it yet that changes of the key are heard.
func (c *Cache) visitQuietly(key kvs.Key) (v visit, news bool) {
	h := c.hash(key)
	s := c.shard(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	v = c.visitLocked(s, h, key)
	if p := s.pending[key]; p != nil {
		v.followed = p.followed
		return v, false
	}
	return v, s.cellLocked(h, key) == nil
}

// endLocked ends a visit.
func (v *visit) endLocked() {
	if v.n.users--; v.n.users == 0 {
		delete(v.s.notes, v.key)
	}
	v.c.interest.lookLocked(v.s, v.h, v.key)
}

// end ends a visit that has brought nothing.
func (v *visit) end() {
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	v.endLocked()
}

// item makes an item of what the visit has brought from the store.
func (v *visit) item(e kvs.Entry) (*item, error) {
	e.Key = v.key
	it, err := newItem(e, v.began)
	if err != nil {
		return nil, err
	}
	it.gen = v.gen
	v.c.met(&it.Version)
	return it, nil
}

// brought ends a visit that has found it in the store, or stored it there, and caches it: from then on what changes is pushed.
func (v *visit) brought(it *item, home *Cachelet) {
	_ = awaitFollowed(v.c.life, v.followed) // if the cache closes, nothing is cached
	v.c.cover(&it.Version)
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	v.broughtLocked(it, home)
	v.endLocked()
}

func (v *visit) broughtLocked(it *item, home *Cachelet) {
	if it.Absent && it.Revision == 0 {
		v.c.goneLocked(v.s, v.h, v.key, v.n)
	} else {
		v.c.learnLocked(v.s, v.h, v.n, it, v.barrier, home)
	}
}

// pass records that the store has gone past every revision below floor: a Get that begins now does not join a read that
// may have been before that, though what the read brings may still be new enough to be cached.
func (n *note) pass(floor kvs.Revision) {
	n.seen = max(n.seen, floor)
	n.flight = nil
}

// learnLocked takes into account that the store has, or had since barrier was read, v. It caches it if nothing newer is
// known, and in any case leaves nothing older in the cache.
func (c *Cache) learnLocked(s *shard, h uint64, n *note, v *item, barrier uint64, home *Cachelet) {
	n.pass(v.Revision)
	if p := s.pending[v.Key]; p != nil {
		c.rebaseLocked(s, h, p, &v.Version)
		return
	}
	if v.Revision >= n.seen && barrier == n.barrier {
		if !c.installLocked(s, h, v, home) {
			c.departLocked(s, &v.Version)
		}
	}
	c.outdateLocked(s, h, v.Key, v.Revision)
}

// goneLocked takes into account that key is not there, or not as it was, at a revision that nobody has said: nothing that
// is cached or under way may be cached from here on.
func (c *Cache) goneLocked(s *shard, h uint64, key kvs.Key, n *note) {
	n.pass(0)
	n.barrier++
	if p := s.pending[key]; p != nil {
		c.rebaseLocked(s, h, p, version.None(key))
		return
	}
	if cl := s.cellLocked(h, key); cl != nil {
		c.dropLocked(s, cl)
	}
}

func notFound(key kvs.Key) error {
	return fault.New(fault.NotFound, "there is no value under key %.64q: put one first, or correct the key", string(key))
}
