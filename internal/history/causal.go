package history

import (
	"cmp"
	"maps"
	"slices"

	"github.com/squall-faas/squall/kvs"
)

// SingleKey checks the runs at sk: for each key, what a run reads never goes back behind what it has read or written.
func (c *Checker) SingleKey() []Violation {
	members := c.atLevel(func(l kvs.Level) bool { return l == kvs.SingleKey })
	byKey := c.byKeyOf(members)
	s := c.keyByKey(members, c.overOf)
	var found []Violation
	for _, k := range slices.Sorted(maps.Keys(byKey)) {
		s.members = byKey[k]
		v := judge(newGraph(c, s), against{session: c.bound})
		found = append(found, v.cycles()...)
		for n := range int32(len(v.op)) {
			if s := &v.session[n]; s.is(v.asks.of(n)) {
				found = append(found, v.violation(WentBack, n, s, "its run had read or written that, or what replaced it, before"))
			}
		}
	}
	return found
}

// MultiKey checks the nodes at mk: a node that has returned a version returns from then on nothing older than what that
// version depends on.
func (c *Checker) MultiKey() []Violation {
	found, _ := c.multiKey()
	return found
}

// DistributedSession checks the runs at dsc: repeatable reads, own writes, no dependency missed; and, under a rule of its
// own, Cut, that nothing read depends on a newer version than the run has read elsewhere.
func (c *Checker) DistributedSession() []Violation {
	_, found := c.multiKey()
	return found
}

// atLevel lists the operations of some levels that versions matter for.
func (c *Checker) atLevel(of func(kvs.Level) bool) []int32 {
	var members []int32
	for i := range c.ops {
		if of(c.ops[i].level) && !c.ops[i].counts() {
			members = append(members, int32(i))
		}
	}
	return members
}

// overOf gives what a write replaced as it was recorded.
func (c *Checker) overOf(i int32) []int32 { return c.ops[i].over }

// wholeRuns makes sessions of all that a run does.
func (c *Checker) wholeRuns(members []int32, over func(int32) []int32) sessions {
	return sessions{members: members, over: over, before: func(to []int32, i int32) []int32 {
		o := &c.ops[i]
		if b := c.lastOK(c.threads[o.thread].ops[:o.pos]); b >= 0 {
			return append(to, b)
		}
		if c.inSession(i) {
			return c.entry(to, o.call)
		}
		return to
	}}
}

// keyByKey makes sessions of what a run does to one key each.
func (c *Checker) keyByKey(members []int32, over func(int32) []int32) sessions {
	type group struct{ run, key int32 }
	groups := map[group][]int32{}
	before := map[int32][]int32{}
	for _, i := range members {
		g := group{c.ops[i].run, c.ops[i].key}
		groups[g] = append(groups[g], i)
	}
	for _, ops := range groups {
		slices.SortFunc(ops, func(a, b int32) int {
			return cmp.Or(cmp.Compare(c.ops[a].thread, c.ops[b].thread), cmp.Compare(c.ops[a].pos, c.ops[b].pos))
		})
		var heads, lasts []int32 // of the attempts: those that nothing precedes in theirs, and the last that succeeded
		for from := 0; from < len(ops); {
			last := int32(-1)
			n := from
			for ; n < len(ops) && c.ops[ops[n]].thread == c.ops[ops[from]].thread; n++ {
				if last >= 0 {
					before[ops[n]] = []int32{last}
				} else {
					heads = append(heads, ops[n])
				}
				if c.ops[ops[n]].Result == OK {
					last = ops[n]
				}
			}
			if last >= 0 {
				lasts = append(lasts, last)
			}
			from = n
		}
		for _, i := range heads {
			for _, a := range lasts {
				if c.ops[a].thread != c.ops[i].thread && c.precedes(a, i) {
					before[i] = append(before[i], a)
				}
			}
		}
	}
	return sessions{members: members, over: over, before: func(to []int32, i int32) []int32 { return append(to, before[i]...) }}
}

// multiKey checks mk and dsc, whose writes may depend on each other.
func (c *Checker) multiKey() (mk, dsc []Violation) {
	members := c.atLevel(func(l kvs.Level) bool { return l == kvs.MultiKey || l == kvs.DistributedSession })
	isDSC := func(i int32) bool { return c.ops[i].level == kvs.DistributedSession && c.bound(i) }
	isMK := func(i int32) bool { return c.ops[i].level == kvs.MultiKey }
	v := judge(newGraph(c, c.wholeRuns(members, c.overOf)), against{session: isDSC, cut: isDSC, node: isMK})
	for _, cycle := range v.cycles() {
		if cycle.Level == kvs.DistributedSession.String() {
			dsc = append(dsc, cycle)
		} else {
			mk = append(mk, cycle)
		}
	}
	for n := range int32(len(v.op)) {
		if s := &v.node[n]; s.is(v.asks.of(n)) {
			mk = append(mk, v.violation(NodeCut, n, s, "node "+c.ops[v.op[n]].Node+" had already returned that, or what depends on it"))
		}
	}
	return mk, append(dsc, c.distributed(v, isDSC)...)
}

// distributed tells what is wrong with runs at dsc: by the simplest rule that explains a read.
func (c *Checker) distributed(v *verdicts, of func(int32) bool) []Violation {
	var found []Violation
	type place struct{ run, key string }
	told := map[place]bool{}
	for r := range c.runs {
		if len(c.runs[r].threads) == 0 || !of(c.threads[c.runs[r].threads[0]].ops[0]) {
			continue
		}
		for _, bad := range c.repeatable(int32(r), true) {
			found = append(found, bad)
			told[place{bad.Run, bad.Key}] = true
		}
	}
	for n := range int32(len(v.op)) {
		asks, o := v.asks.of(n), &c.ops[v.op[n]]
		switch s, cut := &v.session[n], &v.cut[n]; {
		case told[place{o.Run, o.Key}]:
		case s.is(asks):
			found = append(found, v.violation(MissedDependency, n, s, "its run had read or written what depends on that before"))
		case cut.is(asks):
			found = append(found, v.violation(Cut, n, cut, "elsewhere its run read what depends on that"))
		}
	}
	return found
}

// violation explains a stale read.
func (p *past) violation(rule Rule, n int32, s *stale, why string) Violation {
	c := p.c
	i, by := p.op[n], p.op[s.by]
	old := "the absence of " + c.ops[i].Key
	if m := p.versions[s.version].maker; m >= 0 {
		old = c.name(p.op[m])
	}
	return c.violation(rule, "%s: %s is older than %s, and %s", c.name(i), old, c.name(by), why).at(c, by, i)
}

// cycles reports operations that precede themselves.
func (g *graph) cycles() []Violation {
	if len(g.cycle) == 0 {
		return nil
	}
	why := "each of these comes before the next in its session or was read by it, and the last before the first"
	for _, i := range g.cycle[:min(6, len(g.cycle))] {
		why += "; " + g.c.name(i)
	}
	return []Violation{g.c.violation(CausalCycle, "%s", why).at(g.c, g.cycle...)}
}
