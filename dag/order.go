package dag

import (
	"container/heap"
	"fmt"
	"slices"
	"strings"
)

// nodeArgs lists, for each node, the nodes that it takes arguments from; sources that do not resolve are left out.
func (g *Graph) nodeArgs() [][]int {
	from := make([][]int, len(g.Nodes))
	for i := range g.Nodes {
		for _, a := range g.Nodes[i].Args {
			if j, ok := g.NodeOf(a.From); ok && a.Const == nil {
				from[i] = append(from[i], j)
			}
		}
	}
	return from
}

// topological gives the nodes in an order in which each stands after those it depends on. An order that was fine
// already is kept; otherwise of several nodes that could come next the one with the lowest number does. Nodes on a
// cycle and behind one are left out.
func topological(from [][]int) []int {
	to, open := make([][]int, len(from)), make([]int, len(from))
	ready := &intHeap{}
	for i, deps := range from {
		open[i] = len(deps)
		for _, d := range deps {
			to[d] = append(to[d], i)
		}
		if len(deps) == 0 {
			heap.Push(ready, i)
		}
	}
	order := make([]int, 0, len(from))
	for ready.Len() > 0 {
		i := heap.Pop(ready).(int)
		order = append(order, i)
		for _, next := range to[i] {
			if open[next]--; open[next] == 0 {
				heap.Push(ready, next)
			}
		}
	}
	return order
}

type intHeap []int

func (h intHeap) Len() int           { return len(h) }
func (h intHeap) Less(i, j int) bool { return h[i] < h[j] }
func (h intHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *intHeap) Push(x any)        { *h = append(*h, x.(int)) }
func (h *intHeap) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	*h = (*h)[:last]
	return x
}

// reorder moves the nodes into order, with all that refers to them.
func (g *Graph) reorder(order []int) {
	place := make([]Source, len(order))
	nodes := make([]Node, len(order))
	for at, old := range order {
		place[old] = g.NodeSource(at)
		nodes[at] = g.Nodes[old]
	}
	move := func(s *Source) {
		if i, ok := g.NodeOf(*s); ok {
			*s = place[i]
		}
	}
	g.Nodes = nodes
	for i := range g.Nodes {
		for j := range g.Nodes[i].Args {
			if a := &g.Nodes[i].Args[j]; a.Const == nil {
				move(&a.From)
			}
		}
	}
	for i := range g.Outputs {
		move(&g.Outputs[i].From)
	}
}

// cycles gives one cycle out of each knot of nodes that depend on each other: a shortest one through the knot's first
// node, in the direction in which values would flow, each beginning with its lowest node. Knots are Tarjan's strongly
// connected components (SIAM J. Comput. 1972); a graph may have far too many cycles to name them all.
func cycles(from [][]int) [][]int {
	var found [][]int
	index, low, knot := make([]int, len(from)), make([]int, len(from)), make([]int, len(from))
	var stack []int
	next, knots := 1, 0
	var visit func(i int)
	visit = func(i int) {
		index[i], low[i] = next, next
		next++
		stack = append(stack, i)
		for _, d := range from[i] {
			switch {
			case index[d] == 0:
				visit(d)
				low[i] = min(low[i], low[d])
			case knot[d] == 0: // still on the stack
				low[i] = min(low[i], index[d])
			}
		}
		if low[i] != index[i] {
			return
		}
		knots++
		first := i
		for {
			last := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			knot[last] = knots
			first = min(first, last)
			if last == i {
				break
			}
		}
		if c := shortestCycle(from, knot, first); c != nil {
			found = append(found, c)
		}
	}
	for i := range from {
		if index[i] == 0 {
			visit(i)
		}
	}
	slices.SortFunc(found, func(a, b []int) int { return a[0] - b[0] })
	return found
}

// shortestCycle searches breadth first through start's knot for a way back to start; nil if there is none.
func shortestCycle(from [][]int, knot []int, start int) []int {
	via := map[int]int{} // via[d] is the node that takes d's value, on the way from start backwards
	queue := []int{start}
	for len(queue) > 0 {
		i := queue[0]
		queue = queue[1:]
		for _, d := range from[i] {
			if d == start {
				cycle := []int{start}
				for at := i; at != start; at = via[at] {
					cycle = append(cycle, at)
				}
				return cycle
			}
			if _, seen := via[d]; !seen && knot[d] == knot[start] {
				via[d] = i
				queue = append(queue, d)
			}
		}
	}
	return nil
}

// cycleText writes a cycle as "a → b → a", where a's value goes to b. The middle of one with hundreds of nodes is
// left out.
func (g *Graph) cycleText(cycle []int) string {
	const most = 100
	var b strings.Builder
	for k, i := range cycle {
		if k == most/2 && len(cycle) > most {
			fmt.Fprintf(&b, "(%d more) → ", len(cycle)-most)
		}
		if len(cycle) > most && k >= most/2 && k < len(cycle)-most/2 {
			continue
		}
		b.WriteString(g.Nodes[i].Name + " → ")
	}
	return b.String() + g.Nodes[cycle[0]].Name
}
