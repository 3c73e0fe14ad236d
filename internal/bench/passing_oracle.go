package bench

import (
	"context"
	"math"
	"slices"

	"github.com/squall-faas/squall/dag/planner"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/passing"
)

// passingAll is up to which fan-out a Map's tasks are tried in every number on every executor. Above, they are tried evenly
// on every set of executors.
const passingAll = 4

// passingSpace is all assignments of a DAG that are tried. The executors of a fleet are alike but for what is warm, so of
// those that nothing distinguishes and nothing is on yet, the first get most.
type passingSpace struct {
	t      *passing.Truth
	edges  []passing.Edge
	shares [][][]int // by node
	of     [][]int   // edges by node
}

func newPassingSpace(t *passing.Truth, edges []passing.Edge, all bool) *passingSpace {
	s := &passingSpace{t: t, edges: edges, of: make([][]int, len(t.Work))}
	n := len(t.Fleet.Executors)
	for i, e := range edges {
		s.of[e.Node] = append(s.of[e.Node], i)
	}
	for _, w := range t.Work {
		var shares [][]int
		if all && w.Tasks <= passingAll {
			var fill func(done []int, left int)
			fill = func(done []int, left int) {
				if len(done) == n-1 {
					shares = append(shares, append(slices.Clone(done), left))
					return
				}
				for c := range left + 1 {
					fill(append(done, c), left-c)
				}
			}
			fill(nil, w.Tasks)
		} else {
			for set := uint(1); set < 1<<n; set++ {
				if x := even(w.Tasks, n, set); !slices.ContainsFunc(shares, func(y []int) bool { return slices.Equal(x, y) }) {
					shares = append(shares, x)
				}
			}
		}
		s.shares = append(s.shares, shares)
	}
	return s
}

func (s *passingSpace) made(a passing.Assignment, e passing.Edge) []int {
	if n, ok := s.t.Graph.NodeOf(e.From); ok {
		return a.Share[n]
	}
	return nil
}

// node calls try with every way to place a node and to bring it its arguments, the rest of a being as it is.
func (s *passingSpace) node(a passing.Assignment, n int, try func(passing.Assignment) error) error {
	a = passing.Assignment{Share: slices.Clone(a.Share), Path: slices.Clone(a.Path)}
	for _, share := range s.shares[n] {
		if !s.lowest(a, n, share) {
			continue
		}
		a.Share[n] = share
		var each func(at int) error
		each = func(at int) error {
			if at == len(s.of[n]) {
				return try(a)
			}
			i := s.of[n][at]
			for _, p := range s.t.Paths(s.edges[i], s.made(a, s.edges[i]), share) {
				a.Path[i] = p
				if err := each(at + 1); err != nil {
					return err
				}
			}
			return nil
		}
		if err := each(0); err != nil {
			return err
		}
	}
	return nil
}

// lowest leaves out what only exchanges executors 1 and up, which are alike, before anything is on them.
func (s *passingSpace) lowest(a passing.Assignment, n int, share []int) bool {
	used := func(k int) bool {
		for _, earlier := range a.Share[:n] {
			if earlier[k] > 0 {
				return true
			}
		}
		return false
	}
	for k := 2; k < len(share); k++ {
		if share[k] > share[k-1] && !used(k) && !used(k-1) {
			return false
		}
	}
	return true
}

// passingBest is what trying every assignment has found.
type passingBest struct {
	seconds float64
	tried   int
	only    map[planner.Path]float64 // the best in which all edges between nodes take one path; Inf where there is none
}

// oracle executes every assignment.
func (c passingCell) oracle(ctx context.Context, t *passing.Truth) (passingBest, error) {
	s := newPassingSpace(t, t.Edges(), true)
	best := passingBest{seconds: math.Inf(1), only: map[planner.Path]float64{}}
	for _, p := range []planner.Path{planner.Local, planner.Direct, planner.Remote, planner.Inline} {
		best.only[p] = math.Inf(1)
	}
	runner := t.Runner()
	var from func(a passing.Assignment, n int) error
	from = func(a passing.Assignment, n int) error {
		if n < len(t.Work) {
			return s.node(a, n, func(a passing.Assignment) error { return from(a, n+1) })
		}
		if best.tried++; best.tried%256 == 0 && ctx.Err() != nil {
			return fault.From(ctx.Err())
		}
		limit, one := best.seconds, s.onePath(a)
		if one != planner.None {
			limit = max(limit, best.only[one])
		}
		took := runner.Within(a, limit)
		best.seconds = min(best.seconds, took)
		if one != planner.None {
			best.only[one] = min(best.only[one], took)
		}
		return nil
	}
	a := passing.Assignment{Share: make([][]int, len(t.Work)), Path: make([]planner.Path, len(s.edges))}
	return best, from(a, 0)
}

// onePath is the path that all edges between nodes take; None where they differ.
func (s *passingSpace) onePath(a passing.Assignment) planner.Path {
	one := planner.None
	for i, e := range s.edges {
		if _, made := s.t.Graph.NodeOf(e.From); made && a.Path[i] != one {
			if one != planner.None {
				return planner.None
			}
			one = a.Path[i]
		}
	}
	return one
}
