package history

import (
	"cmp"
	"slices"

	"github.com/squall-faas/squall/kvs"
)

// RepeatableRead checks the runs at rr: a run sees one version of each key, or what it wrote itself (Cloudburst §5.3).
func (c *Checker) RepeatableRead() []Violation {
	var found []Violation
	for r := range c.runs {
		if c.runs[r].level == kvs.RepeatableRead && c.runs[r].outcome == OK {
			found = append(found, c.repeatable(int32(r), false)...)
		}
	}
	return found
}

// byKey groups operations of a run's session by their key, each group by begin.
func (c *Checker) byKey(threads []int32, of func(*op) bool) [][]int32 {
	var all []int32
	for _, t := range threads {
		for _, i := range c.threads[t].ops {
			if of(&c.ops[i]) {
				all = append(all, i)
			}
		}
	}
	slices.SortFunc(all, func(a, b int32) int { return cmp.Or(cmp.Compare(c.ops[a].key, c.ops[b].key), cmp.Compare(a, b)) })
	var groups [][]int32
	for len(all) > 0 {
		n := 1
		for n < len(all) && c.ops[all[n]].key == c.ops[all[0]].key {
			n++
		}
		groups = append(groups, all[:n])
		all = all[n:]
	}
	return groups
}

// repeatable checks one run; siblings tells whether its level keeps concurrent writes as such.
func (c *Checker) repeatable(r int32, siblings bool) []Violation {
	var found []Violation
	for _, group := range c.byKey(c.runs[r].threads, func(o *op) bool { return !o.counts() }) {
		g := keyOfRun{c: c, siblings: siblings, base: -1}
		for _, i := range group {
			if o := &c.ops[i]; o.writes() && o.Result != Failed {
				g.own = append(g.own, i)
			}
		}
		for _, i := range group {
			if o := &c.ops[i]; o.Kind == Read && o.Result == OK && !c.thin[i] {
				g.reads = append(g.reads, i)
			}
		}
		found = append(found, g.check()...)
	}
	return found
}

// keyOfRun is what one run did to one key.
type keyOfRun struct {
	c          *Checker
	siblings   bool
	own, reads []int32
	base       int32 // the first read of the version that the run works on; -1 while there is none
}

func (g *keyOfRun) check() []Violation {
	c := g.c
	var found []Violation
	var mixed []int32 // reads that show the run's own writes
	for _, i := range g.reads {
		missed, why := g.missed(i)
		switch {
		case missed >= 0:
			found = append(found, c.violation(OwnWrite, "%s: the run had done %s before, and %s", c.name(i), c.name(missed), why).at(c, missed, i))
		case g.shown(i):
			mixed = append(mixed, i)
		case g.base < 0:
			g.base = i
		case !slices.Equal(c.ops[i].vals, c.ops[g.base].vals):
			found = append(found, c.violation(Unrepeatable, "%s: the run had seen another version, in %s", c.name(i), c.name(g.base)).at(c, g.base, i))
		}
	}
	return append(found, g.grown(mixed)...)
}

// missed gives a write that the run had certainly made before the read, and that the read does not show although nothing
// later of the run hides it; -1 if there is none.
func (g *keyOfRun) missed(i int32) (w int32, why string) {
	c := g.c
	vals := c.ops[i].vals
	for n, w := range g.own {
		if c.ops[w].Result != OK || !c.precedes(w, i) {
			continue
		}
		between := func(u int32) bool { return c.precedes(w, u) && c.precedes(u, i) }
		if slices.ContainsFunc(g.own[n+1:], between) || slices.ContainsFunc(g.own[:n], between) { // the next one, as a rule
			continue
		}
		if c.ops[w].Kind == Delete {
			if slices.ContainsFunc(vals, func(v int32) bool {
				return slices.Contains(c.ops[w].over, v) || c.precedes(v, w) || !g.siblings && !slices.Contains(g.own, v)
			}) {
				return w, "what it deleted is there again"
			}
			continue
		}
		covered := slices.ContainsFunc(vals, func(v int32) bool {
			if v == w || slices.Contains(g.own, v) && (c.precedes(w, v) || !g.siblings && !c.precedes(v, w)) {
				return true
			}
			return g.siblings && c.replaced(w, v)
		})
		if !covered && !g.gone(i) {
			return w, "does not see it"
		}
	}
	return -1, ""
}

// gone reports whether the read sees nothing because a delete of the run, in a parallel branch, may have been last.
func (g *keyOfRun) gone(i int32) bool {
	return len(g.c.ops[i].vals) == 0 && slices.ContainsFunc(g.own, func(u int32) bool {
		return g.c.ops[u].Kind == Delete && !g.c.precedes(u, i) && !g.c.precedes(i, u)
	})
}

// shown reports whether the read's version holds something of the run itself.
func (g *keyOfRun) shown(i int32) bool {
	vals := g.c.ops[i].vals
	for _, w := range g.own {
		if slices.Contains(vals, w) {
			return true
		}
		// A delete takes away without showing. A write that another hid in the meantime leaves no trace either.
		if g.c.precedes(w, i) || g.c.ops[w].Kind == Delete && !g.c.precedes(i, w) && len(vals) == 0 {
			return true
		}
	}
	return false
}

// grown finds reads of own writes that show beside them what the version did not hold that the run works on.
func (g *keyOfRun) grown(mixed []int32) []Violation {
	c := g.c
	foreign := func(i int32) []int32 {
		return slices.DeleteFunc(slices.Clone(c.ops[i].vals), func(v int32) bool { return slices.Contains(g.own, v) })
	}
	base := g.base
	for _, i := range mixed {
		if g.base < 0 && (base < 0 || len(foreign(i)) > len(foreign(base))) {
			base = i
		}
	}
	var found []Violation
	for _, i := range mixed {
		known := foreign(base)
		for _, v := range foreign(i) {
			if !slices.Contains(known, v) {
				first, second := min(base, i), max(base, i)
				found = append(found, c.violation(Unrepeatable, "%s: %s of another run has come in since %s", c.name(second), c.ops[v].Values[0], c.name(first)).at(c, first, second))
				break
			}
		}
	}
	return found
}
