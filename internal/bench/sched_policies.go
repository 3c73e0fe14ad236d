package bench

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/squall-faas/squall/internal/sched"
)

// simPolicies are what the scheduler is measured against, under the same arrivals: placement at once, by three rules, into the
// workers' own queues; and one queue for all slots that costs nothing, which no scheduler can beat.
var simPolicies = []struct {
	name  string
	place simPolicy
}{
	{"random", simRandom}, {"round_robin", simRoundRobin}, {"least_loaded", simLeastLoaded}, {"squall", simSquall}, {"ideal", simIdeal},
}

func simRandom(s *simulation) func(simJob) {
	return func(j simJob) {
		w := s.fleet[s.rng.IntN(len(s.fleet))]
		s.after(hopTime, func() { s.arrive(w, j) })
	}
}

func simRoundRobin(s *simulation) func(simJob) {
	turn := 0
	return func(j simJob) {
		turn++
		w := s.fleet[turn%len(s.fleet)]
		s.after(hopTime, func() { s.arrive(w, j) })
	}
}

// simLeastLoaded takes the worker with the fewest jobs, as far as is known: each placement counts at once, each end when the
// report of it arrives.
func simLeastLoaded(s *simulation) func(simJob) {
	known := make([]int, len(s.fleet))
	for _, w := range s.fleet {
		w.ended = func(w *simWorker, _ simJob) { s.after(sched.ReportDelay/2+hopTime, func() { known[w.index]-- }) }
	}
	turn := 0
	return func(j simJob) {
		turn++
		best := turn % len(known)
		for i := range known {
			if k := (turn + i) % len(known); known[k] < known[best] {
				best = k
			}
		}
		known[best]++
		w := s.fleet[best]
		s.after(hopTime, func() { s.arrive(w, j) })
	}
}

// simIdeal has one queue: a free slot takes the next job with no time between.
func simIdeal(s *simulation) func(simJob) {
	one := &simWorker{slots: s.workers * s.slots}
	return func(j simJob) { s.after(hopTime, func() { s.arrive(one, j) }) }
}

// simFleet is Squall's scheduler with executors that grant it credits, as package executor does.
type simFleet struct {
	*simulation
	scheduler *sched.Scheduler
	cmds      []sched.Command
	jobs      map[sched.ID]simJob
	nodes     []*simNode
	woken     time.Duration
}

type simNode struct {
	*simWorker
	peer     sched.Peer
	ledger   sched.Ledger
	pace     sched.Pace
	window   int
	hurried  bool
	reported bool // one is due
}

var (
	simOwner = sched.Peer{Name: "coordinator", Life: 1}
	simStart = time.Unix(0, 0)
)

func simSquall(s *simulation) func(simJob) {
	f := &simFleet{simulation: s, scheduler: sched.New(sched.Config{Queue: 1 << 30, Seed: s.rng.Uint64()}), jobs: map[sched.ID]simJob{}}
	for i, w := range s.fleet {
		n := &simNode{simWorker: w, peer: sched.Peer{Name: fmt.Sprint("executor-", i), Life: 1}}
		f.nodes = append(f.nodes, n)
		n.ledger.Claim(simOwner)
		w.started = func(w *simWorker, _ simJob) { n.pace.Taken(f.time(), w.busy-1) }
		w.ended = func(w *simWorker, _ simJob) { f.ended(n) }
		f.beat(n, time.Duration(i)*200*time.Millisecond/time.Duration(len(s.fleet)))
	}
	return func(j simJob) {
		var id sched.ID
		binary.BigEndian.PutUint64(id[:], uint64(j.number))
		f.jobs[id] = j
		f.submit(id, j)
	}
}

func (f *simFleet) time() time.Time { return simStart.Add(f.now) }

func (f *simFleet) submit(id sched.ID, j simJob) {
	f.obey(f.scheduler.Submit(f.time(), sched.Job{ID: id, Needs: "f", Since: simStart.Add(j.at)}, f.cmds[:0]))
}

func (f *simFleet) obey(cmds []sched.Command) {
	for _, c := range cmds {
		if c.Kind != sched.Bind {
			continue
		}
		j, n := f.jobs[c.Job], f.nodes[slices.IndexFunc(f.nodes, func(n *simNode) bool { return n.peer == c.Worker })]
		f.after(hopTime, func() {
			if !n.ledger.Spend(simOwner, c.Credit) {
				f.giveBack(n, c.Job, j)
				return
			}
			f.arrive(n.simWorker, j)
			f.watch(n, c.Job, j)
		})
	}
	f.cmds = cmds[:0]
	if next := f.scheduler.Next(); !next.IsZero() && next.Sub(simStart) != f.woken {
		f.woken = next.Sub(simStart)
		f.at(max(f.woken, f.now), func() { f.obey(f.scheduler.Tick(f.time(), f.cmds[:0])) })
	}
}

// watch has a job that waits behind long ones go back.
func (f *simFleet) watch(n *simNode, id sched.ID, j simJob) {
	waits := func() int { return slices.IndexFunc(n.queue, func(o simJob) bool { return o.number == j.number }) }
	if waits() < 0 {
		return
	}
	f.after(sched.StuckAfter, func() {
		i := waits()
		switch {
		case i < 0:
		case n.pace.Stuck(f.time(), n.busy, n.slots):
			n.queue = slices.Delete(n.queue, i, i+1)
			f.giveBack(n, id, j)
		default:
			f.watch(n, id, j)
		}
	})
}

func (f *simFleet) giveBack(n *simNode, id sched.ID, j simJob) {
	v := f.view(n)
	f.after(hopTime, func() {
		f.scheduler.Returned(n.peer)
		f.submit(id, j)
		f.obey(f.scheduler.Granted(f.time(), v, f.cmds[:0]))
	})
}

// ended is what an executor does when a job ends: its report is due in a while, or at once where its coordinator waits.
func (f *simFleet) ended(n *simNode) {
	n.pace.Given(f.time(), n.busy)
	work := n.busy + len(n.queue) - 1
	if n.ledger.Starved() && n.window-work-n.ledger.Unspent() >= max(1, n.window/4) {
		if !n.hurried {
			n.hurried = true
			f.after(0, func() { f.report(n) })
		}
		return
	}
	if !n.reported {
		n.reported = true
		f.after(sched.ReportDelay, func() { f.report(n) })
	}
}

func (f *simFleet) report(n *simNode) {
	n.hurried, n.reported = false, false
	v := f.view(n)
	f.after(hopTime, func() { f.obey(f.scheduler.Granted(f.time(), v, f.cmds[:0])) })
}

func (f *simFleet) view(n *simNode) *sched.View {
	now := f.time()
	mean, stuck := n.pace.Mean(now, n.busy), n.pace.Stuck(now, n.busy, n.slots)
	n.window = sched.Window(n.slots, mean, stuck)
	if stuck && n.ledger.Unspent() > 0 {
		n.ledger.Revoke()
	}
	n.ledger.Grant(n.window, n.busy+len(n.queue))
	return &sched.View{
		Worker: n.peer, Takes: true, Abilities: []sched.Ability{"f"}, Slots: n.slots, Busy: n.busy, Queued: len(n.queue), Mean: mean,
		Grant: &n.ledger.Grants()[0],
	}
}

func (f *simFleet) beat(n *simNode, in time.Duration) {
	f.after(in, func() {
		v := f.view(n)
		f.after(hopTime, func() {
			cmds, err := f.scheduler.Heard(f.time(), v, f.cmds[:0])
			if err != nil {
				panic(err) // there is no digest in it
			}
			f.obey(cmds)
		})
		f.beat(n, 200*time.Millisecond)
	})
}
