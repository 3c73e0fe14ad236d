package bench

import (
	"math"
	"slices"

	"github.com/squall-faas/squall/dag/planner"
	"github.com/squall-faas/squall/internal/passing"
)

// The policies that the planner is held against.
var passingFixed = []string{"always-local", "always-direct", "always-remote"}

// even spreads a node's tasks over a set of executors.
func even(tasks, executors int, set uint) []int {
	s := make([]int, executors)
	for left := tasks; left > 0; {
		for k := range s {
			if set>>k&1 == 1 && left > 0 {
				s[k]++
				left--
			}
		}
	}
	return s
}

// fixed executes a policy that takes one path for all edges.
func (c passingCell) fixed(t *passing.Truth, policy string) (float64, error) {
	path := map[string]planner.Path{"always-local": planner.Local, "always-direct": planner.Direct, "always-remote": planner.Remote}[policy]
	o, err := t.Run(c.policy(t, path))
	return o.Seconds, err
}

// policy is one path for all edges, with the placement that goes with it: always-local has all on one executor; the others
// spread a Map over all executors, and single calls take turns.
func (c passingCell) policy(t *passing.Truth, path planner.Path) passing.Assignment {
	n := len(t.Fleet.Executors)
	edges := t.Edges()
	a := passing.Assignment{Path: make([]planner.Path, len(edges))}
	for i, w := range t.Work {
		set := uint(1)<<n - 1
		switch {
		case path == planner.Local:
			set = 1
		case w.Tasks == 1:
			set = 1 << (i % n)
		}
		a.Share = append(a.Share, even(w.Tasks, n, set))
	}
	for i, e := range edges {
		a.Path[i] = path
		if _, made := t.Graph.NodeOf(e.From); !made {
			a.Path[i] = planner.Remote // inputs are in the store
		}
	}
	return a
}

// greedy executes the policy that goes from node to node, and takes for each whatever ends it first, whatever that means for
// those after it. It knows how long things really take.
func (c passingCell) greedy(t *passing.Truth) (float64, error) {
	edges := t.Edges()
	s := newPassingSpace(t, edges, false)
	a := passing.Assignment{Path: make([]planner.Path, len(edges))}
	for i := range t.Work {
		a.Share = append(a.Share, even(t.Work[i].Tasks, len(t.Fleet.Executors), 1))
	}
	for i, e := range edges {
		a.Path[i] = t.Paths(e, s.made(a, e), a.Share[e.Node])[0]
	}
	last := 0.0
	for n := range t.Work {
		best, least := a, math.Inf(1)
		err := s.node(a, n, func(try passing.Assignment) error {
			// What comes after does not matter, but must be something that can be.
			for i, e := range edges {
				if legal := t.Paths(e, s.made(try, e), try.Share[e.Node]); e.Node > n && !slices.Contains(legal, try.Path[i]) {
					try.Path[i] = legal[0]
				}
			}
			o, err := t.Run(try)
			if err == nil && o.Finish[n] < least {
				best, least, last = passing.Assignment{Share: slices.Clone(try.Share), Path: slices.Clone(try.Path)}, o.Finish[n], o.Seconds
			}
			return err
		})
		if err != nil {
			return 0, err
		}
		a = best
	}
	return last, nil
}
