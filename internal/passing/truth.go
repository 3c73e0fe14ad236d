package passing

import (
	"math"
	"slices"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/dag/planner"
	"github.com/squall-faas/squall/fault"
)

// Truth is a DAG and a fleet as they are, which a planner may only have measured.
type Truth struct {
	planner.Problem
	// Loss is the share of packets lost on the links between hosts. It bounds what one connection gets (Mathis et al., CCR
	// 1997); a transfer uses Connections.
	Loss float64
}

// Connections is how many parallel ranges a transfer between hosts has.
const Connections = 4

// segment is TCP's, in bytes.
const segment = 1448

// Assignment is what is executed: what a planner.Plan has decided.
type Assignment struct {
	Share [][]int        // by node and executor: tasks
	Path  []planner.Path // by edge, in the order of Edges
}

// Of is the assignment of a plan.
func Of(p planner.Plan) Assignment {
	var a Assignment
	for _, n := range p.Nodes {
		a.Share = append(a.Share, n.Share)
	}
	for _, e := range p.Edges {
		a.Path = append(a.Path, e.Path)
	}
	return a
}

// Edge is an argument that comes from an input or a node.
type Edge struct {
	Node, Arg int
	From      dag.Source
	Pattern   planner.Pattern
	Bytes     float64
}

// Edges lists a DAG's edges by node and argument, as planner.Plan does.
func (t *Truth) Edges() []Edge {
	var out []Edge
	for n := range t.Graph.Nodes {
		for j, a := range t.Graph.Nodes[n].Args {
			if a.Const != nil {
				continue
			}
			e := Edge{Node: n, Arg: j, From: a.From, Pattern: planner.PatternOf(t.Graph, n, j)}
			if p, ok := t.Patterns[planner.Edge{Node: n, Arg: j}]; ok {
				e.Pattern = p
			}
			if a.Guard {
				e.Pattern = planner.Whole
			} else if from, ok := t.Graph.NodeOf(a.From); ok {
				e.Bytes = float64(t.Work[from].Out)
			} else {
				e.Bytes = float64(t.Inputs[a.From].Bytes)
			}
			out = append(out, e)
		}
	}
	return out
}

// Paths lists the paths that an edge can take where its ends are. Inputs are in the store: the benchmarks know no others.
func (t *Truth) Paths(e Edge, from, to []int) []planner.Path {
	if _, made := t.Graph.NodeOf(e.From); !made {
		return []planner.Path{planner.Remote}
	}
	out := []planner.Path{planner.Direct, planner.Remote}
	together := true
	most := 0.0
	for _, p := range t.parcels(e, from, to) {
		together = together && t.host(p.from) == t.host(p.to)
		most = max(most, p.bytes)
	}
	if together {
		out = append(out, planner.Local)
	}
	if most <= float64(t.Fleet.Bus.Most) {
		out = append(out, planner.Inline)
	}
	return out
}

// parcel is what one executor owes another for an edge.
type parcel struct {
	from, to int // from -1 is the store
	bytes    float64
	tasks    float64 // transfers between tasks that it is made of
}

func (t *Truth) parcels(e Edge, from, to []int) []parcel {
	consumers := 0
	for _, n := range to {
		consumers += n
	}
	var out []parcel
	if from == nil {
		for f, n := range to {
			if n == 0 {
				continue
			}
			p := parcel{-1, f, e.Bytes, 1}
			if e.Pattern >= planner.Scatter {
				p.bytes, p.tasks = e.Bytes*float64(n)/float64(consumers), float64(n)
			}
			out = append(out, p)
		}
		return out
	}
	producers := 0
	for _, n := range from {
		producers += n
	}
	if e.Pattern == planner.ItemToItem && producers == consumers {
		return pairs(e.Bytes/float64(producers), from, to)
	}
	for f, n := range to {
		for l, p := range from {
			if n == 0 || p == 0 {
				continue
			}
			x := parcel{l, f, e.Bytes * float64(p) / float64(producers), float64(p)}
			if e.Pattern >= planner.Scatter {
				x.bytes *= float64(n) / float64(consumers)
				x.tasks *= float64(n)
			}
			out = append(out, x)
		}
	}
	return out
}

// pairs gives each consumer an item of its own executor if there is one, and else the next that is over.
func pairs(each float64, from, to []int) []parcel {
	var out []parcel
	over, need := slices.Clone(from), slices.Clone(to)
	move := func(l, f, n int) {
		if n > 0 {
			over[l], need[f] = over[l]-n, need[f]-n
			out = append(out, parcel{l, f, each * float64(n), float64(n)})
		}
	}
	for f := range to {
		move(f, f, min(from[f], to[f]))
	}
	for f := range to {
		for l := range from {
			move(l, f, min(over[l], need[f]))
		}
	}
	return out
}

// host is a number for an executor's host.
func (t *Truth) host(k int) int {
	name := t.Fleet.Executors[k].Host
	if name != "" {
		for i := range k {
			if t.Fleet.Executors[i].Host == name {
				return i
			}
		}
	}
	return k
}

// The resources of a fleet by number: each host's network card out and in, memory and disk; the store's writes and reads, the
// bus, and each pair of executors.
const perHost = 4

func (t *Truth) store() int         { return perHost * len(t.Fleet.Executors) }
func (t *Truth) pair(k, l int) int  { return t.store() + 3 + k*len(t.Fleet.Executors) + l }
func (t *Truth) nic(k, way int) int { return perHost*t.host(k) + way }
func (t *Truth) memory(k int) int   { return perHost*t.host(k) + 2 }
func (t *Truth) disk(k int) int     { return perHost*t.host(k) + 3 }
func unbounded(rate float64) float64 {
	if rate == 0 {
		return math.Inf(1)
	}
	return rate
}

func (t *Truth) capacities() []float64 {
	var c []float64
	for _, e := range t.Fleet.Executors {
		c = append(c, unbounded(e.Out), unbounded(e.In), unbounded(e.Memory), unbounded(e.Disk))
	}
	c = append(c, unbounded(t.Fleet.Store.Write), unbounded(t.Fleet.Store.Read), unbounded(t.Fleet.Bus.Bandwidth))
	for k := range t.Fleet.Executors {
		for l := range t.Fleet.Executors {
			c = append(c, t.bandwidth(k, l))
		}
	}
	return c
}

// bandwidth is what one transfer gets between two executors that it has for itself.
func (t *Truth) bandwidth(k, l int) float64 {
	if t.Fleet.Links == nil {
		return math.Inf(1)
	}
	link := t.Fleet.Links[k][l]
	rate := unbounded(link.Bandwidth)
	if t.Loss > 0 && link.Latency > 0 && t.host(k) != t.host(l) {
		rate = min(rate, Connections*segment*1.22/(2*link.Latency.Seconds()*math.Sqrt(t.Loss)))
	}
	return rate
}

func (t *Truth) latency(k, l int) float64 {
	if t.Fleet.Links == nil {
		return 0
	}
	return t.Fleet.Links[k][l].Latency.Seconds()
}

// check refuses assignments that cannot be executed.
func (t *Truth) check(a Assignment, edges []Edge) error {
	if len(a.Share) != len(t.Graph.Nodes) || len(a.Path) != len(edges) {
		return fault.New(fault.InvalidArgument, "an assignment of %d nodes and %d edges for a DAG of %d and %d", len(a.Share), len(a.Path), len(t.Graph.Nodes), len(edges))
	}
	if len(t.Fleet.Executors) > 64 {
		return fault.New(fault.InvalidArgument, "%d executors: at most 64 can be simulated", len(t.Fleet.Executors))
	}
	for n, share := range a.Share {
		sum := 0
		for _, c := range share {
			sum += c
		}
		if len(share) != len(t.Fleet.Executors) || sum != t.Work[n].Tasks || slices.Min(share) < 0 {
			return fault.New(fault.InvalidArgument, "node %s has %d tasks, %v are assigned", t.Graph.Nodes[n].Name, t.Work[n].Tasks, share)
		}
	}
	for i, e := range edges {
		if !slices.Contains(t.Paths(e, t.shareOf(a, e.From), a.Share[e.Node]), a.Path[i]) {
			return fault.New(fault.InvalidArgument, "argument %d of node %s cannot come by path %s", e.Arg+1, t.Graph.Nodes[e.Node].Name, a.Path[i])
		}
	}
	return nil
}

func (t *Truth) shareOf(a Assignment, s dag.Source) []int {
	if n, ok := t.Graph.NodeOf(s); ok {
		return a.Share[n]
	}
	return nil
}

// Store stands for the store where an end of a transfer is named.
const Store = -1

// Transfer is how many seconds a transfer takes that has everything for itself, as a profile would measure it.
func (t *Truth) Transfer(from, to int, bytes float64) float64 {
	var rate, latency float64
	switch {
	case from == Store:
		rate, latency = min(unbounded(t.Fleet.Store.Read), unbounded(t.Fleet.Executors[to].In)), t.Fleet.Store.ReadLatency.Seconds()
	case to == Store:
		rate, latency = min(unbounded(t.Fleet.Store.Write), unbounded(t.Fleet.Executors[from].Out)), t.Fleet.Store.WriteLatency.Seconds()
	case t.host(from) != t.host(to):
		rate, latency = min(t.bandwidth(from, to), unbounded(t.Fleet.Executors[from].Out), unbounded(t.Fleet.Executors[to].In)), t.latency(from, to)
	default:
		rate, latency = unbounded(t.Fleet.Executors[to].Memory), t.latency(from, to)
	}
	return latency + bytes/rate
}
