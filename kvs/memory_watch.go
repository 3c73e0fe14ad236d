package kvs

import (
	"context"
	"strings"
)

type memoryWatcher struct {
	prefix  string
	changes *Changes[Entry]
}

// Watch streams the changes of keys that begin with prefix.
func (m *Memory) Watch(ctx context.Context, prefix Key) (<-chan Entry, error) {
	if err := m.check(ctx); err != nil {
		return nil, err
	}
	w := &memoryWatcher{prefix: string(prefix), changes: NewChanges[Entry](MaxPending)}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed.Load() {
		return nil, errClosed()
	}
	old := *m.watchers.Load()
	all := append(old[:len(old):len(old)], w)
	m.watchers.Store(&all)
	out := make(chan Entry)
	m.pumps.Go(func() {
		w.changes.Run(ctx, out, func(e Entry) (Entry, bool) { return e, true })
		m.forget(w)
	})
	return out, nil
}

func (m *Memory) forget(w *memoryWatcher) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var rest []*memoryWatcher
	for _, other := range *m.watchers.Load() {
		if other != w {
			rest = append(rest, other)
		}
	}
	m.watchers.Store(&rest)
}

// announceLocked tells the watchers and followers. The caller holds the lock of the key's shard, so a key's changes come
// in order, and a write that begins after Watch or Add returned finds whoever is interested.
func (m *Memory) announceLocked(s *memoryShard, e Entry) {
	m.tellWatchers(e)
	for _, f := range s.followers[e.Key] {
		f.push(Push{Entry: e})
	}
}

func (m *Memory) tellWatchers(e Entry) {
	for _, w := range *m.watchers.Load() {
		if strings.HasPrefix(string(e.Key), w.prefix) {
			w.changes.Add(e.Key, e)
		}
	}
}
