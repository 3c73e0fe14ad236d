package dag

import "slices"

// replan adopts a plan that the owner made after a loss.
func (r *Run) replan(ev *Event) {
	if ev.Plan.Epoch <= r.plan.Epoch || len(ev.Plan.Home) != len(r.nodes) {
		return
	}
	collected := r.collects()
	r.plan = ev.Plan
	r.started = true
	for _, s := range ev.Lost {
		if !slices.Contains(r.lost, s) {
			r.lost = append(r.lost, s)
		}
	}
	if r.err != nil {
		r.report() // Again: the collector may be another, or have refused the first report as one of an old epoch.
		return
	}
	if r.collects() && !collected {
		r.armDeadline()
	}
	if r.collects() && !collected && r.failedOutput() || r.replyIfComplete() {
		return
	}
	r.resend(ev)
	if r.routing != nil {
		r.reroute()
	}
	for n := range r.nodes {
		nd := &r.nodes[n]
		switch {
		case !r.open(n):
			*nd = node{missing: nd.missing}
		case nd.spread != nil:
			nd.spread.lose(r, r.lost)
		case nd.second != nil:
			r.loseSecond(n)
		case nd.flows && nd.missing > 0: // its producer may have moved
			r.startOver(n)
		}
		if r.over() {
			return
		}
	}
	r.beginReady()
}

// resend passes what the owner asks for. Further, it passes the values that were decided here after this site had
// reported what it holds: the plan takes their nodes as still to be run, and where they were passed under the old plan
// they may have been refused.
func (r *Run) resend(ev *Event) {
	for _, send := range ev.Resend {
		if s := send.Source; s >= 0 && int(s) < len(r.held) && r.settled(s) {
			r.passTo(send.To, send.Source, len(r.out))
		}
	}
	known := make([]bool, len(r.held))
	for _, s := range ev.Known {
		if s >= 0 && int(s) < len(known) {
			known[s] = true
		}
	}
	for n := range r.nodes {
		if s := r.g.NodeSource(n); r.settled(s) && !known[s] && r.decides(n) {
			r.pass(s)
		}
	}
}

// failedOutput ends the run where a site that has become the collector knows of a failure that it cannot do without.
func (r *Run) failedOutput() bool {
	if r.routing == nil {
		return false
	}
	for s := range r.routing.absent {
		if err := r.routing.absent[s].err; err != nil && r.gathers(Source(s)) {
			r.stop(err)
			return true
		}
	}
	return false
}
