package dag

import (
	"fmt"
	"slices"
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
// Half of them have joins, conditions and guards as well.
func drawSymbolic(t *rapid.T, broken bool) *symbolic {
	b := New("symbolic")
	y := &symbolic{}
	conditional := rapid.Bool().Draw(t, "conditional")
	hedged := rapid.Bool().Draw(t, "hedged")
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
	maybe := func(ref Ref) Ref {
		if conditional && rapid.IntRange(0, 3).Draw(t, "has a condition") == 0 {
			return When(ref, drawCondition(t))
		}
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
				args = append(args, maybe(pick(refs)))
			default:
				args = append(args, "k")
			}
		}
		if conditional && kind == Call && len(refs) > 1 && rapid.Bool().Draw(t, "joins") {
			var members []Ref
			for _, ref := range rapid.Permutation(refs).Draw(t, "joined")[:rapid.IntRange(1, min(4, len(refs))).Draw(t, "count")] {
				used[ref] = true
				members = append(members, maybe(ref))
			}
			need := rapid.IntRange(0, len(members)).Draw(t, "needed")
			join := Any(members...)
			if need > 0 {
				join = KOf(need, members...)
			}
			args = slices.Insert(args, rapid.IntRange(0, len(args)).Draw(t, "place of the join"), any(join))
		}
		if conditional && len(refs) > 0 && rapid.IntRange(0, 3).Draw(t, "guarded") == 0 {
			if rapid.IntRange(0, 3).Draw(t, "after") == 0 {
				args = append(args, After(pick(refs)))
			} else {
				args = append(args, OnlyIf(pick(refs), drawCondition(t)))
			}
		}
		if hedged && kind != Reduce && rapid.Bool().Draw(t, "is hedged") {
			args = append(args, Hedge(0.9))
		}
		switch kind {
		case Call:
			refs = append(refs, b.Call(name, "f"+name, args...))
		case Map:
			ref := b.Map(name, "f"+name, maybe(pick(lists)), args...)
			refs, lists = append(refs, ref), append(lists, ref)
		case Reduce:
			var opts []Option
			for _, a := range args { // the retries, and perhaps a guard
				opts = append(opts, a.(Option))
			}
			if rapid.Bool().Draw(t, "initial") {
				opts = append(opts, Initial("z"))
			}
			refs = append(refs, b.Reduce(name, "f"+name, maybe(pick(lists)), opts...))
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
	if err != nil && strings.Contains(err.Error(), "can never run") {
		t.Skip("a node with guards that exclude each other")
	}
	if err != nil {
		t.Fatal(err)
	}
	y.g = g
	return y
}

// drawCondition draws one that a term satisfies or not by its function's name alone, whatever its arguments are: so
// which nodes run does not depend on what joins take.
func drawCondition(t *rapid.T) Condition {
	k := rapid.SampledFrom([]string{"fn0", "fn1", "fn3", "fn6", "x0", "x1"}).Draw(t, "compared with")
	return rapid.SampledFrom([]Condition{
		Less(k), Greater(k), AtLeast(k), NotEquals(k), Equals(k), Exists(), Not(Greater(k)),
		AnyOf(Less("fn2"), Greater("fn5")), AllOf(Exists(), AtMost(k)), Field("f").Exists(),
	}).Draw(t, "condition")
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

// invocations counts what a run without losses of a graph without conditions invokes successfully: each Call once, and
// each item and step.
func (y *symbolic) invocations() int {
	ends, _ := y.endings()
	total := 0
	for n := range y.g.Nodes {
		node := &y.g.Nodes[n]
		if node.Kind == Call {
			total++
			continue
		}
		list, _ := ends[node.Args[0].From].value.Elements()
		total += len(list)
		if node.Kind == Reduce && node.Initial == nil {
			total--
		}
	}
	return total
}
