package history

import (
	"slices"

	"github.com/squall-faas/squall/kvs"
)

// Counts reports whether Anomalies looks for what a level rules out.
func Counts(l kvs.Level) bool { return l.Causal() || l.Repeatable() }

// Anomalies counts, of the successful runs at lww, how many saw or did what rr, sk, mk and dsc rule out (Cloudburst §6.2.2,
// Table 2). A level has no entry where no run broke its promise. That some have one is what shows that a workload can tell
// the levels apart at all.
func (c *Checker) Anomalies() map[string]int {
	members := c.atLevel(func(l kvs.Level) bool { return l == kvs.LWW })
	over := c.derived()
	overOf := func(i int32) []int32 { return over[i] }
	broke := map[kvs.Level]map[int32]bool{}
	add := func(l kvs.Level, i int32) {
		if !c.bound(i) {
			return
		}
		if broke[l] == nil {
			broke[l] = map[int32]bool{}
		}
		broke[l][c.ops[i].run] = true
	}
	for r := range c.runs {
		if c.runs[r].level != kvs.LWW || c.runs[r].outcome != OK || len(c.runs[r].threads) == 0 {
			continue
		}
		one := c.threads[c.runs[r].threads[0]].ops[0]
		if len(c.repeatable(int32(r), false)) > 0 {
			add(kvs.RepeatableRead, one)
			add(kvs.DistributedSession, one)
		}
	}
	for _, i := range c.unseen(members, overOf) {
		add(kvs.SingleKey, i)
	}

	s := c.keyByKey(members, overOf)
	for _, of := range c.byKeyOf(members) {
		s.members = of
		v := judge(newGraph(c, s), against{session: c.bound})
		for n := range int32(len(v.op)) {
			if v.session[n].is(v.asks.of(n)) {
				add(kvs.SingleKey, v.op[n])
			}
		}
	}

	onNode := func(i int32) bool { return c.ops[i].Node != "" }
	v := judge(newGraph(c, c.wholeRuns(members, overOf)), against{session: c.bound, cut: c.bound, node: onNode})
	for n := range int32(len(v.op)) {
		asks, i := v.asks.of(n), v.op[n]
		if v.node[n].is(asks) {
			add(kvs.MultiKey, i)
		}
		if v.session[n].is(asks) || v.cut[n].is(asks) {
			add(kvs.DistributedSession, i)
		}
	}
	count := map[string]int{}
	for l, runs := range broke {
		count[l.String()] = len(runs)
	}
	return count
}

// derived gives what writes replaced at a level that does not record it: what their session had read or written of the
// key before.
func (c *Checker) derived() map[int32][]int32 {
	over := map[int32][]int32{}
	for r := range c.runs {
		if c.runs[r].level != kvs.LWW {
			continue
		}
		for _, group := range c.byKey(c.runs[r].threads, func(o *op) bool { return !o.counts() }) {
			for _, w := range group {
				if !c.ops[w].writes() {
					continue
				}
				for _, i := range group {
					o := &c.ops[i]
					if i == w || o.Result != OK || c.thin[i] || !c.precedes(i, w) {
						continue
					}
					if o.writes() {
						over[w] = append(over[w], i)
					} else {
						over[w] = append(over[w], o.vals...)
					}
				}
				slices.Sort(over[w])
				over[w] = slices.Compact(over[w])
			}
		}
	}
	return over
}

// unseen lists acknowledged writes that are gone although no write that took their place had read them: concurrent updates
// that sk would have kept.
func (c *Checker) unseen(members []int32, over func(int32) []int32) []int32 {
	var lost []int32
	for k, of := range c.byKeyOf(members) {
		e := &c.keys[k]
		if e.final == nil {
			continue
		}
		ends := c.versions(k, e.final)
		by := c.replacers(e, over)
		for _, w := range of {
			if o := &c.ops[w]; o.Kind == Write && o.kept() && !c.reflected(w, ends, by) {
				lost = append(lost, w)
			}
		}
	}
	return lost
}

// byKeyOf sorts operations by key.
func (c *Checker) byKeyOf(members []int32) map[int32][]int32 {
	keys := map[int32][]int32{}
	for _, i := range members {
		keys[c.ops[i].key] = append(keys[c.ops[i].key], i)
	}
	return keys
}
