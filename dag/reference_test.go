package dag

import (
	"fmt"

	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/value"
)

// This is what a run is held against: a sequential interpreter, which shares nothing with a Run but the conditions. It
// walks the nodes in their order and works out how each source ends, which no order of messages may change. What may
// change is which values a join takes; so a run's values are not compared with the interpreter's but checked one by one:
// each must come from values that the run had for its sources.

// ending is how a source ends.
type ending struct {
	state edgeState
	value value.Value // where it is present: with each join taking its first values
}

// endings works out how all sources end; origins are the nodes whose function is called and fails.
func (y *symbolic) endings() (ends []ending, origins map[string]bool) {
	ends, origins = make([]ending, y.g.Sources()), map[string]bool{}
	for i, v := range y.inputs {
		ends[i] = ending{edgePresent, v}
	}
	for n := range y.g.Nodes {
		s := y.g.NodeSource(n)
		if ends[s].state = y.ending(n, ends); ends[s].state != edgePresent {
			continue
		}
		combos := y.combinations(n, ends, func(s Source) []value.Value { return []value.Value{ends[s].value} }, 1)
		v, ok := y.node(n, combos[0])
		if ends[s].value = v; !ok {
			ends[s].state = edgeFailed
			origins[y.g.Nodes[n].Name] = true
		}
	}
	return ends, origins
}

// edge is how an edge ends.
func (y *symbolic) edge(a Arg, ends []ending) edgeState {
	if end := ends[a.From]; a.When == nil || end.state != edgePresent || a.When.Holds(end.value) {
		return end.state
	}
	return edgeAbsent
}

// ending applies the rules of DESIGN §4 to node n; edgePresent means that its function is called.
func (y *symbolic) ending(n int, ends []ending) edgeState {
	node := &y.g.Nodes[n]
	args, inJoin := 0, map[edgeState]int{}
	present, failed := 0, false
	for j, a := range node.Args {
		if a.Const != nil {
			continue
		}
		e := y.edge(a, ends)
		isList := node.Kind != Call && j == 0
		isJoined := node.Join != nil && j >= node.Join.At && j < node.Join.At+node.Join.Count
		switch {
		case isJoined:
			inJoin[e]++
		case e == edgeAbsent && (a.Guard || isList):
			return edgeAbsent // and nothing else matters
		case e == edgeFailed:
			failed = true
		}
		if !a.Guard && !isJoined {
			args++
			if e == edgePresent {
				present++
			}
		}
	}
	switch {
	case failed:
		return edgeFailed
	case node.Join != nil && inJoin[edgePresent] >= node.Join.Need:
		return edgePresent
	case node.Join != nil && inJoin[edgeFailed] > 0:
		return edgeFailed
	case node.Join != nil, args > 0 && present == 0:
		return edgeAbsent
	}
	return edgePresent
}

// combinations lists what node n's function may be called with, given the values that each source may have had; no more
// than most.
func (y *symbolic) combinations(n int, ends []ending, of func(Source) []value.Value, most int) [][]value.Value {
	node := &y.g.Nodes[n]
	combos := [][]value.Value{nil}
	extend := func(choices []value.Value) {
		var longer [][]value.Value
		for _, c := range combos {
			for _, v := range choices {
				if len(longer) < most {
					longer = append(longer, append(c[:len(c):len(c)], v))
				}
			}
		}
		combos = longer
	}
	for j := 0; j < len(node.Args) && !node.Args[j].Guard; j++ {
		a := node.Args[j]
		switch {
		case node.Join != nil && j == node.Join.At:
			extend(y.joins(node, ends, of))
			j += node.Join.Count - 1
		case a.Const != nil:
			v, _ := a.Const.Value()
			extend([]value.Value{v})
		case y.edge(a, ends) == edgePresent:
			extend(of(a.From))
		default:
			extend([]value.Value{{}})
		}
	}
	return combos
}

// joins lists what a join may have made: of each choice of as many sources as it needs, in order.
func (y *symbolic) joins(node *Node, ends []ending, of func(Source) []value.Value) []value.Value {
	type choice []fn.Part
	choices := []choice{nil}
	for i := range node.Join.Count {
		a := node.Args[node.Join.At+i]
		if y.edge(a, ends) != edgePresent {
			continue
		}
		for _, c := range choices { // those so far, with this one besides
			if len(c) == node.Join.Need {
				continue
			}
			for _, v := range of(a.From) {
				choices = append(choices, append(c[:len(c):len(c)], fn.Part{Index: i, Value: v}))
			}
		}
	}
	var out []value.Value
	for _, c := range choices {
		switch {
		case len(c) != node.Join.Need:
		case node.Join.Any:
			out = append(out, c[0].Value)
		default:
			out = append(out, value.MustOf([]fn.Part(c)))
		}
	}
	return out
}

// mostCombinations bounds the check of one value; few graphs come near.
const mostCombinations = 20_000

// checkValues holds everything that the sites know against how the sources end; "" is right.
func (net *network) checkValues(ends []ending) string {
	y := net.y
	seen := make([][]value.Value, y.g.Sources())
	shown := make([]map[string]bool, y.g.Sources())
	for _, site := range net.sites {
		if site.run == nil {
			continue
		}
		for s := range Source(y.g.Sources()) {
			v, held := site.run.Value(s)
			switch absent := site.run.routing != nil && site.run.routing.absent[s].is; {
			case held && ends[s].state != edgePresent:
				return fmt.Sprintf("%s has a value, and should end in state %d", y.g.SourceName(s), ends[s].state)
			case absent && (site.run.routing.absent[s].err != nil) != (ends[s].state == edgeFailed), absent && ends[s].state == edgePresent:
				return fmt.Sprintf("%s is absent with %v, and should end in state %d", y.g.SourceName(s), site.run.routing.absent[s].err, ends[s].state)
			case !held:
				continue
			}
			if shown[s] == nil {
				shown[s] = map[string]bool{}
			}
			if text := show(v); !shown[s][text] {
				shown[s][text] = true
				seen[s] = append(seen[s], v)
			}
		}
	}
	for n := range y.g.Nodes {
		s := y.g.NodeSource(n)
		if len(seen[s]) == 0 {
			continue
		}
		legal := map[string]bool{}
		combos := y.combinations(n, ends, func(s Source) []value.Value { return seen[s] }, mostCombinations)
		for _, args := range combos {
			v, _ := y.node(n, args)
			legal[show(v)] = true
		}
		for text := range shown[s] {
			if !legal[text] && len(combos) < mostCombinations {
				return fmt.Sprintf("%s has the value %s, which is none of %v", y.g.SourceName(s), text, legal)
			}
		}
	}
	return ""
}
