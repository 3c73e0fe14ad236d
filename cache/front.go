package cache

import (
	"math/bits"
	"math/rand/v2"
	"sync/atomic"

	"github.com/squall-faas/squall/kvs"
)

// front answers most hits. A hit costs what waiting for memory costs, one cache line after the other: here that is a
// slot, a version and its value, where a map and its cell would be half a dozen (BenchmarkHit; cache_hit of
// squall bench compose).
//
// It is direct-mapped: of the keys that share a slot one is in it, and the table answers for the others. A slot has
// keys of one shard only, whose lock guards writes to it, and
//
//	a slot has a version  ⇒  that version is in the table, and current
//
// so that who reads a slot, without the lock, has looked into the table at that moment. For this, a version leaves its
// slot before it leaves its cell: there is no moment at which one Get gives the new version and a later one the old.
type front []atomic.Pointer[version]

// frontSlots is how many slots a front has: at least one a shard, and a power of two, which makes a slot's keys those
// of one shard.
func frontSlots(maxBytes int64) int64 {
	// One for each version of a kibibyte, in eight bytes.
	return max(int64(1)<<(bits.Len64(uint64(maxBytes>>10))-1), shardCount)
}

const slotBytes = 8

func (f front) slot(h uint64) *atomic.Pointer[version] { return &f[h&uint64(len(f)-1)] }

// get gives the current version of key, or nil where another one is in its slot, or none.
func (f front) get(h uint64, key kvs.Key) *version {
	if v := f.slot(h).Load(); v != nil && v.entry.Key == key {
		return v
	}
	return nil
}

// putLocked puts a version into its slot that is in the table.
func (f front) putLocked(h uint64, v *version) { f.slot(h).Store(v) }

// removeLocked is for a version that is about to leave the table.
func (f front) removeLocked(h uint64, v *version) {
	if slot := f.slot(h); slot.Load() == v {
		slot.Store(nil)
	}
}

// hearEvery is of how many Gets ristretto hears of one, hit or miss, drawn at random: how often keys are read
// relative to each other, which is all TinyLFU compares, stays the same.
const hearEvery = 8

// hear lets ristretto know of a Get, perhaps.
func (c *Cache) hear(s *shard, h uint64) {
	if rand.Uint32()%hearEvery != 0 {
		return
	}
	s.hearing.Add(1)
	if !c.closed.Load() {
		c.policy.Get(h)
	}
	s.hearing.Add(-1)
}
