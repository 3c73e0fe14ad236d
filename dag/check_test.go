package dag_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/value"
)

var signatures = map[string]dag.Signature{
	"files":  {In: []string{}, Out: "list"},
	"inc":    {In: []string{"int"}, Out: "int"},
	"half":   {In: []string{"float"}, Out: "float"},
	"upper":  {In: []string{"text"}, Out: "text"},
	"add":    {In: []string{"int", "int"}, Out: "int"},
	"show":   {In: []string{"int"}, Out: "text"},
	"concat": {In: []string{"text", "text"}, Out: "text"},
	"pair":   {In: []string{"int", "int"}, Out: "text"},
	"any":    {In: []string{"any", "any"}, Out: "any"},
	"script": {}, // neither its arguments nor its result are known
}

func lookup(function string) (dag.Signature, bool) {
	s, ok := signatures[function]
	return s, ok
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name  string
		build func(b *dag.Builder, x dag.Ref) dag.Ref
		code  fault.Code // "" if nothing is wrong
		want  string
	}{
		{"agreement", func(b *dag.Builder, x dag.Ref) dag.Ref { return b.Call("n", "add", x, 1) }, "", ""},
		{"an int is a float", func(b *dag.Builder, x dag.Ref) dag.Ref { return b.Call("n", "half", b.Call("m", "inc", x)) }, "", ""},
		{"unknown arguments", func(b *dag.Builder, x dag.Ref) dag.Ref { return b.Call("n", "script", x, x, x) }, "", ""},
		{"unknown result", func(b *dag.Builder, x dag.Ref) dag.Ref { return b.Call("n", "upper", b.Call("m", "script", x)) }, "", ""},
		{"anything", func(b *dag.Builder, x dag.Ref) dag.Ref { return b.Call("n", "any", "text", x) }, "", ""},
		{"a reference is what it resolves to", func(b *dag.Builder, x dag.Ref) dag.Ref { return b.Call("n", "add", x, value.Ref("k")) }, "", ""},
		{"map of an input", func(b *dag.Builder, x dag.Ref) dag.Ref { return b.Map("n", "upper", x) }, "", ""},
		{"map with more arguments", func(b *dag.Builder, x dag.Ref) dag.Ref { return b.Map("n", "concat", x, "s") }, "", ""},
		{"a map gives a list", func(b *dag.Builder, x dag.Ref) dag.Ref {
			return b.Reduce("n", "add", b.Map("m", "inc", x), dag.Initial(0))
		}, "", ""},

		{"unknown function", func(b *dag.Builder, x dag.Ref) dag.Ref { return b.Call("n", "missing", x) },
			fault.UnknownFunction, "node n (missing): in DAG d: no function named missing is registered"},
		{"too many", func(b *dag.Builder, x dag.Ref) dag.Ref { return b.Call("n", "inc", x, 1) },
			fault.WrongArity, "node n (inc): in DAG d: inc takes 1 arguments, got 2"},
		{"too few", func(b *dag.Builder, x dag.Ref) dag.Ref { return b.Call("n", "add", x) },
			fault.WrongArity, "add takes 2 arguments, got 1"},
		{"none wanted", func(b *dag.Builder, x dag.Ref) dag.Ref { return b.Call("n", "files", x) },
			fault.WrongArity, "files takes 0 arguments, got 1"},
		{"map of too many", func(b *dag.Builder, x dag.Ref) dag.Ref { return b.Map("n", "inc", x, 1) },
			fault.WrongArity, "inc takes 1 arguments, got 2"},
		{"reduce by one", func(b *dag.Builder, x dag.Ref) dag.Ref { return b.Reduce("n", "inc", x) },
			fault.WrongArity, "a reduce calls its function with 2 arguments, and inc takes 1"},
		{"a node's result", func(b *dag.Builder, x dag.Ref) dag.Ref { return b.Call("n", "add", x, b.Call("m", "upper", "a")) },
			fault.WrongType, "node n (add): in DAG d: argument 2 is text from node m (upper), and add takes int"},
		{"a constant", func(b *dag.Builder, x dag.Ref) dag.Ref { return b.Call("n", "add", x, "1") },
			fault.WrongType, "argument 2 is text from a constant, and add takes int"},
		{"a map's further argument", func(b *dag.Builder, x dag.Ref) dag.Ref { return b.Map("n", "concat", x, 1) },
			fault.WrongType, "argument 2 is int from a constant, and concat takes text"},
		{"map of no list", func(b *dag.Builder, x dag.Ref) dag.Ref { return b.Map("n", "inc", b.Call("m", "inc", x)) },
			fault.WrongType, "the list is int from node m (inc), and a map goes over a list"},
		{"a map is a list", func(b *dag.Builder, x dag.Ref) dag.Ref { return b.Call("n", "inc", b.Map("m", "inc", x)) },
			fault.WrongType, "argument 1 is list from node m (inc), and inc takes int"},
		{"reduce that does not take its result", func(b *dag.Builder, x dag.Ref) dag.Ref { return b.Reduce("n", "pair", x) },
			fault.WrongType, "its own result, which becomes argument 1, is text"},
		{"initial value", func(b *dag.Builder, x dag.Ref) dag.Ref { return b.Reduce("n", "add", x, dag.Initial("zero")) },
			fault.WrongType, "the initial value is text from a constant, and add takes int"},
		{"several", func(b *dag.Builder, x dag.Ref) dag.Ref { return b.Call("n", "inc", b.Call("m", "missing", x), 1) },
			fault.UnknownFunction, "DAG d has 2 faults: node m (missing): no function named missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := dag.New("d")
			x := b.Input("x")
			b.Output("x", x)
			b.Output("y", c.build(b, x))
			g, err := b.Build()
			if err != nil {
				t.Fatal(err)
			}
			err = g.Check(lookup)
			if fault.CodeOf(err) != c.code {
				t.Fatalf("got %v, want the code %q", err, c.code)
			}
			if err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want …%s…", err, c.want)
			}
		})
	}
}

func TestCheckNamesNodeAndFunction(t *testing.T) {
	err := dag.Single("missing", 1).Check(lookup)
	var e *fault.Error
	if !errors.As(err, &e) || e.Node != "missing" || e.Function != "missing" {
		t.Errorf("got %#v", err)
	}
}
