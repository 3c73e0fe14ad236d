package ycsb

import (
	"sync"
	"sync/atomic"
)

// Inserts numbers the records that a run adds, and knows up to which all are there: YCSB's acknowledged counter. Safe for
// concurrent use.
type Inserts struct {
	next atomic.Int64
	last atomic.Int64

	mu   sync.Mutex
	done map[int64]struct{} // guarded by mu: past last
}

// NewInserts begins after so many records.
func NewInserts(records int64) *Inserts {
	i := &Inserts{done: map[int64]struct{}{}}
	i.next.Store(records)
	i.last.Store(records - 1)
	return i
}

// Next is the number of a record to be added. Whoever takes one says Done, also where adding it has failed: the records
// after it would stay out of sight otherwise.
func (i *Inserts) Next() int64 { return i.next.Add(1) - 1 }

// Done says that a number's insert has ended.
func (i *Inserts) Done(n int64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.done[n] = struct{}{}
	last := i.last.Load()
	for {
		if _, ok := i.done[last+1]; !ok {
			break
		}
		last++
		delete(i.done, last)
	}
	i.last.Store(last)
}

// Last is the greatest number such that all up to it have ended.
func (i *Inserts) Last() int64 { return i.last.Load() }
