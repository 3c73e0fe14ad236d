package jetkv

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/squall-faas/squall/kvs"
)

// JetStream removes an expired message without a word. It can be told to leave a marker in its place, but places it
// without looking whether the key was written again in that moment, and the marker then removes the new value: an
// acknowledged write would be lost. So every watcher knows which keys may expire, by the marks beside them and by what
// arrives, looks at each when its time has come, and says what it finds.

// expiryRetry is when to look again at a key whose time has come and that is still there: servers look every second.
const expiryRetry = 250 * time.Millisecond

// expiry announces to one watcher the keys that expire.
type expiry struct {
	w    *watcher
	wake chan struct{}

	mu    sync.Mutex // guards what follows, and the order of what goes into w.changes
	keys  map[string]*timed
	queue timedHeap
}

// timed is a version of a key that will expire.
type timed struct {
	place
	key   kvs.Key
	seq   uint64
	due   time.Time
	index int
}

func newExpiry(w *watcher) *expiry {
	return &expiry{w: w, wake: make(chan struct{}, 1), keys: make(map[string]*timed)}
}

// track notes a version that was there when the watch began, unless a later one has arrived.
func (x *expiry) track(p place, key kvs.Key, f found, left time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if old := x.keys[p.subject]; old == nil || old.seq <= f.seq {
		x.setLocked(p, key, f.seq, max(left, expiryRetry))
	}
}

// replace notes a version that arrived, left 0 if it does not expire, and queues it by add.
func (x *expiry) replace(p place, key kvs.Key, f found, left time.Duration, add func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if old := x.keys[p.subject]; old != nil {
		x.dropLocked(old)
	}
	if left > 0 {
		x.setLocked(p, key, f.seq, left)
	}
	add()
}

func (x *expiry) setLocked(p place, key kvs.Key, seq uint64, left time.Duration) {
	if old := x.keys[p.subject]; old != nil {
		x.dropLocked(old)
	}
	t := &timed{place: p, key: key, seq: seq, due: time.Now().Add(left)}
	x.keys[p.subject] = t
	heap.Push(&x.queue, t)
	if t.index == 0 {
		select {
		case x.wake <- struct{}{}:
		default:
		}
	}
}

func (x *expiry) dropLocked(t *timed) {
	heap.Remove(&x.queue, t.index)
	delete(x.keys, t.subject)
}

// run looks at the keys as they come due, until ctx ends.
func (x *expiry) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	slots := make(chan struct{}, lookups)
	var looking sync.WaitGroup
	defer looking.Wait()
	for {
		t, wait := x.next()
		if t == nil {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-x.wake:
			case <-ctx.Done():
				return
			}
			continue
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		looking.Go(func() {
			x.look(ctx, t)
			<-slots
		})
	}
}

// next gives a copy of a version that is due, which is put off meanwhile, or the time until there is one.
func (x *expiry) next() (*timed, time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.queue) == 0 {
		return nil, time.Hour
	}
	t := x.queue[0]
	if wait := time.Until(t.due); wait > 0 {
		return nil, wait
	}
	t.due = time.Now().Add(expiryRetry)
	heap.Fix(&x.queue, 0)
	return &timed{place: t.place, key: t.key, seq: t.seq}, 0
}

// look announces the version if it is gone and nothing came after it.
func (x *expiry) look(ctx context.Context, t *timed) {
	f, err := x.w.s.readLeader(ctx, t.place)
	if err != nil && !isCorrupt(err) || f.seq == t.seq {
		return // again soon
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	now := x.keys[t.subject]
	if now == nil || now.seq != t.seq {
		return
	}
	x.dropLocked(now)
	if f.seq == 0 {
		c := change{place: t.place, key: t.key, deleted: true, f: found{stored: stored{seq: t.seq, at: time.Now()}}}
		x.w.changes.Add(t.key, c)
	}
	// Else a later version is on its way through its feed.
}

// timedHeap orders by due.
type timedHeap []*timed

func (h timedHeap) Len() int           { return len(h) }
func (h timedHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h timedHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *timedHeap) Push(x any) {
	t := x.(*timed)
	t.index = len(*h)
	*h = append(*h, t)
}
func (h *timedHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	*h = old[:len(old)-1]
	return t
}
