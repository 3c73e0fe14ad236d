package planner

import (
	"cmp"
	"slices"
)

// label is a state after a stage, with the way that led there.
type label struct {
	state   *state
	prev    *label
	choices []choice // of the stage's nodes
}

// part is a label with choices for some nodes of the next stage.
type part struct {
	label   *label
	choices []choice
	outcome outcome
}

// maxPaths is up to how many ways for all values of a node's edges each is looked at.
const maxPaths = 81

// search runs Viterbi over the stages (SONIC §4.2): for each way in which the values that are still needed can lie, only what
// no other plan beats in everything is kept. With one node to a stage that is Viterbi's one best; else it may be several,
// as one plan can be early in one node, and another in the next. Where there is more than the budget allows, the best are
// kept by what has been reached so far.
func (m *model) search() []*label {
	labels := []*label{{state: m.first()}}
	left := 0
	for _, nodes := range m.stages {
		left += len(nodes) * len(nodes)
	}
	budget := cmp.Or(m.Budget, DefaultBudget)
	for d, nodes := range m.stages {
		parts := make([]part, 0, len(labels))
		for _, l := range labels {
			parts = append(parts, part{label: l})
		}
		for i, n := range nodes {
			// Of what is left of the budget each node gets a part, in proportion to what a state costs there.
			share := max(budget-m.spent, 0) * (2*i + 1) / max(left, 1)
			left -= 2*i + 1
			parts = m.extend(parts, nodes[:i+1], n, share)
		}
		labels = m.settle(parts, nodes, d)
	}
	return labels
}

// extend tries all choices for a node on each part, at the cost of at most share, or one part.
func (m *model) extend(parts []part, nodes []int, n, share int) []part {
	var next []part
	var list []choice
	spent := m.spent
	for i := range parts {
		p := &parts[i]
		if i > 0 && m.spent-spent > share-len(list)*len(nodes) {
			m.whole, m.pruned = false, true
			break
		}
		list = m.options(list[:0], p, n)
		for _, o := range list {
			choices := append(p.choices[:len(p.choices):len(p.choices)], o)
			next = append(next, part{p.label, choices, m.reckon(p.label.state, nodes, choices, false)})
		}
	}
	slices.SortStableFunc(next, func(a, b part) int { return m.compare(a.outcome, b.outcome) })
	return next
}

// compare orders by the objective, then by what else is good.
func (m *model) compare(a, b outcome) int {
	c := cmp.Compare(m.value(a), m.value(b))
	return cmp.Or(c, cmp.Compare(a.sum, b.sum), cmp.Compare(a.cost, b.cost), cmp.Compare(a.span, b.span))
}

func (m *model) value(o outcome) float64 {
	switch m.Goal {
	case Cost:
		return o.cost
	case Product:
		return o.span * o.cost
	}
	return o.span
}

// options lists the choices for node n after a part.
func (m *model) options(list []choice, p *part, n int) []choice {
	s := p.label.state
	used := s.used
	for _, c := range p.choices {
		for k, count := range c.share {
			if count > 0 {
				used |= 1 << k
			}
		}
	}
	var ways [][]Path
	for _, to := range m.shares[n] {
		if !m.lowest(to, used) {
			continue
		}
		ways = ways[:0]
		all := 1
		for i := range m.edges[n] {
			e := &m.edges[n][i]
			ways = append(ways, m.legal(e, s.share[e.from], to, nil))
			all = min(all*len(ways[i]), maxPaths+1)
		}
		if all <= maxPaths {
			list = product(list, to, ways)
		} else {
			list = m.uniform(list, to, ways)
		}
	}
	return list
}

// lowest reports whether no other spread is the same but for the names of executors that nothing tells apart: of those
// without a task the first get most.
func (m *model) lowest(to share, used uint64) bool {
	for k := range to {
		if used>>k&1 == 1 {
			continue
		}
		for l := range k {
			if m.alike[l] == m.alike[k] && used>>l&1 == 0 && to[l] < to[k] {
				return false
			}
		}
	}
	return true
}

// product adds all combinations of the paths of each edge.
func product(list []choice, to share, ways [][]Path) []choice {
	at := make([]int, len(ways))
	for {
		paths := make([]Path, len(ways))
		for i := range ways {
			paths[i] = ways[i][at[i]]
		}
		list = append(list, choice{to, paths})
		i := 0
		for ; i < len(at); i++ {
			if at[i]++; at[i] < len(ways[i]) {
				break
			}
			at[i] = 0
		}
		if i == len(at) {
			return list
		}
	}
}

// uniform adds, for a node with many edges, the same path for all edges that may have it; small values inline or not.
func (m *model) uniform(list []choice, to share, ways [][]Path) []choice {
	m.whole, m.pruned = false, true
	for _, p := range paths {
		for _, inline := range [...]bool{false, true} {
			paths, fits := make([]Path, len(ways)), false
			for i, w := range ways {
				paths[i] = w[0]
				if slices.Contains(w, p) {
					paths[i], fits = p, true
				}
				if inline && slices.Contains(w, Inline) {
					paths[i] = Inline
				}
			}
			if fits && (!inline || p != Inline) {
				list = append(list, choice{to, paths})
			}
		}
	}
	return list
}

// settle makes states of parts, and drops those that another one with the same key dominates. Those that have reached most
// come first, and stay first.
func (m *model) settle(parts []part, nodes []int, stage int) []*label {
	var out []*label
	byKey := map[string][]*label{}
	var key []byte
	budget := cmp.Or(m.Budget, DefaultBudget)
	for i := range parts {
		// States that the next stage has no budget to go on from need not be made.
		if i > 0 && (i >= budget || m.spent > 2*budget) {
			m.whole, m.pruned = false, true
			break
		}
		p := &parts[i]
		s := p.label.state.clone()
		m.reckon(s, nodes, p.choices, true)
		m.spent -= len(nodes) // it was counted when it was looked at
		key = m.key(s, stage, key[:0])
		same := byKey[string(key)]
		if slices.ContainsFunc(same, func(l *label) bool { return m.dominates(l.state, s, stage) }) {
			continue
		}
		l := &label{s, p.label, p.choices}
		byKey[string(key)] = append(same, l)
		out = append(out, l)
	}
	return out
}
