package sched

import (
	"slices"
	"time"
)

const (
	mostCandidates = 32
	mostKeepers    = 16 // of them that have data
	instancesSeen  = 64 // instances of an application that are looked at for each job
	instancesTaken = 6  // of them: the first, which may have data, and as many that have a free slot
	keysSeen       = 8  // keys of a job that are looked at
	holdersSeen    = 4  // workers that have a large key, for each
)

// candidates are the few workers among which one is chosen.
type candidates struct {
	classes []*class // that have the ability
	n       int
	of      [mostCandidates]*worker
}

func (c *candidates) add(w *worker) {
	if w == nil || c.n == mostCandidates || !w.takes || !slices.Contains(c.classes, w.class) || slices.Contains(c.of[:c.n], w) {
		return
	}
	c.of[c.n] = w
	c.n++
}

// choose finds a worker for a job, without a look at all of them: those that have its data, instances of its application, and
// the least loaded, or the better of two random ones where the load may be out of date. Of these the one costs least where
//
//	cost = wait for a slot + fetch of what is not cached there + start of the application, if it does not run there
//
// best has credit; nil where none has. park is a worker without credit for which it is worth to wait, until so long: no
// longer than it would save. also is one more candidate.
func (s *Scheduler) choose(now time.Time, j *Job, a *app, also *worker) (best, park *worker, until time.Time) {
	c := candidates{classes: s.able[j.Needs]}
	keys := j.Keys[:min(len(j.Keys), keysSeen)]
	for _, key := range keys {
		if c.n >= mostKeepers {
			break
		}
		at := s.exact[key]
		for _, w := range at[:min(len(at), holdersSeen)] {
			c.add(w)
		}
		if h := s.hints[key%hints]; h.hash == key {
			c.add(h.at)
		}
	}
	s.instances(&c, a)
	for _, class := range c.classes {
		w := class.least(s.random.Uint64())
		if w != nil && now.Sub(w.seen) > s.cfg.StaleAfter {
			w = class.any(s.random.Uint64())
			if o := class.any(s.random.Uint64()); float64(o.most())/float64(o.slots) < float64(w.most())/float64(w.slots) {
				w = o
			}
		}
		c.add(w)
	}
	c.add(also)

	var fetch [mostCandidates]time.Duration
	for _, key := range keys {
		s.missing(key, &c, &fetch)
	}
	var bestCost, parkCost, parkWait time.Duration
	for i, w := range c.of[:c.n] {
		cost := fetch[i]
		if _, ok := w.apps[a]; !ok {
			cost += s.cfg.Cold
		}
		wait := w.wait(now)
		if w.credit() == 0 {
			if len(keys) > 0 && len(w.parked) < 2*w.slots && (park == nil || cost+wait < parkCost+parkWait) {
				park, parkCost, parkWait = w, cost, max(wait, w.mean/time.Duration(w.slots))
			}
			continue
		}
		if cost += wait; best == nil || cost < bestCost {
			best, bestCost = w, cost
		}
	}
	if best == nil || park == nil || parkCost+parkWait >= bestCost {
		return best, nil, time.Time{}
	}
	return best, park, now.Add(min(bestCost-parkCost, s.cfg.Patience))
}

// instances adds those of an application that come first and can take a job: later ones fall idle, and are left.
func (s *Scheduler) instances(c *candidates, a *app) {
	taken := 0
	for i, w := range a.instances {
		if i == instancesSeen || taken == instancesTaken {
			return
		}
		room := w.credit() > 0 && w.most() < w.slots
		if room {
			taken++
		}
		if room || i < instancesTaken {
			c.add(w)
		}
	}
}

// missing adds what it costs each candidate to fetch a key. A key that nobody is known to have costs all the same.
func (s *Scheduler) missing(key uint64, c *candidates, fetch *[mostCandidates]time.Duration) {
	var held [mostCandidates]int64
	most := int64(0)
	for i, w := range c.of[:c.n] {
		held[i] = w.holds.Size(key)
		if h := s.hints[key%hints]; held[i] == 0 && h.hash == key && h.at == w {
			held[i] = classSize(0) // it was sent there, and how large it is nobody has said yet
		}
		most = max(most, held[i])
	}
	if most == 0 {
		return
	}
	for i := range c.n {
		if held[i] < most/8 {
			fetch[i] += s.cfg.Fetch + time.Duration(float64(most)/s.cfg.Bandwidth*float64(time.Second))
		}
	}
}

// enter notes that the application runs on a worker.
func (a *app) enter(w *worker, now time.Time) {
	if _, ok := w.apps[a]; !ok {
		a.instances = append(a.instances, w)
	}
	w.apps[a] = now
}

func (a *app) leave(w *worker) {
	delete(w.apps, a)
	a.instances = slices.DeleteFunc(a.instances, func(o *worker) bool { return o == w })
}

// retreat leaves the instances that were not used since.
func (a *app) retreat(since time.Time) {
	a.instances = slices.DeleteFunc(a.instances, func(w *worker) bool {
		if w.apps[a].After(since) {
			return false
		}
		delete(w.apps, a)
		return true
	})
}

// Instances tells on how many workers each application runs, or has run within Config.Retreat.
func (s *Scheduler) Instances() map[string]int {
	out := make(map[string]int, len(s.apps))
	for name, a := range s.apps {
		if len(a.instances) > 0 {
			out[name] = len(a.instances)
		}
	}
	return out
}

// Candidates gives, of the workers that have the ability and take work, a few: those that have keys, and the least loaded of
// a sample. For what is placed beside a job that was bound, and is a hint only.
func (s *Scheduler) Candidates(ability Ability, keys []uint64, out []Peer) []Peer {
	c := candidates{classes: s.able[ability]}
	for _, key := range keys[:min(len(keys), keysSeen)] {
		for _, w := range s.exact[key] {
			c.add(w)
		}
		if h := s.hints[key%hints]; h.hash == key {
			c.add(h.at)
		}
	}
	for _, class := range c.classes {
		for range 4 {
			c.add(class.least(s.random.Uint64()))
		}
	}
	for _, w := range c.of[:c.n] {
		out = append(out, w.peer)
	}
	return out
}

// Room reports whether a worker other than one has the ability, a credit, and a slot that is free.
func (s *Scheduler) Room(ability Ability, but Peer) bool {
	for _, class := range s.able[ability] {
		for range 3 {
			if w := class.least(s.random.Uint64()); w != nil && w.peer != but && w.most() < w.slots {
				return true
			}
		}
	}
	return false
}

// Holds tells how many bytes of the keys a worker has cached, as far as is known: its digest may be out of date.
func (s *Scheduler) Holds(p Peer, keys []uint64) int64 {
	w := s.worker(p)
	if w == nil {
		return 0
	}
	n := int64(0)
	for _, key := range keys {
		size := w.holds.Size(key)
		if h := s.hints[key%hints]; size == 0 && h.hash == key && h.at == w {
			size = classSize(0)
		}
		n += size
	}
	return n
}
