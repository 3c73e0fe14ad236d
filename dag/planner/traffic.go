package planner

// flow is what goes from one executor to another; from -1 is the client, or the store where the client has put it.
type flow struct {
	from, to int
	bytes    float64
}

const client = -1

// flows adds what an edge moves between the executors that make a value and those that need it. from is nil for an input.
func (m *model) flows(list []flow, e *edge, from, to share) []flow {
	tasks := float64(m.Work[e.node].Tasks)
	if from == nil {
		for k, n := range to {
			if n > 0 {
				b := e.bytes
				if e.pattern.cut() {
					b *= float64(n) / tasks
				}
				list = append(list, flow{m.holder(e, k), k, b})
			}
		}
		return list
	}
	made := 0
	for _, n := range from {
		made += n
	}
	if e.pattern == ItemToItem && made == m.Work[e.node].Tasks {
		return m.items(list, e.bytes/tasks, from, to)
	}
	for k, n := range to {
		if n == 0 {
			continue
		}
		for l, p := range from {
			if p > 0 {
				b := e.bytes * float64(p) / float64(made)
				if e.pattern.cut() {
					b *= float64(n) / tasks
				}
				list = append(list, flow{l, k, b})
			}
		}
	}
	return list
}

// items pairs tasks that make items with tasks that need them: those on one executor first, the others in order.
func (m *model) items(list []flow, each float64, from, to share) []flow {
	var spareFrom, spareTo [64]int
	for k := range to {
		stay := min(from[k], to[k])
		spareFrom[k], spareTo[k] = from[k]-stay, to[k]-stay
		if stay > 0 {
			list = append(list, flow{k, k, each * float64(stay)})
		}
	}
	l := 0
	for k := range to {
		for spareTo[k] > 0 {
			for spareFrom[l] == 0 {
				l++
			}
			n := min(spareFrom[l], spareTo[k])
			spareFrom[l] -= n
			spareTo[k] -= n
			list = append(list, flow{l, k, each * float64(n)})
		}
	}
	return list
}

// holder is the executor that has a copy of an input and is nearest to k.
func (m *model) holder(e *edge, k int) int {
	best, rank := client, -1.0
	for _, h := range m.holders[e.from] {
		r := 1 / (1 + 1/m.capacity[m.pair(h, k)])
		switch {
		case h == k:
			r = 3
		case m.host[h] == m.host[k]:
			r = 2
		}
		if r > rank {
			best, rank = h, r
		}
	}
	return best
}
