package dag_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/value"
)

// drawConstant draws a constant of every kind, with text that file formats find hard.
func drawConstant(t *rapid.T) any {
	switch rapid.IntRange(0, 10).Draw(t, "constant") {
	case 10:
		return []any{map[string]any{"k": "$in"}, "$in", "$$", []any{"$$in"}}
	case 0:
		return nil
	case 1:
		return rapid.Int64().Draw(t, "int")
	case 2:
		return rapid.Float64().Draw(t, "float")
	case 3:
		return rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")
	case 4:
		return value.Ref(rapid.String().Draw(t, "ref"))
	case 5:
		return rapid.SliceOf(rapid.Float64()).Draw(t, "floats")
	case 6:
		return rapid.MapOf(rapid.String(), rapid.SliceOf(rapid.String())).Draw(t, "map")
	case 7:
		return rapid.Bool().Draw(t, "bool")
	case 8:
		return rapid.SampledFrom([]string{"$x", "$$", "$", "null", "~", "12", "1e3", "0x1", "true", "a: b", "- a", "# a", "\ufeff",
			"\u2028", "\u0085", "a\r\nb", " a ", "'", "\"", "{a}", "[", "*a", "&a", "!a", "%a", "|", ">", "@", "`", "=", "<<"}).Draw(t, "hard text")
	}
	return rapid.String().Draw(t, "text")
}

// drawGraph builds a random graph in which every input is used.
func drawGraph(t *rapid.T) *dag.Graph {
	b := dag.New(drawName(t, "dag"))
	var sources []dag.Ref
	for i := range rapid.IntRange(0, 4).Draw(t, "inputs") {
		sources = append(sources, b.Input(inputName(t, i)))
	}
	inputs := slices.Clone(sources)
	conditional := rapid.Bool().Draw(t, "conditional")
	edge := func(label string) dag.Ref {
		ref := rapid.SampledFrom(sources).Draw(t, label)
		if conditional && rapid.IntRange(0, 2).Draw(t, "has a condition") == 0 {
			ref = dag.When(ref, drawCondition(t, 0))
		}
		return ref
	}
	for i := range rapid.IntRange(1, 12).Draw(t, "nodes") {
		name, function := fmt.Sprintf("%s-n%d", drawName(t, "node"), i), drawName(t, "function")
		var args []any
		var opts []dag.Option
		for range rapid.IntRange(0, 4).Draw(t, "args") {
			if len(sources) > 0 && rapid.Bool().Draw(t, "edge") {
				args = append(args, edge("from"))
			} else {
				args = append(args, drawConstant(t))
			}
		}
		if rapid.Bool().Draw(t, "timeout") {
			opts = append(opts, dag.Timeout(time.Duration(rapid.Int64Min(0).Draw(t, "d"))))
		}
		if rapid.Bool().Draw(t, "retries") {
			opts = append(opts, dag.Retries(rapid.IntRange(0, dag.MaxRetries).Draw(t, "max"), time.Duration(rapid.Int64Min(0).Draw(t, "backoff"))))
		}
		if conditional && len(sources) > 0 {
			for range rapid.IntRange(0, 2).Draw(t, "guards") {
				if rapid.Bool().Draw(t, "after") {
					opts = append(opts, dag.After(edge("guard")))
				} else {
					opts = append(opts, dag.OnlyIf(edge("guard"), drawCondition(t, 0)))
				}
			}
		}
		kind := rapid.SampledFrom([]dag.Kind{dag.Call, dag.Map, dag.Reduce}).Draw(t, "kind")
		if len(sources) == 0 {
			kind = dag.Call
		}
		switch kind {
		case dag.Reduce:
			if rapid.Bool().Draw(t, "initial") {
				opts = append(opts, dag.Initial(drawConstant(t)))
			}
			sources = append(sources, b.Reduce(name, function, edge("list"), opts...))
			continue
		}
		if rapid.Bool().Draw(t, "hedged") {
			opts = append(opts, dag.Hedge(rapid.Float64Range(0.001, 0.999).Draw(t, "quantile")))
		}
		if conditional && kind == dag.Call && len(sources) > 0 && rapid.Bool().Draw(t, "joins") {
			args = slices.Insert(args, rapid.IntRange(0, len(args)).Draw(t, "place"), any(drawJoin(t, sources)))
		}
		for _, o := range opts {
			args = append(args, o)
		}
		if kind == dag.Map {
			sources = append(sources, b.Map(name, function, edge("list"), args...))
		} else {
			sources = append(sources, b.Call(name, function, args...))
		}
	}
	for i, in := range inputs {
		b.Output(fmt.Sprintf("input-%d", i), in)
	}
	b.Output("y", rapid.SampledFrom(sources).Draw(t, "output"))
	g, err := b.Build()
	if err != nil && strings.Contains(err.Error(), "can never run") {
		t.Skip("a node with guards that exclude each other")
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// drawJoin joins different sources, some with conditions.
func drawJoin(t *rapid.T, sources []dag.Ref) dag.Joined {
	refs := rapid.Permutation(sources).Draw(t, "joined")[:rapid.IntRange(1, len(sources)).Draw(t, "count")]
	for i := range refs {
		if rapid.IntRange(0, 2).Draw(t, "has a condition") == 0 {
			refs[i] = dag.When(refs[i], drawCondition(t, 0))
		}
	}
	if rapid.Bool().Draw(t, "any") {
		return dag.Any(refs...)
	}
	return dag.KOf(rapid.IntRange(1, len(refs)).Draw(t, "k"), refs...)
}

// drawCondition draws one of any form.
func drawCondition(t *rapid.T, depth int) dag.Condition {
	form := 7
	if depth == 2 {
		form = 4
	}
	scalar := func() any {
		return rapid.OneOf(rapid.Int64().AsAny(), rapid.Float64().AsAny(), rapid.String().AsAny(), rapid.SliceOf(rapid.Byte()).AsAny(),
			rapid.SampledFrom([]any{"$in", "$$", "null", "true", int64(0), uint64(1 << 63)})).Draw(t, "compared with")
	}
	field := dag.Field(rapid.SliceOfN(rapid.StringN(1, 20, 100), 0, 3).Draw(t, "field")...)
	switch rapid.IntRange(0, form).Draw(t, "form") {
	case 0:
		return field.Exists()
	case 1:
		return field.Equals(rapid.SampledFrom([]any{nil, true, false}).Draw(t, "compared with"))
	case 2:
		return field.NotEquals(scalar())
	case 3:
		return rapid.SampledFrom([]func(any) dag.Condition{field.Less, field.AtMost, field.Greater, field.AtLeast}).Draw(t, "op")(scalar())
	case 4:
		return field.Equals(scalar())
	case 5:
		return dag.Not(drawCondition(t, depth+1))
	case 6:
		return dag.AnyOf(drawCondition(t, depth+1), drawCondition(t, depth+1))
	}
	return dag.AllOf(drawCondition(t, depth+1))
}

// inputName is at first a name that constants hold behind a dollar.
func inputName(t *rapid.T, i int) string {
	if i == 0 {
		return "in"
	}
	return fmt.Sprintf("%s-in%d", drawName(t, "input"), i)
}

func drawName(t *rapid.T, label string) string {
	return rapid.OneOf(
		rapid.StringMatching(`[A-Za-z0-9_-]{1,8}`),
		rapid.SampledFrom([]string{"null", "true", "1e3", "0x1", "-", "--", "---", "y", "no", "0", "_", "1_000", "-0"}),
	).Draw(t, label)
}

func TestGraphsSurviveTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGraph(t)
		decoded, err := dag.Decode(dag.Encode(g))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(g, decoded) {
			t.Fatalf("came back as\n%swant\n%s", decoded.YAML(), g.YAML())
		}
		if dag.Hash(g) != dag.Hash(decoded) {
			t.Fatal("equal graphs have different hashes")
		}
	})
}

func TestGraphsSurviveTheirFileForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGraph(t)
		for what, file := range map[string][]byte{"YAML": g.YAML(), "JSON": g.JSON()} {
			parsed, err := dag.Parse(file)
			if err != nil {
				t.Fatalf("%s: %v\n%s", what, err, file)
			}
			if !reflect.DeepEqual(g, parsed) {
				t.Fatalf("%s came back as\n%swant\n%s", what, parsed.YAML(), file)
			}
		}
	})
}

// TestOrderInTheFileIsFree shuffles the nodes of a file, which YAML writes one a line.
func TestOrderInTheFileIsFree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGraph(t)
		lines := strings.SplitAfter(string(g.YAML()), "\n")
		first := slices.Index(lines, "nodes:\n") + 1
		nodes := lines[first : first+len(g.Nodes)]
		if !strings.HasPrefix(lines[first+len(nodes)], "outputs:") {
			t.Fatalf("not one node a line:\n%s", g.YAML())
		}
		copy(nodes, rapid.Permutation(slices.Clone(nodes)).Draw(t, "order"))
		shuffled, err := dag.Parse([]byte(strings.Join(lines, "")))
		if err != nil {
			t.Fatal(err)
		}
		if err := shuffled.Validate(); err != nil {
			t.Fatal(err)
		}
		if got, want := edges(shuffled), edges(g); !slices.Equal(got, want) {
			t.Fatalf("the edges are\n%v\nwant\n%v", got, want)
		}
		again, err := dag.Parse(shuffled.YAML())
		if err != nil || !reflect.DeepEqual(again, shuffled) {
			t.Fatalf("an order that is fine was not kept: %v\n%s", err, shuffled.YAML())
		}
	})
}

// edges lists where all arguments and outputs come from, by name, sorted.
func edges(g *dag.Graph) []string {
	var list []string
	for _, n := range g.Nodes {
		for j, a := range n.Args {
			if a.Const != nil {
				list = append(list, fmt.Sprintf("%x → %s.%d", a.Const.Wire, n.Name, j))
			} else {
				list = append(list, fmt.Sprintf("$%s → %s.%d %v %v", g.SourceName(a.From), n.Name, j, a.When, a.Guard))
			}
		}
	}
	for _, o := range g.Outputs {
		list = append(list, fmt.Sprintf("$%s → output %s", g.SourceName(o.From), o.Name))
	}
	slices.Sort(list)
	return list
}

func TestDeepConstantsSurviveTheirFileForm(t *testing.T) {
	var deep any = "bottom"
	for range 60 {
		deep = map[string]any{"k": deep}
	}
	b := dag.New("deep")
	b.Output("y", b.Call("n", "f", deep))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range [][]byte{g.YAML(), g.JSON()} {
		if parsed, err := dag.Parse(file); err != nil || dag.Hash(parsed) != dag.Hash(g) {
			t.Errorf("got %v from %s", err, file)
		}
	}
}

func TestIndexAgreesWithTheEdges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGraph(t)
		edges, outputs := 0, 0
		for s := range dag.Source(g.Sources()) {
			for _, c := range g.Consumers(s) {
				a := g.Nodes[c.Node].Args[c.Arg]
				if a.Const != nil || a.From != s {
					t.Fatalf("%s is no argument %d of node %d", g.SourceName(s), c.Arg, c.Node)
				}
				if i, ok := g.NodeOf(s); ok && (i >= c.Node || g.Depth(i) >= g.Depth(c.Node)) {
					t.Fatalf("node %d consumes node %d, which does not stand before it", c.Node, i)
				}
			}
			for _, o := range g.OutputsOf(s) {
				if g.Outputs[o].From != s {
					t.Fatalf("%s does not give output %d", g.SourceName(s), o)
				}
			}
			if i, ok := g.NodeOf(s); ok && slices.Contains(g.Sinks(), i) != (len(g.Consumers(s)) == 0) {
				t.Fatalf("node %d is among the sinks %v and has consumers %v", i, g.Sinks(), g.Consumers(s))
			}
			edges += len(g.Consumers(s))
			outputs += len(g.OutputsOf(s))
		}
		for i := range g.Nodes {
			edges -= g.Needs(i)
		}
		if edges != 0 || outputs != len(g.Outputs) {
			t.Fatalf("%d edges and %d outputs too many", edges, outputs-len(g.Outputs))
		}
	})
}
