package planner

import (
	"math"
	"time"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
)

// Objective is what a plan is best in.
type Objective uint8

// The objectives. Product is SONIC's performance per dollar, 1/(latency × cost), turned over.
const (
	Latency Objective = iota
	Cost
	Product
)

// String names the objective as the command line does.
func (o Objective) String() string {
	return [...]string{"latency", "cost", "product"}[min(o, Product)]
}

// Problem is what is planned. It is only read.
type Problem struct {
	Graph    *dag.Graph       // validated
	Inputs   []Input          // by the graph's inputs
	Work     []Work           // by its nodes; Predict makes it
	Patterns map[Edge]Pattern // where they are not as PatternOf has it
	Fleet    Fleet
	Prices   Prices
	Goal     Objective

	// Budget is how many states may be looked at, at most; at least one for each node and choice are. It bounds the time:
	// a state takes some microseconds. 0 is DefaultBudget.
	Budget int
	// Runners is how many runners-up are wanted.
	Runners int
}

// DefaultBudget is the budget of a Problem that names none.
const DefaultBudget = 20_000

// Edge names an edge by where it ends: argument Arg of node Node.
type Edge = dag.Consumer

// Input is a value that a run is called with.
type Input struct {
	Bytes   int64
	Items   int   // elements, where it is a list; 0 is one
	Stored  bool  // it is in the store already: a reference
	Holders []int // executors that have a copy, as indices of Fleet.Executors
}

// Work is what a node does, whichever executor it runs on.
type Work struct {
	Tasks  int           // calls; 1 for all but a Map
	Took   time.Duration // of one, warm, at speed 1
	Cold   time.Duration // of starting an instance
	Out    int64         // bytes of all results together
	Levels []Level       // of a Reduce; Took is not used then
}

// Level is one level of a Reduce's tree.
type Level struct {
	Calls int
	Took  time.Duration // of one call
}

// Executor is one node of the fleet.
type Executor struct {
	Name    string
	Host    string          // executors of one host share its network card, memory and disk; "" is a host of its own
	Slots   int             // calls at once
	Speed   float64         // of its cores; 0 is 1
	Backlog time.Duration   // until a slot is free
	Warm    map[string]bool // functions that have an instance there
	Lacks   map[string]bool // functions that it cannot run

	Out, In float64 // bytes per second of the host's network card; 0 is without bound
	Memory  float64 // bytes per second of what is copied within the host; 0 is without bound
	Disk    float64 // bytes per second of the disk that Local values pass through, in and out; 0: they stay in memory
}

// Link is one direction between two executors. Within a host Memory bounds the rate, and Latency is that of the loopback.
type Link struct {
	Bandwidth float64 // bytes per second; 0 is without bound
	Latency   time.Duration
}

// Store is what Remote values pass through.
type Store struct {
	Write, Read               float64 // bytes per second, of all together; 0 is without bound
	WriteLatency, ReadLatency time.Duration
}

// Bus is what Inline values pass through.
type Bus struct {
	Bandwidth float64 // bytes per second, of all together; 0 is without bound
	Latency   time.Duration
	Most      int64 // bytes that a message may carry; 0 forbids Inline
}

// Fleet is what there is to run on.
type Fleet struct {
	Executors []Executor
	Links     [][]Link // [from][to] executor; nil: without bound, and no latency
	Store     Store
	Bus       Bus
}

// Prices are in any unit of money. The zero Prices are DefaultPrices.
type Prices struct {
	SlotSecond float64 // of a slot while it runs or starts
	Gigabyte   float64 // sent from host to host
	Stored     float64 // a gigabyte written to the store
	Request    float64 // to the store
}

// DefaultPrices are like those of public clouds in 2024, in dollars: 1 GB·s of a function, traffic between zones, an object
// store's capacity for a day, and a write request.
var DefaultPrices = Prices{SlotSecond: 1.67e-5, Gigabyte: 0.01, Stored: 0.00075, Request: 5e-6}

// MaxExecutors is how many executors are weighed for one DAG. Of a larger fleet those that promise most are.
const MaxExecutors = 8

// check refuses what cannot be planned.
func (p *Problem) check() error {
	bad := func(format string, args ...any) error { return fault.New(fault.InvalidArgument, format, args...) }
	g := p.Graph
	switch {
	case g == nil:
		return bad("there is no DAG to plan")
	case len(p.Fleet.Executors) == 0:
		return fault.New(fault.NoExecutor, "there is no executor to plan for: start one, or describe one")
	case len(p.Inputs) != len(g.Inputs):
		return bad("DAG %s has %d inputs, %d are described", g.Name, len(g.Inputs), len(p.Inputs))
	case len(p.Work) != len(g.Nodes):
		return bad("DAG %s has %d nodes, the work of %d is described", g.Name, len(g.Nodes), len(p.Work))
	case p.Fleet.Links != nil && len(p.Fleet.Links) != len(p.Fleet.Executors):
		return bad("links of %d executors are described, there are %d", len(p.Fleet.Links), len(p.Fleet.Executors))
	case p.Goal > Product || p.Budget < 0 || p.Runners < 0:
		return bad("objective %d, budget %d, %d runners-up: these make no sense", p.Goal, p.Budget, p.Runners)
	}
	rate := func(x float64) bool { return x >= 0 && !math.IsInf(x, 0) }
	for i, in := range p.Inputs {
		if in.Bytes < 0 || in.Items < 0 {
			return bad("input %s has %d bytes and %d items", g.Inputs[i], in.Bytes, in.Items)
		}
		for _, h := range in.Holders {
			if h < 0 || h >= len(p.Fleet.Executors) {
				return bad("input %s is held by executor %d of %d", g.Inputs[i], h, len(p.Fleet.Executors))
			}
		}
	}
	for i, w := range p.Work {
		if w.Tasks < 1 || w.Took < 0 || w.Cold < 0 || w.Out < 0 {
			return bad("node %s has %d tasks of %v, %v cold, and gives %d bytes", g.Nodes[i].Name, w.Tasks, w.Took, w.Cold, w.Out)
		}
		if w.Tasks > 1 && g.Nodes[i].Kind != dag.Map {
			return bad("node %s is no map and has %d tasks", g.Nodes[i].Name, w.Tasks)
		}
		for _, l := range w.Levels {
			if l.Calls < 0 || l.Took < 0 {
				return bad("node %s has a level of %d calls of %v", g.Nodes[i].Name, l.Calls, l.Took)
			}
		}
	}
	for i, e := range p.Fleet.Executors {
		if e.Slots < 1 || e.Backlog < 0 || !rate(e.Speed) || !rate(e.Out) || !rate(e.In) || !rate(e.Memory) || !rate(e.Disk) {
			return bad("executor %s: %d slots, speed %g, backlog %v, rates %g, %g, %g, %g: give at least one slot, and nothing negative",
				e.Name, e.Slots, e.Speed, e.Backlog, e.Out, e.In, e.Memory, e.Disk)
		}
		if p.Fleet.Links == nil {
			continue
		}
		if len(p.Fleet.Links[i]) != len(p.Fleet.Executors) {
			return bad("executor %s has %d links, there are %d executors", e.Name, len(p.Fleet.Links[i]), len(p.Fleet.Executors))
		}
		for _, l := range p.Fleet.Links[i] {
			if !rate(l.Bandwidth) || l.Latency < 0 {
				return bad("executor %s has a link of %g bytes per second and %v", e.Name, l.Bandwidth, l.Latency)
			}
		}
	}
	if s, b := p.Fleet.Store, p.Fleet.Bus; !rate(s.Write) || !rate(s.Read) || s.WriteLatency < 0 || s.ReadLatency < 0 || !rate(b.Bandwidth) || b.Latency < 0 || b.Most < 0 {
		return bad("neither the store's nor the bus's rates and latencies may be negative: %+v, %+v", s, b)
	}
	if p.Prices.SlotSecond < 0 || p.Prices.Gigabyte < 0 || p.Prices.Stored < 0 || p.Prices.Request < 0 {
		return bad("prices may not be negative: %+v", p.Prices)
	}
	return nil
}
