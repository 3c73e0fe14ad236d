// Package cache is a node's cache of the key-value store: functions read and write state through it at memory speed.
// Reads go through to the store and writes are stored before they are cached, so nothing is lost with a cache. It
// stands in for the caches of Cloudburst (VLDB '20, §4.2) and Faa$T (SoCC '21, §3) in their simplest form: one level,
// clean copies only.
//
//	Get ──▶ front ──hit──▶ value                the front decides nothing: it has some of what the table has
//	           │ miss
//	           ▼
//	        table ──hit──▶ value                the table decides: what is true, and how many bytes are held
//	           │ miss                           ristretto decides: who is admitted, who is evicted (TinyLFU)
//	           ▼
//	        flight: one read of the store for all who miss the key
//
// # Who holds what
//
// Ristretto may drop, delay and reorder what it is told, and it lets a first version win over a second one that comes
// while the first still waits in its buffer. So it holds no values. It holds cells, and a cell has a pointer to the
// current version of its key, which is swapped in place when there is a newer one, and is nil once the key has left
// the cache: whatever ristretto still remembers of it then means nothing. One table, guarded by its shards' locks, has all
// cells with a version and counts their bytes:
//
//	a cell has a version  ⇔  the cell is in the table  ⇔  its bytes are counted
//
// What waits in ristretto's buffers is in the table too, and so within the bound. No Get waits for ristretto or asks it
// for a value; it hears of a sample of them.
//
// The front has a slot for each few keys, with the current version of one of them: it saves a hit the table's lock and
// most of its cache misses. A version leaves it before it leaves the table.
//
// # Freshness
//
// The store pushes every change. What was missed while no watch stood is unknown, so then the cache holds nothing and
// every call goes to the store. A version replaces only lower revisions. Reads and writes under way leave a note under
// their key, in which the highest revision is kept that was seen meanwhile: what comes back older is not cached, and
// a Get that begins later does not join the read.
//
//	after Put returned r          a Get here gives r or a later version
//	after Delete returned         a Get here gives no version from before it
//	after another node's write    a Get here gives it as soon as the push has come, typically within a millisecond
//	two Gets one after the other  the second never gives an older version than the first, while the watch stands
//
// That no key exists is not cached: each Get of a missing key asks the store.
package cache
