// Package upkeep decides what keeps objects whole: in which order endangered ones are repaired, at what rate, and what a
// standby lacks of a lender that is to stop. It is pure: the time comes in.
package upkeep

import (
	"cmp"
	"container/heap"
	"strings"
	"time"
)

// Endangered is an object that has lost columns.
type Endangered struct {
	Key    string
	Lost   int // columns without a live lender
	Parity int
	Bytes  int64     // that its repair moves
	Since  time.Time // when the first of them was lost
}

// Margin is how many more losses it survives; below 0 it is lost.
func (e Endangered) Margin() int { return e.Parity - e.Lost }

// before orders repairs: what survives the fewest losses first; of like ones the one that is safe soonest, since of all that
// wait it is the least that delays the others; then the oldest.
func (e Endangered) before(f Endangered) bool {
	if c := cmp.Compare(e.Margin(), f.Margin()); c != 0 {
		return c < 0
	}
	if c := cmp.Compare(e.Bytes, f.Bytes); c != 0 {
		return c < 0
	}
	if c := e.Since.Compare(f.Since); c != 0 {
		return c < 0
	}
	return strings.Compare(e.Key, f.Key) < 0
}

// Queue of repairs, the most endangered object first. Not safe for concurrent use.
type Queue struct {
	order order
	by    map[string]*entry
}

type entry struct {
	Endangered
	at int
}

// Put adds an object, or replaces what is known of it. One that is lost, or has lost nothing, is removed: there is nothing
// to repair.
func (q *Queue) Put(e Endangered) {
	if e.Lost <= 0 || e.Margin() < 0 {
		q.Remove(e.Key)
		return
	}
	if q.by == nil {
		q.by = map[string]*entry{}
	}
	if x, ok := q.by[e.Key]; ok {
		if x.Since.Before(e.Since) {
			e.Since = x.Since
		}
		x.Endangered = e
		heap.Fix(&q.order, x.at)
		return
	}
	x := &entry{Endangered: e}
	q.by[e.Key] = x
	heap.Push(&q.order, x)
}

// Remove forgets an object.
func (q *Queue) Remove(key string) {
	if x, ok := q.by[key]; ok {
		heap.Remove(&q.order, x.at)
		delete(q.by, key)
	}
}

// Pop takes the most endangered object.
func (q *Queue) Pop() (Endangered, bool) {
	if len(q.order) == 0 {
		return Endangered{}, false
	}
	x := heap.Pop(&q.order).(*entry)
	delete(q.by, x.Key)
	return x.Endangered, true
}

// Len is how many wait.
func (q *Queue) Len() int { return len(q.order) }

type order []*entry

func (o order) Len() int           { return len(o) }
func (o order) Less(i, j int) bool { return o[i].before(o[j].Endangered) }
func (o order) Swap(i, j int) {
	o[i], o[j] = o[j], o[i]
	o[i].at, o[j].at = i, j
}

// Push is heap.Interface's.
func (o *order) Push(x any) {
	e := x.(*entry)
	e.at = len(*o)
	*o = append(*o, e)
}

// Pop is heap.Interface's.
func (o *order) Pop() any {
	old := *o
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*o = old[:len(old)-1]
	return e
}

// Bucket is a token bucket of bytes: what is taken beyond its burst is owed, and the next taker waits for that. So a piece
// that is larger than the burst passes too. Not safe for concurrent use.
type Bucket struct {
	Rate   float64 // bytes a second; 0 or less does not limit
	Burst  float64 // bytes
	tokens float64
	last   time.Time
}

// Take takes n bytes and says how long to wait before moving them.
func (b *Bucket) Take(n int64, now time.Time) time.Duration {
	if b.Rate <= 0 {
		return 0
	}
	if b.last.IsZero() {
		b.tokens = b.Burst
	} else if gone := now.Sub(b.last); gone > 0 {
		b.tokens = min(b.Burst, b.tokens+gone.Seconds()*b.Rate)
	}
	if b.last.Before(now) {
		b.last = now
	}
	wait := max(-b.tokens, 0) / b.Rate
	b.tokens -= float64(n)
	return time.Duration(wait * float64(time.Second))
}
