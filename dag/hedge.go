package dag

import (
	"slices"

	"github.com/squall-faas/squall/value"
)

// A hedged invocation that takes longer than most gets a second try at another site, and the first result counts
// (Dean and Barroso, "The Tail at Scale", CACM 2013). While both are out they have different Try numbers, and a failure
// of one is none as long as the other may still return.
//
//	Invoke ──its timer, Try -n, fires──▶ Spread ──Offered──▶ Delegate, Try n+1, to a site that was offered
//	                                                            │
//	          Finished from either ◀────────────────────────────┘  the other one is withdrawn
//
// An item of a Map needs no Spread: it takes a place that is idle, now or when one becomes so.

// second is the further try of an invocation.
type second struct {
	asked bool  // places were asked for, and none was offered yet
	first int32 // the try that it is second to
	try   int32 // 0 while it is not out
	site  Site
	alone bool // the first try has failed
}

// armHedge sets the timer that finds an invocation late.
func (r *Run) armHedge(inv Invocation, args []value.Value) {
	node := &r.g.Nodes[inv.Node]
	if node.Hedge == 0 || r.cfg.Late == nil {
		return
	}
	if d, ok := r.cfg.Late(inv.Node, args, node.Hedge); ok {
		late := Timer(inv)
		late.Try = -inv.Try
		r.emit(Command{Kind: SetTimer, Timer: late, At: r.now.Add(d)})
	}
}

// late takes in that a Call's try has run for long.
func (r *Run) late(n, try int) {
	nd := &r.nodes[n]
	if nd.state != running || int(nd.try) != try || nd.second != nil {
		return
	}
	nd.second = &second{asked: true, first: nd.try}
	r.emit(Command{Kind: Spread, Invocation: Invocation{Node: n}, Items: 1})
}

// hedge sends the second try of a Call to one of the sites that were offered.
func (r *Run) hedge(n int, offers []Offer) {
	nd := &r.nodes[n]
	if nd.second == nil || !nd.second.asked || nd.state != running {
		return
	}
	for _, o := range offers {
		if o.Site < 0 || o.Items <= 0 || o.Site == r.cfg.Self || slices.Contains(r.lost, o.Site) {
			continue
		}
		args := r.room(r.g.Nodes[n].Arity(), 1)
		if !r.arguments(n, args) {
			return
		}
		nd.try++
		nd.extra++
		nd.second.asked, nd.second.try, nd.second.site = false, nd.try, o.Site
		r.emit(Command{Kind: Delegate, Invocation: Invocation{Node: n, Try: int(nd.try)}, Args: args, Site: o.Site})
		return
	}
}

// live reports whether the second try is out.
func (s *second) live() bool { return s != nil && s.try > 0 }

// firstTry is the number of the try that runs at the node's home.
func (nd *node) firstTry() int {
	if nd.second != nil {
		return int(nd.second.first)
	}
	return int(nd.try)
}

// fromSecond reports whether an answer is the second try's.
func (nd *node) fromSecond(ev *Event) bool {
	return nd.second.live() && ev.Site == nd.second.site && ev.Invocation.Try == int(nd.second.try)
}

// callFinished takes in the result of a Call; it says whether that counts.
func (r *Run) callFinished(ev *Event) bool {
	n := ev.Invocation.Node
	nd := &r.nodes[n]
	late := nd.fromSecond(ev)
	if ev.Invocation.Item != 0 || !nd.accepts(ev.Invocation.Try) || ev.Site != r.cfg.Self && !late {
		return false
	}
	if r.g.Nodes[n].Hedge == 0 && ev.Invocation.Try <= int(nd.extra) {
		return false // It began on a stream that broke off.
	}
	switch {
	case late && !nd.second.alone:
		r.takeBack(Invocation{Node: n, Try: nd.firstTry()}, r.cfg.Self)
	case !late && nd.second.live():
		r.takeBack(Invocation{Node: n, Try: int(nd.second.try)}, nd.second.site)
	}
	return true
}

// callFailed takes in the failure of a Call's try; it says whether the Call has failed with it: no other try is out.
func (r *Run) callFailed(ev *Event) bool {
	nd := &r.nodes[ev.Invocation.Node]
	if ev.Invocation.Item != 0 || nd.state != running {
		return false
	}
	switch s := nd.second; {
	case nd.fromSecond(ev):
		if !s.alone {
			s.try = 0
			return false
		}
	case ev.Site != r.cfg.Self || ev.Invocation.Try != nd.firstTry() || s != nil && s.alone:
		return false
	case s.live():
		s.alone = true
		return false
	}
	nd.second = nil
	return true
}

// loseSecond forgets a second try at a site that is lost; where the first has failed, the Call is tried again.
func (r *Run) loseSecond(n int) {
	nd := &r.nodes[n]
	if s := nd.second; s.live() && slices.Contains(r.lost, s.site) {
		if s.try = 0; s.alone {
			nd.second = nil
			r.invoke(n)
		}
	}
}

// The same for the items of a Map.

// itemLate takes in that an item's try has run for long.
func (m *spread) itemLate(r *Run, i, try int) {
	if i < 0 || i >= len(m.items) {
		return
	}
	it := &m.items[i]
	if _, hedged := m.seconds[i]; hedged || it.state != running || !it.out || int(it.outTry) != try || it.try != it.outTry {
		return
	}
	m.late = append(m.late, i)
	m.hedgeLate(r)
}

// hedgeLate sends second tries of late items to idle places. It is called when nothing is queued, or comes to nothing.
func (m *spread) hedgeLate(r *Run) {
	m.late = slices.DeleteFunc(m.late, func(i int) bool {
		it := &m.items[i]
		if it.state != running || !it.out || it.try != it.outTry {
			return true
		}
		for p := range m.places {
			if to := &m.places[p]; to.credit > 0 && !to.gone && p != int(it.place) && m.queued == 0 {
				if m.seconds == nil {
					m.seconds = map[int]itemSecond{}
				}
				it.try++
				it.extra++
				m.seconds[i] = itemSecond{try: it.try, place: int32(p)}
				to.credit--
				m.emit(r, i, p)
				return true
			}
		}
		return false
	})
}

// itemSecond is the second try of an item.
type itemSecond struct {
	try   int32
	place int32
}

// settle takes back the tries of an item that are still out, for it has its value, and gives their places back at once:
// nobody answers for them any more.
func (m *spread) settle(r *Run, i int) {
	it := &m.items[i]
	if it.out {
		it.out = false
		m.takeBack(r, i, it.outTry, it.place)
	}
	if s, hedged := m.seconds[i]; hedged {
		delete(m.seconds, i)
		m.takeBack(r, i, s.try, s.place)
	}
}

func (m *spread) takeBack(r *Run, i int, try, place int32) {
	r.takeBack(Invocation{Node: m.node, Item: i + 1, Try: int(try)}, m.places[place].site)
	m.places[place].credit++
}
