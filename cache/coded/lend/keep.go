package lend

import (
	"slices"
	"time"
)

// Held is a column as others ask for it.
type Held struct {
	Meta
	Shards  int
	Bytes   int64
	Sealed  bool
	Hits    int64
	Touched time.Time // by its writer, or sealed
}

func (c *column) held() Held {
	return Held{Meta: c.Meta, Shards: len(c.shards), Bytes: c.bytes, Sealed: c.sealed, Hits: c.hits, Touched: c.touched}
}

// Seal says that a version's write is complete: from now on its columns may be evicted, and are kept without asking. It
// reports whether there are any.
func (m *Memory) Seal(v Version, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	any := false
	for _, c := range m.ring {
		if c.Version == v {
			c.sealed, c.retired, c.touched, any = true, false, now, true
		}
	}
	return any
}

// Retire says that another version is current: this one's columns are kept for those who are reading them, as long as
// nothing else needs their memory and for linger at most, and go before all others.
func (m *Memory) Retire(v Version, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.ring {
		if c.Version == v && !c.retired {
			c.retired, c.retiredAt = true, now
			m.retired = append(m.retired, c)
		}
	}
}

// linger is how long a version that was replaced is kept for those who have begun to read it.
const linger = time.Second

// reapLocked removes what was retired long enough ago, so that memory that is in the machine's caches is used again before
// other memory is.
func (m *Memory) reapLocked(now time.Time) {
	m.retired = slices.DeleteFunc(m.retired, func(c *column) bool {
		if !c.doomed && c.retired && now.Sub(c.retiredAt) >= linger {
			m.removeLocked(c)
		}
		return c.doomed || !c.retired
	})
}

// Drop removes a version's columns, or the one that is named, where column is not negative.
func (m *Memory) Drop(v Version, column int) (dropped int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if column >= 0 {
		if c := m.columns[ID{v, uint16(column)}]; c != nil {
			m.removeLocked(c)
			return 1
		}
		return 0
	}
	for i := len(m.ring) - 1; i >= 0; i-- { // what removal moves has been looked at
		if c := m.ring[i]; c.Version == v {
			m.removeLocked(c)
			dropped++
		}
	}
	return dropped
}

// Held lists what is here, by version and column; those of one version, or where v is nil all.
func (m *Memory) Held(v *Version) []Held {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Held
	for _, c := range m.ring {
		if v == nil || c.Version == *v {
			out = append(out, c.held())
		}
	}
	return sorted(out)
}

// Limit changes how much may be taken, and evicts at once what is over it: first what CLOCK would take, and then whatever
// is left. Memory that somebody reads comes free when they are done; left is how many bytes that are over the limit wait
// for that, and the caller may cut the readers.
func (m *Memory) Limit(bytes int64) (evicted []Held, left int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, 0
	}
	blocks := int(max(bytes, 0) / blockBytes)
	for m.arena.used > blocks {
		c := m.victimLocked()
		if c == nil {
			break
		}
		evicted = append(evicted, c.held())
		m.removeLocked(c)
	}
	for i := len(m.ring) - 1; i >= 0 && m.arena.used > blocks; i-- {
		evicted = append(evicted, m.ring[i].held())
		m.removeLocked(m.ring[i])
	}
	m.stats.Evicted += int64(len(evicted))
	m.arena.setLimit(blocks)
	return evicted, int64(max(m.arena.used-m.arena.limit, 0)) * blockBytes
}

// Sweep removes what has expired, and what was retired for long, and gives the columns that were not written to for grace and are not sealed: of writes that went
// wrong, or whose seal was lost. Whoever knows which versions are current seals or drops them.
func (m *Memory) Sweep(now time.Time, grace time.Duration) (unsealed []Held) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reapLocked(now)
	for i := len(m.ring) - 1; i >= 0; i-- {
		c := m.ring[i]
		switch {
		case c.expired(now):
			m.stats.Expired++
			m.removeLocked(c)
		case !c.sealed && now.Sub(c.touched) >= grace:
			unsealed = append(unsealed, c.held())
		}
	}
	return sorted(unsealed)
}
