package kvs

import (
	"context"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/squall-faas/squall/internal/id"
)

// WriteMany carries out independent writes.
func (m *Memory) WriteMany(ctx context.Context, writes []Write, fence Fence) ([]Result, error) {
	if err := m.check(ctx); err != nil {
		return nil, err
	}
	if err := CheckBatch(writes); err != nil {
		return nil, err
	}
	m.fencing.RLock()
	defer m.fencing.RUnlock()
	if err := m.passLocked(fence); err != nil {
		return nil, err
	}
	results := make([]Result, len(writes))
	for i, w := range writes {
		results[i].Revision, results[i].Err = m.write(ctx, w)
	}
	return results, nil
}

// Commit carries out writes and checks atomically: all keys lie in one shard, whose lock it holds.
func (m *Memory) Commit(ctx context.Context, writes []Write, checks []Check, fence Fence) ([]Revision, error) {
	if err := m.check(ctx); err != nil {
		return nil, err
	}
	writes, lives, err := CheckCommit(m.Slot, writes, checks)
	if err != nil {
		return nil, err
	}
	m.fencing.RLock()
	defer m.fencing.RUnlock()
	if err := m.passLocked(fence); err != nil {
		return nil, err
	}
	if len(writes)+len(checks) == 0 {
		return nil, nil
	}
	var s *memoryShard
	if len(writes) > 0 {
		s = m.shard(writes[0].Key)
	} else {
		s = m.shard(checks[0].Key)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for _, c := range checks {
		if err := m.mayLocked(s, c.Key, c.Expect, now); err != nil {
			return nil, err
		}
	}
	for _, w := range writes {
		if err := m.mayLocked(s, w.Key, w.Expect, now); err != nil {
			return nil, err
		}
	}
	revs := make([]Revision, len(writes))
	for i, w := range writes {
		revs[i] = m.storeLocked(s, w, lives[i], now)
	}
	return revs, nil
}

// Slot of a key.
func (m *Memory) Slot(key Key) int { return int(xxhash.Sum64String(key.Tag()) % Slots) }

// Fence raises the fence of a writer; when it returns no write with an earlier one is under way.
func (m *Memory) Fence(ctx context.Context, writer string) (Fence, error) {
	if err := m.check(ctx); err != nil {
		return Fence{}, err
	}
	if err := id.CheckName("writer", writer); err != nil {
		return Fence{}, err
	}
	m.fencing.Lock()
	defer m.fencing.Unlock()
	m.fences[writer]++
	return Fence{Writer: writer, Marks: []uint64{m.fences[writer]}}, nil
}

// passLocked refuses a fence that is not the writer's last.
func (m *Memory) passLocked(f Fence) error {
	if f.Writer == "" || len(f.Marks) == 1 && f.Marks[0] == m.fences[f.Writer] {
		return nil
	}
	return Overtaken(f.Writer)
}
