package history

import (
	"slices"

	"github.com/squall-faas/squall/kvs"
)

// addKey adds to the graph what follows from one key, and gives the updates of it that were lost.
func (t *transactions) addKey(g *dsg, k int32) []Violation {
	c := t.c
	e := &c.keys[k]
	v := t.order(e)
	for from, next := range v.next {
		for _, to := range next {
			g.add(dependency{t.of[from], t.of[to], overwrote, from, to})
		}
	}
	for _, i := range e.ops {
		o := &c.ops[i]
		switch {
		case o.Kind != Read || o.Result != OK || t.of[i] < 0 || c.thin[i]:
		case len(o.vals) == 1:
			w := o.vals[0]
			if t.of[w] >= 0 {
				g.add(dependency{t.of[w], t.of[i], read, w, i})
			}
			if next := t.nextOf(v, w); next >= 0 {
				t.missed(g, i, next)
			}
		case len(o.vals) == 0 && len(e.deletes) == 0: // it found the key as it was before all writes, not as a delete left it
			if len(v.first) > 0 {
				t.missed(g, i, v.first[0])
			}
			for _, w := range v.blind {
				t.missed(g, i, w)
			}
		}
	}
	return t.lostUpdates(v)
}

// missed adds that a read did not see write w, which came later. If that is of the same transaction, what overwrote it
// follows from there.
func (t *transactions) missed(g *dsg, i, w int32) { g.add(dependency{t.of[i], t.of[w], missed, i, w}) }

// versionOrder is the order of a key's committed versions, as far as it is known. There is one way on from each version
// unless an update was lost.
type versionOrder struct {
	next  map[int32][]int32 // what replaced a version, by begin
	first []int32           // writes that found nothing, by begin
	blind []int32           // writes of which nothing is known but that they come after the beginning
}

func (t *transactions) order(e *key) *versionOrder {
	c := t.c
	v := &versionOrder{next: map[int32][]int32{}}
	own := map[int32]int32{} // the latest write of a transaction
	for _, w := range e.writes {
		if t.of[w] < 0 {
			continue
		}
		last := int32(-1)
		if u, again := own[t.of[w]]; again && c.precedes(u, w) {
			last = u
		} else {
			for _, u := range c.ops[w].over {
				if t.of[u] >= 0 && (last < 0 || c.replaced(last, u) || !c.replaced(u, last) && u > last) {
					last = u
				}
			}
		}
		own[t.of[w]] = w
		switch {
		case last >= 0:
			v.next[last] = append(v.next[last], w)
		case t.foundNothing(e, w):
			v.first = append(v.first, w)
		default:
			v.blind = append(v.blind, w)
		}
	}
	return v
}

// foundNothing reports whether the transaction of write w had read that the key did not exist, and never had.
func (t *transactions) foundNothing(e *key, w int32) bool {
	c := t.c
	return len(e.deletes) == 0 && c.ops[w].level == kvs.Transaction && slices.ContainsFunc(c.threads[c.ops[w].thread].ops, func(i int32) bool {
		o := &c.ops[i]
		return o.Kind == Read && o.Result == OK && c.keys[o.key].name == e.name && len(o.Values) == 0 && c.precedes(i, w)
	})
}

// nextOf gives the version of another transaction that came next, -1 if there is none or it is not known.
func (t *transactions) nextOf(v *versionOrder, w int32) int32 {
	seen := 0
	for u := w; len(v.next[u]) > 0 && seen <= len(v.next); seen++ { // what is recorded may go round in a circle
		u = v.next[u][0]
		if t.of[u] != t.of[w] {
			return u
		}
	}
	return -1
}

// lostUpdates finds versions that two transactions replaced: neither saw the other's, and one of the two is gone. However
// they are ordered, there is a cycle with one anti-dependency.
func (t *transactions) lostUpdates(v *versionOrder) []Violation {
	c := t.c
	var found []Violation
	note := func(what string, rivals []int32) {
		for _, w := range rivals[min(1, len(rivals)):] {
			if u := rivals[0]; t.of[u] != t.of[w] {
				found = append(found, c.violation(SingleDependency, "lost update: %s and %s both replaced %s", c.name(u), c.name(w), what).at(c, u, w))
			}
		}
	}
	note("nothing", v.first)
	for u, rivals := range v.next {
		note(c.name(u), rivals)
	}
	slices.SortFunc(found, func(a, b Violation) int { return slices.Compare(a.Ops, b.Ops) })
	return found
}
