package history

import (
	"math"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/squall-faas/squall/kvs"
)

// Strong checks that the operations at strong are linearizable, key by key. A write whose result is unknown may have
// taken effect at any time after its begin, or never; writes at other levels are taken so, too. budget bounds the time
// that the search may take for all keys together, 0 is 30 s; a key that it was not enough for is undecided. Counters need
// no search.
func (c *Checker) Strong(budget time.Duration) []Violation {
	if budget <= 0 {
		budget = defaultStrong
	}
	deadline := time.Now().Add(budget)
	var found []Violation
	for k := range c.keys {
		e := &c.keys[k]
		ops := c.linear(e)
		if len(ops) == 0 {
			continue
		}
		if e.counter {
			if !countsInOrder(ops) {
				found = append(found, c.explainCounter(e, ops))
			}
			continue
		}
		left := max(time.Until(deadline)/4, time.Millisecond) // so that one key does not take it all
		switch porcupine.CheckOperationsTimeout(cell(false), ops, left) {
		case porcupine.Illegal:
			found = append(found, c.explain(e, ops, left))
		case porcupine.Unknown:
			found = append(found, Violation{Rule: Undecided, Level: kvs.Strong.String(), Key: e.name,
				Why: "whether its operations are linearizable was not found out in time: allow more, or record fewer operations a key"})
		}
	}
	return found
}

// step is what an operation does to a cell, or saw in it.
type step struct {
	kind Kind
	n    int64 // a write's number, absent, or a count
}

const absent = -1

// cell is a register whose state is the number of the last write, or a counter.
func cell(counter bool) porcupine.Model {
	initial := int64(absent)
	if counter {
		initial = 0
	}
	return porcupine.Model{
		Init: func() any { return initial },
		Step: func(state, input, _ any) (bool, any) {
			s := input.(step)
			switch s.kind {
			case Read, ReadCounter:
				return state.(int64) == s.n, state
			case Increment:
				return true, state.(int64) + 1
			default:
				return true, s.n
			}
		},
		Hash: func(state any) uint64 { return uint64(state.(int64)) * 0x9e3779b97f4a7c15 },
	}
}

// linear gives a key's operations as porcupine takes them, their indexes as metadata, the final state as one more read
// (-1). There are none where nothing of the key is strong.
func (c *Checker) linear(e *key) []porcupine.Operation {
	var ops []porcupine.Operation
	var last int64
	strong := false
	seen := map[int32]int64{} // by when a read had seen a write
	for _, i := range e.ops {
		o := &c.ops[i]
		strong = strong || o.level == kvs.Strong
		last = max(last, o.Begin, o.End)
		if o.Kind == Read && o.level == kvs.Strong && !c.thin[i] {
			for _, w := range o.vals {
				if t, there := seen[w]; !there || o.End < t {
					seen[w] = o.End
				}
			}
		}
	}
	if !strong {
		return nil
	}
	add := func(i int32, s step, begin, end int64) {
		ops = append(ops, porcupine.Operation{Input: s, Call: begin, Return: end, Metadata: i})
	}
	if e.final != nil && !e.counter && len(e.final.Values) < 2 { // a counter's is checked by Counters, siblings by Finals
		n := int64(absent)
		possible := true
		for _, v := range e.final.Values {
			w, ok := c.writer[v]
			possible = ok && c.ops[w].Result != Failed && c.keys[c.ops[w].key].name == e.name
			n = int64(w)
			if _, there := seen[w]; !there {
				seen[w] = last + 1
			}
		}
		if possible {
			add(-1, step{Read, n}, last+1, last+1)
		}
	}
	counted := c.counted(e)
	for _, i := range e.ops {
		o := &c.ops[i]
		mine := o.level == kvs.Strong
		end := int64(math.MaxInt64)
		if mine && o.Result == OK {
			end = o.End
		}
		switch {
		case o.Result == Failed || c.thin[i]:
		case o.Kind == Read && mine && o.Result == OK && len(o.vals) < 2:
			n := int64(absent)
			if len(o.vals) == 1 {
				n = int64(o.vals[0])
			}
			add(i, step{Read, n}, o.Begin, end)
		case o.Kind == ReadCounter && mine && o.Result == OK:
			add(i, step{ReadCounter, o.N}, o.Begin, end)
		case o.Kind == Write:
			// One that nobody saw need not have taken effect; one that was seen had by then.
			t, there := seen[i]
			if there {
				end = min(end, max(t, o.Begin))
			}
			if there || end != math.MaxInt64 {
				add(i, step{Write, int64(i)}, o.Begin, end)
			}
		case o.Kind == Delete:
			add(i, step{Delete, absent}, o.Begin, end)
		case o.Kind == Increment:
			if end, first := counted[o.Values[0]]; first { // by begin
				delete(counted, o.Values[0])
				add(i, step{Increment, 0}, o.Begin, end)
			}
		}
	}
	return ops
}

// counted gives by when each increment had certainly been counted: it may have been executed several times.
func (c *Checker) counted(e *key) map[string]int64 {
	ends := map[string]int64{}
	for _, i := range e.ops {
		o := &c.ops[i]
		if o.Kind != Increment || o.Result == Failed {
			continue
		}
		end := int64(math.MaxInt64)
		if o.Result == OK && o.level == kvs.Strong {
			end = o.End
		}
		if known, again := ends[o.Values[0]]; !again || end < known {
			ends[o.Values[0]] = end
		}
	}
	return ends
}
