package xfer

import (
	"slices"
	"time"

	"github.com/squall-faas/squall/fault"
)

const (
	wholeBelow = 512 << 10 // a value up to this is one range

	maxStrikes  = 3  // incidents in a row after which a peer is given up
	maxBusy     = 20 // times in a row that a peer may say that it is overloaded
	strikeDelay = 10 * time.Millisecond
)

// plan decides which range is asked of which peer: a step machine without I/O or clock. The shell starts the streams
// that start gives, reports how they end with finished or failed, and lets steal look at those under way.
//
//	todo ── start ──▶ under way ── finished ──▶ (done)
//	 ▲                    │
//	 └── failed, stolen ──┘
//
// A peer is live until it refuses for good (not_found, unauthorized, …), or strikes out: maxStrikes incidents without
// a range between them. Streams that were under way together fail in one incident.
type plan struct {
	size, step      int64
	window, perPeer int
	jitter          func() float64 // in [0, 1)

	peers   []planPeer
	todo    []part
	streams []*stream // under way, in the order they were started
	left    int       // ranges that are not there yet
	nextID  int
}

type planPeer struct {
	addr    string
	rate    float64 // bytes a second of one stream; 0: not known
	rtt     time.Duration
	streams int
	most    int       // streams at a time; an overloaded peer lowers it
	after   time.Time // it is not asked before
	struck  time.Time
	strikes int
	busy    int
	lost    bool
	err     *fault.Error // the last
}

// part is one range, with what happened to it.
type part struct {
	index  int
	not    []int // peers that did not deliver it; asked again only where no other is live
	steals int
}

// stream is one range on its way.
type stream struct {
	part
	id     int
	peer   int
	began  time.Time
	got    int64 // bytes, as of the last look
	moved  time.Time
	stolen bool
}

// rangeSize cuts a value: whole if it is small, else so that each peer has some ranges to take, of at most most bytes.
func rangeSize(size int64, peers int, most int64) int64 {
	if size <= wholeBelow {
		return max(size, 1)
	}
	return min(max(size/int64(4*peers), wholeBelow), most)
}

func newPlan(size, step int64, peers []Link, window, perPeer int, jitter func() float64) *plan {
	p := &plan{size: size, step: step, window: window, perPeer: perPeer, jitter: jitter}
	for _, l := range peers {
		p.peers = append(p.peers, planPeer{addr: l.Addr, rate: l.bandwidth(), rtt: l.RTT, most: perPeer})
	}
	p.left = p.ranges()
	p.todo = make([]part, p.left)
	for i := range p.todo {
		p.todo[i].index = i
	}
	return p
}

// ranges is how many there are.
func (p *plan) ranges() int { return int((p.size + p.step - 1) / p.step) }

// bounds of a range.
func (p *plan) bounds(index int) (offset int64, length int) {
	offset = int64(index) * p.step
	return offset, int(min(p.step, p.size-offset))
}

// start gives the streams to begin now.
func (p *plan) start(now time.Time) []*stream {
	var started []*stream
	for i := 0; i < len(p.todo) && len(p.streams) < p.window; {
		peer := p.choose(p.todo[i], now)
		if peer < 0 {
			if len(p.todo[i].not) == 0 {
				break // no peer has a free stream, for the ranges behind it neither
			}
			i++
			continue
		}
		s := &stream{part: p.todo[i], id: p.nextID, peer: peer, began: now, moved: now}
		p.nextID++
		p.todo = slices.Delete(p.todo, i, i+1)
		p.peers[peer].streams++
		p.streams = append(p.streams, s)
		started = append(started, s)
	}
	return started
}

// choose finds the peer for a range, or -1: of those with a free stream the one with the fewest under way, the first of
// equals. A peer that did not deliver this range is the last resort.
func (p *plan) choose(part part, now time.Time) int {
	best, others := -1, false
	for _, again := range []bool{false, true} {
		for i := range p.peers {
			q := &p.peers[i]
			if q.lost || slices.Contains(part.not, i) != again {
				continue
			}
			others = true
			if p.free(i, now) && (best < 0 || q.streams < p.peers[best].streams) {
				best = i
			}
		}
		if others { // live peers that may still deliver it: wait for one of them
			break
		}
	}
	return best
}

func (p *plan) free(peer int, now time.Time) bool {
	q := &p.peers[peer]
	return !q.lost && q.streams < q.most && !now.Before(q.after)
}

func (p *plan) take(id int) *stream {
	i := slices.IndexFunc(p.streams, func(s *stream) bool { return s.id == id })
	s := p.streams[i]
	p.streams = slices.Delete(p.streams, i, i+1)
	p.peers[s.peer].streams--
	return s
}

// finished: the range of a stream is there.
func (p *plan) finished(id int, now time.Time) {
	s := p.take(id)
	q := &p.peers[s.peer]
	q.strikes, q.busy, q.most = 0, 0, min(q.most+1, p.perPeer)
	_, length := p.bounds(s.index)
	p.measure(q, int64(length), now.Sub(s.began))
	p.left--
}

func (p *plan) measure(q *planPeer, bytes int64, took time.Duration) {
	rate := float64(bytes) / max(took.Seconds(), 1e-6)
	if q.rate > 0 {
		rate = (q.rate + rate) / 2
	}
	q.rate = rate
}

// failed: a stream ended without its whole range. What was stolen is no fault of its peer.
func (p *plan) failed(id int, err *fault.Error, now time.Time) {
	s := p.take(id)
	q := &p.peers[s.peer]
	if s.stolen {
		p.measure(q, s.got, now.Sub(s.began))
		p.again(s)
		return
	}
	q.err = err
	switch err.Code {
	case fault.Overloaded:
		q.busy++
		q.most = max(q.streams, 1)
		q.after = now.Add(p.vary(max(err.RetryAfter, strikeDelay)))
		q.lost = q.lost || q.busy >= maxBusy
		p.todo = append([]part{s.part}, p.todo...)
		return
	case fault.Unavailable, fault.Unreachable, fault.DeadlineExceeded:
		if q.struck.IsZero() || !s.began.Before(q.struck) {
			q.struck = now
			q.strikes++
			q.after = now.Add(p.vary(strikeDelay << q.strikes))
		}
		q.lost = q.lost || q.strikes >= maxStrikes
	default:
		q.lost = true
	}
	p.again(s)
}

// again puts the range of a stream back, before those that nobody was asked for: it has waited longest.
func (p *plan) again(s *stream) {
	s.not = append(slices.Clone(s.not), s.peer)
	p.todo = append([]part{s.part}, p.todo...)
}

func (p *plan) vary(d time.Duration) time.Duration {
	return d/2 + time.Duration(p.jitter()*float64(d))
}

// done reports whether every range is there.
func (p *plan) done() bool { return p.left == 0 }

// stuck reports whether no peer is live and nothing is under way.
func (p *plan) stuck() bool {
	return len(p.streams) == 0 && !slices.ContainsFunc(p.peers, func(q planPeer) bool { return !q.lost })
}

// wake is when start or steal should be called although nothing has happened; zero for never.
func (p *plan) wake(now time.Time) time.Time {
	var at time.Time
	sooner := func(t time.Time) {
		if at.IsZero() || t.Before(at) {
			at = t
		}
	}
	if len(p.todo) > 0 {
		for i := range p.peers {
			if q := &p.peers[i]; !q.lost && q.after.After(now) {
				sooner(q.after)
			}
		}
		return at
	}
	live := 0
	for i := range p.peers {
		if !p.peers[i].lost {
			live++
		}
	}
	if live > 1 && len(p.streams) > 0 {
		sooner(now.Add(stealEach))
	}
	return at
}
