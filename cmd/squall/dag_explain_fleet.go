package main

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"slices"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/dag/planner"
	"github.com/squall-faas/squall/executor/runtime"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/forecast"
	"github.com/squall-faas/squall/internal/profile"
	"github.com/squall-faas/squall/internal/wire"
)

// fleetFile describes what a DAG would run on, and what its functions do. What is left out is as executors have
// learnt it, or else as package forecast assumes.
type fleetFile struct {
	Executors []fleetExecutor           `yaml:"executors"`
	Links     []fleetLink               `yaml:"links"` // the one without ends is for all pairs that no other names
	Store     *fleetStore               `yaml:"store"`
	Bus       *fleetBus                 `yaml:"bus"`
	Functions map[string]fleetFunction  `yaml:"functions"`
	Inputs    map[string]fleetInput     `yaml:"inputs"`
	Patterns  map[string]map[int]string `yaml:"patterns"` // by node and argument: all-to-all where that is so
}

type fleetExecutor struct {
	Name    string        `yaml:"name"`
	Host    string        `yaml:"host"`
	Slots   int           `yaml:"slots"`
	Speed   float64       `yaml:"speed"`
	Backlog time.Duration `yaml:"backlog"`
	NIC     amount        `yaml:"nic"`
	Memory  amount        `yaml:"memory"`
	Disk    amount        `yaml:"disk"`
	Cold    []string      `yaml:"cold"`  // functions without an instance there
	Lacks   []string      `yaml:"lacks"` // functions that it cannot run
}

type fleetLink struct {
	From      string        `yaml:"from"`
	To        string        `yaml:"to"`
	Bandwidth amount        `yaml:"bandwidth"`
	Latency   time.Duration `yaml:"latency"`
}

type fleetStore struct {
	Write        amount        `yaml:"write"`
	Read         amount        `yaml:"read"`
	WriteLatency time.Duration `yaml:"write_latency"`
	ReadLatency  time.Duration `yaml:"read_latency"`
}

type fleetBus struct {
	Bandwidth amount        `yaml:"bandwidth"`
	Latency   time.Duration `yaml:"latency"`
	Most      amount        `yaml:"most"`
}

type fleetFunction struct {
	Took  time.Duration `yaml:"took"`    // of a call on nothing
	PerMB time.Duration `yaml:"per_mib"` // more for each MiB of arguments
	Out   amount        `yaml:"out"`     // bytes of the result of a call on nothing
	Ratio float64       `yaml:"ratio"`   // more bytes of result for each byte of arguments
	Items int           `yaml:"items"`   // elements of the result
	Cold  time.Duration `yaml:"cold"`
}

type fleetInput struct {
	Bytes   amount   `yaml:"bytes"`
	Items   int      `yaml:"items"`
	Stored  bool     `yaml:"stored"`
	Holders []string `yaml:"holders"`
}

// amount is a number of bytes, or of bytes per second.
type amount int64

// UnmarshalYAML reads what flags for sizes take.
func (a *amount) UnmarshalYAML(n *yaml.Node) error {
	var size byteSize
	if err := size.Set(n.Value); err != nil {
		return err
	}
	*a = amount(size)
	return nil
}

// learnt is what the executors of a cluster know. The zero learnt knows nothing.
type learnt struct {
	book      *profile.Book
	functions []runtime.Spec // by node
}

func parseFleet(b []byte) (*fleetFile, error) {
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	f := &fleetFile{}
	if err := d.Decode(f); err != nil && !errors.Is(err, io.EOF) {
		return nil, fault.New(fault.InvalidArgument, "the fleet's file: %w", err)
	}
	return f, nil
}

// someFleet is what is explained without a cluster and without a file.
func someFleet() *fleetFile {
	return &fleetFile{Executors: []fleetExecutor{{Name: "a", Slots: 4}, {Name: "b", Slots: 4}, {Name: "c", Slots: 4}}}
}

// fleetOf describes the executors that are up. What they are asked to run they are taken to have warm.
func fleetOf(members []wire.Member) *fleetFile {
	f := &fleetFile{}
	for _, m := range members {
		h := m.Heartbeat
		if m.Suspect || h.Condition != wire.Up {
			continue
		}
		x := forecast.Executor(&h)
		e := fleetExecutor{Name: x.Name, Host: x.Host, Slots: x.Slots, Backlog: x.Backlog}
		f.Executors = append(f.Executors, e)
	}
	return f
}

// problem is what the planner is asked for a graph on this fleet, and what that rests on: the file first, then what was learnt.
func (f *fleetFile) problem(g *dag.Graph, known learnt) (planner.Problem, *explainBasis, error) {
	p, basis := planner.Problem{Graph: g}, &explainBasis{Runs: make([]int, len(g.Nodes)), Given: make([]bool, len(g.Nodes))}
	bad := func(format string, args ...any) (planner.Problem, *explainBasis, error) {
		return p, nil, fault.New(fault.InvalidArgument, "the fleet: "+format, args...)
	}
	find := func(name string) int {
		return slices.IndexFunc(f.Executors, func(e fleetExecutor) bool { return e.Name == name })
	}
	var executors []planner.Executor
	for i, e := range f.Executors {
		if find(e.Name) != i {
			return bad("two executors are called %q", e.Name)
		}
		nic := float64(e.NIC)
		x := planner.Executor{
			Name: e.Name, Host: e.Host, Slots: cmp.Or(e.Slots, 1), Speed: e.Speed, Backlog: e.Backlog, Out: nic, In: nic,
			Memory: float64(e.Memory), Disk: float64(e.Disk), Warm: map[string]bool{}, Lacks: map[string]bool{},
		}
		for _, n := range g.Nodes {
			x.Warm[n.Function] = !slices.Contains(e.Cold, n.Function)
			x.Lacks[n.Function] = slices.Contains(e.Lacks, n.Function)
		}
		executors = append(executors, x)
	}
	p.Fleet, _ = forecast.Fleet(known.book, executors)
	for _, l := range f.Links {
		if l.From == "" && l.To == "" {
			for i := range executors {
				for j := range executors {
					if i != j {
						p.Fleet.Links[i][j] = planner.Link{Bandwidth: float64(l.Bandwidth), Latency: l.Latency}
					}
				}
			}
		}
	}
	for _, l := range f.Links {
		if l.From == "" && l.To == "" {
			continue
		}
		from, to := find(l.From), find(l.To)
		if from < 0 || to < 0 {
			return bad("a link goes from %q to %q, and not both are executors", l.From, l.To)
		}
		p.Fleet.Links[from][to] = planner.Link{Bandwidth: float64(l.Bandwidth), Latency: l.Latency}
	}
	basis.Ways = len(executors) * (len(executors) - 1)
	for i := range executors {
		for j := range executors {
			// What is the assumption to the last digit is one, whoever wrote it down.
			if i != j && p.Fleet.Links[i][j] == forecast.Link {
				basis.Links++
			}
		}
	}
	basis.Store, basis.Bus = f.Store != nil, f.Bus != nil
	if x := f.Store; x != nil {
		p.Fleet.Store = planner.Store{Write: float64(x.Write), Read: float64(x.Read), WriteLatency: x.WriteLatency, ReadLatency: x.ReadLatency}
	}
	if x := f.Bus; x != nil {
		p.Fleet.Bus = planner.Bus{Bandwidth: float64(x.Bandwidth), Latency: x.Latency, Most: int64(x.Most)}
	}
	for name := range f.Inputs {
		if !slices.Contains(g.Inputs, name) {
			return bad("DAG %s has no input %q", g.Name, name)
		}
	}
	for _, name := range g.Inputs {
		in, ok := f.Inputs[name]
		if !ok {
			p.Inputs = append(p.Inputs, forecast.Input)
			basis.Inputs = append(basis.Inputs, name)
			continue
		}
		x := planner.Input{Bytes: int64(in.Bytes), Items: in.Items, Stored: in.Stored || len(in.Holders) > 0}
		for _, h := range in.Holders {
			if find(h) < 0 {
				return bad("input %s is held by %q, which is no executor", name, h)
			}
			x.Holders = append(x.Holders, find(h))
		}
		p.Inputs = append(p.Inputs, x)
	}
	if err := f.patterns(g, &p); err != nil {
		return p, nil, err
	}
	work, err := planner.Predict(g, p.Inputs, func(node int, in int64) planner.Prediction {
		if x, ok := f.Functions[g.Nodes[node].Function]; ok {
			basis.Given[node] = true
			return planner.Prediction{
				Out: int64(x.Out) + int64(x.Ratio*float64(in)), Items: x.Items, Cold: x.Cold,
				Took: x.Took + time.Duration(float64(x.PerMB)*float64(in)/(1<<20)),
			}
		}
		version := ""
		if node < len(known.functions) {
			version = known.functions[node].Version
		}
		x, runs := forecast.Call(known.book, version, in)
		basis.Runs[node] = runs
		return x
	})
	p.Work = work
	return p, basis, err
}

func (f *fleetFile) patterns(g *dag.Graph, p *planner.Problem) error {
	known := map[string]planner.Pattern{}
	for x := planner.Whole; x <= planner.ItemToItem; x++ {
		known[x.String()] = x
	}
	p.Patterns = map[planner.Edge]planner.Pattern{}
	for node, args := range f.Patterns {
		n := slices.IndexFunc(g.Nodes, func(n dag.Node) bool { return n.Name == node })
		for arg, name := range args {
			pattern, ok := known[name]
			if n < 0 || arg < 0 || arg >= len(g.Nodes[n].Args) || !ok {
				return fault.New(fault.InvalidArgument, "the fleet: pattern %q for argument %d of node %q: the patterns are whole, broadcast, scatter, all-to-all and item-to-item, arguments count from 0", name, arg, node)
			}
			p.Patterns[planner.Edge{Node: n, Arg: arg}] = pattern
		}
	}
	return nil
}
