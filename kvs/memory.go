package kvs

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/value"
)

// memoryShards splits the map so that Gets on different cores do not meet on one lock. A slot lies in one shard, so a
// Commit takes one lock.
const memoryShards = 256

// rememberDeletes is how long a Memory keeps tombstones.
const rememberDeletes = 5 * time.Minute

// Memory is a Store in this process's memory: the reference model of what a Store does, and the store of clusters that
// live in one process. Nothing survives it. Values are kept as they are, so a live value is handed to its readers
// without a codec. Time is time.Now, so that it runs in a testing/synctest bubble.
type Memory struct {
	shards [memoryShards]memoryShard
	clock  atomic.Uint64 // the last revision given; one count for all keys keeps revisions growing over deletes

	fencing sync.RWMutex // held shared by fenced writes, so that none is under way when Fence returns; guards fences
	fences  map[string]uint64

	watchers atomic.Pointer[[]*memoryWatcher] // replaced, never changed
	mu       sync.Mutex                       // guards replacing watchers, feeds, and closing
	feeds    map[*memoryFeed]struct{}
	closed   atomic.Bool
	pumps    sync.WaitGroup
}

type memoryShard struct {
	mu        sync.RWMutex // guards what follows
	keys      map[Key]*memoryItem
	graves    []*memoryItem // the tombstones in keys, oldest first, and some that were replaced
	followers map[Key][]*memoryFeed
	_         [16]byte // keeps two shards' locks off one cache line
}

// memoryItem is what is under a key, a value or a tombstone. Items are replaced, never changed.
type memoryItem struct {
	entry Entry
	timer *time.Timer // announces the expiry; nil where there is none
}

func (it *memoryItem) alive(now time.Time) bool { return !it.entry.Deleted && it.entry.fresh(now) }

func (e *Entry) fresh(now time.Time) bool { return e.Expires.IsZero() || now.Before(e.Expires) }

// NewMemory makes an empty store.
func NewMemory() *Memory {
	m := &Memory{fences: make(map[string]uint64), feeds: make(map[*memoryFeed]struct{})}
	for i := range m.shards {
		m.shards[i].keys = make(map[Key]*memoryItem)
	}
	m.watchers.Store(new([]*memoryWatcher))
	return m
}

func (m *Memory) shard(key Key) *memoryShard { return &m.shards[m.Slot(key)%memoryShards] }

// check is what every call begins with.
func (m *Memory) check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fault.From(err)
	}
	if m.closed.Load() {
		return errClosed()
	}
	return nil
}

func errClosed() error { return fault.New(fault.Unavailable, "the store is closed") }

// Get returns the current entry. It allocates nothing.
func (m *Memory) Get(ctx context.Context, key Key) (Entry, error) {
	if err := m.check(ctx); err != nil {
		return Entry{}, err
	}
	if err := key.Check(); err != nil {
		return Entry{}, err
	}
	s := m.shard(key)
	s.mu.RLock()
	it := s.keys[key]
	s.mu.RUnlock()
	if it == nil || it.entry.Deleted || !it.entry.Expires.IsZero() && !it.alive(time.Now()) {
		return Entry{}, fault.New(fault.NotFound, "there is no value under key %.64q: put one first, or correct the key", string(key))
	}
	return it.entry, nil
}

// Put writes v whatever was there.
func (m *Memory) Put(ctx context.Context, key Key, v value.Value, o PutOptions) (Revision, error) {
	return m.write(ctx, Write{Key: key, Value: v, Options: o, Expect: AnyRevision})
}

// CompareAndSet writes v if the key's revision is expect.
func (m *Memory) CompareAndSet(ctx context.Context, key Key, v value.Value, expect Revision, o PutOptions) (Revision, error) {
	return m.write(ctx, Write{Key: key, Value: v, Options: o, Expect: expect})
}

// Delete removes the key.
func (m *Memory) Delete(ctx context.Context, key Key, expect Revision) error {
	if expect == 0 {
		expect = AnyRevision
	}
	_, err := m.write(ctx, Write{Key: key, Delete: true, Expect: expect})
	return err
}

func (m *Memory) write(ctx context.Context, w Write) (Revision, error) {
	if err := m.check(ctx); err != nil {
		return 0, err
	}
	w, life, err := w.Check()
	if err != nil {
		return 0, err
	}
	s := m.shard(w.Key)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if err := m.mayLocked(s, w.Key, w.Expect, now); err != nil {
		return 0, err
	}
	return m.storeLocked(s, w, life, now), nil
}

// mayLocked holds an expectation against what is under key.
func (m *Memory) mayLocked(s *memoryShard, key Key, expect Revision, now time.Time) error {
	if m.closed.Load() { // under the lock, so that no timer starts behind Close's back
		return errClosed()
	}
	if expect == AnyRevision {
		return nil
	}
	var have Revision
	if it := s.liveLocked(key, now); it != nil {
		have = it.entry.Revision
	}
	if have != expect {
		return Conflict(key, expect, have)
	}
	return nil
}

// storeLocked carries w out and announces it.
func (m *Memory) storeLocked(s *memoryShard, w Write, life time.Duration, now time.Time) Revision {
	s.forgetLocked(now)
	if w.Delete && s.liveLocked(w.Key, now) == nil {
		return 0 // an expired one is left to its timer, which announces it
	}
	it := &memoryItem{entry: Entry{Key: w.Key, Value: w.Value, Revision: Revision(m.clock.Add(1)), Written: now, Meta: w.Options.Meta, Deleted: w.Delete}}
	switch {
	case w.Delete:
		s.graves = append(s.graves, it)
	case life > 0:
		it.entry.Expires = now.Add(life)
		it.timer = time.AfterFunc(life, func() { m.expire(it) })
	}
	s.replaceLocked(w.Key, it)
	m.announceLocked(s, it.entry)
	return it.entry.Revision
}

// forgetLocked drops the tombstones whose time is over.
func (s *memoryShard) forgetLocked(now time.Time) {
	n := 0
	for ; n < len(s.graves) && now.Sub(s.graves[n].entry.Written) > rememberDeletes; n++ {
		if it := s.graves[n]; s.keys[it.entry.Key] == it {
			delete(s.keys, it.entry.Key)
		}
	}
	if n > 0 {
		s.graves = append(s.graves[:0:0], s.graves[n:]...)
	}
}

// Conflict is what CompareAndSet and Delete answer when the key is at have instead of expect; 0 means it is not there.
func Conflict(key Key, expect, have Revision) error {
	switch {
	case expect == 0:
		return fault.New(fault.Conflict, "key %.64q exists at revision %d, and was to be created: read it and decide again", string(key), have)
	case have == 0:
		return fault.New(fault.Conflict, "key %.64q is gone, and was expected at revision %d: read it and decide again", string(key), expect)
	}
	return fault.New(fault.Conflict, "key %.64q is at revision %d and not %d: read it and decide again", string(key), have, expect)
}

// liveLocked is the key's item, or nil if it is not there or has expired.
func (s *memoryShard) liveLocked(key Key, now time.Time) *memoryItem {
	if it := s.keys[key]; it != nil && it.alive(now) {
		return it
	}
	return nil
}

// replaceLocked puts it, or nothing if it is nil, in the place of what is under key.
func (s *memoryShard) replaceLocked(key Key, it *memoryItem) {
	if old := s.keys[key]; old != nil && old.timer != nil {
		old.timer.Stop()
	}
	if it == nil {
		delete(s.keys, key)
		return
	}
	s.keys[key] = it
}

// expire drops a version and says so, unless another has taken its place.
func (m *Memory) expire(it *memoryItem) {
	key := it.entry.Key
	s := m.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys[key] != it {
		return
	}
	delete(s.keys, key)
	m.tellWatchers(Entry{Key: key, Revision: it.entry.Revision, Written: it.entry.Expires, Deleted: true})
}

// Close ends the watches and feeds and forgets everything.
func (m *Memory) Close() error {
	m.mu.Lock()
	m.closed.Store(true)
	for _, w := range *m.watchers.Load() {
		w.changes.End()
	}
	var feeds []*memoryFeed
	for f := range m.feeds {
		feeds = append(feeds, f)
	}
	m.mu.Unlock()
	for _, f := range feeds {
		f.Close()
	}
	m.pumps.Wait()
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		for key := range s.keys {
			s.replaceLocked(key, nil)
		}
		s.graves = nil
		s.mu.Unlock()
	}
	return nil
}
