package planner

import (
	"math/bits"
	"time"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
)

// Prediction is what one call of a function on some bytes of arguments would be.
type Prediction struct {
	Out   int64 // bytes of the result
	Items int   // elements of the result, where it is a list; 0 is not known
	Took  time.Duration
	Cold  time.Duration
}

// DefaultItems is how many elements a list is taken to have where nobody knows.
const DefaultItems = 8

// Predict gives each node's work: sizes flow from the inputs through the graph, node by node. predict is asked for one call
// of a node's function on so many bytes of all its arguments together.
func Predict(g *dag.Graph, inputs []Input, predict func(node int, in int64) Prediction) ([]Work, error) {
	if len(inputs) != len(g.Inputs) {
		return nil, fault.New(fault.InvalidArgument, "DAG %s has %d inputs, %d are described", g.Name, len(g.Inputs), len(inputs))
	}
	type size struct {
		bytes int64
		items int
	}
	sizes := make([]size, g.Sources())
	for i, in := range inputs {
		sizes[i] = size{in.Bytes, in.Items}
	}
	work := make([]Work, len(g.Nodes))
	for i := range g.Nodes {
		n := &g.Nodes[i]
		of := func(a dag.Arg) size {
			if a.Const != nil {
				return size{bytes: int64(len(a.Const.Wire))}
			}
			return sizes[a.From]
		}
		var in int64
		for j, a := range n.Args {
			if (j > 0 || n.Kind == dag.Call) && !a.Guard {
				in += of(a).bytes
			}
		}
		var list size
		if n.Kind != dag.Call {
			if list = of(n.Args[0]); list.items == 0 {
				list.items = DefaultItems
			}
		}
		w := Work{Tasks: 1}
		items := 0
		switch n.Kind {
		case dag.Map:
			p := predict(i, in+list.bytes/int64(list.items))
			w.Tasks, items = list.items, list.items
			w.Took, w.Cold, w.Out = p.Took, p.Cold, p.Out*int64(list.items)
		case dag.Reduce:
			w = reduceWork(list.items, list.bytes/int64(list.items), func(in int64) Prediction { return predict(i, in) })
		default:
			p := predict(i, in)
			w.Took, w.Cold, w.Out, items = p.Took, p.Cold, p.Out, p.Items
		}
		work[i] = w
		sizes[g.NodeSource(i)] = size{w.Out, items}
	}
	return work, nil
}

// reduceWork folds items of some bytes each pairwise, level by level.
func reduceWork(items int, each int64, predict func(in int64) Prediction) Work {
	w := Work{Tasks: 1, Out: each}
	if items > 1 {
		w.Levels = make([]Level, 0, bits.Len(uint(items)))
	}
	for ; items > 1; items = (items + 1) / 2 {
		p := predict(2 * w.Out)
		w.Out, w.Cold = p.Out, p.Cold
		w.Levels = append(w.Levels, Level{Calls: items / 2, Took: p.Took})
	}
	return w
}
