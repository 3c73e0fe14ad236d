package cache

import "math/bits"

// What TestMemory measures.
const (
	// overhead is what one cached version costs beside its key and payload: the cell, the version, and a slot in the
	// table and in each of ristretto's two maps.
	overhead = 640
	// husk is what ristretto needs to remember a key that has left the cache.
	husk = 200
	// queueItem is a Set that waits in ristretto's buffer, and its cell.
	queueItem = 256
	// floorBytes is what a floor costs, with a key of usual length.
	floorBytes = 128
)

// Of one cachelet, whatever it holds.
const (
	// policyBytes is ristretto without its counters: a channel for 32,768 Sets, 256 empty maps, buffers.
	policyBytes = 384 << 10
	// sketchBytes is what the sketch of reuse distances takes for each key that it tracks.
	sketchBytes = 140
)

// limits that follow from Config.MaxBytes, in bytes unless they say otherwise.
type limits struct {
	hard     int64 // of all that is in the table, or pinned
	soft     int64 // of what ristretto keeps; between soft and hard is what waits for its decision
	entry    int64 // of one version; larger ones are not cached. What does not fit between soft and hard is while there is room
	queue    int64 // Sets that may wait in ristretto's buffers, of all applications together
	slots    int64 // of the front, not in bytes
	floors   int   // of one shard, not in bytes
	counters int64 // of one application's ristretto, not in bytes
	tracked  int   // keys of one application's sketch
	apps     int   // that may have a cachelet at a time
}

func limitsOf(maxBytes, maxDirty int64) limits {
	l := limits{
		slots: frontSlots(maxBytes),
		// It is well below the 32,768 at which ristretto begins to drop Sets, some without a word, and with them its
		// knowledge of what they cost.
		queue:  min(maxBytes>>12, 4096),
		floors: int(max(maxBytes>>21, 2)),
		// Two counters for each version of a kibibyte; ristretto takes powers of two.
		counters: int64(1) << min(max(bits.Len64(uint64(maxBytes>>10)), 12), 21),
		tracked:  int(min(max(maxBytes>>16, 256), 4096)),
	}
	l.hard = maxBytes - l.queue*queueItem - l.slots*slotBytes - int64(l.floors)*shardCount*floorBytes - min(maxDirty, maxBytes/8) - l.application()
	l.soft, l.entry = l.hard-slack(l.hard), l.hard/8
	// What further applications cost comes out of what all of them hold: not more than half of it.
	l.apps = int(min(1+l.soft/2/(l.application()+minCapacity), MaxApps))
	return l
}

// slack is how much of so many bytes waits for ristretto's decision at most. It is in the table and answers Gets, but not what
// ristretto would have chosen: with an eighth instead, one to two in a hundred of Zipf-distributed reads are missed more.
func slack(hard int64) int64 {
	const enough = 1 << 20 // of a small cache, for what comes at a time and for larger values
	return max(hard/32, min(hard/8, enough))
}

// application is what one application's cachelet costs without anything in it. Ristretto spends up to four bytes on each
// counter.
func (l *limits) application() int64 {
	return policyBytes + 4*l.counters + sketchBytes*int64(l.tracked)
}
