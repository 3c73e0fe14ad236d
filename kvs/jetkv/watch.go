package jetkv

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/squall-faas/squall/kvs"
)

// keepPayloads is how many pending changes keep their payloads, so that a watcher that keeps up costs no reads, and one
// that does not costs little memory.
const keepPayloads = 64

// watcher follows every stream from a sequence on.
type watcher struct {
	s       *Store
	prefix  string
	changes *kvs.Changes[change]
	expiry  *expiry
}

// change is a change of a key; of its record possibly only the sequence is kept, and its chunks are not yet read.
type change struct {
	place
	key     kvs.Key
	f       found
	deleted bool
}

// Watch streams the changes of keys that begin with prefix.
//
// It takes the streams' last sequences before it returns, and every consumer, the first and those that replace it when
// a server or a connection is lost, starts from there or from the last that arrived. Only a delete could be missed that
// way, once its tombstone has removed itself: so a watcher that was cut off for as long as that ends.
func (s *Store) Watch(ctx context.Context, prefix kvs.Key) (<-chan kvs.Entry, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	w := &watcher{s: s, prefix: string(prefix), changes: kvs.NewChanges[change](kvs.MaxPending)}
	w.expiry = newExpiry(w)
	feeds, err := w.start(ctx)
	if err != nil {
		s.end()
		return nil, err
	}
	// The watch ends with its context, with the store, and with any of its parts.
	ctx, cancel := s.untilClose(ctx)
	out := make(chan kvs.Entry)
	var parts sync.WaitGroup
	for _, f := range feeds {
		parts.Go(func() { defer cancel(); f.run(ctx) })
	}
	parts.Go(func() { defer cancel(); w.expiry.run(ctx) })
	go func() {
		defer s.end()
		w.changes.Run(ctx, out, func(c change) (kvs.Entry, bool) { return w.entry(ctx, cancel, c) })
		cancel()
		parts.Wait()
	}()
	return out, nil
}

// start makes a consumer on each stream and learns which keys of it may expire.
func (w *watcher) start(ctx context.Context) ([]*feed, error) {
	root := "squall." + w.s.cfg.Namespace + "." + string(w.s.cfg.Space)
	feeds := make([]*feed, len(w.s.shards))
	g, gctx := errgroup.WithContext(ctx)
	for i, sh := range w.s.shards {
		g.Go(func() error {
			info, err := w.s.info(gctx, sh, root+".*.*.*"+markTimed)
			if err != nil {
				return err
			}
			feeds[i] = &feed{w: w, sh: sh, filter: root + ".*.*.*", root: len(root) + 1, next: info.State.LastSeq + 1, heard: time.Now()}
			if err := feeds[i].create(gctx); err != nil {
				return err
			}
			look, lctx := errgroup.WithContext(gctx)
			look.SetLimit(lookups)
			for subject := range info.State.Subjects {
				p, mark, ok := parsePlace(subject[min(len(root)+1, len(subject)):])
				if !ok || mark != markTimed {
					continue
				}
				p.subject = strings.TrimSuffix(subject, markTimed)
				look.Go(func() error {
					f, err := w.s.readLeader(lctx, p)
					if err != nil && !isCorrupt(err) {
						return err
					}
					if key, ok := w.concerns(p, f); ok && f.live() && f.rec.TTL != 0 {
						left := time.Duration(f.rec.TTL)*time.Second - info.TimeStamp.Sub(f.at)
						w.expiry.track(p, key, f, left)
					}
					return nil
				})
			}
			return look.Wait()
		})
	}
	if err := g.Wait(); err != nil {
		for _, f := range feeds {
			if f != nil {
				f.remove()
			}
		}
		return nil, err
	}
	return feeds, nil
}

// concerns tells the key of a record and whether it is watched.
func (w *watcher) concerns(p place, f found) (kvs.Key, bool) {
	key, hashed, ok := decodeToken(p.token)
	if f.rec == nil || !ok {
		return "", false
	}
	if hashed {
		key = kvs.Key(f.rec.Key)
	}
	return key, strings.HasPrefix(string(key), w.prefix)
}

// add queues what the streams say.
func (w *watcher) add(p place, f found) {
	key, ok := w.concerns(p, f)
	if !ok {
		return
	}
	c := change{place: p, key: key, f: f, deleted: !f.live()}
	if !c.deleted && len(f.rec.payload) > 1<<10 && w.changes.Len() > keepPayloads {
		c.f.rec, c.f.data = nil, nil // read again when its turn comes
	}
	left := time.Duration(0)
	if !c.deleted {
		left = time.Duration(f.rec.TTL) * time.Second
	}
	w.expiry.replace(p, key, f, left, func() { w.changes.Add(key, c) })
}

// entry builds the entry of a change when its turn has come. What cannot be read ends the watch: to leave it out would
// leave whoever keeps copies with an old one.
func (w *watcher) entry(ctx context.Context, end func(), c change) (kvs.Entry, bool) {
	if c.deleted {
		e := kvs.Entry{Key: c.key, Revision: kvs.Revision(c.f.seq), Written: c.f.at, Deleted: true}
		if c.f.rec != nil {
			e.Meta = c.f.rec.Meta
		}
		return e, true
	}
	f := c.f
	var err error
	if f.rec == nil {
		if f, err = w.s.readLeader(ctx, c.place); err == nil && f.seq != c.f.seq {
			return kvs.Entry{}, false // replaced: that change is on its way
		}
	}
	var e kvs.Entry
	if err == nil {
		e, err = w.s.entry(ctx, c.place, c.key, f)
	}
	if errors.Is(err, errChunkGone) {
		if again, err := w.s.readLeader(ctx, c.place); err == nil && again.seq != c.f.seq {
			return kvs.Entry{}, false
		}
	}
	if err != nil {
		end()
		return kvs.Entry{}, false
	}
	return e, true
}
