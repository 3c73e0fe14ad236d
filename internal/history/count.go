package history

import (
	"cmp"
	"container/heap"
	"fmt"
	"slices"

	"github.com/anishathalye/porcupine"

	"github.com/squall-faas/squall/kvs"
)

// countsInOrder decides whether the operations on a counter are linearizable, exactly and without a search: a search would
// try all subsets of the increments whose result is unknown. Increments are alike, so one of them is linearized only when
// something forces it: it ends itself, or a read of a higher count does. Of those that have begun the one that ends first is
// taken, since it has the least choice. A later step can only help: more increments have begun, and reads of lower counts
// see theirs. A read is explained if the count was what it read at some moment between its begin and its end.
func countsInOrder(ops []porcupine.Operation) bool {
	type event struct {
		at  int64
		end bool
		op  int
	}
	events := make([]event, 0, 2*len(ops))
	for i, o := range ops {
		events = append(events, event{o.Call, false, i}, event{o.Return, true, i})
	}
	slices.SortFunc(events, func(a, b event) int { // at one moment begins come first: the intervals are closed
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(btoi(a.end), btoi(b.end)), cmp.Compare(a.op, b.op))
	})
	begun := &byReturn{ops: ops}
	done := make([]bool, len(ops))
	waiting := map[int64][]int{} // reads that have begun, by what they read
	count := int64(0)
	explain := func() {
		for _, r := range waiting[count] {
			done[r] = true
		}
		delete(waiting, count)
	}
	advance := func() bool {
		if begun.Len() == 0 {
			return false
		}
		done[heap.Pop(begun).(int)] = true
		count++
		explain()
		return true
	}
	for _, e := range events {
		s := ops[e.op].Input.(step)
		switch {
		case !e.end && s.kind == Increment:
			heap.Push(begun, e.op)
		case !e.end:
			waiting[s.n] = append(waiting[s.n], e.op)
			if s.n == count {
				explain()
			}
		case s.kind == Increment:
			for !done[e.op] {
				advance() // it is among those that have begun
			}
		default:
			for !done[e.op] {
				if s.n < count || !advance() {
					return false
				}
			}
		}
	}
	return true
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// byReturn is a heap of operations by their end.
type byReturn struct {
	ops  []porcupine.Operation
	heap []int
}

func (h *byReturn) Len() int { return len(h.heap) }
func (h *byReturn) Less(a, b int) bool {
	return cmp.Or(cmp.Compare(h.ops[h.heap[a]].Return, h.ops[h.heap[b]].Return), cmp.Compare(h.heap[a], h.heap[b])) < 0
}
func (h *byReturn) Swap(a, b int) { h.heap[a], h.heap[b] = h.heap[b], h.heap[a] }
func (h *byReturn) Push(x any)    { h.heap = append(h.heap, x.(int)) }
func (h *byReturn) Pop() any {
	last := len(h.heap) - 1
	x := h.heap[last]
	h.heap = h.heap[:last]
	return x
}

// explainCounter says why the operations on a counter are not linearizable: by a read that missed increments, or by two
// that went back, if there are such.
func (c *Checker) explainCounter(e *key, ops []porcupine.Operation) Violation {
	var ends []int64
	for _, o := range ops {
		if o.Input.(step).kind == Increment {
			ends = append(ends, o.Return)
		}
	}
	slices.Sort(ends)
	reads := slices.DeleteFunc(slices.Clone(ops), func(o porcupine.Operation) bool { return o.Input.(step).kind != ReadCounter })
	slices.SortFunc(reads, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	byEnd := slices.SortedFunc(slices.Values(reads), func(a, b porcupine.Operation) int { return cmp.Compare(a.Return, b.Return) })
	ended, best := 0, int32(-1) // the highest read that has ended
	for _, r := range reads {
		i, n := r.Metadata.(int32), r.Input.(step).n
		if least, _ := slices.BinarySearch(ends, r.Call); n < int64(least) {
			return c.violation(NotLinearizable, "%s: %d increments had been acknowledged before it began", c.name(i), least).at(c, i)
		}
		for ; ended < len(byEnd) && byEnd[ended].Return < r.Call; ended++ {
			if b := byEnd[ended]; best < 0 || b.Input.(step).n > c.ops[best].N {
				best = b.Metadata.(int32)
			}
		}
		if best >= 0 && c.ops[best].N > n {
			return c.violation(NotLinearizable, "%s: %s had ended before it began", c.name(i), c.name(best)).at(c, best, i)
		}
	}
	return Violation{Rule: NotLinearizable, Level: kvs.Strong.String(), Key: e.name,
		Why: fmt.Sprintf("no order of its %d increments and %d reads explains all that was read", len(ends), len(reads))}
}
