// Package lend is the memory of a lender: how much of it there is to lend (policy), where shards lie (Arena, a hard bound),
// and which go when it is full or has to be given back (Memory, CLOCK). It does no I/O, and the time comes in.
package lend

import "time"

// Policy says how much memory an executor lends. The zero value is useful.
type Policy struct {
	// Most bytes that are lent (0: a quarter of the machine's memory, as Load says it).
	Most int64
	// Reserve bytes stay free for the work, beside what it uses (0: a quarter of Total).
	Reserve int64
	// IdleSlots is the share of slots that must be free before more is lent (0: a half). Below it nothing is added; below
	// half of it the lender gives back half of what it lends at each look.
	IdleSlots float64
	// Quiet is for how long an executor has to be idle before it lends more (0: 5 s).
	Quiet time.Duration
	// Step bytes are added at a time (0: 256 MiB), so that one quiet moment does not lend everything.
	Step int64
}

// Load of an executor, as its Policy sees it.
type Load struct {
	Total     int64 // bytes of memory that this process may use: the machine's, or its container's limit
	Used      int64 // by everything but what is lent
	Slots     int
	Busy      int           // slots, with those that queued work would take
	IdleFor   time.Duration // since when Busy has been low
	Lent      int64         // now
	Draining  bool          // it is about to stop
	Pressured bool          // the system says that memory is short (PSI, the container's high mark)
}

func (p Policy) defaults(l Load) Policy {
	if p.Most <= 0 {
		p.Most = l.Total / 4
	}
	if p.Reserve <= 0 {
		p.Reserve = l.Total / 4
	}
	if p.IdleSlots <= 0 {
		p.IdleSlots = 0.5
	}
	if p.Quiet <= 0 {
		p.Quiet = 5 * time.Second
	}
	if p.Step <= 0 {
		p.Step = 256 << 20
	}
	return p
}

// Lend says how many bytes to lend from now on. It takes back at once what the work needs, however idle the executor was a
// moment ago, and adds slowly.
func (p Policy) Lend(l Load) int64 {
	p = p.defaults(l)
	room := max(min(l.Total-l.Used-p.Reserve, p.Most), 0)
	if l.Draining {
		return 0
	}
	if l.Pressured {
		return min(room, l.Lent/2)
	}
	idle := l.idle()
	switch {
	case idle < p.IdleSlots/2:
		return min(room, l.Lent/2)
	case idle < p.IdleSlots || l.IdleFor < p.Quiet:
		return min(room, l.Lent)
	}
	return min(room, l.Lent+p.Step)
}

// Idles reports whether so many slots are free that more may be lent once that has been so for Quiet: since when it has is
// Load.IdleFor.
func (p Policy) Idles(l Load) bool { return l.idle() >= p.defaults(l).IdleSlots }

// idle is the share of slots that are free.
func (l Load) idle() float64 {
	if l.Slots <= 0 {
		return 1
	}
	return float64(max(l.Slots-l.Busy, 0)) / float64(l.Slots)
}
