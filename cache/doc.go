// Package cache is a node's cache of the key-value store: functions read and write state through it at memory speed, at the
// consistency level of their run (docs/consistency.md). It follows the caches of Cloudburst (VLDB '20, §4.2 and §5.3) and
// Faa$T (SoCC '21, §3 and §4).
//
//	Session ── level: may this run see it? ──▶ Cachelet
//	                                             │ Get                                    │ Put
//	                                          front ──hit──▶ value                     pending ── what Gets here see
//	                                             │ miss                                   │
//	                                        table, pending ──hit──▶ value             write-back: one batch a flush,
//	                                             │ miss                                   │       under this node's fence
//	                                        flight: one read for all who miss             ▼
//	                                             └──▶ owner among the peers ──▶ store ◀──┘
//
// # Who holds what
//
// The front decides nothing: it has some of what the table has. The table decides what is true, and how many bytes are held.
// Ristretto decides who is admitted and who is evicted (TinyLFU). It may drop, delay and reorder what it is told, and it lets
// a first version win over a second one that comes while the first still waits in its buffer. So it holds no values. It holds
// cells, and a cell has a pointer to the current version of its key, which is swapped in place when there is a newer one, and
// is nil once the key has left the cache: whatever ristretto still remembers of it then means nothing. One table, guarded by
// its shards' locks, has all cells with a version and counts their bytes:
//
//	a cell has a version  ⇔  the cell is in the table  ⇔  its bytes are counted
//
// What waits in ristretto's buffers is in the table too, and so within the bound. No Get waits for ristretto or asks it for a
// value; it hears of a sample of them. The front has a slot for each few keys, with the current version of one of them: it
// saves a hit the table's lock and most of its cache misses. A version leaves it before it leaves the table.
//
// The table has clean copies only. What is not stored yet is pending, and what runs have read at a repeatable level is
// pinned: neither is ristretto's to evict, and both are counted and bounded by themselves.
//
// # Applications, and how what they hold scales
//
// Each application has a Cachelet: what it read first counts against its share of the bytes, and nobody else's reads drive that
// out. How much that is follows three things (Faa$T §4):
//
//	memory of the process ── short: less, at once; ample: more, in steps ──▶ budget of all
//	                                                                           │
//	sample of the Gets ──▶ miss-ratio curve of each application ──▶ Split ─────┴──▶ share of each
//	bytes that others fetch of a key ──▶ over how many nodes it is spread
//
// The decisions are package reuse's. An application that is idle is unloaded, and leaves a record of what it used, from which
// its keys are read ahead when it comes back. There are MaxApps cachelets at a time at most, and so of each metric that has an
// application's label.
//
// # Write-back
//
// What is written to a key is pending, in its order, over the version that the store is known to have. Whoever waits is
// answered when it is stored; what was acknowledged as cached is bounded by Config.MaxDirty and MaxDirtyAge. Batch after batch
// goes to the store, each write with the revision that it was made of:
//
//	          stored ◀── landed
//	            ▲
//	base ──▶ attempt ── conflict ──▶ another base: the writes are applied to that
//	            │
//	            └── answer lost ──▶ what has the store?
//	                                  as before    the attempt goes again as it was: one of the two can succeed
//	                                  the attempt  landed
//	                                  another one  applied to that, where applying twice is applying once; a linearizable
//	                                               write ends as unavailable, for it may undo what came after it
//
// Before anything is stored, the store's feed is told of its key: a node that has written a key hears of every later write.
// All writes carry this node's fence, and when that is raised, because the node was declared dead, none is stored any more.
//
// # Peers
//
// A key that is not held is read through the node that owns it, by rendezvous hashing, so that the store is asked once for all
// of them. A peer's answer may be as old as what a cache holds; who needs more asks the store, and so does who has given out
// something newer (floors.go).
//
// # Lent memory
//
// The bytes of a large version that a node has to read again may come from memory that the fleet lends (lent.go). The store says
// first which version is current, and by its checksums which bytes it has.
//
// # Freshness
//
// The store pushes changes of the keys that are held (kvs.Feed). A push may be lost, late or double, so it is not relied on:
// every two seconds the store is asked what has changed of those keys since (kvs.Store.News). A version replaces only lower
// revisions. Reads and writes under way leave a note under their key, in which the highest revision is kept that was seen
// meanwhile: what comes back older is not cached, and a Get that begins later does not join the read. While the store is away
// what is held is served on, at lww.
//
//	after Put returned            a Get here gives that version or a later one
//	after Delete returned         a Get here gives no version from before it
//	after another node's write    a Get here gives it as soon as the push has come, typically within a millisecond, else
//	                              after the next check
//	two Gets one after the other  the second never gives an older version than the first
//
// A write that was answered when it was cached, and that a crash or a fence has kept from the store, is the one exception.
// That no key exists is not cached: each Get of a missing key asks the store.
//
// # Sessions
//
// What a run may see is judged by package session; a Session here carries it out: it finds a version that fits, on this node,
// where the run has pinned it, or in the store, keeps back what must not be visible yet, and stores each causal write after
// what it depends on. What is cached is a causal cut: before a version becomes visible, older versions of what it depends on
// leave the cache (floors.go).
package cache
