package sched

import (
	"math/bits"
	"slices"
	"time"
)

// View is what a worker says of itself.
type View struct {
	Worker    Peer
	Takes     bool      // new work: it is up, and nobody suspects it
	Abilities []Ability // in the same order each time
	Slots     int
	Busy      int           // slots
	Queued    int           // invocations that wait for a slot there
	Mean      time.Duration // that an invocation holds a slot, recently; 0 where that is not known
	Grant     *Grant        // to this scheduler; nil where it has granted nothing
	Free      bool          // it grants no credits at all, being of an earlier release: its load is all there is to go by
	Keys      []byte        // an update of its Digest; nil where there is none
}

// worker is one executor as the scheduler sees it. Each is in one class, and there on the level of its load while it takes
// work and has credit.
type worker struct {
	peer         Peer
	class        *class
	level, place int // in the class; level is -1 outside
	takes        bool
	free         bool // grants no credits
	slots        int
	busy         int // at its last word; queued likewise
	queued       int
	mean         time.Duration
	limit, spent uint64
	serial       uint64
	arrived      uint64    // of spent, at its last word
	bound        int       // where it grants no credits: jobs sent that have not finished
	seen         time.Time // its last word
	first        time.Time // when something was sent to it first since then
	holds        Holdings
	parked       []*waiting // jobs that wait for it, because it has their data
	apps         map[*app]time.Time
}

func (w *worker) credit() uint64 {
	if !w.takes || w.spent >= w.limit {
		return 0
	}
	return w.limit - w.spent
}

// load estimates how many invocations the worker has. What was sent since its last word drains at the pace of its slots: short
// jobs have come and gone before the next. But once a word is overdue nothing has ended: all of it is there still.
func (w *worker) load(now time.Time) float64 {
	if w.free {
		return float64(max(w.busy+w.queued, w.bound))
	}
	unseen := float64(w.queued) + float64(w.spent-w.arrived)
	if unseen > 0 && w.mean > 0 {
		if d := now.Sub(w.first); d < ReportDelay*5/4 {
			unseen = max(0, unseen-min(d, ReportDelay).Seconds()/w.mean.Seconds()*float64(w.slots))
		}
	}
	return float64(w.busy) + unseen
}

// most is what the worker has if nothing has ended since its last word.
func (w *worker) most() int {
	if w.free {
		return max(w.busy+w.queued, w.bound)
	}
	return w.busy + w.queued + int(w.spent-w.arrived)
}

// unsure is what a slot costs that is free only if jobs were as short as usual: less than to start an application elsewhere,
// more than a slot that is free for sure.
const unsure = 100 * time.Microsecond

// wait is how long a job would wait there for a slot.
func (w *worker) wait(now time.Time) time.Duration {
	if w.most() < w.slots {
		return 0
	}
	over := w.load(now) - float64(w.slots) + 1
	if over <= 0 {
		return unsure
	}
	return time.Duration(over * float64(max(w.mean, time.Millisecond)) / float64(w.slots))
}

// levels of load: eight below all slots busy, eight above.
const levels = 16

// levelOf sorts a load into a level.
func levelOf(load float64, slots int) int {
	s := float64(max(slots, 1))
	if load < s {
		return int(load / s * 8)
	}
	return min(8+bits.Len(uint((load-s)/s*4)), levels-1)
}

// class is the workers of one set of abilities: executors of one binary. Choosing among a thousand looks at a few.
type class struct {
	abilities []Ability
	members   int // all of its workers
	takers    int // those that take work
	at        [levels][]*worker
	occupied  uint16 // levels that have workers
}

// least gives a worker of the lowest level, at random.
func (c *class) least(random uint64) *worker {
	if c.occupied == 0 {
		return nil
	}
	at := c.at[bits.TrailingZeros16(c.occupied)]
	return at[random%uint64(len(at))]
}

// any gives a worker of any level, at random.
func (c *class) any(random uint64) *worker {
	n := 0
	for l := c.occupied; l != 0; l &= l - 1 {
		n += len(c.at[bits.TrailingZeros16(l)])
	}
	if n == 0 {
		return nil
	}
	k := int(random % uint64(n))
	for l := c.occupied; ; l &= l - 1 {
		at := c.at[bits.TrailingZeros16(l)]
		if k < len(at) {
			return at[k]
		}
		k -= len(at)
	}
}

func (c *class) put(w *worker, level int) {
	if w.level == level {
		return
	}
	c.take(w)
	if level < 0 {
		return
	}
	w.level, w.place = level, len(c.at[level])
	c.at[level] = append(c.at[level], w)
	c.occupied |= 1 << level
}

func (c *class) take(w *worker) {
	if w.level < 0 {
		return
	}
	at := c.at[w.level]
	last := len(at) - 1
	at[w.place] = at[last]
	at[w.place].place = w.place
	at[last] = nil
	c.at[w.level] = at[:last]
	if last == 0 {
		c.occupied &^= 1 << w.level
	}
	w.level = -1
}

// classify gives the class of a set of abilities.
func (s *Scheduler) classify(abilities []Ability) *class {
	for _, c := range s.classes {
		if slices.Equal(c.abilities, abilities) {
			return c
		}
	}
	c := &class{abilities: slices.Clone(abilities)}
	s.classes = append(s.classes, c)
	for _, a := range c.abilities {
		s.able[a] = append(s.able[a], c)
	}
	return c
}

// join puts a worker into the class of its abilities, and out of the one that it was in.
func (s *Scheduler) join(w *worker, abilities []Ability) {
	if w.class != nil && slices.Equal(w.class.abilities, abilities) {
		return
	}
	s.quit(w)
	w.class = s.classify(abilities)
	if w.takes {
		w.class.takers++
	}
	w.class.members++
}

// quit takes a worker out of its class; a class without workers goes with the last.
func (s *Scheduler) quit(w *worker) {
	c := w.class
	if c == nil {
		return
	}
	c.take(w)
	if w.takes {
		c.takers--
	}
	w.class = nil
	if c.members--; c.members > 0 {
		return
	}
	s.classes = slices.DeleteFunc(s.classes, func(o *class) bool { return o == c })
	for _, a := range c.abilities {
		if s.able[a] = slices.DeleteFunc(s.able[a], func(o *class) bool { return o == c }); len(s.able[a]) == 0 {
			delete(s.able, a)
		}
	}
}

// rank puts a worker where its load and credit say.
func (s *Scheduler) rank(w *worker) {
	level := -1
	if w.credit() > 0 {
		level = levelOf(float64(w.most()), w.slots)
	}
	w.class.put(w, level)
}
