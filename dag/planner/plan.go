package planner

import (
	"cmp"
	"slices"
	"time"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
)

// Plan is a decision for a whole DAG with what it is predicted to come to.
type Plan struct {
	Nodes   []Placement   // by the graph's nodes
	Edges   []Travel      // of all arguments that are no constants, by node and position
	Latency time.Duration // until all nodes have finished
	Cost    float64       // in the unit of Prices
}

// Placement is where a node runs, and when.
type Placement struct {
	Share         []int // tasks by executor of the fleet
	Start, Finish time.Duration
}

// Home is the executor with the most of a node's tasks, the first of several.
func (p Placement) Home() int {
	home := 0
	for k, n := range p.Share {
		if n > p.Share[home] {
			home = k
		}
	}
	return home
}

// Travel is how an edge's value goes.
type Travel struct {
	Edge    Edge
	From    dag.Source
	Pattern Pattern
	Path    Path
	Bytes   int64 // of the whole value
	// Start is when the value is there to be sent; Finish when all of it is where it is needed.
	Start, Finish time.Duration
}

// Alternative is what another path for one edge would come to, all else being equal.
type Alternative struct {
	Path    Path
	Took    time.Duration // of this edge's travel
	Latency time.Duration // of the whole DAG
	Cost    float64
	Refused string // why it cannot be; "" where it can
}

// Result is a plan with its reasons.
type Result struct {
	Best         Plan
	Alternatives [][]Alternative // of each of Best's edges, one for each path, the chosen one first
	Runners      []Plan          // the next best, best first, as far as they were looked at
	Reckoned     int             // states looked at
	// Exact is whether every placement and path was weighed, or ruled out by another that is no worse. Else something was cut
	// off: by the budget, by the ways to spread a large Map, by the number of executors or of a node's arguments.
	Exact bool
}

// Solve plans. It is pure: the same problem has the same result. Errors are invalid_argument for a problem that makes no
// sense, and no_executor where a function can run nowhere.
func Solve(p Problem) (*Result, error) {
	m, labels, best, err := solve(&p)
	if err != nil {
		return nil, err
	}
	r := &Result{Best: m.plan(best)}
	r.Alternatives = m.alternatives(best)
	r.Runners = m.runners(labels, best)
	r.Exact, r.Reckoned = m.whole, m.spent
	return r, nil
}

// Best is Solve without the reasons, for who only follows the plan: no alternatives and no runners-up.
func Best(p Problem) (*Result, error) {
	m, _, best, err := solve(&p)
	if err != nil {
		return nil, err
	}
	return &Result{Best: m.plan(best), Exact: m.whole, Reckoned: m.spent}, nil
}

func solve(p *Problem) (m *model, labels []*label, best []choice, err error) {
	if m, err = runnable(p); err != nil {
		return nil, nil, nil, err
	}
	labels = m.search()
	slices.SortStableFunc(labels, func(a, b *label) int { return m.compare(a.state.outcome(), b.state.outcome()) })
	best = m.choices(labels[0])
	if m.pruned {
		best = m.improve(best)
	}
	return m, labels, best, nil
}

// runnable makes the model of a problem in which each node can run somewhere.
func runnable(p *Problem) (*model, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	m := newModel(p)
	for i, s := range m.shares {
		if len(s) == 0 {
			return nil, fault.New(fault.NoExecutor, "node %s: none of the %d executors can run %s", m.g.Nodes[i].Name, len(p.Fleet.Executors), m.g.Nodes[i].Function)
		}
	}
	return m, nil
}

func (s *state) outcome() outcome { return outcome{span: s.span, cost: s.cost} }

// choices collects a label's, by node.
func (m *model) choices(l *label) []choice {
	out := make([]choice, len(m.g.Nodes))
	for d := len(m.stages) - 1; d >= 0; d-- {
		for i, n := range m.stages[d] {
			out[n] = l.choices[i]
		}
		l = l.prev
	}
	return out
}

// evaluate reckons a whole plan, and calls seen after each stage, while scratch has its details.
func (m *model) evaluate(choices []choice, seen func(stage int)) outcome {
	s := m.first()
	var stage []choice
	for d, nodes := range m.stages {
		stage = stage[:0]
		for _, n := range nodes {
			stage = append(stage, choices[n])
		}
		m.reckon(s, nodes, stage, true)
		if seen != nil {
			seen(d)
		}
	}
	return s.outcome()
}

// plan reckons a whole plan in detail.
func (m *model) plan(choices []choice) Plan {
	p := Plan{Nodes: make([]Placement, len(m.g.Nodes))}
	o := m.evaluate(choices, func(d int) {
		at := 0
		for i, n := range m.stages[d] {
			t := m.scratch.nodes[i]
			share := make([]int, len(m.Fleet.Executors))
			for k, count := range choices[n].share {
				share[m.execs[k]] = count
			}
			p.Nodes[n] = Placement{share, duration(t.start), duration(t.finish)}
			for j, path := range choices[n].paths {
				e, t := &m.edges[n][j], m.scratch.edges[at]
				at++
				p.Edges = append(p.Edges, Travel{
					Edge: Edge{Node: e.node, Arg: e.arg}, From: e.from, Pattern: e.pattern, Path: path, Bytes: int64(e.bytes),
					Start: duration(t.start), Finish: duration(t.finish),
				})
			}
		}
	})
	slices.SortFunc(p.Edges, func(a, b Travel) int {
		return cmp.Or(cmp.Compare(a.Edge.Node, b.Edge.Node), cmp.Compare(a.Edge.Arg, b.Edge.Arg))
	})
	p.Latency, p.Cost = duration(o.span), o.cost
	return p
}
