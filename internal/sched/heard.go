package sched

import (
	"slices"
	"time"
)

// Heard takes in a worker's heartbeat. An error is that of its digest, which is then ignored.
func (s *Scheduler) Heard(now time.Time, v *View, cmds []Command) ([]Command, error) {
	w := s.workers[v.Worker.Name]
	var before []Ability // what it could do, or an earlier life of it
	if w != nil && (w.peer.Life < v.Worker.Life || !slices.Equal(w.class.abilities, v.Abilities)) {
		before = w.class.abilities
	}
	switch {
	case w != nil && w.peer.Life > v.Worker.Life:
		return cmds, nil
	case w != nil && w.peer.Life < v.Worker.Life:
		s.retire(w)
		w = nil
	}
	if w == nil {
		w = &worker{peer: v.Worker, level: -1, apps: map[*app]time.Time{}}
		s.workers[v.Worker.Name] = w
	}
	s.join(w, v.Abilities)
	if w.takes != v.Takes {
		w.takes = v.Takes
		if w.takes {
			w.class.takers++
		} else {
			w.class.takers--
		}
	}
	var err error
	if v.Keys != nil {
		err = s.learn(w, v.Keys)
	}
	w.slots, w.free = max(v.Slots, 1), v.Free
	if w.free {
		w.limit = 1 << 62
	}
	s.word(now, w, v.Busy, v.Queued, v.Mean, v.Grant)
	if w.takes && before == nil {
		return s.serve(now, w, cmds), err
	}
	s.unparkAll(w) // it may not be able to run them any more
	cmds = s.settle(now, w.class.abilities, cmds)
	return s.settle(now, before, cmds), err
}

// Granted takes in a worker's word between its heartbeats.
func (s *Scheduler) Granted(now time.Time, v *View, cmds []Command) []Command {
	w := s.worker(v.Worker)
	if w == nil {
		return cmds
	}
	s.word(now, w, v.Busy, v.Queued, v.Mean, v.Grant)
	return s.serve(now, w, cmds)
}

func (s *Scheduler) word(now time.Time, w *worker, busy, queued int, mean time.Duration, g *Grant) {
	if g != nil && g.Serial >= w.serial {
		w.serial, w.limit, w.arrived = g.Serial, g.Limit, min(g.Spent, w.spent)
	}
	w.busy, w.queued, w.mean, w.seen = busy, queued, mean, now
	w.first = now // what is on its way arrives now
	s.rank(w)
}

// Lost takes in that a worker is gone, this life of it.
func (s *Scheduler) Lost(now time.Time, p Peer, cmds []Command) []Command {
	w := s.worker(p)
	if w == nil {
		return cmds
	}
	abilities := w.class.abilities
	s.retire(w)
	return s.settle(now, abilities, cmds)
}

// retire takes a worker out; what waited for it waits for others.
func (s *Scheduler) retire(w *worker) {
	delete(s.workers, w.peer.Name)
	for hash := range w.holds.large {
		s.forget(w, hash)
	}
	for a := range w.apps {
		a.leave(w)
	}
	s.quit(w)
	w.takes = false
	for i := range s.hints {
		if s.hints[i].at == w {
			s.hints[i] = hint{}
		}
	}
	s.unparkAll(w)
}

// Doubt has a worker get nothing new until it is heard again: it has been silent, or a message to it has come back.
func (s *Scheduler) Doubt(now time.Time, p Peer, cmds []Command) []Command {
	w := s.worker(p)
	if w == nil || !w.takes {
		return cmds
	}
	w.takes = false
	w.class.takers--
	s.rank(w)
	s.unparkAll(w)
	return s.settle(now, w.class.abilities, cmds)
}

// unparkAll queues the jobs that wait for a worker.
func (s *Scheduler) unparkAll(w *worker) {
	for len(w.parked) > 0 {
		j := w.parked[0]
		s.unpark(j)
		s.enqueue(j, s.apps[j.App])
	}
}

// settle has whoever can serve the jobs that need these abilities, and strands those that nobody can.
func (s *Scheduler) settle(now time.Time, abilities []Ability, cmds []Command) []Command {
	for _, a := range abilities {
		for _, c := range s.able[a] {
			for len(s.flows[a]) > 0 {
				w := c.least(0)
				if w == nil {
					break
				}
				cmds = s.serve(now, w, cmds)
			}
		}
	}
	return s.strand(abilities, cmds)
}

// learn takes in an update of a worker's digest.
func (s *Scheduler) learn(w *worker, update []byte) error {
	gone, come, err := w.holds.Apply(update)
	for _, l := range gone {
		if w.holds.large[l.Hash] == 0 {
			s.forget(w, l.Hash)
		}
	}
	for _, l := range come {
		if at := s.exact[l.Hash]; !slices.Contains(at, w) {
			s.exact[l.Hash] = append(at, w)
		}
	}
	return err
}

func (s *Scheduler) forget(w *worker, hash uint64) {
	if at := slices.DeleteFunc(s.exact[hash], func(o *worker) bool { return o == w }); len(at) > 0 {
		s.exact[hash] = at
	} else {
		delete(s.exact, hash)
	}
}
