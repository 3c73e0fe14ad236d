package planner

import (
	"slices"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
)

// Reckon tells what a given plan comes to by the same model that Solve plans with, so that the two can be compared. tasks[n][k]
// is how many tasks of node n are on executor k of the fleet; path[s] is how the value of source s travels where it leaves its
// executor, Auto, and a path that is not to be had, being what executors do by themselves: hand over what stays, send in the
// message what fits there, and have the rest pulled. A nil path is Auto for all.
//
// invalid_argument for tasks that do not fit the problem, and for a fleet so large that Solve would not weigh all of it;
// no_executor where a function is placed where it cannot run.
func Reckon(p Problem, tasks [][]int, path []Path) (Plan, error) {
	m, err := runnable(&p)
	if err != nil {
		return Plan{}, err
	}
	switch {
	case len(m.execs) != len(p.Fleet.Executors):
		return Plan{}, fault.New(fault.InvalidArgument, "a plan for %d executors: at most %d are reckoned with", len(p.Fleet.Executors), len(m.execs))
	case len(tasks) != len(m.g.Nodes) || path != nil && len(path) != m.g.Sources():
		return Plan{}, fault.New(fault.InvalidArgument, "a plan for %d nodes and %d values does not fit DAG %s", len(tasks), len(path), m.g.Name)
	}
	choices := make([]choice, len(tasks))
	for n, on := range tasks {
		sum := 0
		for k, count := range on {
			if count < 0 || k >= len(m.execs) {
				return Plan{}, fault.New(fault.InvalidArgument, "node %s: %d tasks on executor %d of %d", m.g.Nodes[n].Name, count, k, len(m.execs))
			}
			if count > 0 && m.executor(k).Lacks[m.g.Nodes[n].Function] {
				return Plan{}, fault.New(fault.NoExecutor, "node %s: executor %s cannot run %s", m.g.Nodes[n].Name, m.executor(k).Name, m.g.Nodes[n].Function)
			}
			sum += count
		}
		if sum != m.Work[n].Tasks || len(on) != len(m.execs) {
			return Plan{}, fault.New(fault.InvalidArgument, "node %s has %d tasks, %d are placed on %d of %d executors", m.g.Nodes[n].Name, m.Work[n].Tasks, sum, len(on), len(m.execs))
		}
		choices[n].share = on
	}
	for n := range choices {
		for j := range m.edges[n] {
			e := &m.edges[n][j]
			wish := dag.Auto
			if path != nil {
				wish = path[e.from]
			}
			choices[n].paths = append(choices[n].paths, m.usual(e, m.shareOf(choices, e), choices[n].share, wish))
		}
	}
	return m.plan(choices), nil
}

// usual is the path that a value takes whose plan wishes for one. What stays in memory is handed over, whatever was wished.
func (m *model) usual(e *edge, from, to share, wish Path) Path {
	stays := !slices.ContainsFunc(m.flows(nil, e, from, to), func(f flow) bool { return f.from != f.to })
	if stays && m.free(e, from, to) {
		return Local
	}
	for _, p := range [...]Path{wish, Local, Inline, Direct, Remote} {
		if p == dag.Auto || p == Local && p != wish && !stays {
			continue
		}
		if m.why(e, from, to, p) == "" {
			return p
		}
	}
	return Remote
}
