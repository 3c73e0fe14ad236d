package planner

import (
	"cmp"
	"fmt"
	"slices"
)

// alternatives reckons every path of every edge of a plan.
func (m *model) alternatives(best []choice) [][]Alternative {
	var out [][]Alternative
	at := 0
	for n := range best {
		for j := range best[n].paths {
			chosen := best[n].paths[j]
			e := &m.edges[n][j]
			var list []Alternative
			for _, p := range paths {
				a := Alternative{Path: p, Refused: m.why(e, m.shareOf(best, e), best[n].share, p)}
				if a.Refused == "" {
					other := m.plan(with(best, n, j, p))
					t := other.Edges[at]
					a.Took, a.Latency, a.Cost = t.Finish-t.Start, other.Latency, other.Cost
				}
				list = append(list, a)
			}
			slices.SortStableFunc(list, func(a, b Alternative) int {
				rank := func(x Alternative) int {
					switch {
					case x.Path == chosen:
						return 0
					case x.Refused == "":
						return 1
					}
					return 2
				}
				return cmp.Or(cmp.Compare(rank(a), rank(b)), m.comparePlans(a.plan(), b.plan()), cmp.Compare(a.Took, b.Took))
			})
			out = append(out, list)
			at++
		}
	}
	return out
}

func (a Alternative) plan() Plan { return Plan{Latency: a.Latency, Cost: a.Cost} }

// comparePlans orders by the objective.
func (m *model) comparePlans(a, b Plan) int {
	return m.compare(outcome{span: seconds(a.Latency), cost: a.Cost}, outcome{span: seconds(b.Latency), cost: b.Cost})
}

func (m *model) shareOf(choices []choice, e *edge) share {
	if n, ok := m.g.NodeOf(e.from); ok {
		return choices[n].share
	}
	return nil
}

// with is a plan in which one edge takes another path.
func with(choices []choice, n, j int, p Path) []choice {
	out := slices.Clone(choices)
	out[n].paths = slices.Clone(out[n].paths)
	out[n].paths[j] = p
	return out
}

// moved is a plan in which one node is elsewhere. Edges whose path is not to be had there take the best one that is, by
// itself.
func (m *model) moved(choices []choice, n int, to share) []choice {
	out := slices.Clone(choices)
	out[n].share = to
	fix := func(e *edge, j int) {
		legal := m.legal(e, m.shareOf(out, e), out[e.node].share, nil)
		best, least := legal[0], outcome{}
		for i, p := range legal {
			if o := m.evaluate(with(out, e.node, j, p), nil); i == 0 || m.compare(o, least) < 0 {
				best, least = p, o
			}
		}
		out = with(out, e.node, j, best)
	}
	// First all get something that is legal, so that the plan can be reckoned at all.
	each := func(do func(e *edge, j int)) {
		for j := range m.edges[n] {
			do(&m.edges[n][j], j)
		}
		seen := -1
		for _, c := range m.g.Consumers(m.g.NodeSource(n)) {
			if c.Node == seen {
				continue
			}
			seen = c.Node
			for j := range m.edges[c.Node] {
				if e := &m.edges[c.Node][j]; e.from == m.g.NodeSource(n) {
					do(e, j)
				}
			}
		}
	}
	each(func(e *edge, j int) {
		out = with(out, e.node, j, m.legal(e, m.shareOf(out, e), out[e.node].share, nil)[0])
	})
	each(fix)
	return out
}

// improve moves single nodes and changes single paths as long as that helps, within as many states again as the budget.
func (m *model) improve(best []choice) []choice {
	limit := m.spent + cmp.Or(m.Budget, DefaultBudget)
	value := m.evaluate(best, nil)
	for better := true; better; {
		better = false
		for n := range best {
			for _, to := range m.shares[n] {
				if m.spent > limit {
					return best
				}
				if slices.Equal(to, best[n].share) {
					continue
				}
				try := m.moved(best, n, to)
				if o := m.evaluate(try, nil); m.value(o) < m.value(value) {
					best, value, better = try, o, true
				}
			}
		}
	}
	return best
}

// runners lists the next best plans: what else the search ended with, and the best one with one node moved or one path
// changed.
func (m *model) runners(labels []*label, best []choice) []Plan {
	if m.Runners == 0 {
		return nil
	}
	seen := map[string]bool{m.text(best): true}
	var list []Plan
	add := func(choices []choice) {
		if t := m.text(choices); !seen[t] {
			seen[t] = true
			list = append(list, m.plan(choices))
		}
	}
	for _, l := range labels[:min(len(labels), 4*m.Runners)] {
		add(m.choices(l))
	}
	limit := m.spent + cmp.Or(m.Budget, DefaultBudget)
	for n := range best {
		for j := range best[n].paths {
			e := &m.edges[n][j]
			for _, p := range paths {
				if m.spent < limit && m.why(e, m.shareOf(best, e), best[n].share, p) == "" {
					add(with(best, n, j, p))
				}
			}
		}
		for _, to := range m.shares[n] {
			if m.spent < limit {
				add(m.moved(best, n, to))
			}
		}
	}
	slices.SortStableFunc(list, m.comparePlans)
	return list[:min(len(list), m.Runners)]
}

// text names a plan, the same for plans that only differ in the names of executors that nothing tells apart.
func (m *model) text(choices []choice) string {
	name := make([]int, len(m.execs))
	next := 0
	t := ""
	for _, c := range choices {
		for k, n := range c.share {
			if n > 0 && name[k] == 0 {
				next++
				name[k] = next + len(m.execs)*m.alike[k]
			}
		}
		named := map[int]int{}
		for k, n := range c.share {
			if n > 0 {
				named[name[k]] = n
			}
		}
		t += fmt.Sprintf("%v%v", named, c.paths)
	}
	return t
}
