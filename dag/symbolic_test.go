package dag

import (
	"fmt"
	"strings"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/value"
)

// A symbolic graph's functions give terms, such as f(x,g(y)), so that a run's outputs show exactly which calls made
// them, and can be worked out without a Run.

// symbolic is a drawn graph with its inputs and with the nodes whose function always fails.
type symbolic struct {
	g      *Graph
	inputs []value.Value
	broken []bool
	tries  []int // by node: how many tries of each of its invocations fail before one succeeds
}

// term is what a function of this name returns.
func term(function string, args []value.Value) value.Value {
	var b strings.Builder
	for i, a := range args {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(show(a))
	}
	return value.MustOf(function + "(" + b.String() + ")")
}

// drawSymbolic draws a graph of up to a dozen nodes of all kinds, with empty and singleton lists, references, nodes for
// their effect, several sources and sinks. With broken set, some functions always fail.
func drawSymbolic(t *rapid.T, broken bool) *symbolic {
	b := New("symbolic")
	y := &symbolic{}
	var refs, lists []Ref
	for i := range rapid.IntRange(0, 3).Draw(t, "inputs") {
		name := fmt.Sprintf("x%d", i)
		ref := b.Input(name)
		refs = append(refs, ref)
		if !rapid.Bool().Draw(t, "is a list") {
			y.inputs = append(y.inputs, value.MustOf(name))
			continue
		}
		elems := make([]value.Value, rapid.IntRange(0, 9).Draw(t, "length"))
		for e := range elems {
			if elems[e] = value.MustOf(fmt.Sprintf("%s_%d", name, e)); rapid.Bool().Draw(t, "is a reference") {
				elems[e] = value.MustOf(value.Ref(fmt.Sprintf("%s_%d", name, e)))
			}
		}
		y.inputs = append(y.inputs, value.List(elems))
		lists = append(lists, ref)
	}
	used := map[Ref]bool{}
	pick := func(from []Ref) Ref {
		ref := rapid.SampledFrom(from).Draw(t, "source")
		used[ref] = true
		return ref
	}
	retry := Retries(2, 1, 1)
	for i := range rapid.IntRange(1, 12).Draw(t, "nodes") {
		name := fmt.Sprintf("n%d", i)
		kind := Call
		if len(lists) > 0 {
			kind = rapid.SampledFrom([]Kind{Call, Map, Reduce}).Draw(t, "kind")
		}
		args := []any{retry}
		for range rapid.IntRange(0, 3).Draw(t, "arguments") {
			switch {
			case kind == Reduce:
			case len(refs) > 0 && rapid.IntRange(0, 5).Draw(t, "constant") > 0:
				args = append(args, pick(refs))
			default:
				args = append(args, "k")
			}
		}
		switch kind {
		case Call:
			refs = append(refs, b.Call(name, "f"+name, args...))
		case Map:
			ref := b.Map(name, "f"+name, pick(lists), args...)
			refs, lists = append(refs, ref), append(lists, ref)
		case Reduce:
			opts := []Option{retry}
			if rapid.Bool().Draw(t, "initial") {
				opts = append(opts, Initial("z"))
			}
			refs = append(refs, b.Reduce(name, "f"+name, pick(lists), opts...))
		}
		y.broken = append(y.broken, broken && rapid.IntRange(0, 7).Draw(t, "broken") == 0)
		y.tries = append(y.tries, max(0, rapid.IntRange(-3, 2).Draw(t, "failing tries")))
	}
	for i, ref := range refs {
		if isInput := i < len(y.inputs); isInput && !used[ref] || i == len(refs)-1 || rapid.IntRange(0, 4).Draw(t, "is an output") == 0 {
			b.Output(fmt.Sprintf("o%d", i), ref)
		}
	}
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	y.g = g
	return y
}

// expect works out what a run has to answer: the outputs; or, where nodes have to fail, which these are.
func (y *symbolic) expect() (outputs []value.Value, failing map[string]bool) {
	vals := make([]value.Value, y.g.Sources())
	known := make([]bool, y.g.Sources())
	for i, v := range y.inputs {
		vals[i], known[i] = v, true
	}
	failing = map[string]bool{}
	for n := range y.g.Nodes {
		s := y.g.NodeSource(n)
		args, ok := y.arguments(n, vals, known)
		if !ok {
			continue
		}
		if vals[s], known[s] = y.node(n, args); !known[s] {
			failing[y.g.Nodes[n].Name] = true
		}
	}
	for _, o := range y.g.Outputs {
		outputs = append(outputs, vals[o.From])
	}
	return outputs, failing
}

func (y *symbolic) arguments(n int, vals []value.Value, known []bool) ([]value.Value, bool) {
	var args []value.Value
	for _, a := range y.g.Nodes[n].Args {
		if a.Const != nil {
			v, err := a.Const.Value()
			if err != nil {
				return nil, false
			}
			args = append(args, v)
			continue
		}
		if !known[a.From] {
			return nil, false
		}
		args = append(args, vals[a.From])
	}
	return args, true
}

// node works out one node's value; false where it has to fail.
func (y *symbolic) node(n int, args []value.Value) (value.Value, bool) {
	node := &y.g.Nodes[n]
	if node.Kind == Call {
		return term(node.Function, args), !y.broken[n]
	}
	list, err := args[0].Elements()
	if err != nil {
		return value.Value{}, false
	}
	if node.Kind == Map {
		out := make([]value.Value, len(list))
		for i, e := range list {
			out[i] = term(node.Function, append([]value.Value{e}, args[1:]...))
		}
		return value.List(out), len(list) == 0 || !y.broken[n]
	}
	if node.Initial != nil {
		z, err := node.Initial.Value()
		if err != nil {
			return z, false
		}
		list = append([]value.Value{z}, list...)
	}
	if len(list) == 0 {
		return value.Value{}, false
	}
	called := len(list) > 1
	for len(list) > 1 {
		var up []value.Value
		for i := 0; i < len(list); i += 2 {
			if i+1 == len(list) {
				up = append(up, list[i])
			} else {
				up = append(up, term(node.Function, list[i:i+2]))
			}
		}
		list = up
	}
	return list[0], !called || !y.broken[n]
}

// invocations counts what a run without losses invokes successfully: each Call once, and each item and step.
func (y *symbolic) invocations() int {
	vals := make([]value.Value, y.g.Sources())
	known := make([]bool, y.g.Sources())
	for i, v := range y.inputs {
		vals[i], known[i] = v, true
	}
	total := 0
	for n := range y.g.Nodes {
		s := y.g.NodeSource(n)
		args, _ := y.arguments(n, vals, known)
		vals[s], known[s] = y.node(n, args)
		switch y.g.Nodes[n].Kind {
		case Call:
			total++
		case Map:
			list, _ := args[0].Elements()
			total += len(list)
		case Reduce:
			list, _ := args[0].Elements()
			if y.g.Nodes[n].Initial == nil {
				total--
			}
			total += len(list)
		}
	}
	return total
}
