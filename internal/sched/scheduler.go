package sched

import (
	"math/rand/v2"
	"slices"
	"time"
)

// Scheduler is one coordinator's. Each method takes in one event at a time now, which never goes back, and appends what the
// shell has to do to cmds. Not safe for concurrent use.
type Scheduler struct {
	cfg     Config
	random  *rand.PCG
	workers map[string]*worker
	classes []*class
	able    map[Ability][]*class
	apps    map[string]*app
	flows   map[Ability][]*flow
	jobs    map[ID]*waiting
	parked  patient
	exact   map[uint64][]*worker // who has cached a large key
	hints   []hint
	number  uint64
	active  int     // applications with jobs that wait
	virtual float64 // of the application that was served last
	pace    float64 // seconds between two jobs that had waited and were bound, recently
	last    time.Time
}

// leastCost is what a job is taken for that nobody has measured, in seconds of a slot.
const leastCost = 1e-6

// hint is where a key was read last. A slot is overwritten by the next key that falls on it.
type hint struct {
	hash uint64
	at   *worker
}

const hints = 1 << 14

// New makes a scheduler that knows of no worker.
func New(cfg Config) *Scheduler {
	cfg.defaults()
	return &Scheduler{
		cfg: cfg, random: rand.NewPCG(cfg.Seed, 0x5c4ed), workers: map[string]*worker{}, able: map[Ability][]*class{},
		apps: map[string]*app{}, flows: map[Ability][]*flow{}, jobs: map[ID]*waiting{}, exact: map[uint64][]*worker{},
		hints: make([]hint, hints),
	}
}

// Waiting counts the jobs that wait.
func (s *Scheduler) Waiting() int { return len(s.jobs) }

// CanRun reports whether a worker that takes work has the ability.
func (s *Scheduler) CanRun(a Ability) bool {
	return slices.ContainsFunc(s.able[a], func(c *class) bool { return c.takers > 0 })
}

// Submit takes in a job. It is bound, rejected, or waits; one that waits already goes on to.
func (s *Scheduler) Submit(now time.Time, j Job, cmds []Command) []Command {
	if s.jobs[j.ID] != nil {
		return cmds
	}
	a := s.app(j.App)
	if !s.CanRun(j.Needs) {
		return append(cmds, Command{Kind: Strand, Job: j.ID})
	}
	if len(s.flows[j.Needs]) == 0 {
		best, park, until := s.choose(now, &j, a, nil)
		if park != nil && s.admit(a) == nil {
			w := s.wait(j, a)
			s.park(w, park, until)
			return cmds
		}
		if best != nil {
			if s.active > 0 { // else it takes the slot from nobody
				a.virtual += max(a.cost, leastCost)
			}
			return s.bind(now, &j, a, best, cmds)
		}
	}
	if err := s.admit(a); err != nil {
		return append(cmds, Command{Kind: Reject, Job: j.ID, Err: err})
	}
	s.enqueue(s.wait(j, a), a)
	return cmds
}

// wait makes a job one that waits; its place is the caller's business.
func (s *Scheduler) wait(j Job, a *app) *waiting {
	s.number++
	w := &waiting{Job: j, number: s.number, key: j.Since.Add(-time.Duration(j.Priority) * time.Second).UnixNano()}
	s.begin(w, a)
	return w
}

// Cancel forgets a job that waits; one that does not is none of the scheduler's.
func (s *Scheduler) Cancel(id ID) {
	if w := s.jobs[id]; w != nil {
		s.end(w)
	}
}

// Finished takes in that a job has ended, and for how long it held its slot, as far as is known.
func (s *Scheduler) Finished(now time.Time, appName string, p Peer, took time.Duration, cmds []Command) []Command {
	if a := s.apps[appName]; a != nil && took > 0 {
		a.cost = blend(a.cost, took.Seconds(), 1.0/8)
	}
	w := s.worker(p)
	if w == nil || !w.free {
		return cmds
	}
	w.bound = max(0, w.bound-1)
	s.rank(w)
	return s.serve(now, w, cmds)
}

// Returned takes in that a worker has sent a job back unstarted: it has no slot. What credits are left from before count
// for nothing. The job is the shell's, to be submitted again.
func (s *Scheduler) Returned(p Peer) {
	if w := s.worker(p); w != nil && !w.free {
		w.limit = min(w.limit, w.spent)
		s.rank(w)
	}
}

// Unsent takes back a Bind, the last of its worker, that could not be sent.
func (s *Scheduler) Unsent(p Peer, credit uint64) {
	w := s.worker(p)
	switch {
	case w == nil:
		return
	case w.free:
		w.bound--
	case credit == w.spent:
		w.spent--
	}
	s.rank(w)
}

// Charge counts n more invocations that are sent to a worker with the job that was just bound, there or elsewhere, and gives
// the credit that covers them. It may be more than was granted: such a plan is not split over this.
func (s *Scheduler) Charge(now time.Time, p Peer, n int) (credit uint64) {
	w := s.worker(p)
	if w == nil {
		return 0
	}
	if w.free {
		w.bound += n
	} else {
		n = int(min(uint64(n), w.limit-min(w.limit, w.spent)))
		w.send(now, uint64(n))
		credit = w.spent
	}
	s.rank(w)
	if n == 0 {
		return 0
	}
	return credit
}

// strand gives back the jobs that nobody can run any more.
func (s *Scheduler) strand(abilities []Ability, cmds []Command) []Command {
	for _, ability := range abilities {
		if s.CanRun(ability) {
			continue
		}
		for len(s.flows[ability]) > 0 {
			w := s.flows[ability][0].jobs[0]
			s.end(w)
			cmds = append(cmds, Command{Kind: Strand, Job: w.ID})
		}
	}
	return cmds
}

// Next is when Tick has something to do for jobs that wait for their data; zero for never.
func (s *Scheduler) Next() time.Time {
	if len(s.parked) == 0 {
		return time.Time{}
	}
	return s.parked[0].until
}

// Tick lets time pass: patience ends. It costs little.
func (s *Scheduler) Tick(now time.Time, cmds []Command) []Command {
	for len(s.parked) > 0 && !s.parked[0].until.After(now) {
		cmds = s.again(now, s.parked[0], cmds)
	}
	return cmds
}

// Sweep goes through all applications, once in a while: idle instances are given up.
func (s *Scheduler) Sweep(now time.Time) {
	for name, a := range s.apps {
		a.retreat(now.Add(-s.cfg.Retreat))
		if len(a.instances) == 0 && a.waiting == 0 {
			delete(s.apps, name)
		}
	}
}

// again places a job that was parked, wherever there is credit.
func (s *Scheduler) again(now time.Time, w *waiting, cmds []Command) []Command {
	s.unpark(w)
	a := s.apps[w.App]
	if len(s.flows[w.Needs]) == 0 && s.CanRun(w.Needs) {
		if best, _, _ := s.choose(now, &w.Job, a, nil); best != nil {
			return s.bindWaiting(now, w, a, best, cmds)
		}
	}
	if !s.CanRun(w.Needs) {
		s.end(w)
		return append(cmds, Command{Kind: Strand, Job: w.ID})
	}
	s.enqueue(w, a)
	return cmds
}

// serve gives a worker's credit to who waits.
func (s *Scheduler) serve(now time.Time, worker *worker, cmds []Command) []Command {
	for worker.credit() > 0 {
		if len(worker.parked) > 0 {
			w := worker.parked[0]
			cmds = s.bindWaiting(now, w, s.apps[w.App], worker, cmds)
			continue
		}
		f := s.next(worker.class)
		if f == nil {
			break
		}
		w := f.jobs[0]
		best, park, until := s.choose(now, &w.Job, f.app, worker)
		if park != nil && park != worker {
			s.dequeue(w)
			s.park(w, park, until)
			continue
		}
		if best == nil {
			best = worker
		}
		cmds = s.bindWaiting(now, w, f.app, best, cmds)
	}
	return cmds
}

func (s *Scheduler) bindWaiting(now time.Time, w *waiting, a *app, to *worker, cmds []Command) []Command {
	s.virtual = max(s.virtual, a.virtual)
	a.virtual += max(a.cost, leastCost)
	s.end(w)
	if !s.last.IsZero() {
		s.pace = blend(s.pace, now.Sub(s.last).Seconds(), 1.0/16)
	}
	s.last = now
	return s.bind(now, &w.Job, a, to, cmds)
}

func (s *Scheduler) bind(now time.Time, j *Job, a *app, w *worker, cmds []Command) []Command {
	cmd := Command{Kind: Bind, Job: j.ID, Worker: w.peer}
	if w.free {
		w.bound++
	} else {
		w.send(now, 1)
		cmd.Credit = w.spent
	}
	a.enter(w, now)
	for _, key := range j.Keys {
		s.hints[key%hints] = hint{key, w}
	}
	s.rank(w)
	return append(cmds, cmd)
}

// send spends credits of a worker.
func (w *worker) send(now time.Time, n uint64) {
	if w.first.Before(w.seen) || w.spent == w.arrived {
		w.first = now
	}
	w.spent += n
}

func (s *Scheduler) worker(p Peer) *worker {
	if w := s.workers[p.Name]; w != nil && w.peer == p {
		return w
	}
	return nil
}

// blend is an exponentially weighted mean; the first value stands for itself.
func blend(old, value, weight float64) float64 {
	if old == 0 {
		return value
	}
	return old + (value-old)*weight
}
