package dag

import (
	"errors"
	"fmt"
	"strings"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/id"
)

// maxListed bounds how many faults a message spells out; errors.As and errors.Is still find them all.
const maxListed = 100

// faults gathers all that is wrong with one graph, so that its author can mend it in one go.
type faults struct {
	lines []int // the line of each node in the file, where the graph comes from one
	// pending says that the builder or the parser was here first: an unresolved source is one they have reported.
	pending bool
	list    []*fault.Error
}

// graph adds a fault of the graph as a whole, or of an input or output.
func (f *faults) graph(code fault.Code, format string, args ...any) {
	f.list = append(f.list, fault.New(code, format, args...))
}

// node adds a fault of node i.
func (f *faults) node(g *Graph, i int, code fault.Code, format string, args ...any) {
	line := 0
	if i < len(f.lines) {
		line = f.lines[i]
	}
	f.nodeAt(g, i, line, code, format, args...)
}

// nodeAt adds a fault of node i that stands in a line of a file, or in none if line is 0.
func (f *faults) nodeAt(g *Graph, i, line int, code fault.Code, format string, args ...any) {
	if line > 0 {
		format, args = "line %d: "+format, append([]any{line}, args...)
	}
	n := &g.Nodes[i]
	f.list = append(f.list, fault.New(code, format, args...).With(func(e *fault.Error) {
		if e.Node = n.Name; id.CheckName("node", n.Name) != nil {
			e.Node = fmt.Sprintf("#%d", i+1)
		}
		if id.CheckName("function", n.Function) == nil {
			e.Function = n.Function
		}
	}))
}

// name adds what is wrong with a name, if anything is. Faults of inputs and outputs have no node.
func (f *faults) name(what, name string) {
	if err := id.CheckName(what, name); err != nil {
		f.list = append(f.list, fault.From(err))
	}
}

// err makes one error of all the faults, or nil. Its code is theirs where they agree; where they do not it is
// invalid_dag, or the first one's if no fault is of the structure.
func (f *faults) err(dag string) error {
	if len(f.list) == 0 {
		return nil
	}
	if id.CheckName("DAG", dag) != nil {
		dag = fmt.Sprintf("%.40q", dag)
	}
	if len(f.list) == 1 {
		e := f.list[0]
		return e.With(func(c *fault.Error) { c.Message = "in DAG " + dag + ": " + e.Message })
	}
	code := f.list[0].Code
	for _, e := range f.list {
		if e.Code != code && e.Code == fault.InvalidDAG {
			code = fault.InvalidDAG
		}
	}
	var text strings.Builder
	fmt.Fprintf(&text, "DAG %s has %d faults: ", dag, len(f.list))
	all := make([]error, len(f.list))
	for i, e := range f.list {
		all[i] = e
		switch {
		case i > maxListed:
			continue
		case i == maxListed:
			fmt.Fprintf(&text, "; and %d more", len(f.list)-maxListed)
			continue
		case i > 0:
			text.WriteString("; ")
		}
		text.WriteString(strings.TrimSuffix(e.Error(), " ["+string(e.Code)+"]"))
	}
	return fault.New(code, "%w", &allFaults{text.String(), errors.Join(all...)})
}

// allFaults is the joined faults with a text of its own, on one line.
type allFaults struct {
	text string
	all  error
}

func (a *allFaults) Error() string { return a.text }
func (a *allFaults) Unwrap() error { return a.all }

// because gives err as the end of a message: without the code that a fault's own text ends in.
func because(err error) error {
	var e *fault.Error
	if errors.As(err, &e) {
		return &allFaults{e.Message, err}
	}
	return err
}
