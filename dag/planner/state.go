package planner

import (
	"encoding/binary"
	"math"
	"slices"
)

// choice is where a node's tasks are and how each of its edges' values travel.
type choice struct {
	share share
	paths []Path
}

// state is what a plan has come to after some stages.
type state struct {
	finish  []float64 // by source
	share   []share   // by source; nil for inputs and what is still to come
	arrived []float64 // by source and executor: when all of it had been sent there; Inf is never
	stored  []float64 // by source: when it was in the store; Inf is never
	slots   []float64 // by executor in the order of slots' numbers, sorted: when each is free
	warm    []uint64
	used    uint64 // executors that have had a task
	span    float64
	cost    float64
}

func (m *model) first() *state {
	n := m.g.Sources()
	s := &state{
		finish: make([]float64, n), share: make([]share, n), arrived: make([]float64, n*len(m.execs)), stored: make([]float64, n),
		warm: slices.Clone(m.warm),
	}
	for i := range s.arrived {
		s.arrived[i] = math.Inf(1)
	}
	for i := range s.stored {
		s.stored[i] = math.Inf(1)
		if i < len(m.Inputs) && m.Inputs[i].Stored {
			s.stored[i] = 0
		}
	}
	for k := range m.execs {
		for range m.slots[k] {
			s.slots = append(s.slots, seconds(m.executor(k).Backlog))
		}
	}
	return s
}

func (s *state) clone() *state {
	c := *s
	c.finish, c.share, c.arrived, c.stored = slices.Clone(s.finish), slices.Clone(s.share), slices.Clone(s.arrived), slices.Clone(s.stored)
	c.slots, c.warm = slices.Clone(s.slots), slices.Clone(s.warm)
	return &c
}

// key tells apart states after a stage between which no comparison of times is enough: where the values are that are still
// needed, which functions are warm, which executors are in use.
func (m *model) key(s *state, stage int, b []byte) []byte {
	b = binary.AppendUvarint(b, s.used)
	for _, w := range s.warm {
		b = binary.AppendUvarint(b, w)
	}
	for src, last := range m.last {
		if last <= stage || src >= len(m.g.Inputs) && s.share[src] == nil {
			continue
		}
		b = binary.AppendUvarint(b, uint64(src))
		for _, n := range s.share[src] {
			b = binary.AppendUvarint(b, uint64(n))
		}
		var mask uint64
		for k, at := range s.arrived[src*len(m.execs) : (src+1)*len(m.execs)] {
			if !math.IsInf(at, 1) {
				mask |= 1 << k
			}
		}
		b = binary.AppendUvarint(b, mask)
		if math.IsInf(s.stored[src], 1) {
			b = append(b, 0)
		} else {
			b = append(b, 1)
		}
	}
	return b
}

// dominates reports whether whatever follows on b can follow on a and be no worse. Both have the same key.
func (m *model) dominates(a, b *state, stage int) bool {
	if m.Goal == Cost {
		return a.cost <= b.cost
	}
	if a.span > b.span || m.Goal == Product && a.cost > b.cost {
		return false
	}
	for src, last := range m.last {
		if last <= stage {
			continue
		}
		if a.finish[src] > b.finish[src] || a.stored[src] > b.stored[src] {
			return false
		}
		for k := range m.execs {
			if i := src*len(m.execs) + k; a.arrived[i] > b.arrived[i] {
				return false
			}
		}
	}
	for i := range a.slots {
		if a.slots[i] > b.slots[i] {
			return false
		}
	}
	return true
}
