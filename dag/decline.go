package dag

import "fmt"

// declineRest declines what a node of this site does not need any more: all its sources that have not come if it is
// decided, and those of its join if that is met.
func (r *Run) declineRest(n int) {
	decided := r.nodes[n].begun || r.settled(r.g.NodeSource(n)) || r.routing.cancelled[n]
	r.distinctEdges(n, func(s Source) {
		if r.settled(s) || r.over() {
			return
		}
		if !decided {
			for j, a := range r.g.Nodes[n].Args {
				if a.Const == nil && a.From == s && !r.g.Nodes[n].joins(j) {
					return // It is an argument besides.
				}
			}
		}
		r.decline(s, n)
	})
}

// decline tells the home of a source that node n does not need it.
func (r *Run) decline(s Source, n int) {
	producer, isNode := r.g.NodeOf(s)
	if !isNode || r.plan.done(producer) || producer >= len(r.plan.Home) {
		return
	}
	if home := r.plan.Home[producer]; home != r.cfg.Self {
		r.emit(Command{Kind: Decline, Source: s, Invocation: Invocation{Node: n}, Site: home})
		return
	}
	r.declined(s, n)
}

// declined takes in that node n does not need s; a node that nobody needs is cancelled.
func (r *Run) declined(s Source, n int) {
	producer, isNode := r.g.NodeOf(s)
	if r.routing == nil || !isNode || n < 0 || n >= len(r.nodes) {
		return
	}
	for j, a := range r.g.Nodes[n].Args {
		if a.Const == nil && a.From == s {
			r.routing.declined[int(r.routing.argsAt[n])+j] = true
		}
	}
	if !r.open(producer) || r.wanted(s) {
		return
	}
	r.withdraw(producer)
	r.nodes[producer] = node{missing: r.nodes[producer].missing}
	r.routing.cancelled[producer] = true
	r.declineRest(producer)
}

// wanted reports whether anybody may still need a source.
func (r *Run) wanted(s Source) bool {
	if r.gathers(s) {
		return true
	}
	for _, c := range r.g.Consumers(s) {
		if !r.routing.declined[int(r.routing.argsAt[c.Node])+c.Arg] && !r.plan.done(c.Node) {
			return true
		}
	}
	return false
}

// withdraw takes back the invocations of a node that are under way.
func (r *Run) withdraw(n int) {
	nd := &r.nodes[n]
	switch {
	case !nd.begun:
	case nd.spread != nil:
		for i := range nd.spread.items {
			if it := &nd.spread.items[i]; it.out {
				r.takeBack(Invocation{Node: n, Item: i + 1, Try: int(it.outTry)}, nd.spread.places[it.place].site)
			}
			if s, hedged := nd.spread.seconds[i]; hedged {
				r.takeBack(Invocation{Node: n, Item: i + 1, Try: int(s.try)}, nd.spread.places[s.place].site)
			}
		}
	case nd.fold != nil:
		for i := range nd.fold.steps {
			if s := &nd.fold.steps[i]; s.state == running {
				r.takeBack(Invocation{Node: n, Item: nd.fold.number(i), Try: int(s.try)}, r.cfg.Self)
			}
		}
	case nd.state == running:
		if s := nd.second; s.live() {
			r.takeBack(Invocation{Node: n, Try: int(s.try)}, s.site)
		}
		if nd.second == nil || !nd.second.alone {
			r.takeBack(Invocation{Node: n, Try: nd.firstTry()}, r.cfg.Self)
		}
	}
}

func (r *Run) takeBack(inv Invocation, site Site) {
	r.emit(Command{Kind: Withdraw, Invocation: inv, Site: site})
}

// joinText begins the message of a join that cannot be met.
func joinText(n *Node, failed, absent int) string {
	text := fmt.Sprintf("node %s needs %d of its %d sources, and %d failed", n.Name, n.Join.Need, n.Join.Count, failed)
	if absent > 0 {
		text += fmt.Sprintf(" and %d were skipped", absent)
	}
	return text + "; the first: "
}
