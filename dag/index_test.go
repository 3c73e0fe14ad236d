package dag_test

import (
	"slices"
	"testing"

	"github.com/squall-faas/squall/dag"
)

// diamond has an input used thrice, a node that takes one source twice, a constant, and a node for its effect.
func diamond(t testing.TB) *dag.Graph {
	t.Helper()
	b := dag.New("diamond")
	x, y := b.Input("x"), b.Input("y")
	l := b.Call("l", "f", x, 1)
	r := b.Call("r", "f", x, y)
	join := b.Call("join", "g", l, r, l)
	b.Call("log", "print", x)
	b.Call("tick", "now")
	b.Output("a", join)
	b.Output("b", l)
	b.Output("c", join)
	b.Output("same", y)
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestIndex(t *testing.T) {
	g := diamond(t)
	const x, y, l, r, join, log, tick = 0, 1, 2, 3, 4, 5, 6 // sources
	for s, want := range map[dag.Source][]dag.Consumer{
		x:    {{Node: 0, Arg: 0}, {Node: 1, Arg: 0}, {Node: 3, Arg: 0}},
		y:    {{Node: 1, Arg: 1}},
		l:    {{Node: 2, Arg: 0}, {Node: 2, Arg: 2}},
		r:    {{Node: 2, Arg: 1}},
		join: nil, log: nil, tick: nil,
	} {
		if got := g.Consumers(s); !slices.Equal(got, want) {
			t.Errorf("consumers of %s are %v, want %v", g.SourceName(s), got, want)
		}
	}
	for s, want := range map[dag.Source][]int{x: nil, y: {3}, l: {1}, r: nil, join: {0, 2}, log: nil, tick: nil} {
		if got := g.OutputsOf(s); !slices.Equal(got, want) {
			t.Errorf("outputs of %s are %v, want %v", g.SourceName(s), got, want)
		}
	}
	if got, want := g.Sinks(), []int{2, 3, 4}; !slices.Equal(got, want) {
		t.Errorf("sinks are %v, want %v", got, want)
	}
	for i, want := range []int{1, 2, 3, 1, 0} {
		if got := g.Needs(i); got != want {
			t.Errorf("node %s needs %d, want %d", g.Nodes[i].Name, got, want)
		}
	}
	for i, want := range []int{0, 0, 1, 0, 0} {
		if got := g.Depth(i); got != want {
			t.Errorf("node %s lies at depth %d, want %d", g.Nodes[i].Name, got, want)
		}
	}
}

func TestIndexAllocatesNothing(t *testing.T) {
	g := diamond(t)
	n := 0
	if allocs := testing.AllocsPerRun(100, func() {
		for s := range g.Sources() {
			n += len(g.Consumers(dag.Source(s))) + len(g.OutputsOf(dag.Source(s)))
		}
		n += len(g.Sinks()) + g.Needs(0) + g.Depth(2)
	}); allocs != 0 {
		t.Errorf("%v allocations, want none", allocs)
	}
}

func TestIndexOfAnUnvalidatedGraphPanicsInWords(t *testing.T) {
	g := &dag.Graph{Name: "d", Nodes: []dag.Node{{Name: "n", Kind: dag.Call, Function: "f"}}, Outputs: []dag.Output{{Name: "y"}}}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		g.Consumers(0)
	}()
	if err := g.Validate(); err != nil {
		t.Fatal(err)
	}
	if got := g.OutputsOf(0); !slices.Equal(got, []int{0}) {
		t.Errorf("outputs of the node are %v", got)
	}
}

func TestSingle(t *testing.T) {
	for _, c := range []struct {
		function string
		arity    int
		node     string
	}{{"square", 1, "square"}, {"now", 0, "now"}, {"f", dag.MaxArgs, "f"}, {"0", 1, "call"}, {"1", 1, "1"}, {"call", 2, "call"}} {
		g := dag.Single(c.function, c.arity)
		if len(g.Inputs) != c.arity || g.Nodes[0].Name != c.node || g.Outputs[0].Name != "result" {
			t.Errorf("Single(%q, %d) is %s", c.function, c.arity, g.YAML())
		}
		decoded, err := dag.Decode(dag.Encode(g))
		if err != nil {
			t.Fatalf("Single(%q, %d): %v", c.function, c.arity, err)
		}
		if dag.Hash(decoded) != dag.Hash(g) {
			t.Errorf("Single(%q, %d) changes when it travels", c.function, c.arity)
		}
		if out := g.OutputsOf(g.NodeSource(0)); len(out) != 1 {
			t.Errorf("Single(%q, %d) answers with %d values", c.function, c.arity, len(out))
		}
	}
}

func BenchmarkSingle(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		dag.Single("square", 1)
	}
}

func BenchmarkDecode(b *testing.B) {
	data := dag.Encode(diamond(b))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := dag.Decode(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	g := diamond(b)
	b.ReportAllocs()
	for b.Loop() {
		dag.Encode(g)
	}
}
