package dag

import (
	"bytes"

	"github.com/squall-faas/squall/fault"
)

// routes is what follows from the structure of a graph with joins, conditions or guards.
type routes struct {
	argsAt []int32 // the edges of all nodes are numbered through; those of node n begin here
	// skippable nodes may end without a value and without a failure.
	skippable []bool
	// fatal nodes end the run when they fail: their value is needed on some way to an output or sink on which no join
	// could do without it, and nothing could be skipped.
	fatal []bool
}

func newRoutes(g *Graph, ix *index) *routes {
	n := len(g.Nodes)
	rt := &routes{argsAt: make([]int32, n+1), skippable: make([]bool, n), fatal: make([]bool, n)}
	for i := range g.Nodes {
		rt.argsAt[i+1] = rt.argsAt[i] + int32(len(g.Nodes[i].Args))
		rt.skippable[i] = g.isSkippable(rt, i)
	}
	for i := n - 1; i >= 0; i-- {
		s := g.NodeSource(i)
		from, to := ix.consumersAt[s], ix.consumersAt[s+1]
		rt.fatal[i] = from == to || ix.outputsAt[s] < ix.outputsAt[s+1]
		for _, c := range ix.consumers[from:to] {
			if !rt.skippable[c.Node] && rt.fatal[c.Node] && !g.Nodes[c.Node].joins(c.Arg) {
				rt.fatal[i] = true
			}
		}
	}
	return rt
}

// isSkippable reports whether node i could be skipped; the nodes before it are known.
func (g *Graph) isSkippable(rt *routes, i int) bool {
	n := &g.Nodes[i]
	missing := 0 // of the join
	values, always := 0, false
	for j, a := range n.Args {
		if a.Const != nil {
			continue
		}
		may := a.When != nil
		if from, isNode := g.NodeOf(a.From); isNode && rt.skippable[from] {
			may = true
		}
		switch {
		case may && n.joins(j):
			missing++
		case may && n.decisive(j):
			return true
		}
		if !a.Guard {
			values++
			always = always || !may
		}
	}
	if n.Join != nil {
		return n.Join.Count-missing < n.Join.Need
	}
	return values > 0 && !always
}

// joins reports whether argument j is one of the node's join.
func (n *Node) joins(j int) bool {
	return n.Join != nil && j >= n.Join.At && j < n.Join.At+n.Join.Count
}

// decisive reports whether the node is skipped where argument j alone is absent: for a guard, and for the list that a
// Map or Reduce goes over.
func (n *Node) decisive(j int) bool { return n.Args[j].Guard || n.Kind != Call && j == 0 }

// checkRoutes adds what is wrong with the join, the conditions and the guards of node i.
func (g *Graph) checkRoutes(f *faults, i int) {
	n := &g.Nodes[i]
	bad := func(format string, args ...any) { f.node(g, i, fault.InvalidDAG, format, args...) }
	params := n.Params()
	for j := range n.Args {
		a := &n.Args[j]
		switch {
		case a.Guard && j < len(params):
			bad("%s is a guard and stands before an argument: guards come last", argName(n.Kind, j))
		case a.Const != nil && a.Guard:
			bad("a guard on a constant: it would always hold or never; leave the guard or the node out")
		case a.Const != nil && a.When != nil:
			bad("a condition on a constant, %s: it would always hold or never", argName(n.Kind, j))
		case a.When != nil:
			if err := a.When.check(); err != nil {
				bad("the condition on %s: %w", g.edgeName(i, j), because(err))
			}
		}
	}
	g.checkJoin(bad, n, len(params))
	if first, second, ok := n.contradiction(); ok {
		bad("it can never run: %s has to satisfy both %s and %s", g.sourceName(n.Args[first].From), n.Args[first].When, n.Args[second].When)
	}
	switch {
	case n.Hedge < 0 || n.Hedge >= 1 || n.Hedge != n.Hedge:
		bad("hedging past quantile %v: give one between 0 and 1, such as 0.95", n.Hedge)
	case n.Hedge > 0 && n.Kind == Reduce:
		bad("a reduce is not hedged: its steps are short, and run where its list is")
	}
}

func (g *Graph) checkJoin(bad func(string, ...any), n *Node, params int) {
	join := n.Join
	switch {
	case join == nil:
		return
	case n.Kind != Call:
		bad("a %s has no joins: let a call join, and go over its result", n.Kind)
		return
	case join.Count < 1:
		bad("a join of nothing: give it at least one source")
		return
	case join.At < 0 || join.At > params || join.Count > params-join.At:
		bad("its join takes arguments %d to %d, and there are %d", join.At+1, join.At+join.Count, params)
		return
	case join.Need < 1 || join.Need > join.Count:
		bad("a join of %d of %d can never be met: ask for 1 to %d", join.Need, join.Count, join.Count)
	case join.Any && join.Need != 1:
		bad("a join of any takes one value, not %d", join.Need)
	}
	seen := map[Source]bool{}
	for j := join.At; j < join.At+join.Count; j++ {
		a := n.Args[j]
		switch {
		case a.Const != nil:
			bad("%s is a constant in a join: it would always be the first", argName(n.Kind, j))
		case seen[a.From] && a.From != unresolved:
			bad("its join has %s twice: one value cannot count as two", g.sourceName(a.From))
		}
		seen[a.From] = true
	}
}

// contradiction finds two guards of one source that demand different values.
func (n *Node) contradiction() (first, second int, ok bool) {
	for i := range n.Args {
		for j := i + 1; j < len(n.Args); j++ {
			a, b := &n.Args[i], &n.Args[j]
			if a.From != b.From || !n.decisive(i) || !n.decisive(j) || a.When == nil || b.When == nil || a.Const != nil || b.Const != nil {
				continue
			}
			if a.When.Op != OpEquals || b.When.Op != OpEquals || len(a.When.Path)+len(b.When.Path) > 0 || a.When.With == nil || b.When.With == nil {
				continue
			}
			if !bytes.Equal(a.When.With.Wire, b.When.With.Wire) && !b.When.satisfiedBy(a.When.With) {
				return i, j, true
			}
		}
	}
	return 0, 0, false
}

// edgeName says which edge of node i is meant.
func (g *Graph) edgeName(i, j int) string {
	n := &g.Nodes[i]
	if n.Args[j].Guard {
		return "the guard on " + g.sourceName(n.Args[j].From)
	}
	return argName(n.Kind, j)
}

// sourceName is SourceName for sources that may not exist.
func (g *Graph) sourceName(s Source) string {
	if s < 0 || int(s) >= g.Sources() {
		return "a source that does not exist"
	}
	return g.SourceName(s)
}
