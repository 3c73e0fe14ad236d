package dag

import (
	"time"

	"github.com/squall-faas/squall/value"
)

// Kind says what a node does with its function.
type Kind uint8

// The kinds. The numbers are the wire's: append-only.
const (
	Call   Kind = 1 // calls the function once with all its arguments
	Map    Kind = 2 // calls it once per element of its first argument, a list; gives the list of results in order
	Reduce Kind = 3 // folds its only argument, a list, pairwise as a tree; the function is associative, order is kept
)

// String names the kind as files and messages do.
func (k Kind) String() string {
	switch k {
	case Call:
		return "call"
	case Map:
		return "map"
	case Reduce:
		return "reduce"
	}
	return "unknown kind"
}

// Source numbers where a value comes from in one graph: first the inputs in their order, then the nodes in theirs.
type Source int

// Graph is a validated DAG. It is immutable and safe for concurrent use. Make one with [New], [Parse], [Decode] or
// [Single]; a literal, or one that was changed, must pass Validate before anything else is asked of it.
//
// What runs rely on:
//   - Nodes stand in topological order: a node's sources have lower numbers than its own.
//   - Every input is used, by a node or by an output. An output may name an input.
//   - A node whose value nobody uses, no node and no output, is there for its effect and runs all the same. So a run
//     ends when all outputs are there and all nodes have settled, not as soon as the outputs are.
//   - A Map's first argument and a Reduce's only one is a source, never a constant.
//   - Inputs and nodes share one space of names.
type Graph struct {
	Name    string   `cbor:"1,keyasint"`
	Inputs  []string `cbor:"2,keyasint"` // names of the values that a call supplies
	Nodes   []Node   `cbor:"3,keyasint"` // in topological order
	Outputs []Output `cbor:"4,keyasint"` // what a run answers with; at least one

	index *index // derived, see index.go
}

// Node is one step of a graph. A function may appear in many nodes.
type Node struct {
	Name     string        `cbor:"1,keyasint"`
	Kind     Kind          `cbor:"2,keyasint"`
	Function string        `cbor:"3,keyasint"`
	Args     []Arg         `cbor:"4,keyasint"` // by position; a Map's first and a Reduce's only one is the list
	Retry    Retry         `cbor:"5,keyasint"`
	Timeout  time.Duration `cbor:"6,keyasint,omitempty"` // of one try; 0 leaves it to the function's and the run's
	Initial  *Const        `cbor:"7,keyasint,omitempty"` // Reduce: the result for an empty list, else folded in from the left
}

// Arg is one argument: a source, or a constant when Const is set.
type Arg struct {
	From  Source `cbor:"1,keyasint"`
	Const *Const `cbor:"2,keyasint,omitempty"`
}

// Const is a value fixed when the graph was built, in its wire form. A value.Ref is a constant too: the cache resolves
// it when the function runs.
type Const struct {
	Wire []byte `cbor:"1,keyasint"`
}

// Value parses the constant; it was checked when the graph was built. The value shares Wire's memory.
func (c *Const) Value() (value.Value, error) { return value.Parse(c.Wire) }

// Retry says how often and how fast a failed try is repeated. The zero Retry tries once.
type Retry struct {
	Max     int           `cbor:"1,keyasint,omitempty"` // further tries after the first
	Backoff time.Duration `cbor:"2,keyasint,omitempty"` // before the second try; doubles with each, jittered; 0 is 100 ms
	Cap     time.Duration `cbor:"3,keyasint,omitempty"` // longest backoff; 0 is 30 s
}

// Output names a source whose value a run answers with.
type Output struct {
	Name string `cbor:"1,keyasint"`
	From Source `cbor:"2,keyasint"`
}

// NodeSource is the source that node i gives.
func (g *Graph) NodeSource(i int) Source { return Source(len(g.Inputs) + i) }

// NodeOf tells which node s is, or false where it is an input.
func (g *Graph) NodeOf(s Source) (int, bool) {
	i := int(s) - len(g.Inputs)
	return i, i >= 0
}

// Sources is the number of sources: inputs and nodes.
func (g *Graph) Sources() int { return len(g.Inputs) + len(g.Nodes) }

// SourceName is the name of the input or node that s is.
func (g *Graph) SourceName(s Source) string {
	if i, ok := g.NodeOf(s); ok {
		return g.Nodes[i].Name
	}
	return g.Inputs[s]
}
