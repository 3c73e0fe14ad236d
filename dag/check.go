package dag

import (
	"reflect"
	"strconv"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/value"
)

// listType is what a Map and a Reduce go over.
var listType = value.TypeName(reflect.TypeFor[[]any]())

// Signature is what is known of a function's type: coarse type names, as value.TypeName gives them.
type Signature struct {
	In  []string // of the arguments; nil if even their number is unknown
	Out string   // of the result; "" if unknown
}

// Check holds g against the functions it calls: each exists, takes as many arguments as it is given, and takes what
// the producers of its arguments give, as far as types are known. lookup tells the signature of a function, and whether
// there is one of that name. The error lists every fault; its code is unknown_function, wrong_arity or wrong_type, that
// of the first fault where they differ, and it has the node and the function where there is only one.
func (g *Graph) Check(lookup func(function string) (Signature, bool)) error {
	f := &faults{}
	gives := make([]string, g.Sources()) // type of each source, "" if unknown
	for i := range g.Nodes {
		n := &g.Nodes[i]
		sig, ok := lookup(n.Function)
		if !ok {
			f.node(g, i, fault.UnknownFunction, "no function named %s is registered: register it first, or correct the name", n.Function)
			continue
		}
		gives[g.NodeSource(i)] = sig.Out
		if n.Kind == Map {
			gives[g.NodeSource(i)] = listType
		}
		if sig.In == nil {
			continue
		}
		if g.checkArity(f, i, sig) {
			g.checkTypes(f, i, sig, gives)
		}
	}
	return f.err(g.Name)
}

func (g *Graph) checkArity(f *faults, i int, sig Signature) bool {
	n := &g.Nodes[i]
	switch {
	case n.Kind == Reduce && len(sig.In) != 2:
		f.node(g, i, fault.WrongArity, "a reduce calls its function with 2 arguments, and %s takes %d", n.Function, len(sig.In))
	case n.Kind != Reduce && len(sig.In) != n.Arity():
		f.node(g, i, fault.WrongArity, "%s takes %d arguments, got %d", n.Function, len(sig.In), n.Arity())
	default:
		return true
	}
	return false
}

// checkTypes compares what node i's function takes with what gives says the sources before it give.
func (g *Graph) checkTypes(f *faults, i int, sig Signature, gives []string) {
	n := &g.Nodes[i]
	wrong := func(what, have, want, from string) {
		f.node(g, i, fault.WrongType, "%s is %s from %s, and %s takes %s", what, have, from, n.Function, want)
	}
	for j, a := range n.Params() {
		want := listType
		var have, from string
		if n.joins(j) && !n.Join.Any {
			if j == n.Join.At && !value.Fits(listType, sig.In[j]) {
				wrong(argName(n.Kind, j), listType, sig.In[j], "a join of several")
			}
			continue
		}
		if a.Const != nil {
			have, from = constType(a.Const), "a constant"
		} else {
			have, from = gives[a.From], g.producerName(a.From)
		}
		if n.Kind == Call || j > 0 {
			want = sig.In[n.param(j)]
		}
		if !value.Fits(have, want) {
			if n.Kind != Call && j == 0 {
				f.node(g, i, fault.WrongType, "the list is %s from %s, and a %s goes over a list", have, from, n.Kind)
				continue
			}
			wrong(argName(n.Kind, j), have, want, from)
		}
	}
	if n.Kind != Reduce {
		return
	}
	for j, want := range sig.In {
		if !value.Fits(sig.Out, want) {
			wrong("its own result, which becomes argument "+strconv.Itoa(j+1)+",", sig.Out, want, n.Function)
		}
	}
	if n.Initial != nil {
		if have := constType(n.Initial); !value.Fits(have, sig.In[0]) {
			wrong("the initial value", have, sig.In[0], "a constant")
		}
	}
}

// producerName names what gives s, for messages.
func (g *Graph) producerName(s Source) string {
	if i, ok := g.NodeOf(s); ok {
		return "node " + g.Nodes[i].Name + " (" + g.Nodes[i].Function + ")"
	}
	return "input " + g.SourceName(s)
}

// constType is the coarse type of a constant, "" if it does not tell.
func constType(c *Const) string {
	v, err := c.Value()
	if err != nil {
		return ""
	}
	if _, isRef := v.Ref(); isRef {
		return ""
	}
	x, err := value.As[any](v)
	if err != nil {
		return ""
	}
	return value.TypeName(reflect.TypeOf(x))
}
