package dag

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/squall-faas/squall/fault"
)

// maxNesting bounds how deep a file's values may lie inside each other: the 64 levels of a value, and what is around it.
const maxNesting = 80

// readDocument parses YAML or JSON into one tree, which keeps the order of keys and knows its lines. JSON has a
// reader of its own because YAML reads some of it differently (surrogate escapes, tabs).
func readDocument(b []byte) (*yaml.Node, error) {
	if len(b) > MaxSize {
		return nil, fault.New(fault.InvalidDAG, "the file has %d bytes: at most %d are allowed", len(b), MaxSize)
	}
	if !utf8.Valid(b) {
		return nil, fault.New(fault.InvalidDAG, "the file is not UTF-8 text")
	}
	trimmed := bytes.TrimSpace(b)
	if len(trimmed) == 0 {
		return nil, fault.New(fault.InvalidDAG, "the file is empty: it needs name, nodes and outputs")
	}
	if json.Valid(trimmed) {
		return jsonTree(b)
	}
	root, err := yamlTree(b)
	if err != nil && trimmed[0] == '{' {
		if _, jsonErr := jsonTree(b); jsonErr != nil {
			return nil, fault.New(fault.InvalidDAG, "as JSON: %w; as YAML: %w", because(jsonErr), because(err))
		}
	}
	return root, err
}

// yamlTree parses the one document of a YAML file. What makes the tree larger than the file is refused.
func yamlTree(b []byte) (root *yaml.Node, err error) {
	defer func() {
		if p := recover(); p != nil { // yaml.v3 has been known to panic on broken files, and b may come from anyone
			root, err = nil, fault.New(fault.InvalidDAG, "the file is not YAML: %v", p)
		}
	}()
	d := yaml.NewDecoder(bytes.NewReader(b))
	var doc, second yaml.Node
	if err := d.Decode(&doc); err != nil {
		return nil, fault.New(fault.InvalidDAG, "the file is not YAML: %w", err)
	}
	if err := d.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, fault.New(fault.InvalidDAG, "line %d: the file holds a second document: one file is one DAG", max(second.Line, 1))
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil, fault.New(fault.InvalidDAG, "the file is empty: it needs name, nodes and outputs")
	}
	return doc.Content[0], checkTree(doc.Content[0], 0)
}

func checkTree(n *yaml.Node, depth int) error {
	switch {
	case depth > maxNesting:
		return fault.New(fault.InvalidDAG, "line %d: nested more than %d levels deep", n.Line, maxNesting)
	case n.Kind == yaml.AliasNode:
		return fault.New(fault.InvalidDAG, "line %d: alias *%s: write the value out, aliases are not allowed here", n.Line, n.Value)
	case n.Anchor != "":
		return fault.New(fault.InvalidDAG, "line %d: anchor &%s: anchors are not allowed here", n.Line, n.Anchor)
	case n.Style&yaml.TaggedStyle != 0:
		return fault.New(fault.InvalidDAG, "line %d: tag %s: tags are not allowed here", n.Line, n.Tag)
	}
	for _, c := range n.Content {
		if err := checkTree(c, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// jsonTree parses JSON into the tree that the same YAML would give.
func jsonTree(b []byte) (*yaml.Node, error) {
	r := &jsonReader{text: b, line: 1, dec: json.NewDecoder(bytes.NewReader(b))}
	r.dec.UseNumber()
	root, err := r.value(0)
	if err != nil {
		return nil, fault.New(fault.InvalidDAG, "line %d: the file is not JSON: %w", r.lineAt(r.dec.InputOffset()), err)
	}
	return root, nil
}

type jsonReader struct {
	text []byte
	dec  *json.Decoder
	line int   // of offset at
	at   int64 // grows only
}

// lineAt counts on from where it counted to before.
func (r *jsonReader) lineAt(offset int64) int {
	r.line += bytes.Count(r.text[r.at:offset], []byte{'\n'})
	r.at = offset
	return r.line
}

func (r *jsonReader) value(depth int) (*yaml.Node, error) {
	if depth > maxNesting {
		return nil, fault.New(fault.InvalidDAG, "nested more than %d levels deep", maxNesting)
	}
	token, err := r.dec.Token()
	if err != nil {
		return nil, err
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Line: r.lineAt(r.dec.InputOffset())}
	switch t := token.(type) {
	case nil:
		n.Tag, n.Value = "!!null", "null"
	case string:
		n.Tag, n.Value = "!!str", t
	case bool:
		n.Tag, n.Value = "!!bool", "false"
		if t {
			n.Value = "true"
		}
	case json.Number:
		n.Tag, n.Value = "!!float", t.String()
		if isInteger(n.Value) {
			n.Tag = "!!int"
		}
	case json.Delim:
		n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
		if t == '{' {
			n.Kind, n.Tag = yaml.MappingNode, "!!map"
		}
		for r.dec.More() {
			if t == '{' {
				key, err := r.value(depth + 1)
				if err != nil {
					return nil, err
				}
				n.Content = append(n.Content, key)
			}
			c, err := r.value(depth + 1)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, c)
		}
		if _, err := r.dec.Token(); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// isInteger reports whether YAML takes a JSON number for an integer: one too large for 64 bits is a float to it.
func isInteger(s string) bool {
	if strings.HasPrefix(s, "-") {
		_, err := strconv.ParseInt(s, 10, 64)
		return err == nil
	}
	_, err := strconv.ParseUint(s, 10, 64)
	return err == nil
}

// writeJSON is the other way: it appends the tree as JSON, with the keys in their order.
func writeJSON(dst []byte, n *yaml.Node) []byte {
	quoted := func(s string) []byte {
		b, err := json.Marshal(s)
		if err != nil {
			panic(err) // a string always has an encoding
		}
		return b
	}
	switch {
	case n.Kind == yaml.MappingNode:
		dst = append(dst, '{')
		for i := 0; i < len(n.Content); i += 2 {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(append(dst, quoted(n.Content[i].Value)...), ':')
			dst = writeJSON(dst, n.Content[i+1])
		}
		return append(dst, '}')
	case n.Kind == yaml.SequenceNode:
		dst = append(dst, '[')
		for i, c := range n.Content {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = writeJSON(dst, c)
		}
		return append(dst, ']')
	case n.Tag == "!!str":
		return append(dst, quoted(n.Value)...)
	}
	return append(dst, n.Value...)
}
