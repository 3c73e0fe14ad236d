package kvs

import (
	"context"
	"time"
)

// GetMany reads several keys.
func (m *Memory) GetMany(ctx context.Context, keys []Key) ([]Entry, error) {
	if err := m.check(ctx); err != nil {
		return nil, err
	}
	if err := CheckKeys(keys); err != nil {
		return nil, err
	}
	now := time.Now()
	entries := make([]Entry, len(keys))
	for i, key := range keys {
		entries[i] = m.look(key, now)
	}
	return entries, nil
}

// look gives the entry or tombstone under key, or an Entry without a revision.
func (m *Memory) look(key Key, now time.Time) Entry {
	s := m.shard(key)
	s.mu.RLock()
	it := s.keys[key]
	s.mu.RUnlock()
	if it == nil || !it.entry.fresh(now) {
		return Entry{Key: key}
	}
	return it.entry
}

// Current is Get: there is one copy.
func (m *Memory) Current(ctx context.Context, key Key) (Entry, error) {
	if err := m.check(ctx); err != nil {
		return Entry{}, err
	}
	if err := key.Check(); err != nil {
		return Entry{}, err
	}
	return m.look(key, time.Now()), nil
}

// News compares every held key; that is cheap here, so since is not looked at.
func (m *Memory) News(ctx context.Context, held []Held, _ Mark) (newer []Entry, next Mark, err error) {
	if err := m.check(ctx); err != nil {
		return nil, Mark{}, err
	}
	for _, h := range held {
		if err := h.Key.Check(); err != nil {
			return nil, Mark{}, err
		}
	}
	now := time.Now()
	next = Mark{At: now, Seqs: []uint64{m.clock.Load()}}
	for _, h := range held {
		if e := m.look(h.Key, now); h.Differs(&e) {
			newer = append(newer, e)
		}
	}
	return newer, next, nil
}

// Differs tells whether e, as GetMany gives it, is news to one who holds h. It makes an entry that is not there, and was
// held, one that is Deleted.
func (h Held) Differs(e *Entry) bool {
	switch {
	case e.Revision == h.Revision:
		return false
	case e.Revision == 0:
		e.Revision, e.Deleted = h.Revision, true
	case e.Deleted && h.Revision == 0:
		return false
	}
	return true
}
