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
//   - A node's guards stand behind its arguments, and are no arguments of its function.
//   - Inputs and nodes share one space of names.
type Graph struct {
	Name    string   `cbor:"1,keyasint"`
	Inputs  []string `cbor:"2,keyasint"` // names of the values that a call supplies
	Nodes   []Node   `cbor:"3,keyasint"` // in topological order
	Outputs []Output `cbor:"4,keyasint"` // what a run answers with; at least one
	// Requires lists what a node of Squall must know of to run the graph; one that does not know all of it refuses the
	// graph. It follows from the rest: Validate sets it.
	Requires Features `cbor:"5,keyasint,omitempty"`

	index *index // derived, see index.go
}

// Node is one step of a graph. A function may appear in many nodes.
type Node struct {
	Name     string        `cbor:"1,keyasint"`
	Kind     Kind          `cbor:"2,keyasint"`
	Function string        `cbor:"3,keyasint"`
	Args     []Arg         `cbor:"4,keyasint"` // by position; a Map's first and a Reduce's only one is the list; guards last
	Retry    Retry         `cbor:"5,keyasint"`
	Timeout  time.Duration `cbor:"6,keyasint,omitempty"` // of one try; 0 leaves it to the function's and the run's
	Initial  *Const        `cbor:"7,keyasint,omitempty"` // Reduce: the result for an empty list, else folded in from the left
	Join     *Join         `cbor:"8,keyasint,omitempty"` // Call: some of Args make one argument of the function
	Hedge    float64       `cbor:"9,keyasint,omitempty"` // Call, Map: a try slower than this quantile gets a second one; 0 is off
}

// Arg is one argument: a source, or a constant when Const is set. An argument that is a source is an edge.
type Arg struct {
	From  Source     `cbor:"1,keyasint"`
	Const *Const     `cbor:"2,keyasint,omitempty"`
	When  *Condition `cbor:"3,keyasint,omitempty"` // the edge is absent unless the source's value satisfies it
	// Guard says that the edge is only a condition: its value is not passed to the function, and the node is skipped
	// where the edge is absent.
	Guard bool `cbor:"4,keyasint,omitempty"`
}

// Join makes one argument of Count edges, those from Args[At] on: it is there as soon as Need of them are. See [Any]
// and [KOf].
type Join struct {
	At    int  `cbor:"1,keyasint"`
	Count int  `cbor:"2,keyasint"`
	Need  int  `cbor:"3,keyasint"`
	Any   bool `cbor:"4,keyasint,omitempty"` // Need is 1, and the function gets the value itself, not a list of fn.Part
}

// Features are what a graph may require, as bits. Append-only.
type Features uint64

// The features.
const (
	Conditional Features = 1 << iota // joins, conditions and guards
	Hedged                           // second attempts

	knownFeatures = Conditional | Hedged
)

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

// Params are the arguments of the node without its guards.
func (n *Node) Params() []Arg {
	end := len(n.Args)
	for end > 0 && n.Args[end-1].Guard {
		end--
	}
	return n.Args[:end:end]
}

// Arity is how many arguments the node gives its function: a join is one.
func (n *Node) Arity() int {
	arity := len(n.Params())
	if n.Join != nil {
		arity -= n.Join.Count - 1
	}
	return arity
}

// param is which argument of the function Args[j] is, or becomes part of.
func (n *Node) param(j int) int {
	if n.Join == nil || j < n.Join.At {
		return j
	}
	return n.Join.At + max(0, j-n.Join.At-n.Join.Count+1)
}

// features works out what g requires.
func (g *Graph) features() Features {
	var f Features
	for i := range g.Nodes {
		n := &g.Nodes[i]
		if n.Join != nil {
			f |= Conditional
		}
		if n.Hedge > 0 {
			f |= Hedged
		}
		for _, a := range n.Args {
			if a.When != nil || a.Guard {
				f |= Conditional
			}
		}
	}
	return f
}

// SourceName is the name of the input or node that s is.
func (g *Graph) SourceName(s Source) string {
	if i, ok := g.NodeOf(s); ok {
		return g.Nodes[i].Name
	}
	return g.Inputs[s]
}
