package dag

import (
	"bytes"
	"strconv"
	"time"

	"gopkg.in/yaml.v3"
)

// YAML gives g's file form, which Parse reads back as an equal graph. Large constants can make it larger than MaxSize,
// which Parse then refuses: base64 takes a third more than bytes.
func (g *Graph) YAML() []byte {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(g.document()); err != nil {
		panic(err) // a tree of plain scalars, lists and mappings always has an encoding
	}
	_ = enc.Close() // writes to memory
	return b.Bytes()
}

// JSON gives g's file form on one line; see YAML.
func (g *Graph) JSON() []byte { return writeJSON(nil, g.document()) }

// MarshalJSON gives the file form.
func (g *Graph) MarshalJSON() ([]byte, error) { return g.JSON(), nil }

// UnmarshalJSON reads the file form, as Parse does.
func (g *Graph) UnmarshalJSON(b []byte) error {
	parsed, err := Parse(b)
	if err != nil {
		return err
	}
	*g = *parsed
	return nil
}

// document is the tree that Parse would have read g from.
func (g *Graph) document() *yaml.Node {
	inputs := sequence()
	for _, in := range g.Inputs {
		inputs.Content = append(inputs.Content, text(in))
	}
	known := make(map[string]Source, g.Sources())
	for s := range Source(g.Sources()) {
		known[g.SourceName(s)] = s
	}
	nodes := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for i := range g.Nodes {
		n := g.nodeDocument(&g.Nodes[i], known)
		n.Style = yaml.FlowStyle
		nodes.Content = append(nodes.Content, text(g.Nodes[i].Name), n)
	}
	outputs := mapping()
	for _, o := range g.Outputs {
		outputs.Content = append(outputs.Content, text(o.Name), g.reference(o.From))
	}
	doc := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	add(doc, "name", text(g.Name))
	if len(g.Inputs) > 0 {
		add(doc, "inputs", inputs)
	}
	add(doc, "nodes", nodes)
	add(doc, "outputs", outputs)
	return doc
}

func (g *Graph) nodeDocument(n *Node, known map[string]Source) *yaml.Node {
	doc := mapping(n.Kind.String(), text(n.Function))
	if n.Kind != Call {
		add(doc, "over", g.edgeDocument(n.Args[0], known))
	}
	if list := g.argDocuments(n, known); len(list.Content) > 0 {
		add(doc, "args", list)
	}
	if list := g.guardDocuments(n, known); len(list.Content) > 0 {
		add(doc, "only_if", list)
	}
	if n.Initial != nil {
		add(doc, "initial", n.Initial.node(known))
	}
	if n.Retry != (Retry{}) {
		retry := mapping()
		if n.Retry.Max != 0 {
			add(retry, "max", number(n.Retry.Max))
		}
		addDuration(retry, "backoff", n.Retry.Backoff)
		addDuration(retry, "cap", n.Retry.Cap)
		add(doc, "retry", retry)
	}
	addDuration(doc, "timeout", n.Timeout)
	if n.Hedge != 0 {
		add(doc, "hedge", &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!float", Value: strconv.FormatFloat(n.Hedge, 'g', -1, 64)})
	}
	return doc
}

func (g *Graph) reference(s Source) *yaml.Node { return text("$" + g.SourceName(s)) }

func addDuration(doc *yaml.Node, key string, d time.Duration) {
	if d != 0 {
		add(doc, key, text(d.String()))
	}
}

func add(doc *yaml.Node, key string, n *yaml.Node) { doc.Content = append(doc.Content, text(key), n) }

func sequence() *yaml.Node {
	return &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Style: yaml.FlowStyle}
}

// mapping makes a mapping of one key, or none.
func mapping(pairs ...any) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Style: yaml.FlowStyle}
	for i := 0; i < len(pairs); i += 2 {
		add(n, pairs[i].(string), pairs[i+1].(*yaml.Node))
	}
	return n
}

func number(n int) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.Itoa(n)}
}

// text makes a scalar that is read back as the very same text, and quotes it only where YAML could misread it.
func text(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	for _, c := range s {
		if c < ' ' || c > '~' {
			n.Style = yaml.DoubleQuotedStyle
		}
	}
	return n
}
