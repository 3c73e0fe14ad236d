package cache

// Stats of a Cache since it was made; Bytes, Entries, Dirty, Pinned and Runs are of now.
type Stats struct {
	Hits      uint64 // Gets answered from memory; where there are many a second, estimated from a sample of them
	Misses    uint64 // Gets that waited for a peer or the store, alone or with others
	Reads     uint64 // reads of the store
	PeerReads uint64 // reads answered by a peer
	Evictions uint64 // versions that made room for others
	Refused   uint64 // versions that were not admitted
	Pushes    uint64 // changes that the store pushed
	Repaired  uint64 // changes that a periodic check found because their push was lost
	Bytes     int64  // held, or pinned outside of the table, as counted against MaxBytes
	Entries   int    // keys held
	Dirty     int64  // bytes of writes that are not stored yet
	Pinned    int64  // bytes that are kept for runs, in the table or not
	Runs      int    // for how many runs something is kept
}

// AppStats are those of one application's cachelet. Hits are estimated from a sample of the Gets.
type AppStats struct {
	App      string // "" is the main one
	Bytes    int64  // held
	Capacity int64  // that it may hold
	Hits     uint64
	Misses   uint64
}

// Stats takes a little time for each of a few shards and does not stop the cache, so its fields may be of slightly
// different moments.
func (c *Cache) Stats() Stats {
	s := Stats{
		Bytes: c.bytes.Load() + c.pins.outside.Load(), Evictions: c.evictions.Load(), Refused: c.refused.Load(),
		Dirty: c.dirty.bytes(), Pinned: c.pins.bytes.Load(), Runs: c.PinnedRuns(), PeerReads: c.cachelets.peerReads.Load(),
		Pushes: c.pushes.Load(), Repaired: c.checks.repaired.Load(),
	}
	for i := range c.shards {
		sh := &c.shards[i]
		s.Hits += sh.hits.Load()
		s.Misses += sh.misses.Load()
		s.Reads += sh.reads.Load()
		sh.mu.Lock()
		s.Entries += len(sh.cells)
		sh.mu.Unlock()
	}
	return s
}

// AppStats gives those of all applications that have a cachelet here, by name.
func (c *Cache) AppStats() []AppStats {
	all := c.cachelets.list()
	out := make([]AppStats, len(all))
	for i, l := range all {
		out[i] = AppStats{App: l.app, Bytes: l.bytes.Load(), Capacity: l.capacity.Load(), Hits: l.hits.Load(), Misses: l.misses.Load()}
	}
	return out
}
