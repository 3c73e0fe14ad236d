package planner

import (
	"math/bits"
	"slices"
)

// maxSpreads is up to how many ways to spread a Map's tasks all are looked at.
const maxSpreads = 70

// spreads lists where a node's tasks may be: on any one executor; a Map's in any numbers where that gives few ways, and
// otherwise on any set of executors, in proportion to the cores there.
func (m *model) spreads(node int) []share {
	var can []int
	for k := range m.execs {
		if !m.executor(k).Lacks[m.g.Nodes[node].Function] {
			can = append(can, k)
		}
	}
	tasks := m.Work[node].Tasks
	var out []share
	if len(can) == 0 {
		return nil
	}
	if ways(tasks, len(can)) <= maxSpreads {
		s := make(share, len(m.execs))
		var fill func(at, left int)
		fill = func(at, left int) {
			if at == len(can)-1 {
				s[can[at]] = left
				out = append(out, slices.Clone(s))
				return
			}
			for n := left; n >= 0; n-- {
				s[can[at]] = n
				fill(at+1, left-n)
			}
		}
		fill(0, tasks)
		return out
	}
	m.whole = false
	for set := uint(1); set < 1<<len(can); set++ {
		// Of a set of many, all sets with one more or less say nothing new: any one, and the fastest of each size.
		if n := bits.OnesCount(set); len(can) > 5 && n > 1 && set != m.fastest(can, n) {
			continue
		}
		if bits.OnesCount(set) <= tasks {
			out = append(out, m.even(can, set, tasks))
		}
	}
	return out
}

// fastest is the set of the n executors of can with the most cores.
func (m *model) fastest(can []int, n int) (set uint) {
	order := make([]int, len(can))
	for i := range order {
		order[i] = i
	}
	cores := func(i int) float64 { return float64(m.slots[can[i]]) * m.speed[can[i]] }
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case cores(a) > cores(b):
			return -1
		case cores(a) < cores(b):
			return 1
		}
		return 0
	})
	for _, i := range order[:n] {
		set |= 1 << i
	}
	return set
}

// even gives tasks one by one to whichever of the set would finish first with one more.
func (m *model) even(can []int, set uint, tasks int) share {
	s := make(share, len(m.execs))
	// In bulk as far as proportions go, then one by one.
	var cores float64
	for i, k := range can {
		if set>>i&1 == 1 {
			cores += float64(m.slots[k]) * m.speed[k]
		}
	}
	left := tasks
	for i, k := range can {
		if set>>i&1 == 1 {
			s[k] = int(float64(tasks) * float64(m.slots[k]) * m.speed[k] / cores)
			left -= s[k]
		}
	}
	for ; left > 0; left-- {
		best, least := -1, 0.0
		for i, k := range can {
			if t := float64(s[k]+1) / (float64(m.slots[k]) * m.speed[k]); set>>i&1 == 1 && (best < 0 || t < least) {
				best, least = k, t
			}
		}
		s[best]++
	}
	return s
}

// ways counts how tasks alike go on so many executors; more than maxSpreads is all the same.
func ways(tasks, executors int) int {
	n := 1
	for i := 1; i < executors; i++ {
		if n = n * (tasks + i) / i; n > maxSpreads {
			return n
		}
	}
	return n
}

// paths lists how an edge's value may travel between producers and consumers; the share of an input is nil.
func (m *model) legal(e *edge, from, to share, list []Path) []Path {
	list = list[:0]
	for _, p := range paths {
		if m.why(e, from, to, p) == "" {
			list = append(list, p)
		}
		if p == Local && len(list) == 1 && m.free(e, from, to) {
			break // nothing is better than what costs nothing
		}
	}
	return list
}

// free reports whether a Local edge takes no time: everything stays in one executor, in memory.
func (m *model) free(e *edge, from, to share) bool {
	flows := m.flows(nil, e, from, to)
	for _, f := range flows {
		if f.from != f.to || m.capacity[m.disk(f.to)] > 0 {
			return false
		}
	}
	return true
}

// why says in words why a path is not to be had; "" where it is.
func (m *model) why(e *edge, from, to share, p Path) string {
	client := from == nil && len(m.holders[e.from]) == 0
	flows := m.flows(nil, e, from, to)
	switch p {
	case Local:
		for _, f := range flows {
			if f.from < 0 {
				return "the value is not on an executor yet"
			}
			if m.host[f.from] != m.host[f.to] {
				return "not all of its ends are on one host"
			}
		}
	case Direct:
		if client {
			return "the value is not on an executor yet"
		}
	case Inline:
		if from == nil && m.Inputs[e.from].Stored {
			return "the call passes a reference"
		}
		for _, f := range flows {
			if f.bytes > float64(m.Fleet.Bus.Most) {
				return "it is more than a message may carry"
			}
		}
	case Remote:
		// A small argument of the client travels in the call.
		if client && !m.Inputs[e.from].Stored && e.bytes <= float64(m.Fleet.Bus.Most) {
			return "it came with the call"
		}
	}
	return ""
}
