package history

import "container/heap"

// lists are many short lists in one.
type lists struct{ at, all []int32 }

func (l *lists) of(n int32) []int32 { return l.all[l.at[n]:l.at[n+1]] }

// end ends the list that is being appended to all.
func (l *lists) end() {
	if len(l.at) == 0 {
		l.at = append(l.at, 0)
	}
	l.at = append(l.at, int32(len(l.all)))
}

// sessions is the shape of a graph: which operations are its members, and what is directly before each.
type sessions struct {
	members []int32
	before  func(to []int32, i int32) []int32 // appends
	over    func(i int32) []int32             // what a write replaced
}

// graph is operations in the causal order: members of sessions, and the writes that they saw. Its nodes are numbered by
// that order, and by begin where it leaves a choice: then what belongs together is close together.
type graph struct {
	c       *Checker
	op      []int32 // of each node
	session lists   // nodes directly before one in its session
	saw     lists   // nodes of the writes that one read or replaced
	cycle   []int32 // operations each of which is before the next, and the last before the first; none, if all is well
}

func newGraph(c *Checker, s sessions) *graph {
	raw := &graph{c: c}
	at := make(map[int32]int32, 2*len(s.members))
	add := func(i int32) int32 {
		n, fresh := number(at, i)
		if fresh {
			raw.op = append(raw.op, i)
		}
		return n
	}
	for _, i := range s.members {
		add(i)
	}
	var before []int32
	for _, i := range s.members {
		before = s.before(before[:0], i)
		for _, b := range before {
			if m, member := at[b]; member {
				raw.session.all = append(raw.session.all, m)
			}
		}
		raw.session.end()
		o := &c.ops[i]
		saw := o.vals
		switch {
		case o.writes():
			saw = s.over(i)
		case o.Kind == Read && len(o.Values) == 0: // any delete may be what it saw
			for _, w := range c.keys[o.key].deletes {
				add(w)
			}
		}
		for _, w := range saw {
			raw.saw.all = append(raw.saw.all, add(w))
		}
		raw.saw.end()
	}
	for len(raw.session.at) <= len(raw.op) { // what was added is before all else
		raw.session.end()
		raw.saw.end()
	}
	return raw.sorted()
}

// sorted numbers the nodes in causal order. Those on or behind a cycle are left out.
func (g *graph) sorted() *graph {
	n := len(g.op)
	waits := make([]int32, n)
	var next lists
	next.at = make([]int32, n+2)
	for _, from := range [2]*lists{&g.session, &g.saw} {
		for _, m := range from.all {
			next.at[m+2]++
		}
	}
	for i := 2; i < len(next.at); i++ {
		next.at[i] += next.at[i-1]
	}
	next.all = make([]int32, next.at[n+1])
	for i := range int32(n) {
		for _, from := range [2]*lists{&g.session, &g.saw} {
			for _, m := range from.of(i) {
				next.all[next.at[m+1]] = i
				next.at[m+1]++
				waits[i]++
			}
		}
	}
	ready := &byBegin{op: g.op}
	for i := range int32(n) {
		if waits[i] == 0 {
			ready.nodes = append(ready.nodes, i)
		}
	}
	heap.Init(ready)
	s := &graph{c: g.c}
	at := make([]int32, n)
	for i := range at {
		at[i] = -1
	}
	for ready.Len() > 0 {
		i := heap.Pop(ready).(int32)
		at[i] = int32(len(s.op))
		s.op = append(s.op, g.op[i])
		for _, m := range g.session.of(i) {
			s.session.all = append(s.session.all, at[m])
		}
		for _, m := range g.saw.of(i) {
			s.saw.all = append(s.saw.all, at[m])
		}
		s.session.end()
		s.saw.end()
		for _, m := range next.of(i) {
			if waits[m]--; waits[m] == 0 {
				heap.Push(ready, m)
			}
		}
	}
	if len(s.op) < n {
		s.cycle = g.findCycle(func(i int32) bool { return at[i] < 0 })
	}
	return s
}

// findCycle follows predecessors that are stuck, too, until one comes again.
func (g *graph) findCycle(stuck func(i int32) bool) []int32 {
	start := int32(0)
	for !stuck(start) {
		start++
	}
	step := map[int32]int{}
	var path []int32
	for i := start; ; {
		if from, again := step[i]; again {
			path = path[from:]
			break
		}
		step[i] = len(path)
		path = append(path, i)
		for _, from := range [2]*lists{&g.session, &g.saw} {
			for _, m := range from.of(path[len(path)-1]) {
				if stuck(m) {
					i = m
				}
			}
		}
	}
	least := 0 // where the cycle begins, to tell the same each time
	for n := range path {
		if g.op[path[n]] < g.op[path[least]] {
			least = n
		}
	}
	ops := make([]int32, len(path))
	for n := range path { // backwards, from the least on
		ops[n] = g.op[path[(least-n+len(path))%len(path)]]
	}
	return ops
}

// byBegin is a heap of nodes by the begin of their operations.
type byBegin struct{ op, nodes []int32 }

func (h *byBegin) Len() int           { return len(h.nodes) }
func (h *byBegin) Less(a, b int) bool { return h.op[h.nodes[a]] < h.op[h.nodes[b]] }
func (h *byBegin) Swap(a, b int)      { h.nodes[a], h.nodes[b] = h.nodes[b], h.nodes[a] }
func (h *byBegin) Push(x any)         { h.nodes = append(h.nodes, x.(int32)) }
func (h *byBegin) Pop() any {
	last := len(h.nodes) - 1
	x := h.nodes[last]
	h.nodes = h.nodes[:last]
	return x
}
