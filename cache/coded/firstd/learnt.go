package firstd

import (
	"math/bits"
	"sync"
	"time"

	"github.com/squall-faas/squall/internal/recent"
)

const (
	maxLenders = 1024 // that are remembered
	classes    = 12   // of sizes: 4 KiB and less, then by powers of two up to 8 MiB and more

	// unknownHedge is after how long an answer is late of which nothing is known, and the most that is waited.
	unknownHedge = 100 * time.Millisecond
	minHedge     = 2 * time.Millisecond

	// A lender is slow when it takes slowFactor times as long as all do, and slowSlack more.
	slowFactor = 3
	slowSlack  = 2 * time.Millisecond

	// After a failure a lender is asked last for firstPause, and for twice as long after each that follows, up to maxPause.
	firstPause = 100 * time.Millisecond
	maxPause   = 5 * time.Second

	// staleAfter is when what was learnt of a slow lender is tried again: one that is not asked teaches nothing.
	staleAfter = 2 * time.Second
)

// Learnt is what a reader has learnt of how fast lenders answer, by size of shards. It follows means and mean deviations
// as TCP follows its round trips (RFC 6298 §2). Safe for concurrent use.
type Learnt struct {
	mu      sync.Mutex // guards all
	all     [classes]estimate
	lenders *recent.Window[string, *lender]
}

type lender struct {
	took   [classes]estimate
	fails  int
	paused time.Time // until then it is asked last
	probed time.Time
}

// estimate of a time.
type estimate struct {
	mean, dev time.Duration
	n         int
}

func (e *estimate) add(took time.Duration, weight time.Duration) {
	if e.n++; e.n == 1 {
		e.mean, e.dev = took, took/2
		return
	}
	e.dev += ((took - e.mean).Abs() - e.dev) / weight
	e.mean += (took - e.mean) / weight
}

// NewLearnt knows nothing.
func NewLearnt() *Learnt { return &Learnt{lenders: recent.New[string, *lender](maxLenders)} }

func class(size int) int { return min(max(bits.Len(uint(max(size-1, 0)))-12, 0), classes-1) }

func (l *Learnt) ofLocked(name string) *lender {
	x, ok := l.lenders.Get(name)
	if !ok {
		x = &lender{}
		l.lenders.Add(name, x)
	}
	return x
}

// Took says that a lender gave a good shard of size bytes after took.
func (l *Learnt) Took(name string, size int, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	x := l.ofLocked(name)
	x.fails, x.paused = 0, time.Time{}
	x.took[class(size)].add(took, 4)
	l.all[class(size)].add(took, 16)
}

// Late says that a lender had not given its shard after waited, when it was not needed any more: it takes longer than that,
// and twice as long is what is believed of it.
func (l *Learnt) Late(name string, size int, waited time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := &l.ofLocked(name).took[class(size)]
	if e.n == 0 || 2*waited > e.mean {
		e.add(2*waited, 2)
	}
}

// Failed says that a lender did not answer, or wrongly.
func (l *Learnt) Failed(name string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	x := l.ofLocked(name)
	x.paused = now.Add(min(firstPause<<min(x.fails, 8), maxPause))
	x.fails++
}

// Forget a lender: a new one has its name.
func (l *Learnt) Forget(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if x, ok := l.lenders.Get(name); ok {
		*x = lender{}
	}
}

// Column says what is to be expected of a lender for a shard of size bytes.
func (l *Learnt) Column(name string, size int, now time.Time) Column {
	l.mu.Lock()
	defer l.mu.Unlock()
	x := l.ofLocked(name)
	e, all := x.took[class(size)], l.all[class(size)]
	slow := now.Before(x.paused) || e.n > 0 && all.n > 0 && e.mean > slowFactor*all.mean+slowSlack
	return Column{Bytes: size, Slow: slow, Expect: e.mean}
}

// Probe reports whether a slow lender should be asked beside the others, to learn whether it is still slow. It says so now
// and then only.
func (l *Learnt) Probe(name string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	x := l.ofLocked(name)
	if now.Sub(x.probed) < staleAfter || now.Before(x.paused) {
		return false
	}
	x.probed = now
	return true
}

// Hedge is after how long an answer of size bytes is late: the mean of all and four deviations, as a retransmission time
// is.
func (l *Learnt) Hedge(size int) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.all[class(size)]
	if e.n < 4 {
		return unknownHedge
	}
	return min(max(e.mean+4*e.dev, minHedge), unknownHedge)
}
