package planner

import (
	"math"
	"slices"
	"time"

	"github.com/squall-faas/squall/dag"
)

// scratch is memory that reckoning stages uses again.
type scratch struct {
	now, later []float64 // load by resource: of what leaves producers, and of what is read from the store after that
	flows      []flow
	at         []int     // by edge of the stage, where its flows begin
	slots      []float64 // as in state
	ready      []float64 // by executor
	nodes      []timing
	edges      []transfer
	sent       []sent
	came       []float64 // by executor, of one edge
	news       []news
}

// news is what a stage changes of a state beside what its nodes make.
type news struct {
	stored bool
	i      int // index of state.stored or state.arrived
	at     float64
}

// sent is a value that goes to an executor whole in this stage, so that it need not go again.
type sent struct {
	from dag.Source
	path Path
	to   uint64 // executors
	up   bool   // it is being written to the store
}

// timing is when a node runs.
type timing struct{ start, finish float64 }

// transfer is when an edge's values travel.
type transfer struct{ start, finish float64 }

func (c *scratch) init(m *model) {
	c.now, c.later = make([]float64, len(m.capacity)), make([]float64, len(m.capacity))
	c.ready, c.came = make([]float64, len(m.execs)), make([]float64, len(m.execs))
}

// outcome is what a stage would come to.
type outcome struct {
	span, sum, cost float64
}

// reckon tells what the first nodes of a stage come to after s, as far as choices are made. With commit s becomes the state
// after the stage; otherwise it is not changed. Details are in scratch until the next call.
//
// The model: all that enters a stage travels at once. A transfer takes the latency of its path, and as long as the most
// loaded resource on its way needs for the whole load that the stage puts on it. A value that several nodes need whole
// goes to each executor once. What goes through the store is written first, then read. A node starts on an executor once all
// its arguments are there, in the order of the nodes, each task on the slot that is free first; the first task on each slot
// waits for a cold start if the function has no instance there. Nothing is worse for being earlier: so a state that is no
// later than another in anything is no worse.
func (m *model) reckon(s *state, nodes []int, choices []choice, commit bool) outcome {
	c := &m.scratch
	m.spent += len(nodes)
	out := outcome{span: s.span, cost: s.cost + m.load(s, nodes, choices)}
	slots := append(c.slots[:0], s.slots...)
	c.slots = slots
	c.nodes, c.edges, c.news = c.nodes[:0], c.edges[:0], c.news[:0]
	warm := s.warm
	if commit {
		warm = slices.Clone(s.warm)
	}
	at := 0
	for i, n := range nodes {
		to := choices[i].share
		clear(c.ready)
		for j := range m.edges[n] {
			if j < len(choices[i].paths) {
				c.edges = append(c.edges, m.travel(s, &m.edges[n][j], choices[i].paths[j], c.flows[c.at[at]:c.at[at+1]]))
				at++
			}
		}
		f := m.function[n]
		t := timing{start: math.Inf(1)}
		base := 0
		for k, count := range to {
			mine := slots[base : base+m.slots[k]]
			base += m.slots[k]
			if count == 0 {
				continue
			}
			cold := 0.0
			if (warm[f]|freshOf(nodes[:i], choices, m.function, f, k))>>k&1 == 0 {
				cold = seconds(m.Work[n].Cold)
			}
			start, finish, busy := m.run(mine, n, k, count, c.ready[k], cold)
			t.start, t.finish = min(t.start, start), max(t.finish, finish)
			out.cost += busy * m.Prices.SlotSecond
		}
		c.nodes = append(c.nodes, t)
		out.span = max(out.span, t.finish)
		out.sum += t.finish
	}
	if commit {
		m.commit(s, nodes, choices, warm, out)
	}
	return out
}

// freshOf is 1<<k where an earlier node of the stage has started an instance of f on executor k.
func freshOf(nodes []int, choices []choice, function []int, f, k int) uint64 {
	for i, n := range nodes {
		if function[n] == f && choices[i].share[k] > 0 {
			return 1 << k
		}
	}
	return 0
}

func (m *model) commit(s *state, nodes []int, choices []choice, warm []uint64, out outcome) {
	c := &m.scratch
	for _, x := range c.news {
		of := s.arrived
		if x.stored {
			of = s.stored
		}
		of[x.i] = min(of[x.i], x.at)
	}
	for i, n := range nodes {
		src := m.g.NodeSource(n)
		s.finish[src], s.share[src] = c.nodes[i].finish, choices[i].share
		for k, count := range choices[i].share {
			if count > 0 {
				warm[m.function[n]] |= 1 << k
				s.used |= 1 << k
			}
		}
	}
	s.warm, s.span, s.cost = warm, out.span, out.cost
	copy(s.slots, c.slots)
}

// load adds up what each resource has to carry, and gives what that costs.
func (m *model) load(s *state, nodes []int, choices []choice) (cost float64) {
	c := &m.scratch
	clear(c.now)
	clear(c.later)
	c.flows, c.at, c.sent = c.flows[:0], append(c.at[:0], 0), c.sent[:0]
	for i, n := range nodes {
		for j, p := range choices[i].paths {
			e := &m.edges[n][j]
			from := len(c.flows)
			c.flows = m.flows(c.flows, e, s.share[e.from], choices[i].share)
			c.at = append(c.at, len(c.flows))
			cost += m.carry(s, e, p, c.flows[from:])
		}
	}
	return cost
}

// carry adds the load of one edge.
func (m *model) carry(s *state, e *edge, p Path, flows []flow) (cost float64) {
	c := &m.scratch
	had := m.sending(e, p)
	if p == Remote && math.IsInf(s.stored[e.from], 1) && !c.sent[had].up {
		c.sent[had].up = true
		cost += m.Prices.Stored*e.bytes/1e9 + m.Prices.Request
		c.now[m.store] += e.bytes
		for k, n := range s.share[e.from] {
			if n > 0 {
				b := e.bytes * float64(n) / float64(m.made(e.from))
				c.now[m.out(k)] += b
				cost += m.Prices.Gigabyte * b / 1e9
			}
		}
	}
	var to uint64
	for _, f := range flows {
		if m.there(s, e, f.to) || c.sent[had].to>>f.to&1 == 1 {
			continue
		}
		if !e.pattern.cut() {
			to |= 1 << f.to
		}
		switch p {
		case Local:
			if d := m.disk(f.to); m.capacity[d] > 0 {
				c.now[d] += 2 * f.bytes
			} else if f.from != f.to {
				c.now[m.memory(f.to)] += f.bytes
			}
		case Direct:
			if m.host[f.from] == m.host[f.to] {
				c.now[m.memory(f.to)] += f.bytes
			} else {
				c.now[m.out(f.from)] += f.bytes
				c.now[m.in(f.to)] += f.bytes
				c.now[m.pair(f.from, f.to)] += f.bytes
				cost += m.Prices.Gigabyte * f.bytes / 1e9
			}
		case Remote:
			c.later[m.in(f.to)] += f.bytes
			c.later[m.store+1] += f.bytes
			cost += m.Prices.Gigabyte*f.bytes/1e9 + m.Prices.Request/10
		case Inline:
			if f.from == f.to {
				continue
			}
			if f.from != client {
				c.now[m.out(f.from)] += f.bytes
			}
			c.now[m.in(f.to)] += f.bytes
			c.now[m.store+2] += f.bytes
			cost += m.Prices.Gigabyte * f.bytes / 1e9
		}
	}
	c.sent[had].to |= to
	return cost
}

// sending finds what is known in this stage of a source on a path.
func (m *model) sending(e *edge, p Path) int {
	c := &m.scratch
	for i := range c.sent {
		if c.sent[i].from == e.from && c.sent[i].path == p {
			return i
		}
	}
	c.sent = append(c.sent, sent{from: e.from, path: p})
	return len(c.sent) - 1
}

// there reports whether all of an edge's value has been sent to an executor in an earlier stage.
func (m *model) there(s *state, e *edge, k int) bool {
	return !math.IsInf(s.arrived[int(e.from)*len(m.execs)+k], 1)
}

// made is how many tasks have made a source's value.
func (m *model) made(src dag.Source) int {
	if n, ok := m.g.NodeOf(src); ok {
		return m.Work[n].Tasks
	}
	return 1
}

// travel tells when an edge's value is at each executor, and raises ready to that.
func (m *model) travel(s *state, e *edge, p Path, flows []flow) transfer {
	c := &m.scratch
	clear(c.came)
	begin := s.finish[e.from]
	t := transfer{begin, begin}
	stored := s.stored[e.from]
	if p == Remote && math.IsInf(stored, 1) {
		took := m.needs(c.now, m.store)
		for k, n := range s.share[e.from] {
			if n > 0 {
				took = max(took, m.needs(c.now, m.out(k)))
			}
		}
		stored = begin + took + seconds(m.Fleet.Store.WriteLatency)
		c.news = append(c.news, news{true, int(e.from), stored})
	}
	for _, f := range flows {
		at := begin
		switch {
		case m.there(s, e, f.to):
			at = s.arrived[int(e.from)*len(m.execs)+f.to]
		case p == Local:
			if d := m.disk(f.to); m.capacity[d] > 0 {
				at += m.needs(c.now, d)
			} else if f.from != f.to {
				at += m.needs(c.now, m.memory(f.to))
			}
		case p == Direct && m.host[f.from] == m.host[f.to]:
			at += seconds(m.link(f.from, f.to).Latency) + m.needs(c.now, m.memory(f.to))
		case p == Direct:
			at += seconds(m.link(f.from, f.to).Latency) + max(m.needs(c.now, m.out(f.from)), m.needs(c.now, m.in(f.to)), m.needs(c.now, m.pair(f.from, f.to)))
		case p == Remote:
			at = max(at, stored) + seconds(m.Fleet.Store.ReadLatency) + max(m.needs(c.later, m.in(f.to)), m.needs(c.later, m.store+1))
		case p == Inline && f.from != f.to:
			at += seconds(m.Fleet.Bus.Latency) + max(m.needs(c.now, m.in(f.to)), m.needs(c.now, m.store+2))
			if f.from != client {
				at = max(at, begin+seconds(m.Fleet.Bus.Latency)+m.needs(c.now, m.out(f.from)))
			}
		}
		c.came[f.to] = max(c.came[f.to], at)
		c.ready[f.to] = max(c.ready[f.to], at)
		t.finish = max(t.finish, at)
	}
	if !e.pattern.cut() {
		for _, f := range flows {
			c.news = append(c.news, news{false, int(e.from)*len(m.execs) + f.to, c.came[f.to]})
		}
	}
	return t
}

// needs is how long a resource takes for its load.
func (m *model) needs(load []float64, r int) float64 {
	if load[r] == 0 {
		return 0
	}
	return load[r] / m.capacity[r]
}

// run puts count tasks of a node on an executor's slots, which are sorted and stay so.
func (m *model) run(slots []float64, node, k, count int, ready, cold float64) (start, finish, busy float64) {
	w := &m.Work[node]
	if m.g.Nodes[node].Kind != dag.Reduce {
		return fill(slots, count, ready, seconds(w.Took)/m.speed[k], cold)
	}
	start, finish = ready, ready
	for i, l := range w.Levels {
		s, f, b := fill(slots, l.Calls, finish, seconds(l.Took)/m.speed[k], cold)
		if i == 0 {
			start = s
		}
		finish, busy, cold = f, busy+b, 0
	}
	return start, finish, busy
}

// fill puts calls of one length on slots, each on the one that is free first.
func fill(slots []float64, count int, ready, took, cold float64) (start, finish, busy float64) {
	start = max(ready, slots[0])
	busy = float64(count)*took + float64(min(count, len(slots)))*cold
	for n := 0; n < count; n++ {
		if n == 2*len(slots) && count-n > len(slots) {
			// From here on all are busy without a gap: whole rounds can be skipped.
			rounds := (count - n) / len(slots)
			for i := range slots {
				slots[i] += float64(rounds) * took
			}
			finish = max(finish, slots[len(slots)-1])
			if n += rounds * len(slots); n == count {
				break
			}
		}
		at := max(ready, slots[0]) + took
		if n < len(slots) {
			at += cold
		}
		i := 1
		for ; i < len(slots) && slots[i] < at; i++ {
			slots[i-1] = slots[i]
		}
		slots[i-1] = at
		finish = max(finish, at)
	}
	return start, finish, busy
}

func duration(s float64) time.Duration { return time.Duration(math.Round(s * 1e9)) }
