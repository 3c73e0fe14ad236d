package lend

import (
	"slices"
	"sync"
	"time"

	"github.com/squall-faas/squall/fault"
)

// Version names one content for ever.
type Version [16]byte

// ID names a column: what one lender holds of one version of an object.
type ID struct {
	Version Version
	Column  uint16
}

// Meta is what a writer says of a column with each shard.
type Meta struct {
	ID
	Key     string
	Expires time.Time // zero: never
}

// Memory holds columns in an arena, at most as many bytes as its limit. When it is full, CLOCK chooses what goes: whole
// columns, because an object that lacks one shard of a column is not better off than one that lacks the column. What is
// being written, and is not sealed, does not go. Safe for concurrent use.
type Memory struct {
	mu      sync.Mutex // guards what follows
	arena   *arena
	columns map[ID]*column
	ring    []*column // CLOCK's, in no order that matters
	hand    int
	retired []*column // those of versions that are not current any more, and some that are gone
	stats   Stats
	closed  bool
}

type column struct {
	Meta
	shards    map[uint32]*shard
	blocks    int
	bytes     int64
	touched   time.Time // by its writer
	sealed    bool
	used      bool // since the hand came by
	hits      int64
	pins      int // readers and writers of its memory
	retired   bool
	retiredAt time.Time
	doomed    bool // gone, once nobody reads it any more
	at        int  // in the ring
}

type shard struct {
	blocks []int32
	size   int
	sum    uint64
}

// Stats of a Memory.
type Stats struct {
	Limit    int64 `json:"limit"`    // bytes that may be taken
	Used     int64 `json:"used"`     // bytes that are, by whole blocks
	Resident int64 `json:"resident"` // and those kept ready: what the process has of the system's memory
	Pinned   int64 `json:"pinned"`   // bytes of what is gone and still being read
	Columns  int   `json:"columns"`
	Bytes    int64 `json:"bytes"` // of shards
	Puts     int64 `json:"puts"`
	Gets     int64 `json:"gets"`
	Misses   int64 `json:"misses"`
	Evicted  int64 `json:"evicted"` // columns, because it was full or less may be taken
	Expired  int64 `json:"expired"` // columns, by their TTL
}

// NewMemory makes one that may grow to most bytes, and begins with a limit of limit.
func NewMemory(most, limit int64) (*Memory, error) {
	a, err := newArena(most)
	if err != nil {
		return nil, err
	}
	a.setLimit(int(limit / blockBytes))
	return &Memory{arena: a, columns: map[ID]*column{}}, nil
}

func errClosed() error { return fault.New(fault.Unavailable, "this lender is closed") }

// Writing is a shard on its way in.
type Writing struct {
	Views  [][]byte // where its bytes go
	memory *Memory
	column *column
	stripe uint32
	shard  *shard
}

// Put makes room for a shard, evicting others as needed. Commit or Abort has to follow. A column begins with shard 0: so a
// writer whose column was evicted under it hears of it, as conflict. overloaded where there is no room that may be taken.
func (m *Memory) Put(meta Meta, stripe uint32, size int, now time.Time) (*Writing, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, errClosed()
	}
	c := m.columns[meta.ID]
	if c == nil && stripe != 0 {
		return nil, fault.New(fault.Conflict, "this lender has nothing of column %d of that version before shard %d: it has been evicted; begin again with the first, elsewhere", meta.Column, stripe)
	}
	if c == nil {
		c = &column{Meta: meta, shards: map[uint32]*shard{}}
		m.columns[meta.ID] = c
		c.at = len(m.ring)
		m.ring = append(m.ring, c)
	}
	m.reapLocked(now)
	c.touched = now
	c.pins++ // so that it is not evicted to make room for itself
	blocks, err := m.roomLocked(blocksOf(size))
	if err != nil {
		m.unpinLocked(c)
		if len(c.shards) == 0 && c.pins == 0 {
			m.removeLocked(c)
		}
		return nil, err
	}
	s := &shard{blocks: blocks, size: size}
	return &Writing{Views: m.arena.views(blocks, size), memory: m, column: c, stripe: stripe, shard: s}, nil
}

// roomLocked gives n blocks.
func (m *Memory) roomLocked(n int) ([]int32, error) {
	for m.arena.free() < n {
		c := m.victimLocked()
		if c == nil {
			return nil, fault.New(fault.Overloaded, "this lender lends %d bytes and has no room for %d more that it may take: put it elsewhere, or later",
				int64(m.arena.limit)*blockBytes, n*blockBytes)
		}
		m.stats.Evicted++
		m.removeLocked(c)
	}
	return m.arena.take(n), nil
}

// victimLocked is a column that was retired, or else the one that CLOCK chooses (Corbató 1968); nil where none may go.
func (m *Memory) victimLocked() *column {
	for i := 0; i < len(m.retired); i++ {
		c := m.retired[i]
		if c.doomed || !c.retired {
			m.retired = slices.Delete(m.retired, i, i+1)
			i--
		} else if c.pins == 0 {
			return c
		}
	}
	for range 2 * len(m.ring) {
		if m.hand >= len(m.ring) {
			m.hand = 0
		}
		c := m.ring[m.hand]
		if c.sealed && c.pins == 0 && !c.used {
			return c
		}
		c.used = c.used && (!c.sealed || c.pins > 0) // who cannot go keeps its chance
		m.hand++
	}
	return nil
}

// removeLocked forgets a column; its memory is free once nobody reads it.
func (m *Memory) removeLocked(c *column) {
	delete(m.columns, c.ID)
	last := len(m.ring) - 1
	m.ring[c.at] = m.ring[last]
	m.ring[c.at].at = c.at
	m.ring[last] = nil
	m.ring = m.ring[:last]
	c.doomed = true
	if c.pins == 0 {
		m.freeLocked(c)
	}
}

func (m *Memory) freeLocked(c *column) {
	for _, s := range c.shards {
		m.arena.put(s.blocks)
	}
	c.shards, c.blocks, c.bytes = nil, 0, 0
}

func (m *Memory) unpinLocked(c *column) {
	if c.pins--; c.pins == 0 && c.doomed && !m.closed {
		m.freeLocked(c)
	}
}

// Commit makes the shard readable, in the place of one with its number. It reports false where the column was dropped
// meanwhile: then the shard is not held.
func (w *Writing) Commit(sum uint64) bool {
	m := w.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	c := w.column
	if c.doomed {
		m.arena.put(w.shard.blocks)
		m.unpinLocked(c)
		return false
	}
	if old := c.shards[w.stripe]; old != nil {
		if c.pins > 1 { // somebody may be reading it, and they are the same bytes
			m.arena.put(w.shard.blocks)
			m.unpinLocked(c)
			return true
		}
		m.arena.put(old.blocks)
		c.bytes -= int64(old.size)
		c.blocks -= len(old.blocks)
	}
	w.shard.sum = sum
	c.shards[w.stripe] = w.shard
	c.bytes += int64(w.shard.size)
	c.blocks += len(w.shard.blocks)
	m.stats.Puts++
	m.unpinLocked(c)
	return true
}

// Abort gives up: what came is no shard.
func (w *Writing) Abort() {
	m := w.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return
	}
	m.arena.put(w.shard.blocks)
	c := w.column
	m.unpinLocked(c)
	if len(c.shards) == 0 && c.pins == 0 && !c.doomed {
		m.removeLocked(c)
	}
}

// Reading is a shard on its way out. Its memory is not given to anything else until Release.
type Reading struct {
	Views  [][]byte
	Size   int
	Sum    uint64
	memory *Memory
	column *column
}

// Get finds a shard; not_found where it is not here. Release has to follow.
func (m *Memory) Get(id ID, stripe uint32, now time.Time) (*Reading, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, errClosed()
	}
	c := m.columns[id]
	if c == nil || c.shards[stripe] == nil || c.expired(now) {
		m.stats.Misses++
		return nil, fault.New(fault.NotFound, "this lender has no shard %d of column %d of that version", stripe, id.Column)
	}
	s := c.shards[stripe]
	c.used = true
	if stripe == 0 { // reads of a whole column count once
		c.hits++
	}
	c.pins++
	m.stats.Gets++
	return &Reading{Views: m.arena.views(s.blocks, s.size), Size: s.size, Sum: s.sum, memory: m, column: c}, nil
}

func (c *column) expired(now time.Time) bool { return !c.Expires.IsZero() && !now.Before(c.Expires) }

// Release ends the reading of a shard.
func (r *Reading) Release() {
	r.memory.mu.Lock()
	defer r.memory.mu.Unlock()
	r.memory.unpinLocked(r.column)
}

// Stats of now.
func (m *Memory) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.stats
	s.Limit, s.Used, s.Resident = int64(m.arena.limit)*blockBytes, int64(m.arena.used)*blockBytes, m.arena.resident()
	s.Columns = len(m.columns)
	held := 0
	for _, c := range m.columns {
		s.Bytes += c.bytes
		held += c.blocks
	}
	s.Pinned = max(s.Used-int64(held)*blockBytes, 0)
	return s
}

// Close frees all. No Writing or Reading may be in use. Idempotent.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.columns, m.ring = nil, nil
	return m.arena.close()
}

// sorted columns, for those who want them in one order.
func sorted(held []Held) []Held {
	slices.SortFunc(held, func(a, b Held) int {
		if c := slices.Compare(a.Version[:], b.Version[:]); c != 0 {
			return c
		}
		return int(a.Column) - int(b.Column)
	})
	return held
}
