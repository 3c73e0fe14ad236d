package planner

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
)

// brute tries every plan that the model has choices for, with no cleverness at all.
func brute(m *model) (best outcome, tried int) {
	choices := make([]choice, len(m.g.Nodes))
	first := true
	var node func(n int)
	var edges func(n, j int)
	node = func(n int) {
		if n == len(choices) {
			tried++
			if o := m.evaluate(choices, nil); first || m.value(o) < m.value(best) {
				best, first = o, false
			}
			return
		}
		for _, to := range m.shares[n] {
			choices[n] = choice{to, make([]Path, len(m.edges[n]))}
			edges(n, 0)
		}
	}
	edges = func(n, j int) {
		if j == len(m.edges[n]) {
			node(n + 1)
			return
		}
		e := &m.edges[n][j]
		for _, p := range paths { // not legal(), which leaves out what it knows to be worse
			if m.why(e, m.shareOf(choices, e), choices[n].share, p) == "" {
				choices[n].paths[j] = p
				edges(n, j+1)
			}
		}
	}
	node(0)
	return best, tried
}

// drawGraph makes a DAG of at most n nodes, of all kinds.
func drawGraph(t *rapid.T, n int) *dag.Graph {
	b := dag.New("random")
	sources := []dag.Ref{b.Input("x")}
	for i := range rapid.IntRange(1, n).Draw(t, "nodes") {
		name, from := fmt.Sprint("n", i), rapid.SampledFrom(sources).Draw(t, "from")
		if i == 0 {
			from = sources[0]
		}
		f := rapid.SampledFrom([]string{"f", "g"}).Draw(t, "function")
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			sources = append(sources, b.Map(name, f, from))
		case 1:
			sources = append(sources, b.Reduce(name, f, from))
		case 2:
			sources = append(sources, b.Call(name, f, from))
		default:
			sources = append(sources, b.Call(name, f, from, rapid.SampledFrom(sources).Draw(t, "other")))
		}
	}
	b.Output("y", sources[len(sources)-1])
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func drawProblem(t *rapid.T, nodes, executors int) Problem {
	g := drawGraph(t, nodes)
	pick := func(what string, of ...float64) float64 { return rapid.SampledFrom(of).Draw(t, what) }
	p := Problem{Graph: g, Goal: Objective(rapid.IntRange(0, 2).Draw(t, "goal")), Budget: 1 << 30}
	n := rapid.IntRange(1, executors).Draw(t, "executors")
	uneven := rapid.Bool().Draw(t, "uneven") // or all alike
	one := func(i int) Executor {
		return Executor{
			Slots: rapid.IntRange(1, 2).Draw(t, "slots"), Speed: pick("speed", 1, 2), Backlog: time.Duration(pick("backlog", 0, 1e8)),
			Out: pick("out", 0, 1e8), In: pick("in", 0, 1e8), Memory: pick("memory", 0, 1e9), Disk: pick("disk", 0, 0, 1e7),
			Warm:  map[string]bool{"f": rapid.Bool().Draw(t, "warm")},
			Lacks: map[string]bool{"g": i > 0 && rapid.IntRange(0, 5).Draw(t, "lacks") == 0},
		}
	}
	for i := range n {
		if i == 0 || uneven {
			p.Fleet.Executors = append(p.Fleet.Executors, one(i))
		} else {
			p.Fleet.Executors = append(p.Fleet.Executors, p.Fleet.Executors[0])
		}
		p.Fleet.Executors[i].Name = fmt.Sprint("e", i)
		if i > 0 && rapid.IntRange(0, 3).Draw(t, "neighbour") == 0 {
			p.Fleet.Executors[i].Host, p.Fleet.Executors[i-1].Host = "h", "h"
		}
	}
	link := Link{pick("bandwidth", 0, 1e7, 1e8), time.Duration(pick("latency", 1e5, 1e7))}
	for range n {
		row := make([]Link, n)
		for j := range row {
			row[j] = link
			if uneven {
				row[j].Bandwidth = pick("bandwidth", 1e6, 1e8)
			}
		}
		p.Fleet.Links = append(p.Fleet.Links, row)
	}
	p.Fleet.Store = Store{Write: pick("write", 0, 1e7), Read: pick("read", 0, 1e8), WriteLatency: time.Duration(pick("latency", 1e6, 2e7)), ReadLatency: time.Millisecond}
	p.Fleet.Bus = Bus{Bandwidth: 1e8, Latency: 300 * time.Microsecond, Most: int64(pick("most", 0, 65536))}
	in := Input{Bytes: int64(pick("input", 1e3, 1e6)), Items: rapid.IntRange(1, 3).Draw(t, "items"), Stored: rapid.Bool().Draw(t, "stored")}
	if in.Stored && rapid.Bool().Draw(t, "held") {
		in.Holders = []int{rapid.IntRange(0, n-1).Draw(t, "holder")}
	}
	p.Inputs = []Input{in}
	work, err := Predict(g, p.Inputs, func(int, int64) Prediction {
		return Prediction{
			Out: int64(pick("size", 100, 5e4, 2e6)), Items: rapid.IntRange(1, 3).Draw(t, "fan-out"),
			Took: time.Duration(pick("took", 1e6, 1e8)), Cold: time.Duration(pick("cold", 0, 3e7)),
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	p.Work = work
	return p
}

// TestExact holds Solve against trying every plan, over random small DAGs, fleets and objectives.
func TestExact(t *testing.T) {
	plans, several := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		p := drawProblem(t, 4, 2)
		if p.Graph.Nodes != nil && len(p.Graph.Nodes) <= 3 {
			p = drawProblem(t, 3, 3)
		}
		r, err := Solve(p)
		if err != nil {
			t.Fatal(err)
		}
		if !r.Exact {
			t.Fatal("cut off although the budget is without bound")
		}
		m := newModel(&p)
		all := 1.0
		for n := range m.g.Nodes {
			all *= float64(len(m.shares[n])) * math.Pow(4, float64(len(m.edges[n])))
		}
		if all > 3e5 {
			t.Skip("too many plans to try them all")
		}
		want, tried := brute(m)
		plans += tried
		for _, s := range m.stages {
			if len(s) > 1 {
				several++
				break
			}
		}
		got := outcome{span: r.Best.Latency.Seconds(), cost: r.Best.Cost}
		if g, w := m.value(got), m.value(want); math.Abs(g-w) > 1e-9+1e-6*w {
			t.Fatalf("%v %g, the best of all %d plans has %g\n%+v", p.Goal, g, tried, w, r.Best)
		}
	})
	if !t.Failed() && (plans < 1000 || several < 5) {
		t.Errorf("only %d plans were tried, %d DAGs had a stage of several nodes: the test says little", plans, several)
	}
}

// TestBudget: a small budget bounds the work, and is reported; the plan is legal, and more budget is not worse by much.
func TestBudget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawProblem(t, 8, 4)
		p.Runners = 2
		var last *Result
		for _, budget := range []int{1, 100, 5000} {
			p.Budget = budget
			r, err := Solve(p)
			if err != nil {
				t.Fatal(err)
			}
			check(t, p, r)
			last = r
		}
		for _, other := range last.Runners {
			if p.Goal == Latency && other.Latency < last.Best.Latency && last.Exact {
				t.Fatalf("a runner-up of %v beats the best of %v", other.Latency, last.Best.Latency)
			}
		}
	})
}

// check holds a result against what every plan has to keep.
func check(t *rapid.T, p Problem, r *Result) {
	for i, n := range r.Best.Nodes {
		sum := 0
		for k, count := range n.Share {
			sum += count
			if count > 0 && p.Fleet.Executors[k].Lacks[p.Graph.Nodes[i].Function] {
				t.Fatalf("node %d is on executor %d, which lacks its function", i, k)
			}
		}
		if sum != p.Work[i].Tasks || n.Finish < n.Start || n.Finish > r.Best.Latency {
			t.Fatalf("node %d: %+v of %d tasks", i, n, p.Work[i].Tasks)
		}
	}
	for i, e := range r.Best.Edges {
		if e.Finish < e.Start || e.Path == None || r.Alternatives[i][0].Path != e.Path || r.Alternatives[i][0].Refused != "" {
			t.Fatalf("edge %+v: %+v", e, r.Alternatives[i])
		}
		if e.Edge.Arg < 0 || !slices.ContainsFunc(p.Graph.Consumers(e.From), func(c Edge) bool { return c == e.Edge }) {
			t.Fatalf("there is no edge %+v", e)
		}
	}
}

// TestWide: a DAG far too large to try everything is planned within the budget.
func TestWide(t *testing.T) {
	b := dag.New("wide")
	x := b.Input("x")
	var parts []any
	for i := range 60 {
		parts = append(parts, b.Call(fmt.Sprint("part", i), "f", x))
	}
	b.Output("y", b.Call("join", "g", parts...))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	p := Problem{Graph: g, Inputs: []Input{{Bytes: 1 << 20, Stored: true}}}
	for i := range 20 {
		p.Fleet.Executors = append(p.Fleet.Executors, Executor{Name: fmt.Sprint("e", i), Slots: 8, Out: 1e9, In: 1e9})
	}
	p.Work, err = Predict(g, p.Inputs, func(int, int64) Prediction { return Prediction{Out: 1000, Took: 100 * time.Millisecond} })
	if err != nil {
		t.Fatal(err)
	}
	p.Budget = 30_000
	r, err := Solve(p)
	if err != nil {
		t.Fatal(err)
	}
	if r.Exact || r.Reckoned > 4*p.Budget {
		t.Errorf("exact %v after %d states", r.Exact, r.Reckoned)
	}
	if r.Best.Latency > 250*time.Millisecond {
		t.Errorf("60 calls of 100 ms on 8 executors with 8 slots each take %v", r.Best.Latency)
	}
}

func TestRefuses(t *testing.T) {
	g := dag.Single("f", 1)
	good := func() Problem {
		return Problem{Graph: g, Inputs: []Input{{}}, Work: []Work{{Tasks: 1}}, Fleet: Fleet{Executors: []Executor{{Slots: 1}}}}
	}
	if _, err := Solve(good()); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		spoil func(*Problem)
		code  fault.Code
	}{
		"no graph":          {func(p *Problem) { p.Graph = nil }, fault.InvalidArgument},
		"no executor":       {func(p *Problem) { p.Fleet.Executors = nil }, fault.NoExecutor},
		"no input":          {func(p *Problem) { p.Inputs = nil }, fault.InvalidArgument},
		"no work":           {func(p *Problem) { p.Work = nil }, fault.InvalidArgument},
		"no slots":          {func(p *Problem) { p.Fleet.Executors[0].Slots = 0 }, fault.InvalidArgument},
		"no tasks":          {func(p *Problem) { p.Work[0].Tasks = 0 }, fault.InvalidArgument},
		"tasks of a call":   {func(p *Problem) { p.Work[0].Tasks = 2 }, fault.InvalidArgument},
		"negative size":     {func(p *Problem) { p.Inputs[0].Bytes = -1 }, fault.InvalidArgument},
		"holder nowhere":    {func(p *Problem) { p.Inputs[0].Holders = []int{1} }, fault.InvalidArgument},
		"not a rate":        {func(p *Problem) { p.Fleet.Executors[0].Out = math.NaN() }, fault.InvalidArgument},
		"links missing":     {func(p *Problem) { p.Fleet.Links = [][]Link{{}} }, fault.InvalidArgument},
		"negative store":    {func(p *Problem) { p.Fleet.Store.Read = -1 }, fault.InvalidArgument},
		"negative price":    {func(p *Problem) { p.Prices.Request = -1 }, fault.InvalidArgument},
		"no such goal":      {func(p *Problem) { p.Goal = 9 }, fault.InvalidArgument},
		"nobody can run it": {func(p *Problem) { p.Fleet.Executors[0].Lacks = map[string]bool{g.Nodes[0].Function: true} }, fault.NoExecutor},
	} {
		p := good()
		p.Inputs, p.Fleet.Executors, p.Work = slices.Clone(p.Inputs), slices.Clone(p.Fleet.Executors), slices.Clone(p.Work)
		c.spoil(&p)
		if r, err := Solve(p); r != nil || !fault.Is(err, c.code) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
