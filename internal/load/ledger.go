package load

import (
	"slices"
	"sync"

	"github.com/squall-faas/squall/internal/ycsb"
)

// ledger keeps what was written and acknowledged, so that after a run what is stored can be held against it. Safe for
// concurrent use.
//
// Of a key it keeps the acknowledged writes that may be the last one: all that ended no earlier than the latest began. A
// write that another followed, from its acknowledgement on, is not the last one. A write whose answer was an error, or none,
// may be stored at any time, or never.
type ledger struct {
	shards   [64]ledgerShard
	counters []counter
}

type ledgerShard struct {
	mu   sync.Mutex
	keys map[int64]*written // by record; guarded by mu
}

// written is what is known of one key.
type written struct {
	latest  int64 // when the latest acknowledged write began
	acked   []ackedWrite
	unknown []ycsb.Version
}

type ackedWrite struct {
	version    ycsb.Version
	start, end int64 // nanoseconds from the run's beginning
}

// counter counts the increments of one counter.
type counter struct {
	mu             sync.Mutex
	acked, unknown int64
}

func newLedger(counters int64) *ledger {
	l := &ledger{counters: make([]counter, counters)}
	for i := range l.shards {
		l.shards[i].keys = map[int64]*written{}
	}
	return l
}

func (l *ledger) shard(record int64) *ledgerShard {
	return &l.shards[uint64(record)%uint64(len(l.shards))]
}

func (s *ledgerShard) of(record int64) *written {
	w := s.keys[record]
	if w == nil {
		w = &written{}
		s.keys[record] = w
	}
	return w
}

// ack says that a write which began at start was acknowledged at end.
func (l *ledger) ack(record int64, v ycsb.Version, start, end int64) {
	s := l.shard(record)
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.of(record)
	if len(w.acked) == 0 || start > w.latest {
		w.latest = start
		w.acked = slices.DeleteFunc(w.acked, func(a ackedWrite) bool { return a.end < start })
	}
	if end >= w.latest {
		w.acked = append(w.acked, ackedWrite{v, start, end})
	}
}

// fail says that it is not known whether a write was stored.
func (l *ledger) fail(record int64, v ycsb.Version) {
	s := l.shard(record)
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.of(record)
	w.unknown = append(w.unknown, v)
}

// count says that a counter was incremented, or may have been.
func (l *ledger) count(n int64, acked bool) {
	c := &l.counters[n]
	c.mu.Lock()
	defer c.mu.Unlock()
	if acked {
		c.acked++
	} else {
		c.unknown++
	}
}

// records lists what was written, or may have been.
func (l *ledger) records() []int64 {
	var out []int64
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		for r := range s.keys {
			out = append(out, r)
		}
		s.mu.Unlock()
	}
	slices.Sort(out)
	return out
}

// kept reports whether a record that reads as version v, or is not there, has lost no acknowledged write.
func (l *ledger) kept(record int64, v ycsb.Version, there bool) bool {
	s := l.shard(record)
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.keys[record]
	switch {
	case w == nil || len(w.acked) == 0:
		return true // nothing was promised
	case !there:
		return false
	}
	return slices.ContainsFunc(w.acked, func(a ackedWrite) bool { return a.version == v }) || slices.Contains(w.unknown, v)
}

// counted gives how many increments of a counter are missing, and how many are too many.
func (l *ledger) counted(n, value int64) (lost, twice int64) {
	c := &l.counters[n]
	c.mu.Lock()
	defer c.mu.Unlock()
	return max(c.acked-value, 0), max(value-c.acked-c.unknown, 0)
}

// touched reports whether a counter was used.
func (l *ledger) touched(n int64) bool {
	c := &l.counters[n]
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.acked+c.unknown > 0
}
