package dag

// A Call that consumes a stream may begin while the Call that makes it is still running at the same site. Its argument is
// null then; the shell feeds it. If the producer fails, whatever its consumers have done on the way is of no use: they are
// withdrawn, and begin again with the next try of the producer, or with its value.

// flowing begins the Calls which, of all they wait for, miss only source s, and which the shell says take a stream.
func (r *Run) flowing(s Source, nodes []int) {
	producer, ok := r.g.NodeOf(s)
	if !ok || r.routing != nil || s < 0 || int(s) >= len(r.held) || !r.open(producer) || r.nodes[producer].state != running {
		return
	}
	for _, n := range nodes {
		if !r.open(n) || r.nodes[n].begun || r.nodes[n].missing != 1 || !r.flowsInto(s, n) {
			continue
		}
		r.nodes[n].begun, r.nodes[n].flows = true, true
		if r.invoke(n); r.over() {
			return
		}
	}
}

// flowsInto reports whether node n is a Call with an edge from s.
func (r *Run) flowsInto(s Source, n int) bool {
	for _, c := range r.g.Consumers(s) {
		if c.Node == n {
			return r.g.Nodes[n].Kind == Call && r.g.Nodes[n].Hedge == 0
		}
	}
	return false
}

// dryUp takes back the Calls that have begun on a stream whose producer has failed, and those behind them.
func (r *Run) dryUp(producer int) {
	for _, c := range r.g.Consumers(r.g.NodeSource(producer)) {
		if nd := &r.nodes[c.Node]; nd.flows && nd.missing > 0 && r.open(c.Node) {
			r.startOver(c.Node)
		}
	}
}

// startOver takes back a Call that has begun on a stream. Its tries go on counting: what an old one returns is of what may
// have been half a stream.
func (r *Run) startOver(n int) {
	nd := &r.nodes[n]
	if nd.state == running {
		r.takeBack(Invocation{Node: n, Try: int(nd.try)}, r.cfg.Self)
	}
	*nd = node{missing: nd.missing, task: task{try: nd.try, extra: nd.try}}
	r.dryUp(n)
}
