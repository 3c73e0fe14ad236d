package kvs

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/value"
)

// memoryShards splits the map so that Gets on different cores do not meet on one lock.
const memoryShards = 256

// Memory is a Store in this process's memory: the reference model of what a Store does, and the store of clusters that
// live in one process. Nothing survives it. Values are kept as they are, so a live value is handed to its readers
// without a codec. Time is time.Now, so that it runs in a testing/synctest bubble.
type Memory struct {
	seed   maphash.Seed
	shards [memoryShards]memoryShard
	clock  atomic.Uint64 // the last revision given; one count for all keys keeps revisions growing over deletes

	watchers atomic.Pointer[[]*memoryWatcher] // replaced, never changed
	mu       sync.Mutex                       // guards replacing watchers, and closing
	closed   atomic.Bool
	pumps    sync.WaitGroup
}

type memoryShard struct {
	mu   sync.RWMutex // guards keys
	keys map[Key]*memoryItem
	_    [32]byte // keeps two shards' locks off one cache line
}

type memoryItem struct {
	entry   Entry
	expires time.Time   // zero: never
	timer   *time.Timer // announces the expiry; nil where there is none
}

func (it *memoryItem) alive(now time.Time) bool { return it.expires.IsZero() || now.Before(it.expires) }

// NewMemory makes an empty store.
func NewMemory() *Memory {
	m := &Memory{seed: maphash.MakeSeed()}
	for i := range m.shards {
		m.shards[i].keys = make(map[Key]*memoryItem)
	}
	m.watchers.Store(new([]*memoryWatcher))
	return m
}

func (m *Memory) shard(key Key) *memoryShard {
	return &m.shards[maphash.String(m.seed, string(key))%memoryShards]
}

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
	if it == nil || !it.expires.IsZero() && !it.alive(time.Now()) {
		return Entry{}, fault.New(fault.NotFound, "there is no value under key %.64q: put one first, or correct the key", string(key))
	}
	return it.entry, nil // items are replaced, never changed
}

// Put writes v whatever was there.
func (m *Memory) Put(ctx context.Context, key Key, v value.Value, o PutOptions) (Revision, error) {
	return m.write(ctx, key, v, o, func(*memoryItem) error { return nil })
}

// CompareAndSet writes v if the key's revision is expect.
func (m *Memory) CompareAndSet(ctx context.Context, key Key, v value.Value, expect Revision, o PutOptions) (Revision, error) {
	return m.write(ctx, key, v, o, func(it *memoryItem) error { return compare(key, it, expect) })
}

func compare(key Key, it *memoryItem, expect Revision) error {
	var have Revision
	if it != nil {
		have = it.entry.Revision
	}
	if have == expect {
		return nil
	}
	return Conflict(key, expect, have)
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

func (m *Memory) write(ctx context.Context, key Key, v value.Value, o PutOptions, may func(*memoryItem) error) (Revision, error) {
	if err := m.check(ctx); err != nil {
		return 0, err
	}
	if err := key.Check(); err != nil {
		return 0, err
	}
	v, err := CheckValue(v)
	if err != nil {
		return 0, err
	}
	life, err := o.Lifetime()
	if err != nil {
		return 0, err
	}
	s := m.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.closed.Load() { // under the lock, so that no timer starts behind Close's back
		return 0, errClosed()
	}
	now := time.Now()
	old := s.liveLocked(key, now)
	if err := may(old); err != nil {
		return 0, err
	}
	it := &memoryItem{entry: Entry{Key: key, Value: v, Revision: Revision(m.clock.Add(1)), Written: now}}
	if life > 0 {
		it.expires = now.Add(life)
		rev := it.entry.Revision
		it.timer = time.AfterFunc(life, func() { m.expire(key, rev) })
	}
	s.replaceLocked(key, it)
	m.announce(it.entry)
	return it.entry.Revision, nil
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

// Delete removes the key.
func (m *Memory) Delete(ctx context.Context, key Key, expect Revision) error {
	if err := m.check(ctx); err != nil {
		return err
	}
	if err := key.Check(); err != nil {
		return err
	}
	s := m.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	it := s.liveLocked(key, now)
	if expect != 0 {
		if err := compare(key, it, expect); err != nil {
			return err
		}
	}
	if it == nil {
		return nil // an expired one is left to its timer, which announces it
	}
	s.replaceLocked(key, nil)
	m.announce(Entry{Key: key, Revision: Revision(m.clock.Add(1)), Written: now, Deleted: true})
	return nil
}

// expire drops the version rev of key and says so, unless another has taken its place.
func (m *Memory) expire(key Key, rev Revision) {
	s := m.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	it := s.keys[key]
	if it == nil || it.entry.Revision != rev {
		return
	}
	delete(s.keys, key)
	m.announce(Entry{Key: key, Revision: rev, Written: it.expires, Deleted: true})
}

// Close ends the watches and forgets everything.
func (m *Memory) Close() error {
	m.mu.Lock()
	m.closed.Store(true)
	for _, w := range *m.watchers.Load() {
		w.changes.End()
	}
	m.mu.Unlock()
	m.pumps.Wait()
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		for key := range s.keys {
			s.replaceLocked(key, nil)
		}
		s.mu.Unlock()
	}
	return nil
}
