package dag

import (
	"slices"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/value"
)

// routing is what a Run of a graph with joins or conditions keeps further: which sources will have no value, how the
// edges of each node stand, and who has declined what.
//
// A source ends in one of three states: it has a value, it was skipped, or it failed. The last two travel like values do,
// as an absence, to whoever needs the source. A node is decided at its home by the states of its edges, and by nothing
// else, so the order in which they come makes no difference:
//
//  1. a guard, or the list of a Map or Reduce, is absent: the node is skipped;
//  2. else one of its edges has failed, but for those of a join: it fails, with the same error;
//  3. else its join cannot be met any more: it fails where one of the join has failed, and is skipped where all that are
//     missing were skipped;
//  4. else all its other edges are absent: it is skipped;
//  5. else it runs. Which values a join takes is the only thing that depends on the order.
//
// A failure ends the run where it reaches an output or a node that nobody consumes; where that is certain from the
// structure it does so at once.
//
// A node that was decided, or whose join is met, declines the sources that it does not need any more, and their home
// cancels a node that all its consumers have declined; which then declines its own sources.
type routing struct {
	*routes
	absent    []absence   // by source
	edges     []edgeState // by edge
	declined  []bool      // by edge: its consumer does not need the source any more
	cancelled []bool      // by node: decided here, and declined by all
}

// absence is why a source has no value.
type absence struct {
	is  bool
	err *fault.Error // nil where it was skipped
}

type edgeState uint8

const (
	edgeOpen edgeState = iota
	edgePresent
	edgeAbsent
	edgeFailed
)

func newRouting(g *Graph, rt *routes) *routing {
	edges := rt.argsAt[len(g.Nodes)]
	return &routing{
		routes: rt, absent: make([]absence, g.Sources()), edges: make([]edgeState, edges),
		declined: make([]bool, edges), cancelled: make([]bool, len(g.Nodes)),
	}
}

// of gives the states of a node's edges, by argument.
func (rt *routing) of(n int) []edgeState { return rt.edges[rt.argsAt[n]:rt.argsAt[n+1]] }

// settled reports whether the state of a source is known here.
func (r *Run) settled(s Source) bool {
	return r.held[s] || r.routing != nil && r.routing.absent[s].is
}

// route follows a source that has come to its state here along its edges.
func (r *Run) route(s Source) {
	for _, c := range r.g.Consumers(s) {
		state := edgePresent
		switch arg := &r.g.Nodes[c.Node].Args[c.Arg]; {
		case r.held[s]:
			if arg.When != nil && !arg.When.Holds(r.values[s]) {
				state = edgeAbsent
			}
		case r.routing.absent[s].err != nil:
			state = edgeFailed
		default:
			state = edgeAbsent
		}
		r.routing.of(c.Node)[c.Arg] = state
	}
	for _, c := range r.g.Consumers(s) {
		if r.reconsider(c.Node); r.over() {
			return
		}
	}
}

// verdict is what the edges of a node make of it.
type verdict uint8

const (
	undecided verdict = iota
	runs
	skipped
	failing
)

// reconsider decides a node of this site if that is possible by now.
func (r *Run) reconsider(n int) {
	if !r.open(n) || r.nodes[n].begun || !r.started && r.g.Needs(n) == 0 {
		return
	}
	v, met := r.judge(n)
	switch v {
	case runs:
		if r.begin(n); !r.over() {
			r.declineRest(n)
		}
	case skipped:
		r.miss(r.g.NodeSource(n), nil)
	case failing:
		r.fail(n, r.why(n))
	case undecided:
		if met {
			r.declineRest(n)
		}
	}
}

// judge applies the rules above; met says that the node has a join and that it is met.
func (r *Run) judge(n int) (v verdict, met bool) {
	node, edges := &r.g.Nodes[n], r.routing.of(n)
	var open, openDecisive, failed, values, present int
	var in [edgeFailed + 1]int // of the join
	for j := range node.Args {
		if node.Args[j].Const != nil {
			continue
		}
		e := edges[j]
		if node.joins(j) {
			in[e]++
			continue
		}
		decisive := node.decisive(j)
		switch e {
		case edgeOpen:
			open++
			if decisive {
				openDecisive++
			}
		case edgeAbsent:
			if decisive {
				return skipped, false
			}
		case edgeFailed:
			failed++
		}
		if !node.Args[j].Guard {
			values++
			if e == edgePresent {
				present++
			}
		}
	}
	join := node.Join
	met = join != nil && in[edgePresent] >= join.Need
	unmet := join != nil && in[edgePresent]+in[edgeOpen] < join.Need
	switch {
	case openDecisive > 0:
		return undecided, met
	case failed > 0:
		return failing, met
	case open > 0:
		return undecided, met
	case unmet && in[edgeFailed] > 0:
		return failing, false
	case unmet && in[edgeOpen] == 0:
		return skipped, false
	case join != nil && !met:
		return undecided, false
	case join == nil && values > 0 && present == 0:
		return skipped, false
	}
	return runs, met
}

// why is the error that a failing node has: that of an edge, or of a join that cannot be met.
func (r *Run) why(n int) *fault.Error {
	node, edges := &r.g.Nodes[n], r.routing.of(n)
	var first *fault.Error
	failed, absent := 0, 0
	for j, e := range edges {
		switch {
		case e == edgeFailed && !node.joins(j):
			return r.routing.absent[node.Args[j].From].err
		case e == edgeFailed:
			failed++
			if first == nil {
				first = r.routing.absent[node.Args[j].From].err
			}
		case e == edgeAbsent && node.joins(j):
			absent++
		}
	}
	if failed+absent == 1 && node.Join.Count == 1 {
		return first
	}
	return first.With(func(e *fault.Error) {
		e.Message = joinText(node, failed, absent) + first.Message
	})
}

// miss takes in that a source will have no value: err is why it failed, nil where it was skipped.
func (r *Run) miss(s Source, err *fault.Error) {
	r.routing.absent[s] = absence{true, err}
	if r.gathers(s) {
		if r.collects() && err != nil {
			r.stop(err)
			return
		}
		r.awaited--
		if r.replyIfComplete() {
			return
		}
	}
	if n, ok := r.g.NodeOf(s); ok {
		r.withdraw(n)
		r.nodes[n] = node{missing: r.nodes[n].missing}
		if r.decides(n) {
			r.pass(s)
			r.declineRest(n)
		}
	}
	r.route(s)
}

// fail ends a node for good: the run with it, unless it can do without.
func (r *Run) fail(n int, err *fault.Error) {
	if r.routing == nil || r.routing.fatal[n] || wholeRun(err) {
		r.stop(err)
		return
	}
	r.miss(r.g.NodeSource(n), err)
}

// wholeRun reports whether an error is of the run and not of one node of it.
func wholeRun(err *fault.Error) bool {
	switch err.Code {
	case fault.TxnConflict, fault.SnapshotLost, fault.DependencyLost, fault.Fenced:
		return true
	}
	return false
}

// joinArgument makes the argument of a node's join, which is met: of the first in their order of those that are here.
func (r *Run) joinArgument(n int) (value.Value, error) {
	node, edges := &r.g.Nodes[n], r.routing.of(n)
	var positions []int
	var values []value.Value
	for j := node.Join.At; len(values) < node.Join.Need; j++ {
		if edges[j] == edgePresent {
			positions = append(positions, j-node.Join.At)
			values = append(values, r.values[node.Args[j].From])
		}
	}
	return node.Join.joined(positions, values)
}

// reroute starts over after a plan has changed: what was declined and cancelled may be needed again.
func (r *Run) reroute() {
	clear(r.routing.declined)
	clear(r.routing.cancelled)
	for n := range r.nodes {
		if r.over() {
			return
		}
		if !r.decides(n) {
			continue
		}
		if _, met := r.judge(n); met || r.nodes[n].begun || r.settled(r.g.NodeSource(n)) {
			r.declineRest(n)
		}
	}
}

// distinctEdges calls do for each source that a node has an edge from, once.
func (r *Run) distinctEdges(n int, do func(s Source)) {
	args := r.g.Nodes[n].Args
	for j := range args {
		if args[j].Const == nil && !slices.ContainsFunc(args[:j], func(a Arg) bool { return a.Const == nil && a.From == args[j].From }) {
			do(args[j].From)
		}
	}
}
