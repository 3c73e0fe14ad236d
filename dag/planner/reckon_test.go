package planner

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
)

// TestReckonAgrees: the best plan's own placement, with one path for each source as Solve chose it, comes to what Solve says;
// and no placement with the default paths is better than the best plan.
func TestReckonAgrees(t *testing.T) {
	same := 0
	rapid.Check(t, func(t *rapid.T) {
		p := drawProblem(t, 5, 3)
		p.Goal = Latency
		r, err := Best(p)
		if err != nil {
			t.Fatal(err)
		}
		full, err := Solve(p)
		if err != nil || full.Best.Latency != r.Best.Latency {
			t.Fatalf("Best says %v, Solve %v, %v", r.Best.Latency, full.Best.Latency, err)
		}
		tasks := make([][]int, len(r.Best.Nodes))
		for n := range tasks {
			tasks[n] = r.Best.Nodes[n].Share
		}
		usual, err := Reckon(p, tasks, nil)
		if err != nil {
			t.Fatal(err)
		}
		if usual.Latency < r.Best.Latency {
			t.Fatalf("the default paths come to %v, the best plan to %v", usual.Latency, r.Best.Latency)
		}
		path := make([]Path, p.Graph.Sources())
		for _, e := range r.Best.Edges {
			if path[e.From] != dag.Auto && path[e.From] != e.Path {
				t.Skip("a value that travels in two ways")
			}
			path[e.From] = e.Path
		}
		got, err := Reckon(p, tasks, path)
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range got.Edges {
			if want := r.Best.Edges[i].Path; e.Path != want && e.Path != Local {
				t.Fatalf("%+v, want it %v", e, want)
			}
		}
		if got.Latency > r.Best.Latency {
			t.Fatalf("reckoned as %v, planned as %v", got.Latency, r.Best.Latency)
		}
		same++
	})
	if !t.Failed() && same < 20 {
		t.Errorf("only %d plans were compared", same)
	}
}

func TestReckonRefuses(t *testing.T) {
	g := dag.Single("f", 1)
	p := Problem{Graph: g, Inputs: []Input{{Bytes: 10}}, Work: []Work{{Tasks: 1, Took: time.Second}}, Fleet: Fleet{
		Executors: []Executor{{Name: "a", Slots: 1}, {Name: "b", Slots: 1, Lacks: map[string]bool{g.Nodes[0].Function: true}}},
		Bus:       Bus{Most: 100, Latency: time.Millisecond},
	}}
	plan, err := Reckon(p, [][]int{{1, 0}}, nil)
	if err != nil || plan.Latency != time.Second+time.Millisecond || plan.Edges[0].Path != Inline {
		t.Fatalf("%+v, %v", plan, err)
	}
	for name, c := range map[string]struct {
		tasks [][]int
		path  []Path
		code  fault.Code
	}{
		"no nodes":          {nil, nil, fault.InvalidArgument},
		"no executors":      {[][]int{{}}, nil, fault.InvalidArgument},
		"too many":          {[][]int{{1, 0, 1}}, nil, fault.InvalidArgument},
		"none":              {[][]int{{0, 0}}, nil, fault.InvalidArgument},
		"fewer than none":   {[][]int{{2, -1}}, nil, fault.InvalidArgument},
		"paths of others":   {[][]int{{1, 0}}, []Path{dag.Auto}, fault.InvalidArgument},
		"who cannot run it": {[][]int{{0, 1}}, nil, fault.NoExecutor},
	} {
		if _, err := Reckon(p, c.tasks, c.path); !fault.Is(err, c.code) {
			t.Errorf("%s: %v", name, err)
		}
	}
	p.Fleet.Executors = slices.Repeat(p.Fleet.Executors[:1], MaxExecutors+1)
	if _, err := Reckon(p, [][]int{make([]int, MaxExecutors+1)}, nil); !fault.Is(err, fault.InvalidArgument) {
		t.Errorf("a fleet that is not weighed: %v", err)
	}
}
