package bench

import (
	"bytes"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/squall-faas/squall/cache"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// cacheletRun is what a node's cache has made of a workload.
type cacheletRun struct {
	hits int
	each int64 // bytes that it counts for one version
}

// runCachelet reads a workload through a node's cache over a store in memory.
func runCachelet(ctx context.Context, w hitWorkload, budget int64) (out cacheletRun, err error) {
	store := kvs.NewMemory()
	defer func() { err = errors.Join(err, store.Close()) }()
	var payloads [251]value.Value // a key's is that of its number modulo 251: one for each would take gigabytes
	for i := range payloads {
		payloads[i] = value.MustOf(bytes.Repeat([]byte{byte(i)}, hitBytes))
	}
	names := make([]kvs.Key, w.keys)
	for k := range names {
		names[k] = kvs.Key(fmt.Sprintf("hit/%08d", k))
		if _, err := store.Put(ctx, names[k], payloads[k%len(payloads)], kvs.PutOptions{}); err != nil {
			return out, err
		}
	}
	c, err := cache.New(cache.Config{Store: store, MaxBytes: budget})
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	before := c.Stats()
	for i, k := range w.of {
		v, err := c.Get(ctx, names[k])
		if err != nil {
			return out, err
		}
		if b, err := value.As[[]byte](v); err != nil || len(b) != hitBytes || int(b[0]) != k%len(payloads) {
			return out, fault.New(fault.Internal, "%w: key %s holds %d bytes of another, %v", errWrongAnswer, names[k], len(b), err)
		}
		if i%16 == 0 {
			runtime.Gosched() // the policy decides on a goroutine of its own, which a node's traffic leaves time to run
		}
	}
	after := c.Stats()
	return cacheletRun{hits: len(w.of) - int(after.Misses-before.Misses), each: after.Bytes / int64(max(after.Entries, 1))}, nil
}

// byteLRU is the plain LRU of golang-lru, bounded by bytes.
type byteLRU struct {
	lru   *simplelru.LRU[int, int64]
	bytes int64
	room  int64
}

func newByteLRU(room int64) *byteLRU {
	l := &byteLRU{room: room}
	var err error
	if l.lru, err = simplelru.NewLRU(1<<30, func(_ int, bytes int64) { l.bytes -= bytes }); err != nil {
		panic(err) // its size is not positive
	}
	return l
}

// access reports whether key is held, and holds it from now on.
func (l *byteLRU) access(key int, bytes int64) bool {
	if _, hit := l.lru.Get(key); hit {
		return true
	}
	if bytes <= l.room {
		l.lru.Add(key, bytes)
		l.bytes += bytes
		l.shed()
	}
	return false
}

func (l *byteLRU) resize(room int64) {
	l.room = room
	l.shed()
}

func (l *byteLRU) shed() {
	for l.bytes > l.room {
		l.lru.RemoveOldest()
	}
}

// runLRU counts the hits of plain LRU.
func runLRU(of []int, budget, each int64) (hits int) {
	l := newByteLRU(budget)
	for _, k := range of {
		if l.access(k, each) {
			hits++
		}
	}
	return hits
}

// runBelady counts the hits of the optimum for room objects of one size: it knows the future, and holds whatever is needed
// next (Belady 1966; it may also not take in what it misses, as a cache with admission may).
func runBelady(of []int, keys, room int) (hits int) {
	next := make([]int, len(of)) // access that needs the same key again
	seen := make([]int, keys)
	for k := range seen {
		seen[k] = len(of)
	}
	for i := len(of) - 1; i >= 0; i-- {
		next[i] = seen[of[i]]
		seen[of[i]] = i
	}
	held := make([]bool, keys)
	count := 0
	// What is held, whatever is needed last on top. A hit leaves its old place in the heap behind; that lies in the past
	// and so below all that is to come.
	var h needs
	for i, k := range of {
		if held[k] {
			hits++
		} else if next[i] == len(of) {
			continue
		} else if count < room {
			count++
		} else if next[i] >= h[0].at {
			continue
		} else {
			held[heap.Pop(&h).(need).key] = false
		}
		held[k] = true
		heap.Push(&h, need{next[i], k})
	}
	return hits
}

type need struct{ at, key int }

type needs []need

func (h needs) Len() int           { return len(h) }
func (h needs) Less(i, j int) bool { return h[i].at > h[j].at }
func (h needs) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *needs) Push(x any)        { *h = append(*h, x.(need)) }
func (h *needs) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	*h = (*h)[:last]
	return x
}
