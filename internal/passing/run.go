package passing

import (
	"container/heap"
	"math"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/dag/planner"
)

// Outcome is what an execution has taken.
type Outcome struct {
	Seconds float64   // until the last node had finished
	Finish  []float64 // of each node
	Sent    float64   // bytes between hosts, and to and from the store
}

// Run executes an assignment in virtual time. An assignment that cannot be is invalid_argument.
//
// A node's values set out when all its tasks have finished. An argument is there when its last byte is; one that several
// nodes need whole goes to an executor once. What travels Remote is written to the store once, then read. A task whose
// arguments are there waits in its executor's queue, first come, first served, and takes an idle instance of its function or
// starts one, which takes a cold start.
func (t *Truth) Run(a Assignment) (Outcome, error) {
	if err := t.check(a, t.Edges()); err != nil {
		return Outcome{}, err
	}
	return t.Runner().run(a, math.Inf(1)), nil
}

// Within executes an assignment of which the caller knows that it can be, and gives up when more than limit seconds have
// passed: then it gives Inf. It is for trying very many.
func (s *Runner) Within(a Assignment, limit float64) float64 { return s.run(a, limit).Seconds }

// Runner executes one assignment after another. It is not safe for concurrent use.
type Runner struct {
	*Truth
	now     float64
	fluid   fluid
	changed bool // flows have begun since the last share
	queue   events
	order   int

	a         Assignment
	edges     []Edge
	consumers [][]int // by source, its edges
	nodes     []progress
	whole     map[place]*delivery // what has gone to an executor whole, or is on its way
	written   []*delivery         // by source: its way to the store
	hosts     []machine
	outcome   Outcome
	open      int
}

// place is a source at an executor.
type place struct {
	source dag.Source
	at     int
}

// delivery is a value on its way to one place, for all who wait for it there.
type delivery struct {
	left  int // parts that are still under way
	there bool
	then  []func()
}

func (d *delivery) arrived() {
	if d.left--; d.left == 0 {
		d.there = true
		for _, f := range d.then {
			f()
		}
		d.then = nil
	}
}

func (d *delivery) wait(f func()) {
	if d.there {
		f()
	} else {
		d.then = append(d.then, f)
	}
}

// progress is what has become of a node.
type progress struct {
	missing []int // by executor: arguments that are not there yet
	left    int   // tasks
	levels  int   // of a Reduce that have begun
}

// machine is an executor.
type machine struct {
	slots int            // that are free
	idle  map[string]int // instances by function
	line  []task
}

type task struct {
	node int
	took float64
}

// event is something that happens at a certain time; what happens at one time does so in the order in which it was planned.
type event struct {
	at    float64
	order int
	do    func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].order < e[j].order
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }

// Push implements heap.Interface.
func (e *events) Push(x any) { *e = append(*e, x.(event)) }

// Pop implements heap.Interface.
func (e *events) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	(*e)[last] = event{}
	*e = (*e)[:last]
	return x
}

// Runner makes one for t, which must not change any more.
func (t *Truth) Runner() *Runner {
	c := t.capacities()
	r := &Runner{
		Truth: t, fluid: fluid{capacity: c, room: make([]float64, len(c)), weights: make([]float64, len(c))},
		edges: t.Edges(), consumers: make([][]int, t.Graph.Sources()), whole: map[place]*delivery{},
	}
	for i, e := range r.edges {
		r.consumers[e.From] = append(r.consumers[e.From], i)
	}
	for range t.Graph.Nodes {
		r.nodes = append(r.nodes, progress{missing: make([]int, len(t.Fleet.Executors))})
	}
	return r
}

func (s *Runner) after(seconds float64, do func()) {
	s.order++
	heap.Push(&s.queue, event{s.now + seconds, s.order, do})
}

func (s *Runner) run(a Assignment, limit float64) Outcome {
	s.now, s.queue, s.order, s.fluid.flows = 0, s.queue[:0], 0, s.fluid.flows[:0]
	s.a = a
	clear(s.whole)
	s.written = make([]*delivery, s.Graph.Sources())
	s.outcome = Outcome{Finish: make([]float64, len(s.Graph.Nodes))}
	s.hosts = make([]machine, len(s.Fleet.Executors))
	for k, e := range s.Fleet.Executors {
		s.hosts[k] = machine{idle: map[string]int{}, slots: e.Slots}
		for f := range e.Warm {
			if e.Warm[f] {
				s.hosts[k].idle[f] = e.Slots
			}
		}
		if e.Backlog > 0 {
			s.hosts[k].slots = 0
			s.after(e.Backlog.Seconds(), func() { s.hosts[k].slots = e.Slots; s.start(k) })
		}
	}
	s.open = len(s.nodes)
	for n := range s.nodes {
		clear(s.nodes[n].missing)
		s.nodes[n].left, s.nodes[n].levels = s.Work[n].Tasks, 0
	}
	for _, e := range s.edges {
		for k, c := range a.Share[e.Node] {
			if c > 0 {
				s.nodes[e.Node].missing[k]++
			}
		}
	}
	for n := range s.nodes {
		for k, c := range a.Share[n] {
			if c > 0 && s.nodes[n].missing[k] == 0 {
				s.ready(n, k)
			}
		}
	}
	for src := range s.Graph.Inputs {
		s.made(dag.Source(src))
	}
	for s.open > 0 {
		if s.advance(); s.now > limit {
			s.outcome.Seconds = math.Inf(1)
			break
		}
	}
	return s.outcome
}

// advance goes on to whatever happens next.
func (s *Runner) advance() {
	at := math.Inf(1)
	if len(s.queue) > 0 {
		at = s.queue[0].at
	}
	if len(s.fluid.flows) > 0 {
		at = min(at, s.now+s.fluid.next())
	}
	if math.IsInf(at, 1) {
		panic("passing: nodes are left, and nothing will happen any more")
	}
	ended := s.fluid.pass(at - s.now)
	s.now = at
	for _, f := range ended {
		f.done()
	}
	for len(s.queue) > 0 && s.queue[0].at <= s.now {
		heap.Pop(&s.queue).(event).do()
	}
	if s.changed || len(ended) > 0 {
		s.fluid.share()
		s.changed = false
	}
}

// send begins a transfer, after the latency.
func (s *Runner) send(bytes, weight, latency float64, through []int, done func()) {
	s.after(latency, func() {
		s.changed = true
		s.fluid.flows = append(s.fluid.flows, &flow{through: through, weight: weight, left: bytes, done: done})
	})
}

// made sets all that waits for a source in motion.
func (s *Runner) made(src dag.Source) {
	for _, i := range s.consumers[src] {
		e := &s.edges[i]
		var to [64]*delivery
		var fresh uint64
		list := s.parcels(*e, s.shareOf(s.a, src), s.a.Share[e.Node])
		for _, p := range list {
			if to[p.to] != nil {
				continue
			}
			d := s.whole[place{src, p.to}]
			if d == nil || e.Pattern >= planner.Scatter {
				d = &delivery{}
				fresh |= 1 << p.to
				if e.Pattern < planner.Scatter {
					s.whole[place{src, p.to}] = d
				}
			}
			to[p.to] = d
			d.wait(func() { s.argument(e.Node, p.to) })
		}
		for _, p := range list {
			if fresh>>p.to&1 == 1 {
				to[p.to].left++
				s.move(src, p, s.a.Path[i], to[p.to].arrived)
			}
		}
	}
}

// move takes one parcel along a path.
func (s *Runner) move(src dag.Source, p parcel, path planner.Path, done func()) {
	switch path {
	case planner.Local:
		switch {
		case s.Fleet.Executors[p.to].Disk > 0:
			s.send(2*p.bytes, p.tasks, 0, []int{s.disk(p.to)}, done)
		case p.from == p.to:
			s.after(0, done)
		default:
			s.send(p.bytes, p.tasks, 0, []int{s.memory(p.to)}, done)
		}
	case planner.Direct:
		if s.host(p.from) == s.host(p.to) {
			s.send(p.bytes, p.tasks, s.latency(p.from, p.to), []int{s.memory(p.to)}, done)
		} else {
			s.outcome.Sent += p.bytes
			s.send(p.bytes, p.tasks, s.latency(p.from, p.to), []int{s.nic(p.from, 0), s.nic(p.to, 1), s.pair(p.from, p.to)}, done)
		}
	case planner.Inline:
		if p.from == p.to {
			s.after(0, done)
			return
		}
		s.outcome.Sent += p.bytes
		s.send(p.bytes, p.tasks, s.Fleet.Bus.Latency.Seconds(), []int{s.nic(p.from, 0), s.nic(p.to, 1), s.store() + 2}, done)
	case planner.Remote:
		s.outcome.Sent += p.bytes
		s.upload(src).wait(func() {
			s.send(p.bytes, p.tasks, s.Fleet.Store.ReadLatency.Seconds(), []int{s.store() + 1, s.nic(p.to, 1)}, done)
		})
	}
}

// upload writes a source to the store, once.
func (s *Runner) upload(src dag.Source) *delivery {
	if d := s.written[src]; d != nil {
		return d
	}
	d := &delivery{}
	s.written[src] = d
	n, isNode := s.Graph.NodeOf(src)
	if !isNode {
		d.there = true // inputs are in the store
		return d
	}
	tasks := float64(s.Work[n].Tasks)
	for k, c := range s.a.Share[n] {
		if c > 0 {
			bytes := float64(s.Work[n].Out) * float64(c) / tasks
			d.left++
			s.outcome.Sent += bytes
			s.send(bytes, float64(c), s.Fleet.Store.WriteLatency.Seconds(), []int{s.nic(k, 0), s.store()}, d.arrived)
		}
	}
	return d
}
