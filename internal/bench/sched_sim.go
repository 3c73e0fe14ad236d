package bench

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/squall-faas/squall/internal/ycsb"
)

// mixedLoad is a workload of short and long jobs that nobody can tell apart before they run.
type mixedLoad struct {
	workers, slots int
	busy           float64 // share of the slots' time that the jobs take
	length         time.Duration
}

const (
	shortJob  = time.Millisecond
	longJob   = time.Second
	longShare = 0.01
	hopTime   = 100 * time.Microsecond // of a message
)

func (l mixedLoad) String() string {
	return fmt.Sprintf("%d workers of %d slots, %.0f %% busy; 1 ms, and one in %.0f 1 s; arrivals like the trace of Azure Functions; %v of virtual time; %v a message",
		l.workers, l.slots, l.busy*100, 1/longShare, l.length, hopTime)
}

// simJob is one job: when it comes and for how long it runs.
type simJob struct {
	number int
	at     time.Duration
	takes  time.Duration
}

// draw makes the jobs, the same for the same seed.
func (l mixedLoad) draw(seed uint64) []simJob {
	mean := shortJob.Seconds()*(1-longShare) + longJob.Seconds()*longShare
	rate := l.busy * float64(l.workers*l.slots) / mean
	arrivals := ycsb.Arrival{Kind: ycsb.Trace, Sources: 100, Sigma: 1.5, Period: time.Minute, Swing: 0.5}.Start(rate, seed)
	rng := rand.New(rand.NewPCG(seed, 0x5108))
	var out []simJob
	for {
		j := simJob{number: len(out), at: arrivals.Next(), takes: shortJob}
		if j.at >= l.length {
			return out
		}
		if rng.Float64() < longShare {
			j.takes = longJob
		}
		out = append(out, j)
	}
}

// simulation is a discrete-event simulation of a fleet.
type simulation struct {
	mixedLoad
	now    time.Duration
	events simEvents
	count  uint64
	fleet  []*simWorker
	rng    *rand.Rand

	short, long []time.Duration // of jobs that are done: time since arrival, of long ones without their run
}

// simWorker has slots, and a queue in the order of arrival.
type simWorker struct {
	index int
	slots int
	busy  int
	queue []simJob
	// started, ended: a policy hears of a job that takes a slot, and of one that gives it back.
	started, ended func(w *simWorker, j simJob)
}

// simPolicy places a job: at once, or later.
type simPolicy func(s *simulation) (place func(j simJob))

// simulate runs all jobs to their end.
func simulate(l mixedLoad, jobs []simJob, policy simPolicy, seed uint64) *simulation {
	s := &simulation{mixedLoad: l, rng: rand.New(rand.NewPCG(seed, 0x51))}
	for i := range l.workers {
		s.fleet = append(s.fleet, &simWorker{index: i, slots: l.slots})
	}
	place := policy(s)
	for _, j := range jobs {
		s.at(j.at, func() { place(j) })
	}
	for len(s.events) > 0 && len(s.short)+len(s.long) < len(jobs) {
		e := heap.Pop(&s.events).(simEvent)
		s.now = e.at
		e.do()
	}
	return s
}

func (s *simulation) at(t time.Duration, do func()) {
	s.count++
	heap.Push(&s.events, simEvent{t, s.count, do})
}

func (s *simulation) after(d time.Duration, do func()) { s.at(s.now+d, do) }

// arrive has a job be at a worker: it runs, or waits in line.
func (s *simulation) arrive(w *simWorker, j simJob) {
	if w.busy == w.slots {
		w.queue = append(w.queue, j)
		return
	}
	w.busy++
	s.start(w, j)
}

func (s *simulation) start(w *simWorker, j simJob) {
	if w.started != nil {
		w.started(w, j)
	}
	s.after(j.takes, func() {
		if done := s.now - j.at; j.takes == shortJob {
			s.short = append(s.short, done)
		} else {
			s.long = append(s.long, done-j.takes)
		}
		if w.ended != nil {
			w.ended(w, j)
		}
		if len(w.queue) == 0 {
			w.busy--
			return
		}
		next := w.queue[0]
		w.queue = w.queue[1:]
		s.start(w, next)
	})
}

type simEvent struct {
	at     time.Duration
	number uint64
	do     func()
}

type simEvents []simEvent

func (h simEvents) Len() int { return len(h) }
func (h simEvents) Less(i, j int) bool {
	if h[i].at != h[j].at {
		return h[i].at < h[j].at
	}
	return h[i].number < h[j].number
}
func (h simEvents) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *simEvents) Push(x any)   { *h = append(*h, x.(simEvent)) }
func (h *simEvents) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = simEvent{}
	*h = (*h)[:last]
	return e
}
