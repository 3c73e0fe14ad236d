package history

import (
	"fmt"
	"slices"
	"strings"
)

// dependence is why one transaction comes before another.
type dependence uint8

const (
	overwrote dependence = iota // the second overwrote what the first wrote (ww)
	read                        // the second read what the first wrote (wr)
	missed                      // the first read what the second overwrote (rw, an anti-dependency)
)

// dependency is an edge of the graph: transaction from comes before to, because of operation a of from and b of to.
type dependency struct {
	from, to int32
	why      dependence
	a, b     int32
}

// dsg is a direct serialization graph.
type dsg struct {
	c    *Checker
	next map[int32][]dependency
}

func (g *dsg) add(d dependency) {
	if d.from >= 0 && d.to >= 0 && d.from != d.to {
		g.next[d.from] = append(g.next[d.from], d)
	}
}

// cycles reports of each group of transactions that depend on each other the shortest cycle of the gravest kind.
func (g *dsg) cycles(tag string) []Violation {
	var found []Violation
	upTo := func(most dependence) func(dependency) bool { return func(d dependency) bool { return d.why <= most } }
	for _, group := range g.components(upTo(missed)) {
		in := map[int32]bool{}
		for _, t := range group {
			in[t] = true
		}
		rule, cycle := Rule(""), []dependency(nil)
		for _, kind := range []struct {
			rule Rule
			most dependence
		}{{DirtyWrite, overwrote}, {InformationCycle, read}} {
			if cycle = g.closed(group, in, func(d dependency) bool { return d.why == kind.most }, upTo(kind.most)); cycle != nil {
				rule = kind.rule
				break
			}
		}
		if cycle == nil {
			rule, cycle = SingleDependency, g.closed(group, in, func(d dependency) bool { return d.why == missed }, upTo(read))
		}
		if cycle == nil {
			rule, cycle = AntiDependency, g.closed(group, in, upTo(missed), upTo(missed))
		}
		found = append(found, g.violation(rule, tag, cycle, len(group)))
	}
	return found
}

// components gives the groups of transactions that reach each other, of two and more (Tarjan's algorithm, iterative).
func (g *dsg) components(use func(dependency) bool) [][]int32 {
	type frame struct {
		t    int32
		next int
	}
	index, low, on := map[int32]int{}, map[int32]int{}, map[int32]bool{}
	var stack []int32
	var found [][]int32
	starts := make([]int32, 0, len(g.next))
	for t := range g.next {
		starts = append(starts, t)
	}
	slices.Sort(starts)
	for _, start := range starts {
		if _, seen := index[start]; seen {
			continue
		}
		var path []frame
		enter := func(t int32) {
			index[t], low[t], on[t] = len(index), len(index), true
			stack = append(stack, t)
			path = append(path, frame{t: t})
		}
		for enter(start); len(path) > 0; {
			f := &path[len(path)-1]
			if f.next < len(g.next[f.t]) {
				d := g.next[f.t][f.next]
				f.next++
				if !use(d) {
					continue
				}
				if _, seen := index[d.to]; !seen {
					enter(d.to)
				} else if on[d.to] {
					low[f.t] = min(low[f.t], index[d.to])
				}
				continue
			}
			t := f.t
			path = path[:len(path)-1]
			if len(path) > 0 {
				parent := path[len(path)-1].t
				low[parent] = min(low[parent], low[t])
			}
			if low[t] != index[t] {
				continue
			}
			var group []int32
			for {
				u := stack[len(stack)-1]
				stack = stack[:len(stack)-1]
				on[u] = false
				group = append(group, u)
				if u == t {
					break
				}
			}
			if len(group) > 1 {
				slices.Sort(group)
				found = append(found, group)
			}
		}
	}
	return found
}

// maxSearch bounds how many dependencies are looked at for one cycle: past it a graver kind may be missed where there is
// one of a lesser kind, but never that there is a cycle.
const maxSearch = 20_000_000

// closed finds a short cycle within a group: one dependency that start names, and a way back along those that back names.
func (g *dsg) closed(group []int32, in map[int32]bool, start, back func(dependency) bool) []dependency {
	var best []dependency
	steps := 0
	for _, t := range group {
		for _, d := range g.next[t] {
			if !start(d) || !in[d.to] || steps > maxSearch {
				continue
			}
			from := map[int32]dependency{}
			depth := map[int32]int{d.to: 1}
			for todo := []int32{d.to}; len(todo) > 0; todo = todo[1:] {
				u := todo[0]
				if u == t || best != nil && depth[u]+1 >= len(best) {
					break
				}
				for _, e := range g.next[u] {
					steps++
					if _, seen := depth[e.to]; !seen && in[e.to] && back(e) {
						depth[e.to] = depth[u] + 1
						from[e.to] = e
						todo = append(todo, e.to)
					}
				}
			}
			if _, reached := from[t]; reached && (best == nil || depth[t] < len(best)) {
				best = nil
				for u := t; u != d.to; u = from[u].from {
					best = append(best, from[u])
				}
				best = append(best, d)
				slices.Reverse(best)
				if len(best) == 2 {
					return best
				}
			}
		}
	}
	return best
}

// violation explains a cycle.
func (g *dsg) violation(rule Rule, tag string, cycle []dependency, group int) Violation {
	c := g.c
	var ops []int32
	var why []string
	for _, d := range cycle {
		for _, i := range []int32{d.a, d.b} {
			if !slices.Contains(ops, i) {
				ops = append(ops, i)
			}
		}
		how := map[dependence]string{overwrote: "was overwritten by", read: "was read by", missed: "did not see"}[d.why]
		why = append(why, fmt.Sprintf("%s %s %s", c.name(d.a), how, c.name(d.b)))
	}
	slices.Sort(ops)
	meant := g.meaning(rule, cycle)
	if group > len(cycle) {
		meant += fmt.Sprintf(" (%d transactions depend on each other in all)", group)
	}
	v := c.violation(rule, "%s in {%s}: %s", meant, tag, strings.Join(why, "; ")).at(c, ops...)
	v.Key = "{" + tag + "}"
	return v
}

// meaning says what a cycle is better known as.
func (g *dsg) meaning(rule Rule, cycle []dependency) string {
	key := func(d dependency) int32 { return g.c.ops[d.a].key }
	switch {
	case rule == DirtyWrite:
		return "transactions overwrote each other's writes"
	case rule == InformationCycle:
		return "transactions saw each other's writes"
	case rule == AntiDependency && len(cycle) == 2:
		return "write skew"
	case rule == AntiDependency:
		return "no order of the transactions explains what they read"
	case len(cycle) == 2 && key(cycle[0]) != key(cycle[1]):
		return "fractured read"
	}
	return "a transaction read from two states"
}
