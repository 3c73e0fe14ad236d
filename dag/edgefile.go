package dag

import (
	"slices"

	"gopkg.in/yaml.v3"
)

// The keys that mark a mapping as something else than a constant, in a file.
const (
	anyKey  = "$any"
	kOfKey  = "$k_of"
	fromKey = "$from"
	whenKey = "$when"
)

// ops are the operators by the field that names them, in the order in which files list them.
var ops = []Op{OpEquals, OpNotEquals, OpLess, OpAtMost, OpGreater, OpAtLeast, OpExists, OpAll, OpAny, OpNot}

func opFields(more ...string) []string {
	for _, op := range ops {
		more = append(more, opNames[op])
	}
	return more
}

// isEdge reports whether a mapping stands for edges: a condition on one, or a join of several.
func isEdge(n *yaml.Node) bool {
	if n.Kind != yaml.MappingNode {
		return false
	}
	for i := 0; i < len(n.Content); i += 2 {
		switch n.Content[i].Value {
		case anyKey, kOfKey, whenKey:
			return n.Content[i].Kind == yaml.ScalarNode
		}
	}
	return false
}

// edgeArgs reads an argument that is a mapping of edges, as one Arg or, for a join, as several.
func (p *parser) edgeArgs(n *yaml.Node, node *Node, bad badFunc, what string) []Arg {
	first := n.Content[0].Value
	for i := 0; i < len(n.Content); i += 2 {
		if k := n.Content[i].Value; k == anyKey || k == kOfKey {
			first = k
		}
	}
	if first != anyKey && first != kOfKey {
		return []Arg{p.edge(n, bad, what)}
	}
	if node.Join != nil {
		bad(n, "it has two joins: let a node of its own do one of them")
	}
	join := &Join{At: len(node.Args), Need: 1, Any: true}
	var members *yaml.Node
	if first == anyKey {
		members = p.fields(n, bad, anyKey)[anyKey]
	} else {
		fields := p.fields(n, bad, kOfKey, fromKey)
		k := fields[kOfKey]
		join.Any = false
		if err := k.Decode(&join.Need); err != nil || k.ShortTag() != "!!int" {
			bad(k, "%s: expected how many values are needed, found %s", kOfKey, kindName(k))
		}
		if members = fields[fromKey]; members == nil {
			bad(n, "%s needs %s: the list of what it takes them from", kOfKey, fromKey)
		}
	}
	var args []Arg
	if members != nil && p.is(members, yaml.SequenceNode, bad, first, "a list of $references") {
		for _, m := range members.Content {
			args = append(args, p.edge(m, bad, "a join's source"))
		}
	}
	join.Count = len(args)
	if node.Join = join; len(args) == 0 {
		bad(n, "a join of nothing: give it at least one source")
		node.Join = nil
	}
	return args
}

// edge reads "$name", or {$when: $name, …} with a condition.
func (p *parser) edge(n *yaml.Node, bad badFunc, what string) Arg {
	if !isEdge(n) {
		return Arg{From: p.reference(n, bad, what)}
	}
	fields := p.fields(n, bad, opFields(whenKey, "field")...)
	from := fields[whenKey]
	if from == nil {
		bad(n, "%s must be a reference to an input or a node, as in $name", what)
		return Arg{From: unresolved}
	}
	a := Arg{From: p.reference(from, bad, what)}
	a.When = p.condition(n, fields, bad, 0)
	return a
}

// condition reads the fields of a condition out of those of a mapping.
func (p *parser) condition(n *yaml.Node, fields map[string]*yaml.Node, bad badFunc, depth int) *Condition {
	c := &Condition{}
	var with *yaml.Node
	for _, op := range ops {
		f := fields[opNames[op]]
		if f == nil {
			continue
		}
		if with != nil {
			bad(f, "a condition asks one thing at a time: put several into all: or any:")
			return &Condition{Op: OpExists}
		}
		c.Op, with = op, f
	}
	if with == nil {
		bad(n, "a condition needs one of equals, not_equals, less, at_most, greater, at_least, exists, all, any and not")
		c.Op = OpExists
		return c
	}
	if f := fields["field"]; f != nil {
		names := []*yaml.Node{f}
		if f.Kind == yaml.SequenceNode {
			names = f.Content
		}
		for _, name := range names {
			c.Path = append(c.Path, p.text(name, bad, "field"))
		}
	}
	switch c.Op {
	case OpAll, OpAny:
		if p.is(with, yaml.SequenceNode, bad, opNames[c.Op], "a list of conditions") {
			for _, t := range with.Content {
				c.Terms = append(c.Terms, p.term(t, bad, depth))
			}
		} else {
			return &Condition{Op: OpExists}
		}
	case OpNot:
		c.Terms = []Condition{p.term(with, bad, depth)}
	case OpExists:
		var yes bool
		if err := with.Decode(&yes); err != nil || with.ShortTag() != "!!bool" {
			bad(with, "exists: expected true or false, found %s", kindName(with))
		}
		if !yes {
			return &Condition{Op: OpNot, Terms: []Condition{*c}}
		}
	default:
		k, err := readConstant(with, p.at)
		if err == nil {
			err = comparesWith(c.Op, k)
		}
		if err != nil {
			bad(with, "%s: %w", opNames[c.Op], because(err))
			c.Op, k = OpExists, nil
		}
		c.With = k
	}
	return c
}

func (p *parser) term(n *yaml.Node, bad badFunc, depth int) Condition {
	if depth > MaxConditionDepth {
		bad(n, "a condition nested more than %d deep: let a function decide, and test its result", MaxConditionDepth)
		return Condition{Op: OpExists}
	}
	if !p.is(n, yaml.MappingNode, bad, "a condition", "a mapping such as {field: status, equals: ok}") {
		return Condition{Op: OpExists}
	}
	return *p.condition(n, p.fields(n, bad, opFields("field")...), bad, depth+1)
}

// guards reads only_if: one edge, or a list of them.
func (p *parser) guards(n *yaml.Node, bad badFunc) []Arg {
	list := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		list = n.Content
	}
	args := make([]Arg, len(list))
	for i, g := range list {
		args[i] = p.edge(g, bad, "only_if")
		args[i].Guard = true
	}
	return args
}

// edgeDocument writes an edge as edge reads it.
func (g *Graph) edgeDocument(a Arg, known map[string]Source) *yaml.Node {
	ref := g.reference(a.From)
	if a.When == nil {
		return ref
	}
	doc := mapping(whenKey, ref)
	a.When.document(doc, known)
	return doc
}

// document adds the fields of the condition to a mapping.
func (c *Condition) document(doc *yaml.Node, known map[string]Source) {
	if len(c.Path) > 0 {
		path := sequence()
		for _, name := range c.Path {
			path.Content = append(path.Content, text(name))
		}
		add(doc, "field", path)
	}
	term := func(t *Condition) *yaml.Node {
		m := mapping()
		t.document(m, known)
		return m
	}
	switch c.Op {
	case OpAll, OpAny:
		list := sequence()
		for i := range c.Terms {
			list.Content = append(list.Content, term(&c.Terms[i]))
		}
		add(doc, opNames[c.Op], list)
	case OpNot:
		add(doc, opNames[c.Op], term(&c.Terms[0]))
	case OpExists:
		add(doc, opNames[c.Op], &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: "true"})
	default:
		add(doc, opNames[c.Op], c.With.node(known))
	}
}

// argDocuments writes the arguments of a node, but for the list that it goes over.
func (g *Graph) argDocuments(n *Node, known map[string]Source) *yaml.Node {
	list := sequence()
	params := n.Params()
	for j := 0; j < len(params); j++ {
		a := params[j]
		switch {
		case n.Kind != Call && j == 0:
		case n.joins(j):
			members := sequence()
			for _, m := range params[j : j+n.Join.Count] {
				members.Content = append(members.Content, g.edgeDocument(m, known))
			}
			if n.Join.Any {
				list.Content = append(list.Content, mapping(anyKey, members))
			} else {
				list.Content = append(list.Content, mapping(kOfKey, number(n.Join.Need), fromKey, members))
			}
			j += n.Join.Count - 1
		case a.Const != nil:
			list.Content = append(list.Content, a.Const.node(known))
		default:
			list.Content = append(list.Content, g.edgeDocument(a, known))
		}
	}
	return list
}

// guardDocuments writes the guards of a node.
func (g *Graph) guardDocuments(n *Node, known map[string]Source) *yaml.Node {
	list := sequence()
	for _, a := range n.Args[len(n.Params()):] {
		list.Content = append(list.Content, g.edgeDocument(a, known))
	}
	return list
}

// marked reports whether a constant's document would be read as edges somewhere.
func marked(n *yaml.Node) bool { return isEdge(n) || slices.ContainsFunc(n.Content, marked) }
