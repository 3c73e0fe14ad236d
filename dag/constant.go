package dag

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/value"
)

// wireKey marks a constant that JSON has no form for; it stands alone in a mapping. Those that JSON has by convention
// ({$ref: …}, {$bytes: …}) are package value's.
const wireKey = "$wire"

// readConstant reads an argument that is no reference to a source; known are the sources of the graph.
func readConstant(n *yaml.Node, known map[string]Source) (*Const, error) {
	if hidden := hiddenReference(n, known); hidden != "" {
		return nil, fault.New(fault.InvalidDAG, "%s inside a list or mapping would be plain text: pass it as an argument of its own, or give the text as an input", hidden)
	}
	v, err := constantValue(n)
	if err != nil {
		return nil, err
	}
	return constant(v)
}

func constantValue(n *yaml.Node) (value.Value, error) {
	switch {
	case n.Kind == yaml.ScalarNode && isText(n):
		return value.Of(strings.TrimPrefix(n.Value, "$")) // two dollars stand for one, and isReference took those with one
	case n.Kind == yaml.MappingNode && len(n.Content) == 2 && n.Content[0].Value == wireKey:
		raw, err := base64.StdEncoding.DecodeString(n.Content[1].Value)
		if err != nil {
			return value.Value{}, fault.New(fault.InvalidDAG, "%s takes base64: %w", wireKey, err)
		}
		return value.Parse(raw)
	}
	b, err := appendConstant(nil, n)
	if err != nil {
		return value.Value{}, err
	}
	return value.FromJSON(b)
}

// hiddenReference finds "$name" of a known source inside a list or mapping, where it means nothing. Whoever writes it
// there expects otherwise.
func hiddenReference(n *yaml.Node, known map[string]Source) string {
	for _, c := range n.Content {
		if isReference(c) {
			if _, ok := known[c.Value[1:]]; ok {
				return c.Value
			}
		}
		if hidden := hiddenReference(c, known); hidden != "" {
			return hidden
		}
	}
	return ""
}

// isText reports whether YAML's scalar n is text to us: strings, and dates, which JSON has not.
func isText(n *yaml.Node) bool {
	switch n.ShortTag() {
	case "!!null", "!!bool", "!!int", "!!float":
		return false
	}
	return true
}

// appendConstant writes n as JSON. Numbers keep their text where JSON allows it.
func appendConstant(dst []byte, n *yaml.Node) ([]byte, error) {
	var err error
	switch {
	case n.Kind == yaml.MappingNode:
		dst = append(dst, '{')
		seen := make(map[string]bool, len(n.Content)/2)
		for i := 0; i < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind != yaml.ScalarNode || seen[key.Value] {
				return nil, fault.New(fault.InvalidDAG, "a key that is given twice, or is no text: %s", kindName(key))
			}
			seen[key.Value] = true
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendQuoted(dst, key.Value), ':')
			if dst, err = appendConstant(dst, n.Content[i+1]); err != nil {
				return nil, err
			}
		}
		return append(dst, '}'), nil
	case n.Kind == yaml.SequenceNode:
		dst = append(dst, '[')
		for i, c := range n.Content {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = appendConstant(dst, c); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	case isText(n):
		return appendQuoted(dst, n.Value), nil
	}
	return appendScalar(dst, n)
}

func appendScalar(dst []byte, n *yaml.Node) ([]byte, error) {
	switch n.ShortTag() {
	case "!!null":
		return append(dst, "null"...), nil
	case "!!bool":
		var b bool
		if err := n.Decode(&b); err != nil {
			return nil, fault.New(fault.InvalidDAG, "not a boolean: %s", kindName(n))
		}
		return strconv.AppendBool(dst, b), nil
	}
	if json.Valid([]byte(n.Value)) { // a number as JSON writes it
		return append(dst, n.Value...), nil
	}
	var x any
	if err := n.Decode(&x); err != nil {
		return nil, fault.New(fault.InvalidDAG, "not a number: %s", kindName(n))
	}
	switch x := x.(type) {
	case int:
		return strconv.AppendInt(dst, int64(x), 10), nil
	case int64:
		return strconv.AppendInt(dst, x, 10), nil
	case uint64:
		return strconv.AppendUint(dst, x, 10), nil
	case float64:
		if !math.IsInf(x, 0) && !math.IsNaN(x) && n.ShortTag() == "!!float" {
			return strconv.AppendFloat(dst, x, 'e', -1, 64), nil // the exponent keeps it a float
		}
	}
	return nil, fault.New(fault.InvalidDAG, "JSON has no number %s", kindName(n))
}

func appendQuoted(dst []byte, s string) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string always has an encoding
	}
	return append(dst, b...)
}

// node writes a constant into a file: as plain as it can be so that reading it back gives the very same bytes.
func (c *Const) node(known map[string]Source) *yaml.Node {
	plain := c.plainNode()
	if plain != nil && !isReference(plain) && !marked(plain) && hiddenReference(plain, known) == "" {
		if v, err := constantValue(plain); err == nil {
			if wire, err := v.Wire(); err == nil && bytes.Equal(wire, c.Wire) {
				return plain
			}
		}
	}
	return mapping(wireKey, text(base64.StdEncoding.EncodeToString(c.Wire)))
}

func (c *Const) plainNode() *yaml.Node {
	v, err := c.Value()
	if err != nil {
		return nil
	}
	if v.Kind() == value.Text {
		s, err := value.As[string](v)
		if err != nil || !strings.HasPrefix(s, "$") {
			return text(s)
		}
		return text("$" + s)
	}
	b, err := v.JSON()
	if err != nil {
		return nil
	}
	n, err := jsonTree(b)
	if err != nil {
		return nil
	}
	return n
}
