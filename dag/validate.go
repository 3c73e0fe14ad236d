package dag

import (
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/value"
)

// What a graph may have at most.
const (
	MaxNodes   = 10_000  // nodes; also inputs, and outputs
	MaxArgs    = 64      // arguments of one node
	MaxSize    = 1 << 20 // bytes of the encoded graph, and of a file that holds one
	MaxRetries = 1_000   // further tries of one node
)

// unresolved stands for a source that the builder or the parser has already reported as faulty. It is far from
// wrapping around.
const unresolved Source = math.MinInt / 2

// Validate checks what can be checked of a graph by itself: legal and unique names, edges that lead to earlier nodes,
// limits, constants that parse, at least one node and one output, no input without a use. It reports every fault, as
// one invalid_dag, or invalid_name where nothing but names is wrong. What is built by this package has passed it.
//
// It also derives what Consumers and its kin answer from, so it is the one method that must not run while others use
// the graph.
func (g *Graph) Validate() error {
	f := &faults{}
	g.check(f)
	if len(f.list) == 0 {
		g.checkSize(f)
	}
	return g.seal(f)
}

// seal makes the graph ready for use, unless it has faults.
func (g *Graph) seal(f *faults) error {
	if err := f.err(g.Name); err != nil {
		return err
	}
	// One form for what is empty, so that equal graphs are deeply equal however they were made.
	if len(g.Inputs) == 0 {
		g.Inputs = nil
	}
	for i := range g.Nodes {
		if len(g.Nodes[i].Args) == 0 {
			g.Nodes[i].Args = nil
		}
		for j := range g.Nodes[i].Args {
			if when := g.Nodes[i].Args[j].When; when != nil {
				when.normalize()
			}
		}
	}
	g.Requires = g.features()
	g.index = newIndex(g)
	return nil
}

// check adds to f what is wrong with g's structure.
func (g *Graph) check(f *faults) {
	f.name("DAG", g.Name)
	tooMany := func(what string, n int) {
		if n > MaxNodes {
			f.graph(fault.InvalidDAG, "it has %d %s: at most %d are allowed", n, what, MaxNodes)
		}
	}
	tooMany("inputs", len(g.Inputs))
	tooMany("nodes", len(g.Nodes))
	tooMany("outputs", len(g.Outputs))

	taken := make(map[string]string, g.Sources())
	used := make([]bool, g.Sources())
	for i, in := range g.Inputs {
		f.name("input", in)
		if taken[in] != "" {
			f.graph(fault.InvalidDAG, "input %q is declared twice", in)
			used[i] = true // no fault of its own
		}
		taken[in] = "an input"
	}
	if len(g.Nodes) == 0 {
		f.graph(fault.InvalidDAG, "it has no nodes: call at least one function")
	}
	for i := range g.Nodes {
		g.checkNode(f, i, taken, used)
	}
	g.checkOutputs(f, used)
	for i, in := range g.Inputs {
		if !used[i] {
			f.graph(fault.InvalidDAG, "input %q is used by no node and no output: use it or remove it", in)
		}
	}
}

func (g *Graph) checkOutputs(f *faults, used []bool) {
	if len(g.Outputs) == 0 {
		f.graph(fault.InvalidDAG, "it has no outputs: name at least one result for a run to answer with")
	}
	seen := make(map[string]bool, len(g.Outputs))
	for _, o := range g.Outputs {
		f.name("output", o.Name)
		if seen[o.Name] {
			f.graph(fault.InvalidDAG, "output %q is declared twice", o.Name)
		}
		seen[o.Name] = true
		switch {
		case o.From == unresolved && f.pending:
		case o.From < 0 || int(o.From) >= g.Sources():
			f.graph(fault.InvalidDAG, "output %q names source %d, and there are %d", o.Name, o.From, g.Sources())
		default:
			used[o.From] = true
		}
	}
}

// checkNode checks node i against the names taken and the sources before it, and adds to both.
func (g *Graph) checkNode(f *faults, i int, taken map[string]string, used []bool) {
	n := &g.Nodes[i]
	bad := func(format string, args ...any) { f.node(g, i, fault.InvalidDAG, format, args...) }
	for _, c := range [...]struct{ what, name string }{{"node", n.Name}, {"function", n.Function}} {
		if c.name == "" && c.what == "function" && f.lines != nil {
			continue // the parser has said so
		}
		if err := id.CheckName(c.what, c.name); err != nil {
			f.node(g, i, fault.InvalidName, "%w", because(err))
		}
	}
	if what := taken[n.Name]; what != "" {
		bad("the name %q is already that of %s: names of inputs and nodes must differ", n.Name, what)
	}
	taken[n.Name] = "another node"

	switch n.Kind {
	case Call:
	case Map:
		if len(n.Params()) == 0 {
			bad("a map needs the list that it goes over")
		}
	case Reduce:
		if len(n.Params()) != 1 {
			bad("a reduce takes the list that it goes over and nothing else, got %d arguments", len(n.Params()))
		}
	default:
		bad("kind %d is none of call, map and reduce", n.Kind)
	}
	if len(n.Args) > MaxArgs {
		bad("it has %d arguments: at most %d are allowed, pass a list or a struct", len(n.Args), MaxArgs)
	}
	for j, a := range n.Args {
		switch {
		case a.Const != nil && n.Kind != Call && j == 0:
			bad("the list is a constant: make it an input, or the result of a node")
		case a.Const != nil && a.From != 0:
			bad("%s is a constant and a source at once", argName(n.Kind, j))
		case a.Const != nil:
			if err := a.Const.check(); err != nil {
				bad("%s is a constant that does not parse: %w", argName(n.Kind, j), because(err))
			}
		case a.From == unresolved && f.pending:
		case a.From < 0 || int(a.From) >= g.Sources():
			bad("%s names source %d, and there are %d", argName(n.Kind, j), a.From, g.Sources())
		case a.From >= g.NodeSource(i) && f.pending:
			used[a.From] = true // a cycle, which the parser has named
		case a.From >= g.NodeSource(i):
			bad("%s comes from node %s, which does not stand before it: nodes must be in topological order", argName(n.Kind, j), g.SourceName(a.From))
		default:
			used[a.From] = true
		}
	}
	g.checkRoutes(f, i)
	if n.Initial != nil {
		if n.Kind != Reduce {
			bad("an initial value is for a reduce only")
		} else if err := n.Initial.check(); err != nil {
			bad("the initial value does not parse: %w", because(err))
		}
	}
	if n.Timeout < 0 {
		bad("timeout %v is negative", n.Timeout)
	}
	if n.Retry.Max < 0 || n.Retry.Max > MaxRetries {
		bad("%d retries: give 0 to %d", n.Retry.Max, MaxRetries)
	}
	if n.Retry.Backoff < 0 || n.Retry.Cap < 0 {
		bad("backoff %v up to %v: neither may be negative", n.Retry.Backoff, n.Retry.Cap)
	}
}

// checkSize adds a fault if g is too large once encoded.
func (g *Graph) checkSize(f *faults) {
	g.Requires = g.features()
	if size := len(Encode(g)); size > MaxSize {
		f.graph(fault.InvalidDAG, "it has %d bytes encoded: at most %d are allowed; pass large constants as inputs or as references", size, MaxSize)
	}
}

// check reports a constant that its consumers could not decode.
func (c *Const) check() error {
	v, err := c.Value()
	if err != nil {
		return err
	}
	_, payload, err := v.Payload()
	switch {
	case err != nil:
		return err
	case v.Kind() == value.CBOR:
		return constMode.Wellformed(payload)
	case v.Kind() == value.Text && !utf8.Valid(payload):
		return fault.New(fault.WrongType, "text that is not UTF-8: pass it as bytes")
	}
	return nil
}

// argName says which argument is meant, counted from 1 as the function sees them.
func argName(k Kind, j int) string {
	if k != Call && j == 0 {
		return "the list"
	}
	return fmt.Sprintf("argument %d", j+1)
}
