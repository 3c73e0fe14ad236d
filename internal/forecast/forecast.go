package forecast

import (
	"math"
	"net"
	"slices"
	"time"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/dag/planner"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/profile"
	"github.com/squall-faas/squall/internal/wire"
)

// Enough is how many runs of a function a prediction must rest on before anything is decided by it.
const Enough = 4

// Case is what is asked about.
type Case struct {
	Graph    *dag.Graph
	Versions []string // of the functions, by node
	Inputs   []planner.Input
	// Executors say what is known of each; their rates and links are filled in where they are 0.
	Executors []planner.Executor
	Book      *profile.Book // nil has nothing in it
}

// Basis is what a forecast rests on.
type Basis struct {
	Runs  []int // observed of each node's function; 0 where it was assumed
	Links int   // pairs of executors of which transfers were observed
}

// Known reports whether the functions of all nodes have been seen often enough to decide by it.
func (b Basis) Known() bool {
	return !slices.ContainsFunc(b.Runs, func(n int) bool { return n < Enough })
}

// Make makes the planner's problem of a case. invalid_argument where its parts do not fit each other.
func Make(c Case) (planner.Problem, Basis, error) {
	if len(c.Versions) != len(c.Graph.Nodes) {
		return planner.Problem{}, Basis{}, fault.New(fault.InvalidArgument, "versions of %d functions for DAG %s of %d nodes", len(c.Versions), c.Graph.Name, len(c.Graph.Nodes))
	}
	p := planner.Problem{Graph: c.Graph, Inputs: c.Inputs}
	basis := Basis{Runs: make([]int, len(c.Graph.Nodes))}
	p.Fleet, basis.Links = Fleet(c.Book, c.Executors)
	work, err := planner.Predict(c.Graph, c.Inputs, func(node int, in int64) planner.Prediction {
		x, runs := Call(c.Book, c.Versions[node], in)
		basis.Runs[node] = runs
		return x
	})
	p.Work = work
	return p, basis, err
}

// Call predicts a call of a function's version on so many bytes of arguments; runs is on how many observed ones that rests,
// 0 where it is assumed.
func Call(book *profile.Book, version string, in int64) (x planner.Prediction, runs int) {
	x = Assumed(in)
	if book == nil {
		return x, 0
	}
	f := book.Known(version)
	if f == nil || f.Runs() == 0 {
		return x, 0
	}
	p := f.Predict(in)
	x.Out, x.Took = int64(p.Out.Value), time.Duration(p.Took.Value)
	if p.Cold.N > 0 {
		x.Cold = time.Duration(p.Cold.Value)
	}
	return x, f.Runs()
}

// Executor describes one by its heartbeat. Executors that announce data ports of one host share memory.
func Executor(h *wire.Heartbeat) planner.Executor {
	e := planner.Executor{Name: h.From.Name, Slots: max(h.Slots, 1)}
	if host, _, err := net.SplitHostPort(h.Port); err == nil {
		e.Host = host
	}
	if waiting := h.Queued + max(0, h.Busy-h.Slots); waiting > 0 {
		e.Backlog = time.Duration(h.Mean) * time.Duration(waiting) / time.Duration(e.Slots)
	}
	return e
}

// Fleet describes executors with the links between them; measured is of how many pairs transfers were observed. A network card
// is no slower than the fastest transfer that went through it.
func Fleet(book *profile.Book, executors []planner.Executor) (f planner.Fleet, measured int) {
	f = planner.Fleet{Executors: slices.Clone(executors), Store: Store, Bus: Bus}
	out, in := make([]float64, len(executors)), make([]float64, len(executors))
	for i := range executors {
		row := slices.Repeat([]planner.Link{Link}, len(executors))
		row[i] = Loopback
		for j := range executors {
			if i == j || book == nil {
				continue
			}
			l, ok := link(book, executors[i].Name, executors[j].Name)
			if !ok {
				continue
			}
			measured++
			row[j] = l
			out[i], in[j] = max(out[i], l.Bandwidth), max(in[j], l.Bandwidth)
		}
		f.Links = append(f.Links, row)
	}
	for i := range f.Executors {
		e := &f.Executors[i]
		if e.Out == 0 {
			e.Out = max(NIC, out[i])
		}
		if e.In == 0 {
			e.In = max(NIC, in[i])
		}
		if e.Memory == 0 {
			e.Memory = Memory
		}
	}
	return f, measured
}

// link is what was learnt of one direction; false where nothing was.
func link(book *profile.Book, from, to string) (planner.Link, bool) {
	l := book.Seen(profile.Pair{From: from, To: to})
	if l == nil {
		return planner.Link{}, false
	}
	e, out := l.Estimate(), Link
	if e.Bandwidth.N > 0 && !math.IsInf(e.Bandwidth.Value, 0) {
		out.Bandwidth = e.Bandwidth.Value
	}
	if e.Latency.N > 0 {
		out.Latency = time.Duration(e.Latency.Value)
	}
	return out, e.Bandwidth.N+e.Latency.N > 0
}
