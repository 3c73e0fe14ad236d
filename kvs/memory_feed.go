package kvs

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
)

// FeedBuffer is how many pushes a Feed holds that its holder has not taken; what comes then is dropped, and counted.
const FeedBuffer = 4096

// memoryFeed is a Feed of a Memory. A shard's lock is taken before mu.
type memoryFeed struct {
	m       *Memory
	out     chan Push
	dropped atomic.Uint64

	mu     sync.Mutex // guards what follows, and sending on out against closing it
	keys   map[Key]struct{}
	closed bool
}

// Follow opens a feed.
func (m *Memory) Follow(ctx context.Context) (Feed, error) {
	if err := m.check(ctx); err != nil {
		return nil, err
	}
	f := &memoryFeed{m: m, out: make(chan Push, FeedBuffer), keys: make(map[Key]struct{})}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed.Load() {
		return nil, errClosed()
	}
	m.feeds[f] = struct{}{}
	return f, nil
}

// Add declares interest in keys.
func (f *memoryFeed) Add(keys ...Key) error {
	for _, key := range keys {
		if err := f.add(key); err != nil {
			return err
		}
	}
	return nil
}

func (f *memoryFeed) add(key Key) error {
	if err := key.Check(); err != nil {
		return err
	}
	s := f.m.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return FeedClosed()
	}
	if _, ok := f.keys[key]; ok {
		return nil
	}
	f.keys[key] = struct{}{}
	if s.followers == nil {
		s.followers = make(map[Key][]*memoryFeed)
	}
	s.followers[key] = append(s.followers[key], f)
	return nil
}

// Remove ends the interest in key.
func (f *memoryFeed) Remove(key Key) {
	s := f.m.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	f.mu.Lock()
	delete(f.keys, key)
	f.mu.Unlock()
	rest := slices.DeleteFunc(s.followers[key], func(other *memoryFeed) bool { return other == f })
	if len(rest) == 0 {
		delete(s.followers, key)
		return
	}
	s.followers[key] = rest
}

// push hands p on, or drops it where nobody takes them. The caller holds the shard's lock.
func (f *memoryFeed) push(p Push) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	select {
	case f.out <- p:
	default:
		f.dropped.Add(1)
	}
}

// Changes are the pushes.
func (f *memoryFeed) Changes() <-chan Push { return f.out }

// Dropped counts the pushes that found the buffer full.
func (f *memoryFeed) Dropped() uint64 { return f.dropped.Load() }

// Close ends the feed.
func (f *memoryFeed) Close() {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return
	}
	f.closed = true
	close(f.out)
	keys := f.keys
	f.keys = nil
	f.mu.Unlock()
	for key := range keys {
		f.Remove(key)
	}
	f.m.mu.Lock()
	delete(f.m.feeds, f)
	f.m.mu.Unlock()
}
