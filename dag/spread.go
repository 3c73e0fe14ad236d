package dag

import (
	"slices"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/value"
)

// spread is a Map under way. Its items go to places, sites that have offered to run some, and only as many at a time
// as a place has offered: none waits behind a long one while another place idles.
//
//	offered ──▶ credit of the place ──take──▶ item sent ──finished, failed──▶ credit back, next item
//
// Which item a place gets is the queues' choice, see affinity.go. Between two events either no item is queued or no
// place has credit.
type spread struct {
	queues
	node    int
	args    []value.Value // of the node; the first, the list, makes way for the element
	elems   []value.Value
	results []value.Value
	items   []item
	open    int                // items without a result
	seconds map[int]itemSecond // second tries that are out, by item
	late    []int              // items that want one
}

// item is one element's invocation.
type item struct {
	task
	out    bool  // a try of it occupies a place, even if an earlier try has given the result meanwhile
	place  int32 // the one that it occupies
	outTry int32 // the one that is out; a second one has a higher number
}

// beginMap splits the list, which is present, and asks for places.
func (r *Run) beginMap(n int) {
	args := make([]value.Value, r.g.Nodes[n].Arity())
	if !r.arguments(n, args) {
		return
	}
	elems, err := args[0].Elements()
	if err != nil {
		r.fail(n, r.locate(fault.From(err), Invocation{Node: n}))
		return
	}
	if len(elems) == 0 {
		r.hold(r.g.NodeSource(n), value.List(nil))
		return
	}
	r.nodes[n].spread = &spread{
		queues:  newQueues(elems),
		node:    n,
		args:    args,
		elems:   elems,
		results: make([]value.Value, len(elems)),
		items:   make([]item, len(elems)),
		open:    len(elems),
	}
	r.emit(Command{Kind: Spread, Invocation: Invocation{Node: n}, Items: len(elems)})
}

// offered adds credit and uses it.
func (m *spread) offered(r *Run, offers []Offer) {
	for _, o := range offers {
		if o.Site < 0 || o.Items <= 0 || slices.Contains(r.lost, o.Site) {
			continue
		}
		m.places[m.join(o)].credit += o.Items
	}
	m.dispatch(r)
	m.hedgeLate(r)
}

// dispatch uses all credit there is: the places take turns, so that a short list spreads over them. Each takes its own
// items first; stealing begins when no place with credit has any left.
func (m *spread) dispatch(r *Run) {
	for _, steal := range []bool{false, true} {
		for sent := true; sent && m.queued > 0; {
			sent = false
			for p := range m.places {
				if m.places[p].credit > 0 && m.send(r, p, steal) {
					sent = true
				}
			}
		}
	}
}

// send gives place p one item, if there is one for it.
func (m *spread) send(r *Run, p int, steal bool) bool {
	i, ok := m.take(p, steal)
	if !ok {
		return false
	}
	it, to := &m.items[i], &m.places[p]
	it.state, it.out, it.place = running, true, int32(p)
	it.try++
	it.outTry = it.try
	to.credit--
	args := m.emit(r, i, p)
	r.armHedge(Invocation{Node: m.node, Item: i + 1, Try: int(it.try)}, args)
	return true
}

// emit sends the last try of an item to a place; it gives the arguments.
func (m *spread) emit(r *Run, i, p int) []value.Value {
	it, to := &m.items[i], &m.places[p]
	args := r.room(len(m.args), min(m.queued+1, 64))
	args[0] = m.elems[i]
	copy(args[1:], m.args[1:])
	kind := Delegate
	if to.site == r.cfg.Self {
		kind = Invoke
	}
	r.emit(Command{Kind: kind, Invocation: Invocation{Node: m.node, Item: i + 1, Try: int(it.try)}, Args: args, Site: to.site})
	return args
}

// enqueue puts an item in line again.
func (m *spread) enqueue(i int) {
	m.items[i].state = waiting
	m.push(i)
}

// returned finds the item that an answer is about and frees its place, if it is the answer that the place owed. It is
// nil where the answer comes from no place of this Map; freed is -1 where it frees none.
func (m *spread) returned(ev *Event) (i int, it *item, freed int) {
	i = ev.Invocation.Item - 1
	if i < 0 || i >= len(m.items) || m.find(ev.Site) < 0 {
		return 0, nil, -1
	}
	it = &m.items[i]
	if p := &m.places[it.place]; it.out && p.site == ev.Site && ev.Invocation.Try == int(it.outTry) {
		it.out = false
		p.credit++
		return i, it, int(it.place)
	}
	if s, hedged := m.seconds[i]; hedged && m.places[s.place].site == ev.Site && ev.Invocation.Try == int(s.try) {
		delete(m.seconds, i)
		m.places[s.place].credit++
		return i, it, int(s.place)
	}
	return i, it, -1
}

func (m *spread) finished(r *Run, ev *Event) {
	i, it, freed := m.returned(ev)
	if it == nil {
		return
	}
	if it.accepts(ev.Invocation.Try) {
		if it.state == waiting {
			m.drop(i)
		}
		it.state = settled
		if r.g.Nodes[m.node].Hedge > 0 {
			m.settle(r, i)
		}
		m.results[i] = ev.Value
		m.open--
		if m.open == 0 {
			r.hold(r.g.NodeSource(m.node), value.List(m.results))
			return
		}
	}
	m.dispatchFreed(r, freed)
}

// dispatchFreed uses the place that an answer has freed; and what second tries have given back with it.
func (m *spread) dispatchFreed(r *Run, freed int) {
	switch {
	case r.g.Nodes[m.node].Hedge > 0:
		m.dispatch(r)
		m.hedgeLate(r)
	case freed >= 0:
		m.send(r, freed, true)
	}
}

func (m *spread) failed(r *Run, ev *Event) {
	i, it, freed := m.returned(ev)
	if freed < 0 {
		return
	}
	if _, hedged := m.seconds[i]; it.state == running && !it.out && !hedged {
		r.retry(&it.task, ev.Invocation, ev.Err)
		if r.over() || !r.open(m.node) {
			return
		}
	}
	m.dispatchFreed(r, freed)
}

func (m *spread) timerFired(r *Run, t Timer) {
	if t.Try < 0 {
		m.itemLate(r, t.Item-1, -t.Try)
		return
	}
	if i := t.Item - 1; i >= 0 && i < len(m.items) && m.items[i].due(t.Try) {
		m.enqueue(i)
		m.dispatch(r)
	}
}

// lose takes out the places at sites that are gone. What they were at is tried again, as the same try: nobody knows
// that it failed. Others may be found for what is left over.
func (m *spread) lose(r *Run, lost []Site) {
	for p := range m.places {
		if !m.places[p].gone && slices.Contains(lost, m.places[p].site) {
			m.leave(p)
		}
	}
	for i := range m.items {
		it := &m.items[i]
		s, hedged := m.seconds[i]
		if hedged && m.places[s.place].gone {
			delete(m.seconds, i)
			hedged = false
			if it.state == running && !it.out {
				m.enqueue(i)
			}
		}
		if !it.out || !m.places[it.place].gone {
			continue
		}
		it.out = false
		if it.state == running && !hedged {
			if it.try == it.outTry {
				it.try--
			} else {
				it.extra++ // Its number was followed by that of a second try.
			}
			m.enqueue(i)
		}
	}
	m.dispatch(r)
	left := m.queued
	for i := range m.items {
		if m.items[i].state == backingOff {
			left++ // It will want a place, too, and there may be none.
		}
	}
	if left > 0 {
		r.emit(Command{Kind: Spread, Invocation: Invocation{Node: m.node}, Items: left})
	}
}
