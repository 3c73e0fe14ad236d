package advice

import (
	"slices"
	"time"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/dag/planner"
	"github.com/squall-faas/squall/internal/forecast"
)

const (
	// Budget is how many states the planner may look at for one piece of advice: some milliseconds.
	Budget = 2000
	// MaxNodes is how many nodes a DAG has at most that is planned: each needs some states, whatever the budget.
	MaxNodes = 64
	// leastWork is what a run's functions take together, at least: what is shorter the default rule places as well.
	leastWork = time.Millisecond
	// gain is what a plan's latency must stay below, as a share of that of the default rule: predictions are not so good
	// that less could be told from nothing.
	gain = 0.9
	// pathGain is the same of a plan with paths against the plan without.
	pathGain = 0.97
)

// Advice is how to place a run. It is immutable.
type Advice struct {
	Roles     []int      // by node: nodes of one role belong on one executor. That of node 0 is 0
	Names     []string   // by role: the executor that it was made for
	Paths     []dag.Path // by source, as dag.Plan has them; nil where the default rule does as well
	Predicted time.Duration
	Otherwise time.Duration // what is predicted of the default rule: everything on the executor of the first node
}

// Verdict is what came of a question.
type Verdict uint8

// The verdicts.
const (
	Given   Verdict = iota // there is advice
	Unknown                // a function was not seen often enough
	Small                  // the run is too short to be worth it
	Useless                // no plan is predicted to be clearly better
)

// Verdicts lists all of them.
var Verdicts = [...]Verdict{Given, Unknown, Small, Useless}

// String names the verdict as metrics do.
func (v Verdict) String() string {
	switch v {
	case Given:
		return "given"
	case Unknown:
		return "unknown"
	case Small:
		return "small"
	}
	return "useless"
}

// Make plans a case, whose first executor is the one that the run's first node is bound to. Advice is nil unless the verdict is
// Given. The error is invalid_argument or no_executor, as of planner.Solve.
func Make(c forecast.Case) (*Advice, Verdict, error) {
	p, basis, err := forecast.Make(c)
	switch {
	case err != nil:
		return nil, Useless, err
	case !basis.Known():
		return nil, Unknown, nil
	case work(p.Work) < leastWork:
		return nil, Small, nil
	case len(c.Graph.Nodes) < 2 || len(c.Graph.Nodes) > MaxNodes || len(c.Executors) < 2:
		return nil, Useless, nil
	}
	p.Budget = Budget
	together := make([]int, len(c.Graph.Nodes))
	for n := range together {
		together[n] = able(&p, n, 0)
	}
	otherwise, err := planner.Reckon(p, tasks(&p, together), nil)
	if err != nil {
		return nil, Useless, err
	}
	enough := func(d time.Duration) bool { return float64(d) < gain*float64(otherwise.Latency) }
	if !enough(shortest(&p)) {
		return nil, Useless, nil
	}
	best, err := planner.Best(p)
	if err != nil {
		return nil, Useless, err
	}
	homes := make([]int, len(best.Best.Nodes))
	for n := range homes {
		homes[n] = best.Best.Nodes[n].Home()
	}
	exchange(homes)
	on := tasks(&p, homes)
	follow, err := planner.Reckon(p, on, nil)
	if err != nil { // who changed places cannot run the other's functions
		return nil, Useless, nil //nolint:nilerr // that is no failure of the question
	}
	a := &Advice{Predicted: follow.Latency, Otherwise: otherwise.Latency}
	if paths := pathsOf(&p, &best.Best, homes); paths != nil {
		with, err := planner.Reckon(p, on, paths)
		if err == nil && float64(with.Latency) < pathGain*float64(follow.Latency) {
			a.Paths, a.Predicted = paths, with.Latency
		}
	}
	if !enough(a.Predicted) {
		return nil, Useless, nil
	}
	a.cast(c.Executors, homes)
	return a, Given, nil
}

// cast numbers the executors as roles.
func (a *Advice) cast(executors []planner.Executor, homes []int) {
	a.Roles = make([]int, len(homes))
	var of []int // executors by role
	for n, k := range homes {
		role := slices.Index(of, k)
		if role < 0 {
			role = len(of)
			of = append(of, k)
			a.Names = append(a.Names, executors[k].Name)
		}
		a.Roles[n] = role
	}
}

// exchange puts node 0 on executor 0, where it is bound, and what was planned there where node 0 was planned.
func exchange(homes []int) {
	was := homes[0]
	for n, k := range homes {
		switch k {
		case was:
			homes[n] = 0
		case 0:
			homes[n] = was
		}
	}
}

// able is an executor that can run a node: the one wished for, if it can.
func able(p *planner.Problem, node, wish int) int {
	f := p.Graph.Nodes[node].Function
	if !p.Fleet.Executors[wish].Lacks[f] {
		return wish
	}
	return max(slices.IndexFunc(p.Fleet.Executors, func(e planner.Executor) bool { return !e.Lacks[f] }), 0)
}

// tasks says where the tasks of nodes run whose homes are known: a Map's home runs as many as it has slots, and hands the
// others to whoever has some.
func tasks(p *planner.Problem, homes []int) [][]int {
	out := make([][]int, len(homes))
	for n, home := range homes {
		out[n] = make([]int, len(p.Fleet.Executors))
		left := p.Work[n].Tasks
		for left > 0 {
			before := left
			for i := range p.Fleet.Executors {
				k := (home + i) % len(p.Fleet.Executors)
				if p.Fleet.Executors[k].Lacks[p.Graph.Nodes[n].Function] {
					continue
				}
				take := min(left, p.Fleet.Executors[k].Slots)
				out[n][k] += take
				left -= take
			}
			if left == before { // nobody can: Reckon says so
				out[n][home] += left
				left = 0
			}
		}
	}
	return out
}

// work is what all functions take together.
func work(ws []planner.Work) (sum time.Duration) {
	for _, w := range ws {
		sum += time.Duration(w.Tasks) * w.Took
		for _, l := range w.Levels {
			sum += time.Duration(l.Calls) * l.Took
		}
	}
	return sum
}

// shortest is what no plan can be faster than: the longest chain of functions, each with as many slots as there are.
func shortest(p *planner.Problem) (span time.Duration) {
	slots := 0
	for _, e := range p.Fleet.Executors {
		slots += e.Slots
	}
	end := make([]time.Duration, len(p.Graph.Nodes))
	for n := range p.Graph.Nodes {
		for _, a := range p.Graph.Nodes[n].Args {
			if a.Const == nil {
				if from, ok := p.Graph.NodeOf(a.From); ok {
					end[n] = max(end[n], end[from])
				}
			}
		}
		w := &p.Work[n]
		if len(w.Levels) == 0 {
			end[n] += time.Duration((w.Tasks+slots-1)/slots) * w.Took
		}
		for _, l := range w.Levels {
			end[n] += time.Duration((l.Calls+slots-1)/slots) * l.Took
		}
		span = max(span, end[n])
	}
	return span
}

// pathsOf gives the path of each source whose value leaves its executor, where it is another than the executor's own rule
// would choose; nil where none is. Of several edges of one source most decide.
func pathsOf(p *planner.Problem, best *planner.Plan, homes []int) []dag.Path {
	g := p.Graph
	votes := make([][dag.Remote + 1]int, g.Sources())
	for _, e := range best.Edges {
		from, ok := g.NodeOf(e.From)
		if ok && homes[from] != homes[e.Edge.Node] {
			votes[e.From][e.Path]++
		}
	}
	var out []dag.Path
	for s := range votes {
		path := dag.Auto
		for x, n := range votes[s] {
			if n > votes[s][path] {
				path = dag.Path(x)
			}
		}
		n, ok := g.NodeOf(dag.Source(s))
		if path == dag.Auto || !ok || path == usual(p, n) {
			continue
		}
		if out == nil {
			out = make([]dag.Path, g.Sources())
		}
		out[s] = path
	}
	return out
}

// usual is the path that an executor chooses for a node's value by its size.
func usual(p *planner.Problem, node int) dag.Path {
	if p.Work[node].Out <= p.Fleet.Bus.Most {
		return dag.Inline
	}
	return dag.Direct
}
