package jetkv

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

const (
	// floorsPerShard bounds what a shard remembers of its keys: some 200 bytes each.
	floorsPerShard = 1 << 15
	// staleFor is how far behind a replica may be that still answers direct reads. What is forgotten sooner after it
	// was seen makes the shard ask its leader for as long.
	staleFor = 30 * time.Second
)

// floor is the last that this Store knows of a key: what it wrote, read or watched.
type floor struct {
	rev    uint64
	gone   bool      // rev deleted the key, or the key at rev was found to be gone
	buried bool      // rev deleted the key: a tombstone is there, or was
	chunks uint64    // the write whose chunks hold the value at rev; 0: none
	at     time.Time // when rev was seen
	timed  time.Time // until when the key's mark of having a TTL is sure to be there
}

// floors are what make direct reads, which any replica answers, never go back behind what this Store has seen. A
// replica's answer that is older than the floor of its key is asked again of the leader.
type floors struct {
	size int

	mu     sync.Mutex // guards what follows
	lru    *simplelru.LRU[string, floor]
	leader time.Time // until when only the leader is asked, because a young floor was forgotten
}

func newFloors(size int) *floors {
	lru, err := simplelru.NewLRU[string, floor](size, nil)
	if err != nil {
		panic(err) // a size that is not positive
	}
	return &floors{size: size, lru: lru}
}

// get gives the floor of a subject, and whether a direct read of it will do.
func (f *floors) get(subject string) (fl floor, direct bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fl, known := f.lru.Get(subject)
	return fl, known || f.leader.IsZero() || time.Now().After(f.leader)
}

// raise records that the key was seen at rev. An older rev changes nothing; nor does, unless it is to be kept, a key
// that there is no floor of.
func (f *floors) raise(subject string, rev uint64, gone bool, chunks uint64, keep bool) {
	f.update(subject, func(old floor, known bool) (floor, bool) {
		if !known && !keep || rev < old.rev || rev == old.rev && old.gone {
			return old, false
		}
		return floor{rev: rev, gone: gone, buried: gone, chunks: chunks, at: time.Now(), timed: old.timed}, true
	})
}

// absent records that nothing was found where rev had been seen before anybody was asked. What was seen meanwhile is newer than
// the answer, and stays.
func (f *floors) absent(subject string, rev uint64) {
	f.update(subject, func(old floor, known bool) (floor, bool) {
		if !known || old.rev != rev || old.gone {
			return old, false
		}
		return floor{rev: rev, gone: true, at: time.Now(), timed: old.timed}, true
	})
}

// mark records that the key's mark of having a TTL lasts until then.
func (f *floors) mark(subject string, until time.Time) {
	f.update(subject, func(old floor, _ bool) (floor, bool) {
		old.timed, old.at = until, time.Now()
		return old, true
	})
}

func (f *floors) update(subject string, edit func(old floor, known bool) (floor, bool)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	old, known := f.lru.Peek(subject)
	fl, changed := edit(old, known)
	if !changed {
		return
	}
	if !known && f.lru.Len() >= f.size {
		if _, lost, ok := f.lru.RemoveOldest(); ok {
			if until := lost.at.Add(staleFor); until.After(time.Now()) && until.After(f.leader) {
				f.leader = until
			}
		}
	}
	f.lru.Add(subject, fl)
}
