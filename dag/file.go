package dag

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/squall-faas/squall/fault"
)

// Parse reads a graph from its file form, YAML or JSON:
//
//	name: compose
//	inputs: [x]
//	nodes:
//	  inc: {call: increment, args: [$x]}
//	  sq: {call: square, args: [$inc], retry: {max: 3, backoff: 100ms, cap: 5s}, timeout: 2s}
//	  counts: {map: count, over: $files, args: [the function's further arguments]}
//	  sum: {reduce: merge, over: $counts, initial: {}}
//	  show: {call: show, args: [{$any: [$sq, $other]}], hedge: 0.95}
//	  decode: {call: decode, args: [{$k_of: 2, $from: [$a, $b, $c]}]}
//	  warn: {call: warn, args: [$sum], only_if: [{$when: $sum, field: [errors], greater: 0}]}
//	outputs: {y: $sq}
//
// "$name" is the value of an input or node. Anything else is a constant, as value.FromJSON reads it: {$ref: key} is a
// reference that the cache resolves when the function runs, {$bytes: …} is base64. {$wire: …} is any value at all, in
// base64 of its wire form. Text that begins with a dollar is written with two. Inside lists and mappings a dollar is
// only a dollar, and "$name" of an input or node is refused there.
//
// The nodes may stand in any order; what depends on each other is sorted, and otherwise their order is kept. Unknown
// fields, YAML's anchors, aliases and tags, and files over MaxSize are refused. The error is one invalid_dag, or
// invalid_name where nothing but names is wrong, that lists every fault with its line.
func Parse(b []byte) (*Graph, error) {
	root, err := readDocument(b)
	if err != nil {
		return nil, err
	}
	p := &parser{g: new(Graph), at: map[string]Source{}}
	p.f.pending = true
	p.f.lines = []int{}
	if root.Kind != yaml.MappingNode {
		return nil, fault.New(fault.InvalidDAG, "line %d: expected a mapping with name, inputs, nodes and outputs, found %s", root.Line, kindName(root))
	}
	p.file(root)
	return p.finish()
}

// parser turns a document into a graph, gathering faults on the way.
type parser struct {
	g     *Graph
	f     faults
	at    map[string]Source // inputs and nodes by name; of two with one name the first
	names []string          // the keys of at, in order
	hints int               // suggestions made; they cost time, and nobody reads hundreds
}

func (p *parser) bad(n *yaml.Node, format string, args ...any) {
	p.f.graph(fault.InvalidDAG, "line %d: "+format, append([]any{n.Line}, args...)...)
}

func (p *parser) badNode(i int, n *yaml.Node, format string, args ...any) {
	p.f.nodeAt(p.g, i, n.Line, fault.InvalidDAG, format, args...)
}

func (p *parser) file(root *yaml.Node) {
	fields := p.fields(root, p.bad, "name", "inputs", "nodes", "outputs")
	if n := fields["name"]; n != nil {
		p.g.Name = p.text(n, p.bad, "name")
	}
	if n := fields["inputs"]; n != nil && p.is(n, yaml.SequenceNode, p.bad, "inputs", "a list of names") {
		for _, in := range n.Content {
			name := p.text(in, p.bad, "an input")
			p.declare(name, Source(len(p.g.Inputs)))
			p.g.Inputs = append(p.g.Inputs, name)
		}
	}
	nodes, outputs := fields["nodes"], fields["outputs"]
	if nodes != nil && p.is(nodes, yaml.MappingNode, p.bad, "nodes", "a mapping from names to nodes") {
		for i := 0; i < len(nodes.Content); i += 2 {
			key := nodes.Content[i]
			name := p.text(key, p.bad, "a node's name")
			p.declare(name, p.g.NodeSource(len(p.g.Nodes)))
			p.g.Nodes = append(p.g.Nodes, Node{Name: name})
			p.f.lines = append(p.f.lines, key.Line)
		}
		for i := range p.g.Nodes {
			p.node(i, nodes.Content[2*i+1])
		}
	}
	if outputs != nil && p.is(outputs, yaml.MappingNode, p.bad, "outputs", "a mapping from names to $references") {
		for i := 0; i < len(outputs.Content); i += 2 {
			name := p.text(outputs.Content[i], p.bad, "an output's name")
			from := p.reference(outputs.Content[i+1], p.bad, "output "+strconv.Quote(name))
			p.g.Outputs = append(p.g.Outputs, Output{Name: name, From: from})
		}
	}
}

func (p *parser) declare(name string, s Source) {
	if _, taken := p.at[name]; !taken {
		p.at[name] = s
		p.names = append(p.names, name)
	}
}

// node parses node i, whose name is already known.
func (p *parser) node(i int, n *yaml.Node) {
	node := &p.g.Nodes[i]
	bad := func(at *yaml.Node, format string, args ...any) { p.badNode(i, at, format, args...) }
	if !p.is(n, yaml.MappingNode, bad, "a node", "a mapping such as {call: function, args: [$input]}") {
		node.Kind = Call
		return
	}
	fields := p.fields(n, bad, "call", "map", "reduce", "over", "args", "only_if", "retry", "timeout", "hedge", "initial")
	p.function(n, fields, node, bad)
	if over := fields["over"]; node.Kind != Call {
		list := Arg{From: unresolved}
		if over == nil {
			bad(n, "a %s needs over: the list that it goes over", node.Kind)
		} else {
			list = p.edge(over, bad, "over")
		}
		node.Args = append(node.Args, list)
	} else if over != nil {
		bad(over, "over is for map and reduce only: pass the value in args")
	}
	if args := fields["args"]; args != nil && p.is(args, yaml.SequenceNode, bad, "args", "a list of constants and $references") {
		for _, a := range args.Content {
			what := argName(node.Kind, len(node.Args))
			if isEdge(a) {
				node.Args = append(node.Args, p.edgeArgs(a, node, bad, what)...)
				continue
			}
			node.Args = append(node.Args, p.arg(a, bad, what))
		}
	}
	if guards := fields["only_if"]; guards != nil {
		node.Args = append(node.Args, p.guards(guards, bad)...)
	}
	if hedge := fields["hedge"]; hedge != nil {
		if err := hedge.Decode(&node.Hedge); err != nil || !(node.Hedge > 0 && node.Hedge < 1) {
			bad(hedge, "hedge: expected a quantile between 0 and 1, such as 0.95, found %s", kindName(hedge))
			node.Hedge = 0
		}
	}
	if retry := fields["retry"]; retry != nil && p.is(retry, yaml.MappingNode, bad, "retry", "a mapping such as {max: 3, backoff: 100ms}") {
		parts := p.fields(retry, bad, "max", "backoff", "cap")
		if m := parts["max"]; m != nil {
			if err := m.Decode(&node.Retry.Max); err != nil || m.ShortTag() != "!!int" {
				bad(m, "max: expected a whole number of further tries, found %s", kindName(m))
			}
		}
		node.Retry.Backoff = p.duration(parts["backoff"], bad, "backoff")
		node.Retry.Cap = p.duration(parts["cap"], bad, "cap")
	}
	node.Timeout = p.duration(fields["timeout"], bad, "timeout")
	if initial := fields["initial"]; initial != nil {
		c, err := readConstant(initial, p.at)
		if err != nil {
			bad(initial, "the initial value cannot be a constant: %w", because(err))
			return
		}
		node.Initial = c
	}
}

// function reads the one of call, map and reduce that says what the node does.
func (p *parser) function(n *yaml.Node, fields map[string]*yaml.Node, node *Node, bad badFunc) {
	for _, k := range [...]Kind{Call, Map, Reduce} {
		f := fields[k.String()]
		switch {
		case f == nil:
		case node.Kind != 0:
			bad(f, "it is a %s and a %s at once: keep one", node.Kind, k)
		default:
			node.Kind = k
			if node.Function = p.text(f, bad, k.String()); node.Function == "" && f.Kind == yaml.ScalarNode && f.ShortTag() != "!!null" {
				bad(f, "the name of the function is empty")
			}
		}
	}
	if node.Kind == 0 {
		bad(n, "it does not say which function it calls: give it one of call, map and reduce")
		node.Kind = Call
	}
}

func (p *parser) arg(n *yaml.Node, bad badFunc, what string) Arg {
	if isReference(n) {
		return Arg{From: p.reference(n, bad, what)}
	}
	c, err := readConstant(n, p.at)
	if err != nil {
		bad(n, "%s cannot be a constant: %w", what, because(err))
		return Arg{From: unresolved}
	}
	return Arg{Const: c}
}

// isReference tells "$name" from text that begins with an escaped dollar and from all else.
func isReference(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" && strings.HasPrefix(n.Value, "$") && !strings.HasPrefix(n.Value, "$$")
}

// reference resolves "$name".
func (p *parser) reference(n *yaml.Node, bad badFunc, what string) Source {
	if !isReference(n) {
		bad(n, "%s must be a reference to an input or a node, as in $name", what)
		return unresolved
	}
	name := n.Value[1:]
	if s, ok := p.at[name]; ok {
		return s
	}
	bad(n, "%s refers to $%s, and no input or node has that name%s", what, name, p.hint("$", name, p.names))
	return unresolved
}

// hint suggests what name was meant to be.
func (p *parser) hint(prefix, name string, known []string) string {
	const most = 20
	if p.hints++; p.hints > most {
		return ""
	}
	if near := nearest(name, known); near != "" {
		return ": did you mean " + prefix + near + "?"
	}
	return ""
}

// badFunc reports a fault at a place in the file.
type badFunc func(at *yaml.Node, format string, args ...any)

// fields splits a mapping by key, and reports the keys that are not known and those that are given twice.
func (p *parser) fields(n *yaml.Node, bad badFunc, known ...string) map[string]*yaml.Node {
	fields := make(map[string]*yaml.Node, len(known))
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i]
		switch {
		case key.Kind != yaml.ScalarNode || !slices.Contains(known, key.Value):
			bad(key, "unknown field %q%s; known are %s", key.Value, p.hint("", key.Value, known), strings.Join(known, ", "))
		case fields[key.Value] != nil:
			bad(key, "field %s is given twice", key.Value)
		default:
			fields[key.Value] = n.Content[i+1]
		}
	}
	return fields
}

func (p *parser) is(n *yaml.Node, kind yaml.Kind, bad badFunc, what, want string) bool {
	if n.Kind == kind {
		return true
	}
	bad(n, "%s: expected %s, found %s", what, want, kindName(n))
	return false
}

// text reads a name. One that YAML takes for a number or a boolean is still a name.
func (p *parser) text(n *yaml.Node, bad badFunc, what string) string {
	if n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null" {
		bad(n, "%s: expected a name, found %s", what, kindName(n))
		return ""
	}
	return n.Value
}

// duration reads a duration in Go's form; a field that is not there is 0.
func (p *parser) duration(n *yaml.Node, bad badFunc, what string) time.Duration {
	if n == nil {
		return 0
	}
	d, err := time.ParseDuration(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil || d.String() == "" {
		bad(n, "%s: expected a duration with its unit, such as 100ms or 2s, found %s", what, kindName(n))
		return 0
	}
	return d
}

// finish sorts the nodes and checks the graph as a whole.
func (p *parser) finish() (*Graph, error) {
	g, f := p.g, &p.f
	from := g.nodeArgs()
	if order := topological(from); len(order) < len(g.Nodes) {
		for _, c := range cycles(from) {
			f.graph(fault.InvalidDAG, "line %d: nodes wait for each other in a cycle: %s", f.lines[c[0]], g.cycleText(c))
		}
	} else if !slices.IsSorted(order) {
		g.reorder(order)
		lines := make([]int, len(order))
		for at, old := range order {
			lines[at] = f.lines[old]
		}
		f.lines = lines
	}
	g.check(f)
	if len(f.list) == 0 {
		g.checkSize(f)
	}
	if err := g.seal(f); err != nil {
		return nil, err
	}
	return g, nil
}

// kindName describes what a document holds at a place, for messages.
func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	if n.ShortTag() == "!!null" {
		return "nothing"
	}
	return strconv.Quote(n.Value[:min(len(n.Value), 40)])
}
