package dag

import (
	"fmt"
	"slices"
	"strings"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/value"
)

// maxNamed is how many unfinished nodes a deadline's error names.
const maxNamed = 5

// gathers reports whether a collector needs source s: for an output, or to know that a node which nobody consumes has
// had its effect.
func (g *Graph) gathers(s Source) bool {
	if len(g.OutputsOf(s)) > 0 {
		return true
	}
	_, isNode := g.NodeOf(s)
	return isNode && len(g.Consumers(s)) == 0
}

func (r *Run) gathers(s Source) bool { return r.g.gathers(s) }

func (r *Run) collects() bool { return r.plan.Collector == r.cfg.Self }

// armDeadline sets the run's own timer where this site is the collector.
func (r *Run) armDeadline() {
	if r.collects() && !r.cfg.Deadline.IsZero() {
		r.emit(Command{Kind: SetTimer, Timer: DeadlineTimer, At: r.cfg.Deadline})
	}
}

// replyIfComplete ends the run, with null for outputs that were skipped, where this site is the collector and has gathered everything.
func (r *Run) replyIfComplete() bool {
	if r.awaited > 0 || !r.collects() {
		return false
	}
	outputs := make([]value.Value, len(r.g.Outputs))
	for i, o := range r.g.Outputs {
		outputs[i] = r.values[o.From]
	}
	r.replied = true
	r.emit(Command{Kind: Reply, Outputs: outputs})
	return true
}

// stop ends the run early and tells who has to know.
func (r *Run) stop(err *fault.Error) {
	r.err = err
	r.emit(Command{Kind: Abort})
	r.report()
}

// report answers with the error that stopped the run, or tells the collector to.
func (r *Run) report() {
	if r.collects() {
		r.replied = true
		r.emit(Command{Kind: Reply, Err: r.err})
		return
	}
	r.emit(Command{Kind: PassFailure, Err: r.err, Site: r.plan.Collector})
}

// nodeFailed takes in that another site gave up. A site that is not the collector hears of it when it is to become
// the collector and the new plan is still under way; it keeps the error for that.
func (r *Run) nodeFailed(err *fault.Error) {
	if err == nil {
		err = fault.New(fault.Internal, "a site reported a failure without its reason")
	}
	if r.collects() {
		r.stop(err)
		return
	}
	r.halt(err)
}

func (r *Run) cancelled(err *fault.Error) {
	if err == nil {
		err = fault.New(fault.Cancelled, "the run was cancelled: start it again if its result is wanted after all")
	}
	if r.collects() {
		r.stop(err)
		return
	}
	r.halt(err)
}

// halt stops the run here without telling anyone: the others know.
func (r *Run) halt(err *fault.Error) {
	r.err = err
	r.emit(Command{Kind: Abort})
}

func (r *Run) deadlinePassed() {
	if !r.collects() || r.cfg.Deadline.IsZero() {
		return
	}
	open := r.unfinished()
	err := fault.New(fault.DeadlineExceeded, "the run's deadline passed before its result was there; not finished: %s", enumerate(open))
	if len(open) == 1 {
		err = r.locate(err, Invocation{Node: open[0].at})
	}
	r.stop(err)
}

// unfinishedNode is a node by number and name.
type unfinishedNode struct {
	at   int
	name string
}

// unfinished lists the nodes that, as far as this site can know, have no value yet: neither is theirs here, nor that
// of a node which depends on them.
func (r *Run) unfinished() []unfinishedNode {
	var open []unfinishedNode
	settled := make([]bool, len(r.nodes))
	for n := len(r.nodes) - 1; n >= 0; n-- {
		s := r.g.NodeSource(n)
		settled[n] = r.settled(s) || r.plan.done(n) || r.routing != nil && r.routing.cancelled[n]
		for _, c := range r.g.Consumers(s) {
			settled[n] = settled[n] || settled[c.Node]
		}
		if !settled[n] {
			open = append(open, unfinishedNode{n, r.g.Nodes[n].Name})
		}
	}
	slices.Reverse(open)
	return open
}

// enumerate names the first few nodes and counts the rest.
func enumerate(nodes []unfinishedNode) string {
	var names []string
	for i := range min(len(nodes), maxNamed) {
		names = append(names, nodes[i].name)
	}
	text := strings.Join(names, ", ")
	if more := len(nodes) - maxNamed; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
