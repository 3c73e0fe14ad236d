package history

import "slices"

// maxCalls bounds the calls of one run: their order is kept as a bit per pair.
const maxCalls = 1 << 14

// orderCalls closes After transitively within each run.
func (c *Checker) orderCalls() error {
	for r := range c.runs {
		calls := c.runs[r].calls
		if len(calls) > maxCalls {
			return refuse(place{}, "run %s has %d calls with operations: at most %d can be checked; split it", c.runs[r].name, len(calls), maxCalls)
		}
		words := (len(calls) + 63) / 64
		waits := make([]int, len(calls)) // how many predecessors are not closed yet
		next := make([][]int32, len(calls))
		var ready []int32
		for i, l := range calls {
			c.calls[l].before = make([]uint64, words)
			waits[i] = len(c.calls[l].after)
			for _, p := range c.calls[l].after {
				next[c.calls[p].local] = append(next[c.calls[p].local], l)
			}
			if waits[i] == 0 {
				ready = append(ready, l)
			}
		}
		closed := 0
		for ; closed < len(ready); closed++ {
			p := &c.calls[ready[closed]]
			for _, l := range next[p.local] {
				b := &c.calls[l]
				for w := range b.before {
					b.before[w] |= p.before[w]
				}
				b.before[p.local/64] |= 1 << (p.local % 64)
				if waits[b.local]--; waits[b.local] == 0 {
					ready = append(ready, l)
				}
			}
		}
		if closed < len(calls) {
			for i, l := range calls {
				if waits[i] > 0 {
					first := c.ops[c.threads[c.calls[l].threads[0]].ops[0]]
					return refuse(first.at, "call %s of run %s comes after itself: its after leads back to it", c.calls[l].name, c.runs[r].name)
				}
			}
		}
	}
	return nil
}

// precedes reports whether a comes before b in the program order of their session.
func (c *Checker) precedes(a, b int32) bool {
	x, y := &c.ops[a], &c.ops[b]
	if x.thread == y.thread {
		return x.pos < y.pos
	}
	return x.run == y.run && c.inSession(a) && c.inSession(b) && c.callPrecedes(x.call, y.call)
}

// callPrecedes reports whether call a of a run comes before its call b.
func (c *Checker) callPrecedes(a, b int32) bool {
	n := c.calls[a].local
	return a != b && c.calls[b].before[n/64]&(1<<(n%64)) != 0
}

// inSession reports whether the operation is of an attempt that is known to be the run's.
func (c *Checker) inSession(i int32) bool { return c.calls[c.ops[i].call].session == c.ops[i].thread }

// bound reports whether the operation is one that the run's promise binds: of a counted attempt of a successful run.
func (c *Checker) bound(i int32) bool { return c.inSession(i) && c.runs[c.ops[i].run].outcome == OK }

// entry appends the operations that directly precede the first one of a call, in other calls of its session.
func (c *Checker) entry(last []int32, l int32) []int32 {
	seen := make([]uint64, len(c.calls[l].before))
	var walk func(l int32)
	walk = func(l int32) {
		for _, p := range c.calls[l].after {
			n := c.calls[p].local
			if seen[n/64]&(1<<(n%64)) != 0 {
				continue
			}
			seen[n/64] |= 1 << (n % 64)
			b := int32(-1)
			if t := c.calls[p].session; t >= 0 {
				b = c.lastOK(c.threads[t].ops)
			}
			if b >= 0 {
				last = append(last, b)
			} else {
				walk(p) // it did nothing that counts
			}
		}
	}
	walk(l)
	return last
}

// lastOK gives the last of some operations that succeeded, -1 if there is none. The others do not order what follows: a
// session that was told of an error does not know its own write.
func (c *Checker) lastOK(ops []int32) int32 {
	for _, i := range slices.Backward(ops) {
		if c.ops[i].Result == OK {
			return i
		}
	}
	return -1
}
