package planner

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/squall-faas/squall/dag"
)

// share is how many of a node's tasks each executor has.
type share []int

// edge is an argument that is no constant.
type edge struct {
	node, arg int
	from      dag.Source
	pattern   Pattern
	bytes     float64
}

// model is a problem in numbers: executors are those that are weighed, times are in seconds, bytes in floats.
//
// What bounds transfers are resources, by host: its network card out and in, its memory, its disk; then the store in and
// out, the bus, and each pair of executors.
type model struct {
	*Problem
	g        *dag.Graph
	execs    []int // indices of Fleet.Executors
	host     []int
	capacity []float64 // by resource
	store    int       // the resource that writes to it share; reads follow, then the bus, then the pairs
	slots    []int
	speed    []float64
	stages   [][]int
	edges    [][]edge
	last     []int // by source: the last stage that needs it; -1 is none
	holders  [][]int
	function []int // by node, a number for its name
	names    int
	warm     []uint64 // by function, executors that have an instance at first
	alike    []int    // by executor, the first one that nothing tells it from
	shares   [][]share
	scratch  scratch
	whole    bool // all choices there are are looked at
	pruned   bool // not even those that the model has are
	spent    int
}

func newModel(p *Problem) *model {
	m := &model{Problem: p, g: p.Graph, whole: true}
	if m.Prices == (Prices{}) {
		m.Prices = DefaultPrices
	}
	m.execs = m.choose()
	hosts := map[string]int{}
	for _, x := range m.execs {
		e := &p.Fleet.Executors[x]
		name := e.Host
		if name == "" {
			name = "\x00" + e.Name
		}
		h, ok := hosts[name]
		if !ok {
			h = len(hosts)
			hosts[name] = h
			m.capacity = append(m.capacity, bound(e.Out), bound(e.In), bound(e.Memory), e.Disk)
		}
		m.host = append(m.host, h)
		m.slots = append(m.slots, min(e.Slots, 64)) // more than that at once never queue in one DAG's stage
		m.speed = append(m.speed, cmp.Or(e.Speed, 1))
	}
	m.store = len(m.capacity)
	m.capacity = append(m.capacity, bound(p.Fleet.Store.Write), bound(p.Fleet.Store.Read), bound(p.Fleet.Bus.Bandwidth))
	for k := range m.execs {
		for l := range m.execs {
			m.capacity = append(m.capacity, bound(m.link(k, l).Bandwidth))
		}
	}
	m.number()
	m.connect()
	m.class()
	for i := range m.g.Nodes {
		m.shares = append(m.shares, m.spreads(i))
	}
	m.scratch.init(m)
	return m
}

func bound(rate float64) float64 {
	if rate == 0 {
		return math.Inf(1)
	}
	return rate
}

func (m *model) link(k, l int) Link {
	if m.Fleet.Links == nil {
		return Link{}
	}
	return m.Fleet.Links[m.execs[k]][m.execs[l]]
}

func (m *model) executor(k int) *Executor { return &m.Fleet.Executors[m.execs[k]] }

// Resources of an executor's host, and of a pair.
func (m *model) out(k int) int     { return 4 * m.host[k] }
func (m *model) in(k int) int      { return 4*m.host[k] + 1 }
func (m *model) memory(k int) int  { return 4*m.host[k] + 2 }
func (m *model) disk(k int) int    { return 4*m.host[k] + 3 }
func (m *model) pair(k, l int) int { return m.store + 3 + k*len(m.execs) + l }

// choose gives the executors that are weighed: of a large fleet those that hold inputs, are warm, are free, and are fast.
func (m *model) choose() []int {
	all := make([]int, len(m.Fleet.Executors))
	merit := make([]float64, len(all))
	for i := range all {
		all[i] = i
		e := &m.Fleet.Executors[i]
		merit[i] = float64(e.Slots)*cmp.Or(e.Speed, 1)/1e3 - e.Backlog.Seconds()
		for n := range m.g.Nodes {
			if f := m.g.Nodes[n].Function; e.Lacks[f] {
				merit[i]--
			} else if !e.Warm[f] {
				merit[i] -= m.Work[n].Cold.Seconds()
			}
		}
	}
	for _, in := range m.Inputs {
		for _, h := range in.Holders {
			merit[h] += 1 + float64(in.Bytes)/1e6
		}
	}
	if len(all) <= MaxExecutors {
		return all
	}
	m.whole = false
	slices.SortStableFunc(all, func(a, b int) int { return cmp.Compare(merit[b], merit[a]) })
	most := all[:MaxExecutors:MaxExecutors]
	for n := range m.g.Nodes { // a function that few can run must have one of these
		can := func(i int) bool { return !m.Fleet.Executors[i].Lacks[m.g.Nodes[n].Function] }
		if !slices.ContainsFunc(most, can) {
			if i := slices.IndexFunc(all, can); i >= 0 {
				most = append(most, all[i])
			}
		}
	}
	slices.Sort(most)
	return most
}

// number gives functions numbers, and sets who has an instance.
func (m *model) number() {
	known := map[string]int{}
	for i := range m.g.Nodes {
		name := m.g.Nodes[i].Function
		f, ok := known[name]
		if !ok {
			f = len(known)
			known[name] = f
			m.warm = append(m.warm, 0)
			for k := range m.execs {
				if m.executor(k).Warm[name] {
					m.warm[f] |= 1 << k
				}
			}
		}
		m.function = append(m.function, f)
	}
	m.names = len(known)
}

// connect sorts nodes into stages, and lists what each needs.
func (m *model) connect() {
	m.edges = make([][]edge, len(m.g.Nodes))
	m.last = slices.Repeat([]int{-1}, m.g.Sources())
	for i := range m.g.Nodes {
		d := m.g.Depth(i)
		for len(m.stages) <= d {
			m.stages = append(m.stages, nil)
		}
		m.stages[d] = append(m.stages[d], i)
		for j, a := range m.g.Nodes[i].Args {
			if a.Const != nil {
				continue
			}
			e := edge{node: i, arg: j, from: a.From, pattern: PatternOf(m.g, i, j)}
			if p, ok := m.Patterns[Edge{Node: i, Arg: j}]; ok {
				e.pattern = p
			}
			if a.Guard {
				e.pattern = Whole // a guard's value stays where it is: only that it is there travels
			} else if n, ok := m.g.NodeOf(a.From); ok {
				e.bytes = float64(m.Work[n].Out)
			} else {
				e.bytes = float64(m.Inputs[a.From].Bytes)
			}
			m.edges[i] = append(m.edges[i], e)
			m.last[a.From] = max(m.last[a.From], d)
		}
	}
	for _, in := range m.Inputs {
		var held []int
		for _, h := range in.Holders {
			if k := slices.Index(m.execs, h); k >= 0 {
				held = append(held, k)
			}
		}
		m.holders = append(m.holders, held)
	}
}

// class finds executors that nothing tells apart: of those that no node is on yet, only the first need be tried.
func (m *model) class() {
	lone := func(k int) bool {
		for l := range m.execs {
			if l != k && m.host[l] == m.host[k] {
				return false
			}
		}
		return true
	}
	same := func(k, l int) bool {
		a, b := m.executor(k), m.executor(l)
		if !lone(k) || !lone(l) || m.slots[k] != m.slots[l] || m.speed[k] != m.speed[l] || a.Backlog != b.Backlog ||
			a.Out != b.Out || a.In != b.In || a.Memory != b.Memory || a.Disk != b.Disk || m.link(k, l) != m.link(l, k) {
			return false
		}
		for i := range m.g.Nodes {
			if f := m.g.Nodes[i].Function; a.Warm[f] != b.Warm[f] || a.Lacks[f] != b.Lacks[f] {
				return false
			}
		}
		for _, held := range m.holders {
			if slices.Contains(held, k) || slices.Contains(held, l) {
				return false
			}
		}
		for x := range m.execs {
			if x != k && x != l && (m.link(k, x) != m.link(l, x) || m.link(x, k) != m.link(x, l)) {
				return false
			}
		}
		return true
	}
	for k := range m.execs {
		m.alike = append(m.alike, k)
		for l := range k {
			if m.alike[l] == l && same(k, l) {
				m.alike[k] = l
				break
			}
		}
	}
}

func seconds(d time.Duration) float64 { return d.Seconds() }
