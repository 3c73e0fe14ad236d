package dag_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/value"
)

func TestBuilderMakesTheGraphOfTheDesign(t *testing.T) {
	b := dag.New("identifiers")
	counts := b.Map("count", "count", b.Input("files"), value.Ref("stopwords"), dag.Timeout(2*time.Second))
	sum := b.Reduce("sum", "merge", counts, dag.Initial(map[string]int{}), dag.Retries(3, 50*time.Millisecond, time.Second))
	b.Output("top", b.Call("top", "top", sum, 20))
	b.Output("sum", sum)
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	want := `name: identifiers
inputs: [files]
nodes:
  count: {map: count, over: $files, args: [{$ref: stopwords}], timeout: 2s}
  sum: {reduce: merge, over: $count, initial: {}, retry: {max: 3, backoff: 50ms, cap: 1s}}
  top: {call: top, args: [$sum, 20]}
outputs: {top: $top, sum: $sum}
`
	if got := string(g.YAML()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestBuilderInputsMayBeDeclaredLate(t *testing.T) {
	b := dag.New("late")
	inc := b.Call("inc", "increment", b.Input("x"))
	add := b.Call("add", "add", inc, b.Input("y"))
	b.Output("sum", add)
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	if s := g.Nodes[1].Args[0].From; g.SourceName(s) != "inc" {
		t.Errorf("add's first argument comes from %s, want inc", g.SourceName(s))
	}
	if s := g.Nodes[1].Args[1].From; g.SourceName(s) != "y" {
		t.Errorf("add's second argument comes from %s, want y", g.SourceName(s))
	}
	if g.Outputs[0].From != g.NodeSource(1) {
		t.Errorf("the output comes from %s, want add", g.SourceName(g.Outputs[0].From))
	}
}

// build makes a graph that is fine but for what edit does to it.
func build(edit func(b *dag.Builder, x dag.Ref)) (*dag.Graph, error) {
	b := dag.New("d")
	x := b.Input("x")
	b.Output("y", b.Call("ok", "f", x))
	edit(b, x)
	return b.Build()
}

func TestBuilderFaults(t *testing.T) {
	other := dag.New("elsewhere")
	stray := other.Input("s")
	many := make([]any, dag.MaxArgs+1)
	for _, c := range []struct {
		name string
		edit func(b *dag.Builder, x dag.Ref)
		code fault.Code
		want string // part of the message, after the node
		node string
	}{
		{"ref of another builder", func(b *dag.Builder, x dag.Ref) { b.Call("n", "f", x, stray) },
			fault.InvalidDAG, "argument 2 is of another Builder, that of DAG elsewhere", "n"},
		{"empty ref", func(b *dag.Builder, x dag.Ref) { b.Call("n", "f", dag.Ref{}) },
			fault.InvalidDAG, "argument 1 is an empty Ref", "n"},
		{"output of another builder", func(b *dag.Builder, x dag.Ref) { b.Output("z", stray) },
			fault.InvalidDAG, `output "z" is of another Builder`, ""},
		{"duplicate node", func(b *dag.Builder, x dag.Ref) { b.Call("ok", "f", x) },
			fault.InvalidDAG, `the name "ok" is already that of another node`, "ok"},
		{"node named as an input", func(b *dag.Builder, x dag.Ref) { b.Call("x", "f") },
			fault.InvalidDAG, `the name "x" is already that of an input`, "x"},
		{"duplicate input", func(b *dag.Builder, x dag.Ref) { b.Call("n", "f", b.Input("x")) },
			fault.InvalidDAG, `input "x" is declared twice`, ""},
		{"duplicate output", func(b *dag.Builder, x dag.Ref) { b.Output("y", x) },
			fault.InvalidDAG, `output "y" is declared twice`, ""},
		{"unused input", func(b *dag.Builder, x dag.Ref) { b.Input("idle") },
			fault.InvalidDAG, `input "idle" is used by no node and no output`, ""},
		{"node name", func(b *dag.Builder, x dag.Ref) { b.Call("a.b", "f", x) },
			fault.InvalidName, `node name "a.b" has "." at position 1`, "#2"},
		{"function name", func(b *dag.Builder, x dag.Ref) { b.Call("n", "*", x) },
			fault.InvalidName, `function name "*" has "*"`, "n"},
		{"empty function name", func(b *dag.Builder, x dag.Ref) { b.Call("n", "", x) },
			fault.InvalidName, "function name is empty", "n"},
		{"input name", func(b *dag.Builder, x dag.Ref) { b.Call("n", "f", b.Input("a b")) },
			fault.InvalidName, `input name "a b" has " "`, ""},
		{"output name", func(b *dag.Builder, x dag.Ref) { b.Output(strings.Repeat("o", 300), x) },
			fault.InvalidName, "has 300 characters", ""},
		{"map without a list", func(b *dag.Builder, x dag.Ref) { b.Map("n", "f", dag.Ref{}) },
			fault.InvalidDAG, "the list is an empty Ref", "n"},
		{"reduce without a list", func(b *dag.Builder, x dag.Ref) { b.Reduce("n", "f", dag.Ref{}) },
			fault.InvalidDAG, "the list is an empty Ref", "n"},
		{"negative timeout", func(b *dag.Builder, x dag.Ref) { b.Call("n", "f", x, dag.Timeout(-time.Second)) },
			fault.InvalidDAG, "timeout -1s is negative", "n"},
		{"negative retries", func(b *dag.Builder, x dag.Ref) { b.Call("n", "f", x, dag.Retries(-1)) },
			fault.InvalidDAG, "-1 retries", "n"},
		{"too many retries", func(b *dag.Builder, x dag.Ref) { b.Call("n", "f", x, dag.Retries(math.MaxInt)) },
			fault.InvalidDAG, "retries: give 0 to 1000", "n"},
		{"negative backoff", func(b *dag.Builder, x dag.Ref) { b.Call("n", "f", x, dag.Retries(1, -1)) },
			fault.InvalidDAG, "backoff -1ns up to 0s", "n"},
		{"three backoffs", func(b *dag.Builder, x dag.Ref) { b.Call("n", "f", x, dag.Retries(1, 1, 2, 3)) },
			fault.InvalidDAG, "Retries takes the first and the longest backoff, got 3", "n"},
		{"unencodable constant", func(b *dag.Builder, x dag.Ref) { b.Call("n", "f", x, make(chan int)) },
			fault.InvalidDAG, "argument 2 cannot be a constant: chan int cannot be a value", "n"},
		{"text that is not UTF-8", func(b *dag.Builder, x dag.Ref) { b.Call("n", "f", "\xff") },
			fault.InvalidDAG, "argument 1 is a constant that does not parse: text that is not UTF-8", "n"},
		{"unencodable initial", func(b *dag.Builder, x dag.Ref) { b.Reduce("n", "f", x, dag.Initial(func() {})) },
			fault.InvalidDAG, "the initial value cannot be a constant: func() cannot be a value", "n"},
		{"initial on a call", func(b *dag.Builder, x dag.Ref) { b.Call("n", "f", x, dag.Initial(0)) },
			fault.InvalidDAG, "an initial value is for a reduce only", "n"},
		{"initial is a ref", func(b *dag.Builder, x dag.Ref) { b.Reduce("n", "f", x, dag.Initial(x)) },
			fault.InvalidDAG, "the initial value of a reduce is a constant", "n"},
		{"empty option", func(b *dag.Builder, x dag.Ref) { b.Call("n", "f", x, dag.Option{}) },
			fault.InvalidDAG, "an empty Option", "n"},
		{"too many arguments", func(b *dag.Builder, x dag.Ref) { b.Call("n", "f", many...) },
			fault.InvalidDAG, "it has 65 arguments: at most 64", "n"},
		{"too large", func(b *dag.Builder, x dag.Ref) { b.Call("n", "f", make([]byte, dag.MaxSize)) },
			fault.InvalidDAG, "bytes encoded: at most 1048576 are allowed", ""},
		{"too many nodes", func(b *dag.Builder, x dag.Ref) {
			for i := range dag.MaxNodes {
				b.Call("n"+strings.Repeat("i", i%100)+"-"+strings.Repeat("j", i/100), "f")
			}
		}, fault.InvalidDAG, "it has 10001 nodes: at most 10000", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, err := build(c.edit)
			if g != nil || err == nil {
				t.Fatal("the graph was built")
			}
			var e *fault.Error
			if !errors.As(err, &e) || e.Code != c.code {
				t.Errorf("got %v, want the code %s", err, c.code)
			}
			if !strings.Contains(e.Message, c.want) {
				t.Errorf("got %q, want it to contain %q", e.Message, c.want)
			}
			if e.Node != c.node {
				t.Errorf("the fault is of node %q, want %q", e.Node, c.node)
			}
		})
	}
}

func TestBuilderReportsAllFaults(t *testing.T) {
	b := dag.New("bad name")
	b.Input("idle")
	b.Call("n", "f*", make(chan int), dag.Timeout(-1))
	_, err := b.Build()
	if !fault.Is(err, fault.InvalidDAG) {
		t.Errorf("the code is %s, want invalid_dag where there is more than names", fault.CodeOf(err))
	}
	if !errors.Is(err, &fault.Error{Code: fault.InvalidName}) {
		t.Error("the single faults are not in the chain")
	}
	for _, want := range []string{
		`DAG "bad name" has 6 faults`, `DAG name "bad name" has " "`, `input "idle" is used by no node`,
		"node n: argument 1 cannot be", `node n: function name "f*"`, "node n: timeout -1ns is negative", "it has no outputs",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the message lacks %q: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("the message has several lines: %v", err)
	}
}

func TestBuilderNamesOnly(t *testing.T) {
	b := dag.New("a.b")
	b.Output("y", b.Call("n n", "f", b.Input("x")))
	if _, err := b.Build(); !fault.Is(err, fault.InvalidName) {
		t.Errorf("got %v, want invalid_name where nothing but names is wrong", err)
	}
}

func TestEmptyBuilder(t *testing.T) {
	_, err := dag.New("d").Build()
	if err == nil || !strings.Contains(err.Error(), "no nodes") || !strings.Contains(err.Error(), "no outputs") {
		t.Errorf("got %v, want both what is missing", err)
	}
}

func TestBuildOnce(t *testing.T) {
	b := dag.New("d")
	b.Output("y", b.Call("n", "f"))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	hash := dag.Hash(g)
	b.Output("z", b.Call("m", "f", b.Input("late"), dag.Retries(2)))
	if dag.Hash(g) != hash {
		t.Error("using the builder changed the graph that it had built")
	}
	if _, err := b.Build(); !fault.Is(err, fault.InvalidDAG) {
		t.Errorf("got %v, want a second Build to be refused", err)
	}
}

func TestMessageIsBounded(t *testing.T) {
	b := dag.New("d")
	for range dag.MaxNodes {
		b.Call(strings.Repeat("*", 100), "f", dag.Ref{})
	}
	_, err := b.Build()
	if n := len(err.Error()); n > 64<<10 {
		t.Errorf("a message of %d bytes", n)
	}
	if !strings.Contains(err.Error(), "more") {
		t.Error("the message does not say that there is more")
	}
}
