package sched

import (
	"container/heap"
	"slices"
	"time"

	"github.com/squall-faas/squall/fault"
)

// app is an application. Its virtual time is the slot time that it was given, as far as it competed for it (start-time
// fair queueing): whoever has had the least is served next.
type app struct {
	name      string
	virtual   float64           // seconds
	cost      float64           // seconds of a slot that a job of it takes, recently
	waiting   int               // jobs, in flows and parked
	flows     map[Ability]*flow // with jobs that wait
	instances []*worker         // where it has run recently, in the order in which it came there
}

// flow is the jobs of one application that wait for one ability.
type flow struct {
	app  *app
	jobs heaped
}

// before tells which flow is served first. Ties have an order, so that a scheduler does the same on the same events.
func (f *flow) before(o *flow) bool {
	if f.app.virtual != o.app.virtual {
		return f.app.virtual < o.app.virtual
	}
	a, b := f.jobs[0], o.jobs[0]
	if a.key != b.key {
		return a.key < b.key
	}
	return a.number < b.number
}

// waiting is one job that waits.
type waiting struct {
	Job
	key    int64 // order of its flow: since, less a second for each priority
	number uint64
	flow   *flow // nil while it is parked
	at     int   // in the flow's heap
	on     *worker
	until  time.Time // while it is parked
	slot   int       // in the heap of parked jobs
}

// heaped is a heap by key, then by number.
type heaped []*waiting

func (h heaped) Len() int { return len(h) }
func (h heaped) Less(i, j int) bool {
	if h[i].key != h[j].key {
		return h[i].key < h[j].key
	}
	return h[i].number < h[j].number
}
func (h heaped) Swap(i, j int) { h[i], h[j] = h[j], h[i]; h[i].at, h[j].at = i, j }
func (h *heaped) Push(x any)   { w := x.(*waiting); w.at = len(*h); *h = append(*h, w) }
func (h *heaped) Pop() any {
	last := len(*h) - 1
	w := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return w
}

// patient is a heap by the end of patience.
type patient []*waiting

func (h patient) Len() int           { return len(h) }
func (h patient) Less(i, j int) bool { return h[i].until.Before(h[j].until) }
func (h patient) Swap(i, j int)      { h[i], h[j] = h[j], h[i]; h[i].slot, h[j].slot = i, j }
func (h *patient) Push(x any)        { w := x.(*waiting); w.slot = len(*h); *h = append(*h, w) }
func (h *patient) Pop() any {
	last := len(*h) - 1
	w := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return w
}

// app finds an application; one that has not competed lately starts where the others are.
func (s *Scheduler) app(name string) *app {
	a := s.apps[name]
	if a == nil {
		a = &app{name: name, virtual: s.virtual, flows: map[Ability]*flow{}}
		s.apps[name] = a
	}
	return a
}

// admit reports whether one more job of the application may wait; overloaded where not.
func (s *Scheduler) admit(a *app) *fault.Error {
	active := s.active
	if a.waiting == 0 {
		active++
	}
	switch {
	case s.Waiting() >= s.cfg.Queue:
	case s.Waiting() >= s.cfg.Queue/2 && a.waiting >= s.cfg.Queue/active:
	default:
		return nil
	}
	return fault.New(fault.Overloaded, "%d calls wait for a free slot, %d of them of this application: try again later, or add executors", s.Waiting(), a.waiting).
		With(func(e *fault.Error) { e.RetryAfter = s.drainTime() })
}

// drainTime is how long it takes to work off a quarter of what waits.
func (s *Scheduler) drainTime() time.Duration {
	d := time.Duration(float64(s.Waiting()) / 4 * s.pace * float64(time.Second))
	return min(max(d, 100*time.Millisecond), 30*time.Second)
}

// enqueue has a job wait for any worker.
func (s *Scheduler) enqueue(w *waiting, a *app) {
	f := a.flows[w.Needs]
	if f == nil {
		f = &flow{app: a}
		a.flows[w.Needs] = f
		s.flows[w.Needs] = append(s.flows[w.Needs], f)
	}
	w.flow = f
	heap.Push(&f.jobs, w)
}

// dequeue takes a job out of its flow, which goes with its last.
func (s *Scheduler) dequeue(w *waiting) {
	f := w.flow
	heap.Remove(&f.jobs, w.at)
	w.flow = nil
	if len(f.jobs) > 0 {
		return
	}
	delete(f.app.flows, w.Needs)
	if s.flows[w.Needs] = slices.DeleteFunc(s.flows[w.Needs], func(o *flow) bool { return o == f }); len(s.flows[w.Needs]) == 0 {
		delete(s.flows, w.Needs)
	}
}

// park has a job wait for one worker, and no longer than until.
func (s *Scheduler) park(w *waiting, on *worker, until time.Time) {
	w.on, w.until = on, until
	on.parked = append(on.parked, w)
	heap.Push(&s.parked, w)
}

func (s *Scheduler) unpark(w *waiting) {
	heap.Remove(&s.parked, w.slot)
	w.on.parked = slices.DeleteFunc(w.on.parked, func(o *waiting) bool { return o == w })
	w.on = nil
}

// begin and end count a job that waits.
func (s *Scheduler) begin(w *waiting, a *app) {
	s.jobs[w.ID] = w
	if a.waiting++; a.waiting == 1 {
		s.active++
		a.virtual = max(a.virtual, s.virtual)
	}
}

func (s *Scheduler) end(w *waiting) {
	switch {
	case w.flow != nil:
		s.dequeue(w)
	case w.on != nil:
		s.unpark(w)
	}
	delete(s.jobs, w.ID)
	a := s.apps[w.App]
	if a.waiting--; a.waiting == 0 {
		s.active--
	}
}

// next gives the flow that is served next by a worker of the class: of the application that has had the least.
func (s *Scheduler) next(c *class) *flow {
	var out *flow
	look := func(flows []*flow) {
		for _, f := range flows {
			if out == nil || f.before(out) {
				out = f
			}
		}
	}
	if len(s.flows) < len(c.abilities) {
		for a, flows := range s.flows {
			if slices.Contains(s.able[a], c) {
				look(flows)
			}
		}
		return out
	}
	for _, a := range c.abilities {
		look(s.flows[a])
	}
	return out
}
