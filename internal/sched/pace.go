package sched

import "time"

const (
	// ReportDelay is how long an executor gathers word of ends before it sends it. What will be done by then is granted ahead.
	ReportDelay = 10 * time.Millisecond
	// StuckAfter is how long all slots are held without a change before the work there counts as long.
	StuckAfter = ReportDelay

	// mostAhead bounds what is granted ahead of each slot.
	mostAhead = 256
	// unknownAhead is what is granted ahead of each slot before anything is known of how long work takes.
	unknownAhead = 8
)

// Window is how much work may be at an executor or on its way there: one invocation a slot, and what the slots will have
// worked off while the next report is on its way. mean is what an invocation holds its slot for, 0 where that is not known.
// Behind long work nothing is granted ahead.
func Window(slots int, mean time.Duration, stuck bool) int {
	ahead := unknownAhead
	if mean > 0 {
		ahead = min(int(ReportDelay/mean), mostAhead)
	}
	if stuck {
		ahead = 0
	}
	return slots * (1 + ahead)
}

// Pace measures for how long an invocation holds its slot, without a clock for each: the time that slots were held, over the
// invocations that gave theirs back. What runs on counts as time already, so one long invocation shows before it ends. The
// zero Pace is that of slots that were never held. Not safe for concurrent use.
type Pace struct {
	moved time.Time // a slot was last taken, came free or changed hands
	last  time.Time
	held  time.Duration // of all slots, since count began
	count int
	mean  time.Duration // of earlier counts
}

const (
	paceCount = 16                     // invocations that make a new mean
	paceSpan  = 500 * time.Millisecond // of held time, that does too
)

// Taken takes in that a slot is taken, beside busy others.
func (p *Pace) Taken(now time.Time, busy int) {
	p.passes(now, busy)
	p.moved = now
}

// Given takes in that one of busy slots is given back, or to the next in line.
func (p *Pace) Given(now time.Time, busy int) {
	p.passes(now, busy)
	p.moved = now
	p.count++
	if p.count >= paceCount || p.held >= paceSpan {
		mean := p.held / time.Duration(p.count)
		if p.mean > 0 {
			mean = (p.mean + mean) / 2
		}
		p.mean, p.held, p.count = mean, 0, 0
	}
}

// Mean estimates for how long an invocation holds its slot, while busy are held; 0 where nothing is known yet.
func (p *Pace) Mean(now time.Time, busy int) time.Duration {
	p.passes(now, busy)
	recent := p.held / time.Duration(p.count+1)
	if p.mean == 0 {
		if p.count > 0 {
			recent = p.held / time.Duration(p.count)
		} else if recent < StuckAfter {
			return 0
		}
	}
	return max(p.mean, recent)
}

// Stuck reports whether all of size slots are held, and have been for long: what comes now would wait behind long jobs.
func (p *Pace) Stuck(now time.Time, busy, size int) bool {
	return busy >= size && now.Sub(p.moved) >= StuckAfter
}

// passes counts the time until now, in which busy slots were held.
func (p *Pace) passes(now time.Time, busy int) {
	if !p.last.IsZero() {
		p.held += now.Sub(p.last) * time.Duration(busy)
	}
	p.last = now
}
