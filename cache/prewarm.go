package cache

import (
	"context"
	"time"

	"github.com/squall-faas/squall/cache/reuse"
	"github.com/squall-faas/squall/kvs"
)

// unloadIdle unloads the cachelets of applications that have not been heard of for Config.IdleAfter.
func (ls *cachelets) unloadIdle(now time.Time) {
	for _, l := range ls.list() {
		if l != ls.main && now.Sub(time.Unix(l.used.Load(), 0)) > ls.c.cfg.IdleAfter {
			ls.unload(l, now)
		}
	}
}

// unload drops what a cachelet holds and has its record kept.
func (ls *cachelets) unload(l *Cachelet, now time.Time) {
	c := ls.c
	record := l.record(now)
	ls.mu.Lock()
	l.gone.Store(true) // from here on nothing new is taken in for it
	delete(ls.all, l.app)
	grown := ls.fitLocked(nil)
	ls.mu.Unlock()
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for _, cl := range s.cells {
			if cl.home == l {
				c.forgetLocked(s, cl)
			}
		}
		s.mu.Unlock()
		s.drain()
	}
	l.policy.Close()
	c.queued.Add(-l.queued.Swap(0)) // it does not ask for the cost of what it drops
	grown.apply()
	l.keep(record)
}

// keep has the records of all applications kept.
func (ls *cachelets) keep() {
	now := time.Now()
	for _, l := range ls.list() {
		l.keep(l.record(now))
	}
}

func (l *Cachelet) keep(r reuse.Record) {
	if l.c.cfg.Keep == nil || len(r.Keys()) == 0 {
		return
	}
	b, err := r.Encode()
	if err == nil {
		err = l.c.cfg.Keep(l.app, b)
	}
	if err != nil {
		l.c.log.Warn("the record of what an application uses is not kept: it will come back to an empty cache", "app", l.app, "err", err)
	}
}

// record is what the application has used: of what is held, what the sample has heard of, and what it had left earlier.
func (l *Cachelet) record(now time.Time) reuse.Record {
	var keys []reuse.Key
	for i := range l.c.shards {
		s := &l.c.shards[i]
		s.mu.Lock()
		for _, cl := range s.cells {
			v := cl.version.Load()
			if n := v.heard.Load(); cl.home == l && n > 0 {
				keys = append(keys, reuse.Key{
					Name: string(v.Key), Bytes: v.cost - overhead, Version: uint64(v.Revision), Hits: n,
					Idle: now.Sub(time.Unix(int64(v.last.Load()), 0)),
				})
			}
		}
		s.mu.Unlock()
	}
	r := reuse.NewRecord(now, keys)
	if old := l.recalled.Load(); old != nil {
		r = reuse.Merge(*old, r)
	}
	return r
}

const (
	// warmKeys and warmBytes bound what is read at a time for an application that has come back.
	warmKeys  = 256
	warmBytes = 4 << 20
)

// prewarm reads what the application had used before it was unloaded, the most valuable first, as much as its share has
// room for (Faa$T §4.4).
func (l *Cachelet) prewarm() {
	c := l.c
	b, err := c.cfg.Recall(l.app)
	var r reuse.Record
	if err == nil && len(b) > 0 {
		r, err = reuse.DecodeRecord(b)
	}
	if err != nil {
		c.log.Warn("the record of what an application used cannot be had: its cache is empty", "app", l.app, "err", err)
		return
	}
	l.recalled.Store(&r)
	keys := r.Warm(l.capacity.Load() - l.bytes.Load())
	for len(keys) > 0 && !l.gone.Load() {
		n, size := 0, int64(0)
		for n < len(keys) && n < warmKeys && size < warmBytes {
			size += keys[n].Bytes
			n++
		}
		if err := l.warm(c.life, keys[:n]); err != nil {
			c.log.Debug("an application's keys cannot be read ahead", "app", l.app, "err", err)
			return
		}
		keys = keys[n:]
	}
}

// warm reads some keys that are not held.
func (l *Cachelet) warm(ctx context.Context, keys []reuse.Key) error {
	names := make([]kvs.Key, 0, len(keys))
	for _, k := range keys {
		if key := kvs.Key(k.Name); key.Check() == nil && !l.c.Contains(key) {
			names = append(names, key)
		}
	}
	_, err := l.readMany(ctx, names)
	return err
}
