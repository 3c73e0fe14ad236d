package bus

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"
)

// link is the way from one node to another while there are faults. It keeps the order of its messages, across all
// subjects, as the connections of both nodes to one server would.
type link struct {
	net  *Network
	from string
	to   string

	mu     sync.Mutex // guards what follows
	closed bool
	fates  map[uint64]*rand.Rand // by rule
	queue  []parcel              // in order of due
	timer  *time.Timer           // the last one set; runs while queue is not empty
	held   map[*time.Timer]struct{}
}

// parcel is a message on its way.
type parcel struct {
	due time.Time
	sub *subscription
	msg Msg
}

// link finds or makes the link between two nodes.
func (n *Network) link(from, to string) *link {
	n.linksMu.Lock()
	defer n.linksMu.Unlock()
	k := [2]string{from, to}
	l := n.links[k]
	if l == nil {
		l = &link{net: n, from: from, to: to, fates: make(map[uint64]*rand.Rand), held: make(map[*time.Timer]struct{})}
		n.links[k] = l
	}
	return l
}

// transmitLocked sends m, which belongs to the receiver already, to s. It needs n.mu at least for reading.
func (n *Network) transmitLocked(from string, s *subscription, m Msg) {
	to := s.conn.node
	if n.cutLocked(from, to) {
		n.record(Cut, from, to, m.Subject)
		return
	}
	l := n.link(from, to)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	f := l.decide(n.rules, m.Subject)
	if f.drop {
		n.record(Drop, from, to, m.Subject)
		return
	}
	if f.delay > 0 {
		n.record(Delay, from, to, m.Subject)
	}
	if f.duplicate {
		n.record(Duplicate, from, to, m.Subject)
		twin := m
		twin.Data = slices.Clone(m.Data)
		defer l.send(f.delay, s, twin)
	}
	if f.hold > 0 {
		n.record(Reorder, from, to, m.Subject)
		l.hold(f.delay+f.hold, s, m)
		return
	}
	l.send(f.delay, s, m)
}

// fate is what the rules have in store for one message.
type fate struct {
	drop, duplicate bool
	delay           time.Duration
	hold            time.Duration // 0 keeps the order
}

// decide draws a message's fate. Each rule that applies makes the same number of draws from a generator of its own,
// whatever comes out, so that neither other links nor other rules change the fate of the nth message.
func (l *link) decide(rules []*rule, subject string) fate {
	var f fate
	for _, r := range rules {
		if !r.applies(l.from, l.to, subject) {
			continue
		}
		rng := l.fates[r.id]
		if rng == nil {
			rng = l.net.rng("fate", l.from, l.to, strconv.FormatUint(r.id, 10))
			l.fates[r.id] = rng
		}
		drop, duplicate, reorder, delay, hold := rng.Float64(), rng.Float64(), rng.Float64(), rng.Float64(), rng.Float64()
		f.drop = f.drop || drop < r.Drop
		f.duplicate = f.duplicate || duplicate < r.Duplicate
		f.delay += between(r.MinDelay, r.MaxDelay, delay)
		if reorder < r.Reorder {
			lo, hi := r.MinDelay, r.MaxDelay
			if hi == 0 {
				lo, hi = time.Millisecond, 10*time.Millisecond
			}
			f.hold += max(between(lo, hi, hold), 1)
		}
	}
	return f
}

func between(lo, hi time.Duration, draw float64) time.Duration {
	return lo + time.Duration(draw*float64(hi-lo))
}

// send puts m in the line, or delivers it at once where there is neither line nor delay. It needs l.mu, as do all
// that follow.
func (l *link) send(delay time.Duration, s *subscription, m Msg) {
	if delay == 0 && len(l.queue) == 0 {
		l.net.arrive(l.from, s, m)
		return
	}
	due := time.Now().Add(delay)
	if n := len(l.queue); n > 0 && due.Before(l.queue[n-1].due) {
		due = l.queue[n-1].due
	}
	l.queue = append(l.queue, parcel{due, s, m})
	if len(l.queue) == 1 {
		l.timer = time.AfterFunc(time.Until(due), l.deliver)
	}
}

// deliver runs on the timer: it delivers what is due and waits for the next.
func (l *link) deliver() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	now := time.Now()
	for len(l.queue) > 0 && !l.queue[0].due.After(now) {
		p := l.queue[0]
		l.queue[0] = parcel{}
		l.queue = l.queue[1:]
		l.net.arrive(l.from, p.sub, p.msg)
	}
	if len(l.queue) > 0 {
		l.timer = time.AfterFunc(time.Until(l.queue[0].due), l.deliver)
	}
}

// hold delivers m out of line.
func (l *link) hold(d time.Duration, s *subscription, m Msg) {
	var t *time.Timer
	t = time.AfterFunc(d, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.closed {
			return
		}
		delete(l.held, t)
		l.net.arrive(l.from, s, m)
	})
	l.held[t] = struct{}{}
}

// close loses what is on its way.
func (l *link) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed, l.queue = true, nil
	if l.timer != nil {
		l.timer.Stop()
	}
	for t := range l.held {
		t.Stop()
	}
	clear(l.held)
}
