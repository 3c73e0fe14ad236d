package cache

import (
	"math/bits"
	"math/rand/v2"
	"sync/atomic"
	"unsafe"

	"github.com/squall-faas/squall/internal/prefetch"
	"github.com/squall-faas/squall/kvs"
)

// front answers most hits. What a hit costs is waiting for memory, one cache line after the other, where the address of the next
// stands in the one before: here that is a bucket, and then an item, in which the version, its key and its value lie one behind
// the other (layout.go). A map, its cell, the version, the key and the value would be half a dozen (BenchmarkHitOverMap). Nor
// does a hit write to memory that others write to, or carry out an atomic operation: the processor would wait there for
// everything before, and reads the next value ahead of time where it need not.
//
// What is left is that the item's address has to come before it can be waited for, and the value's before that. So the bucket
// also knows how long the piece of memory is, and all of it is asked for at once (package prefetch): what was a wait for the
// item and one for the value is a single one.
//
// It is four-way associative: of the keys that share a bucket, one cache line, up to four are in it, and the table answers for
// the others. A bucket has keys of one shard only, whose lock guards writes to it, and
//
//	a bucket has a version  ⇒  that version is in the table, and current
//
// so that who reads a bucket, without the lock, has looked into the table at that moment. For this, a version leaves its
// bucket before it leaves its cell: there is no moment at which one Get gives the new version and a later one the old.
type front []bucket

const ways = 4

// bucket is one cache line. What is under a hash may be another key's for a moment, or have left: whoever reads it compares keys.
type bucket struct {
	tag     [ways]atomic.Uint64
	version [ways]atomic.Pointer[item]
}

// A tag is a hash in which the item's lines take the place of the lowest bits: those are the same for all of a bucket, as
// there is at least a bucket a shard.
const lineBits = shardCount - 1

func tagOf(h uint64, v *item) uint64 { return h&^lineBits | uint64(v.lines) }

// tags reports whether a tag is one of a hash.
func tags(tag, h uint64) bool { return (tag^h)&^lineBits == 0 }

// hitFrom is where in an item that begins what a hit looks at.
const hitFrom = unsafe.Offsetof(item{}.Key) / prefetch.Line * prefetch.Line

// mostLines of an item are asked for at once: of what is longer the processor fetches the rest by itself meanwhile.
const mostLines = 32

// markLines are those of most versions' marks, which follow what any hit looks at.
const markLines = 4

// linesOf is how many lines a hit looks at of an item of which so many bytes behind it count.
func linesOf(behind int) uint8 {
	return uint8(min((int(unsafe.Sizeof(item{})-hitFrom)+behind+prefetch.Line-1)/prefetch.Line, mostLines))
}

// frontSlots is how many versions a front has room for: of its buckets there is at least one a shard, and a power of two,
// which makes a bucket's keys those of one shard.
func frontSlots(maxBytes int64) int64 {
	// One for each version of a kibibyte.
	return max(int64(1)<<(bits.Len64(uint64(maxBytes>>10))-1), shardCount*ways)
}

const slotBytes = 16

func newFront(slots int64) front { return make(front, slots/ways) }

func (f front) bucket(h uint64) *bucket { return &f[h&uint64(len(f)-1)] }

// get gives the current version of key, or nil where the front does not have it. more lines than a hit's are fetched.
func (f front) get(h uint64, key kvs.Key, more int) *item {
	b := f.bucket(h)
	for i := range b.tag {
		tag := b.tag[i].Load()
		if !tags(tag, h) {
			continue
		}
		if v := b.version[i].Load(); v != nil {
			prefetch.Lines(unsafe.Add(unsafe.Pointer(v), hitFrom), int(tag&lineBits)+more)
			if v.Key == key {
				return v
			}
		}
	}
	return nil
}

// putLocked puts a version into its bucket that is in the table.
func (f front) putLocked(h uint64, v *item) {
	b := f.bucket(h)
	at := -1
	for i := range b.tag {
		old := b.version[i].Load()
		if old != nil && tags(b.tag[i].Load(), h) { // another key's would have left with it: a table has one of each hash
			at = i
			break
		}
		if old == nil {
			at = i
		}
	}
	if at < 0 {
		at = rand.IntN(ways) // what is asked for often comes back, and each time another one has to leave
	}
	b.version[at].Store(nil) // no moment at which it is found under the other's tag
	b.tag[at].Store(tagOf(h, v))
	b.version[at].Store(v)
}

// removeLocked is for a version that is about to leave the table.
func (f front) removeLocked(h uint64, v *item) {
	b := f.bucket(h)
	for i := range b.version {
		if b.version[i].Load() == v {
			b.version[i].Store(nil)
		}
	}
}
