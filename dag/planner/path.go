package planner

import (
	"github.com/squall-faas/squall/dag"
)

// Path is how the value of an edge travels.
type Path = dag.Path

// The paths. None is that of an argument that is a constant.
const (
	None   = dag.Auto
	Inline = dag.Inline // in the messages of the bus; small values only
	Local  = dag.Local  // handed over on one host: a pointer in one executor, shared memory between two, or the host's disk
	Direct = dag.Direct // through the executors' data ports; on one host over its loopback, so through memory
	Remote = dag.Remote // through the store: written once, read by each executor that needs it
)

var paths = [...]Path{Local, Direct, Remote, Inline} // in the order in which ties are broken

// Pattern is who needs which part of a value. A task is one call of a function: a Map has one for each item.
type Pattern uint8

// The patterns (SONIC §3.1). Whole and Broadcast move every byte once to each executor that has a task: its tasks share
// what has come. The others cut the value up.
const (
	Whole      Pattern = iota // one task needs all; of many tasks' results a gather
	Broadcast                 // each of many tasks needs all
	Scatter                   // each of many tasks needs its part of one task's result
	AllToAll                  // each of many tasks needs its part of each of many tasks' results
	ItemToItem                // task i needs the result of task i
)

// String names the pattern as explanations do.
func (p Pattern) String() string {
	switch p {
	case Whole:
		return "whole"
	case Broadcast:
		return "broadcast"
	case Scatter:
		return "scatter"
	case AllToAll:
		return "all-to-all"
	case ItemToItem:
		return "item-to-item"
	}
	return "unknown pattern"
}

// MarshalText implements encoding.TextMarshaler.
func (p Pattern) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// PatternOf is the pattern of an argument that follows from the kinds of the nodes. A Map over a Map's result goes item by
// item; where it is known to redistribute, Problem.Patterns says so.
func PatternOf(g *dag.Graph, node, arg int) Pattern {
	if g.Nodes[node].Kind != dag.Map {
		return Whole
	}
	if arg > 0 {
		return Broadcast
	}
	if from, ok := g.NodeOf(g.Nodes[node].Args[0].From); ok && g.Nodes[from].Kind == dag.Map {
		return ItemToItem
	}
	return Scatter
}

// cut reports whether each task gets a part only.
func (p Pattern) cut() bool { return p >= Scatter }
