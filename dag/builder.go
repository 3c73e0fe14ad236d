package dag

import (
	"github.com/squall-faas/squall/fault"
)

// Builder makes a Graph step by step. Mistakes are kept until Build, which reports all of them, so the calls between
// need no checks. Not safe for concurrent use.
//
// An argument of a node is a [Ref], which makes an edge; or [Any] or [KOf] of several; or an [Option]; or anything else
// that value.Of takes, which becomes a constant: Go values, []byte, and a value.Ref, which the cache resolves when the
// function runs.
type Builder struct {
	g      Graph
	faults faults
	built  bool
}

// Ref stands for the value of an input or of a node while a graph is built. It belongs to the Builder that gave it.
type Ref struct {
	b    *Builder
	node bool
	at   int
	when *Condition // of the edge that it makes; see When
}

// New starts a graph. Its name identifies it once it is registered: 1 to 128 characters of A-Z, a-z, 0-9, _ and -.
func New(name string) *Builder { return &Builder{g: Graph{Name: name}} }

// Input declares a value that each call of the graph supplies under this name.
func (b *Builder) Input(name string) Ref {
	b.g.Inputs = append(b.g.Inputs, name)
	return Ref{b: b, at: len(b.g.Inputs) - 1}
}

// Call adds a node that calls function once, with args in their order. The node's name is its own: the same function
// may be called by many nodes.
func (b *Builder) Call(name, function string, args ...any) Ref {
	return b.node(Node{Name: name, Kind: Call, Function: function}, nil, args)
}

// Map adds a node that calls function once per element of list, at the same time where there is room. The element is
// the function's first argument, extra are the further ones. The node's value is the list of results, in the order of
// the elements.
func (b *Builder) Map(name, function string, list Ref, extra ...any) Ref {
	return b.node(Node{Name: name, Kind: Map, Function: function}, &list, extra)
}

// Reduce adds a node that folds list pairwise, as a tree, with a function of two arguments. The function must be
// associative; the order of the elements is kept. An empty list is an error unless there is an [Initial].
func (b *Builder) Reduce(name, function string, list Ref, opts ...Option) Ref {
	args := make([]any, len(opts))
	for i, o := range opts {
		args[i] = o
	}
	return b.node(Node{Name: name, Kind: Reduce, Function: function}, &list, args)
}

// Output names a value that a run answers with.
func (b *Builder) Output(name string, from Ref) {
	if from.b != b {
		b.faults.graph(fault.InvalidDAG, "output %q is %s", name, from.stray())
	}
	if from.when != nil {
		b.faults.graph(fault.InvalidDAG, "output %q has a condition: an output is null where its node was skipped, so give the node the condition", name)
	}
	b.g.Outputs = append(b.g.Outputs, Output{Name: name, From: b.pending(from)})
}

// Build gives the finished graph, or one error of code invalid_dag, or invalid_name where nothing but names is wrong,
// which lists every fault. A Builder builds once.
func (b *Builder) Build() (*Graph, error) {
	if b.built {
		return nil, fault.New(fault.InvalidDAG, "DAG %q was built already: start another Builder", b.g.Name)
	}
	b.built = true
	g := new(Graph)
	*g = b.g
	g.number()
	f := &b.faults
	f.pending = true
	g.check(f)
	if len(f.list) == 0 {
		g.checkSize(f)
	}
	if err := g.seal(f); err != nil {
		return nil, err
	}
	return g, nil
}

func (b *Builder) node(n Node, list *Ref, args []any) Ref {
	at := len(b.g.Nodes)
	b.g.Nodes = append(b.g.Nodes, n)
	p := &b.g.Nodes[at]
	bad := func(format string, args ...any) { b.faults.node(&b.g, at, fault.InvalidDAG, format, args...) }
	edge := func(r Ref) {
		if r.b != b {
			bad("%s is %s", argName(p.Kind, len(p.Args)), r.stray())
		}
		p.Args = append(p.Args, Arg{From: b.pending(r), When: r.when})
	}
	if list != nil {
		edge(*list)
	}
	var guards []Ref
	for _, a := range args {
		switch a := a.(type) {
		case Ref:
			edge(a)
		case Joined:
			if p.Join != nil {
				bad("it has two joins: let a node of its own do one of them")
			}
			p.Join = &Join{At: len(p.Args), Count: len(a.refs), Need: a.need, Any: a.any}
			for _, r := range a.refs {
				edge(r)
			}
		case Option:
			if a.apply == nil && a.guard == nil {
				bad("an empty Option: make one with Retries, Timeout, Initial, OnlyIf, After or Hedge")
			} else if a.guard != nil {
				guards = append(guards, *a.guard)
			} else if err := a.apply(p); err != nil {
				bad("%w", because(err))
			}
		default:
			c, err := constant(a)
			if err != nil {
				bad("%s cannot be a constant: %w", argName(p.Kind, len(p.Args)), because(err))
				p.Args = append(p.Args, Arg{From: unresolved})
				continue
			}
			p.Args = append(p.Args, Arg{Const: c})
		}
	}
	for _, r := range guards {
		edge(r)
		p.Args[len(p.Args)-1].Guard = true
	}
	return Ref{b: b, node: true, at: at}
}

// stray says what is wrong with a Ref that is not of the builder it was given to.
func (r Ref) stray() string {
	if r.b == nil {
		return "an empty Ref: pass what Input, Call, Map or Reduce returned"
	}
	return "of another Builder, that of DAG " + r.b.g.Name + ": a graph's edges stay inside it"
}

// pending is r as a Source before the number of inputs is known: inputs count up from 0, nodes down from -1.
func (b *Builder) pending(r Ref) Source {
	switch {
	case r.b != b:
		return unresolved
	case r.node:
		return Source(-1 - r.at)
	}
	return Source(r.at)
}

// number turns the pending sources of g into their final ones.
func (g *Graph) number() {
	final := func(s *Source) {
		if *s < 0 && *s != unresolved {
			*s = g.NodeSource(int(-1 - *s))
		}
	}
	for i := range g.Nodes {
		for j := range g.Nodes[i].Args {
			final(&g.Nodes[i].Args[j].From)
		}
	}
	for i := range g.Outputs {
		final(&g.Outputs[i].From)
	}
}
