package cache

import (
	"sync/atomic"
	"time"

	"github.com/squall-faas/squall/cache/session"
	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/kvs"
)

// maxSkew is how far off the fleet's a clock may be.
const maxSkew = hlc.MaxSkew

// checks are the periodic questions to the store what changed of the held keys: a push may be lost. What has been checked, or
// read, lately is known to be no older than that, which causal sessions rely on (session.Staleness).
//
//	check n-1              read                 check n
//	────┬──────────────────┬──┬─────────────────┬──────▶
//	    mark ◀─── since ──────────────────────── asks for what changed after the mark
//
// That is enough for keys that were held at check n-1, and for those whose read began after it had ended. Others, read
// meanwhile, given by a peer, or of unknown age, are asked for without a mark.
type checks struct {
	asked    chan struct{} // asks for a check now
	ended    atomic.Uint64 // the number of the last one that succeeded, from 1
	repaired atomic.Uint64 // changes that were found because their push was lost
	mark     kvs.Mark      // of the last one; only keepFresh uses it
}

func (k *checks) init() { k.asked = make(chan struct{}, 1) }

// now asks for a check that trusts nothing that was pushed before.
func (k *checks) now() {
	select {
	case k.asked <- struct{}{}:
	default:
	}
}

const (
	// keysPerSecond is how fast checks go through what is held.
	keysPerSecond = 5000
	// longestCheck is the longest pause between two checks. It leaves room for one that fails within session.Staleness.
	longestCheck = 30 * time.Second
)

// keepFresh runs the checks until the cache closes.
func (c *Cache) keepFresh() {
	timer := time.NewTimer(c.cfg.CheckEvery)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-c.checks.asked:
			c.checks.mark = kvs.Mark{}
		case <-c.interest.lost:
			(*c.feed.Load()).Close() // and it is followed again
			continue
		case <-c.life.Done():
			return
		}
		began := time.Now()
		held, err := c.check(began)
		if err != nil {
			c.log.Debug("what is held cannot be checked", "keys", held, "err", err)
		}
		c.tidy(began)
		timer.Reset(max(c.cfg.CheckEvery, min(time.Duration(held)*time.Second/keysPerSecond, longestCheck)))
	}
}

// check asks the store once.
func (c *Cache) check(began time.Time) (held int, err error) {
	ended := c.checks.ended.Load()
	sure, unsure := c.held(ended)
	held = len(sure) + len(unsure)
	newer, mark, err := c.store.News(c.life, sure, c.checks.mark)
	if err != nil {
		return held, err
	}
	if len(unsure) > 0 {
		more, _, err := c.store.News(c.life, unsure, kvs.Mark{})
		if err != nil {
			return held, err
		}
		newer = append(newer, more...)
	}
	ended++
	news := make(map[kvs.Key]bool, len(newer))
	for _, e := range newer {
		news[e.Key] = true
		c.repair(e, began, ended)
	}
	for _, some := range [][]kvs.Held{sure, unsure} {
		for _, k := range some {
			if !news[k.Key] {
				c.confirm(k, began, ended)
			}
		}
	}
	c.checks.mark = mark
	c.checks.ended.Store(ended) // after the mark was taken: a read that begins now is later
	return held, nil
}

// held lists the stored versions in the table: those of which nothing can have been missed that the next check would not
// find, and the others.
func (c *Cache) held(ended uint64) (sure, unsure []kvs.Held) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for _, cl := range s.cells {
			v := cl.version.Load()
			switch h := (kvs.Held{Key: v.Key, Revision: v.Revision}); {
			case v.Revision == 0:
			case cl.known < ended || ended == 0:
				unsure = append(unsure, h)
			default:
				sure = append(sure, h)
			}
		}
		s.mu.Unlock()
	}
	return sure, unsure
}

// confirm notes that a held version was current when a check began.
func (c *Cache) confirm(k kvs.Held, began time.Time, ended uint64) {
	h := c.hash(k.Key)
	s := c.shard(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	if cl := s.cellLocked(h, k.Key); cl != nil {
		if v := cl.version.Load(); v.Revision == k.Revision {
			v.confirm(began.UnixNano())
			cl.known = ended
		} else if v.Revision > k.Revision {
			cl.known = ended // the check would have found it, and later ones have their pushes
		}
	}
}

// repair applies a change that a check has found.
func (c *Cache) repair(e kvs.Entry, began time.Time, ended uint64) {
	h := c.hash(e.Key)
	s := c.shard(h)
	s.mu.Lock()
	v := s.versionLocked(h, e.Key)
	missed := v != nil && !v.dirty && (v.Revision < e.Revision || e.Deleted && v.Revision == e.Revision)
	s.mu.Unlock()
	if missed {
		c.checks.repaired.Add(1)
	}
	c.take(s, h, e, began, ended)
}

// current reports whether a version was still current, as far as this node knows, at a time that causal sessions accept: no
// longer ago than they remember dependencies, and after a stamp's time where they could not remember all.
func (c *Cache) current(v *item, after uint64) bool { return c.currentAt(v, after, time.Now()) }

func (c *Cache) currentAt(v *item, after uint64, now time.Time) bool {
	at := v.at.Load()
	if now.UnixNano()-at > int64(session.Staleness) {
		return false
	}
	after = max(after, c.after.Load())
	return after == 0 || at >= hlc.Stamp{Time: after}.Wall().Add(2*maxSkew).UnixNano()
}

// keepBefore is how long a version is kept beside the one that replaced it.
const keepBefore = 5 * time.Second

// tidy lets go of what was kept for runs that have surely ended, and of what has expired.
func (c *Cache) tidy(now time.Time) {
	old := now.Add(-keepBefore).UnixNano()
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for _, cl := range s.cells {
			v := cl.version.Load()
			if v.before.Load() != nil && v.at.Load() < old {
				v.forget(c)
			}
			if v.expired() {
				c.dropLocked(s, cl)
			}
		}
		for key, f := range s.floors {
			if now.UnixNano() > f.until {
				delete(s.floors, key)
			}
		}
		s.mu.Unlock()
	}
}
