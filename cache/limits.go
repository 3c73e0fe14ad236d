package cache

const (
	// overhead is what one cached version costs beside its key and payload: the cell, the version, and a slot in the
	// table and in each of ristretto's two maps. TestMemory measures it.
	overhead = 400
	// husk is what ristretto needs to remember a key that has left the cache.
	husk = 200
	// queueLimit is how many Sets may wait in ristretto's buffer. It is well below the 32,768 at which ristretto begins
	// to drop them, some without a word, and with them its knowledge of what they cost.
	queueLimit = 4096
	queueItem  = 256 // bytes of a Set that waits, and of its cell
)

// limits in bytes that follow from Config.MaxBytes.
type limits struct {
	hard     int64 // of all that is in the table
	soft     int64 // of what ristretto keeps; between soft and hard is what waits for its decision
	entry    int64 // of one version; larger ones are not cached. One of these fits between soft and hard
	counters int64 // of ristretto's sketch, not in bytes
	slots    int64 // of the front, not in bytes
}

func limitsOf(maxBytes int64) limits {
	// Four counters for each version of a kibibyte; ristretto spends up to four bytes on each.
	counters := min(max(4*maxBytes/(1<<10), 1<<12), 4<<20)
	slots := frontSlots(maxBytes)
	hard := maxBytes - 4*counters - queueLimit*queueItem - slots*slotBytes
	return limits{hard: hard, soft: hard - hard/8, entry: hard / 8, counters: counters, slots: slots}
}
