package history

import (
	"fmt"
	"slices"
	"time"

	"github.com/squall-faas/squall/kvs"
)

// MaxSkew is how far the clocks of two nodes that may write can differ: each is at most half of it off the fleet's
// median. So a write that began this much after another had ended has the higher clock.
const MaxSkew = 500 * time.Millisecond

// ThinAir finds what was read although nobody had written it, or not with effect, or only later.
func (c *Checker) ThinAir() []Violation { return slices.Clone(c.thinAir) }

// Siblings finds several values where a level shows one, and siblings of which one replaced another.
func (c *Checker) Siblings() []Violation {
	var found []Violation
	for i := range c.ops {
		o := &c.ops[i]
		if len(o.vals) < 2 || o.Kind != Read || c.thin[i] {
			continue
		}
		if !o.level.Causal() {
			found = append(found, c.violation(SiblingsShown, "%s: level %v shows one value", c.name(int32(i)), o.level).at(c, int32(i)))
		} else if old, by, ok := c.replacedAmong(o.vals); ok {
			found = append(found, c.violation(ReplacedSibling, "%s has %s beside %s, which had replaced it",
				c.name(int32(i)), c.ops[old].Values[0], c.name(by)).at(c, old, by, int32(i)))
		}
	}
	return found
}

// replacedAmong finds among versions one that another replaced.
func (c *Checker) replacedAmong(versions []int32) (old, by int32, ok bool) {
	for _, by := range versions {
		for _, old := range versions {
			if old != by && c.replaced(old, by) {
				return old, by, true
			}
		}
	}
	return 0, 0, false
}

// replaced reports whether write by replaced write old, transitively.
func (c *Checker) replaced(old, by int32) bool {
	if len(c.ops[by].over) == 0 {
		return false
	}
	seen := map[int32]bool{by: true}
	for todo := []int32{by}; len(todo) > 0; {
		w := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, u := range c.ops[w].over {
			if u == old {
				return true
			}
			// What had ended before old began did not know it.
			if !seen[u] && (c.ops[u].End == 0 || c.ops[u].End >= c.ops[old].Begin) {
				seen[u] = true
				todo = append(todo, u)
			}
		}
	}
	return false
}

// Finals checks the end: every acknowledged write is there or was superseded by one that was allowed to, and all places
// agree. Keys without a recorded final state are left out. What strong writes left is checked by Strong.
func (c *Checker) Finals() []Violation {
	var found []Violation
	for k := range c.keys {
		e := &c.keys[k]
		if e.counter || e.final == nil {
			continue
		}
		ends := c.versions(int32(k), e.final)
		kept, causal, strong := c.discipline(e)
		if len(ends) > 1 && !causal {
			found = append(found, Violation{Rule: Diverged, Key: e.name, Why: fmt.Sprintf("the store ends with %s: at the levels of its writers one value wins", list(e.final.Values))})
		}
		if old, by, ok := c.replacedAmong(ends); ok {
			found = append(found, c.violation(ReplacedSibling, "the store ends with %s beside %s, which had replaced it", c.ops[old].Values[0], c.name(by)).at(c, old, by))
		}
		switch {
		case len(kept) == 0:
		case causal:
			found = append(found, c.lostSiblings(e, ends, kept)...)
		case !strong:
			found = append(found, c.lostByOrder(e, ends, kept)...)
		}
		for _, f := range e.seen {
			if !sameSet(f.Values, e.final.Values) {
				found = append(found, Violation{Rule: Diverged, Key: e.name, Why: fmt.Sprintf(
					"node %s ends with %s, the store with %s: everything was quiet, so the node never heard of it", f.Node, list(f.Values), list(e.final.Values))})
			}
		}
	}
	return found
}

// versions are the writes that a final state shows.
func (c *Checker) versions(k int32, f *Final) []int32 {
	var ends []int32
	for _, v := range f.Values {
		if w, ok := c.writer[v]; ok && c.ops[w].key == k {
			ends = append(ends, w)
		}
	}
	return ends
}

// discipline gives a key's writes that have to be accounted for at the end, and whether all of its writers keep what they
// have not seen, or all are strong.
func (c *Checker) discipline(e *key) (kept []int32, causal, strong bool) {
	causal, strong = true, true
	for _, w := range e.writes {
		o := &c.ops[w]
		causal = causal && o.level.Causal()
		strong = strong && o.level == kvs.Strong
		if o.kept() && (o.level != kvs.Transaction || c.bound(w)) { // a transaction is acknowledged by its run's end
			kept = append(kept, w)
		}
	}
	return kept, causal, strong
}

// lostSiblings finds writes that vanished without a write that had seen them.
func (c *Checker) lostSiblings(e *key, ends, kept []int32) []Violation {
	var found []Violation
	by := c.replacers(e, func(w int32) []int32 { return c.ops[w].over })
	for _, w := range kept {
		if c.ops[w].Kind == Write && !c.reflected(w, ends, by) {
			found = append(found, c.violation(LostWrite, "%s was acknowledged; the store ends with %s, and no write that took effect had read it",
				c.name(w), list(e.final.Values)).at(c, w))
		}
		for _, u := range c.ops[w].over {
			if c.ops[w].Kind == Delete && slices.Contains(ends, u) {
				found = append(found, c.violation(LostWrite, "%s was acknowledged, but %s, which it deleted, is there at the end", c.name(w), c.ops[u].Values[0]).at(c, u, w))
			}
		}
	}
	return found
}

// replacers turns over around: for each write of a key those that replaced it, failed ones left out.
func (c *Checker) replacers(e *key, over func(int32) []int32) map[int32][]int32 {
	by := map[int32][]int32{}
	for _, w := range e.writes {
		o := &c.ops[w]
		if o.Result == Failed || o.level == kvs.Transaction && c.runs[o.run].outcome == Failed {
			continue
		}
		for _, u := range over(w) {
			by[u] = append(by[u], w)
		}
	}
	return by
}

// reflected reports whether w is accounted for: it is there, or a write that had read it is. One that was acknowledged
// counts as being there: if it is not, that is its own loss.
func (c *Checker) reflected(w int32, ends []int32, by map[int32][]int32) bool {
	seen := map[int32]bool{w: true}
	for todo := []int32{w}; len(todo) > 0; {
		u := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if slices.Contains(ends, u) {
			return true
		}
		for _, r := range by[u] {
			if c.ops[r].kept() || c.ops[r].Kind == Delete {
				return true
			}
			if !seen[r] {
				seen[r] = true
				todo = append(todo, r)
			}
		}
	}
	return false
}

// lostByOrder finds out whether the last write won. Where nothing is left, one of the deletes must have.
func (c *Checker) lostByOrder(e *key, ends, kept []int32) []Violation {
	if len(ends) == 0 {
		ends = e.deletes
	}
	var lost []int32
	for _, w := range kept {
		won := false
		for _, f := range slices.Backward(ends) { // the latest is the likeliest
			if won = !c.surelyBefore(f, w); won {
				break
			}
		}
		if !won {
			lost = append(lost, w)
		}
	}
	if len(lost) == 0 {
		return nil
	}
	last := lost[len(lost)-1]
	why := "nobody deleted it"
	if len(ends) > 0 {
		why = "that is older"
	}
	if c.ops[last].Kind == Delete && len(ends) == 0 {
		return nil // it is gone, as it should be
	}
	more := ""
	if len(lost) > 1 {
		more = fmt.Sprintf(" (so were %d other writes of the key)", len(lost)-1)
	}
	return []Violation{c.violation(LostWrite, "%s was acknowledged%s; the store ends with %s: %s", c.name(last), more, list(e.final.Values), why).at(c, last)}
}

// surelyBefore reports whether write f comes before w where one write wins: by the clocks, or because w knew it.
func (c *Checker) surelyBefore(f, w int32) bool {
	x, y := &c.ops[f], &c.ops[w]
	if f == w {
		return false
	}
	if x.Stamp != (Stamp{}) && y.Stamp != (Stamp{}) {
		return x.Stamp.Compare(y.Stamp) < 0
	}
	if c.replaced(f, w) {
		return true
	}
	if x.level == kvs.Transaction || y.level == kvs.Transaction {
		return false // serializable is not strictly so: the order may be another than that in time
	}
	if x.End != 0 && x.End+int64(MaxSkew) < y.Begin {
		return true
	}
	// The writer's own clock had passed what it had read or written of the key in the same call.
	for _, i := range c.threads[y.thread].ops[:y.pos] {
		if p := &c.ops[i]; i == f || p.key == y.key && slices.Contains(p.vals, f) && p.Kind == Read {
			return true
		}
	}
	return false
}

func sameSet(a, b []string) bool {
	x, y := slices.Clone(a), slices.Clone(b)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(slices.Compact(x), slices.Compact(y))
}
