package history

import (
	"slices"

	"github.com/squall-faas/squall/kvs"
)

// Transactions checks that the runs at txn are serializable among the keys of each {tag}: by the direct serialization
// graph of those that committed (Adya 1999, §3.1; Adya, Liskov, O'Neil, ICDE 2000), which has no cycle if and only if they
// are. The order of a key's versions is known from what each write replaced. A transaction whose outcome is unknown
// counts as committed if somebody saw one of its writes.
func (c *Checker) Transactions() []Violation {
	t := &transactions{c: c, of: make([]int32, len(c.ops))}
	t.gather()
	found := t.dirtyReads()
	byTag := map[string][]int32{}
	var tags []string
	for k := range c.keys {
		if !slices.ContainsFunc(c.keys[k].ops, func(i int32) bool { return c.ops[i].level == kvs.Transaction }) {
			continue
		}
		tag := kvs.Key(c.keys[k].name).Tag()
		if byTag[tag] == nil {
			tags = append(tags, tag)
		}
		byTag[tag] = append(byTag[tag], int32(k))
	}
	for _, tag := range tags {
		g := &dsg{c: c, next: map[int32][]dependency{}}
		for _, k := range byTag[tag] {
			found = append(found, t.addKey(g, k)...)
		}
		found = append(found, g.cycles(tag)...)
	}
	return found
}

// transactions are the runs at txn.
type transactions struct {
	c *Checker
	// of is the transaction of each operation, -1 if it is in none that committed. A run is one; an attempt that did not
	// count is one of its own, of which only the writes are there; so is each write at another level.
	of []int32
}

// gather finds out what committed.
func (t *transactions) gather() {
	c := t.c
	seen := map[int32]bool{}             // writes that somebody saw
	visible := make([]bool, len(c.runs)) // somebody saw a write of the run
	note := func(by int32, versions []int32) {
		for _, w := range versions {
			if by < 0 || c.ops[by].run != c.ops[w].run {
				seen[w] = true
				visible[c.ops[w].run] = true
			}
		}
	}
	for i := range c.ops {
		if o := &c.ops[i]; o.Kind == Read || o.writes() && o.Result != Failed && c.runs[o.run].outcome != Failed {
			note(int32(i), slices.Concat(o.vals, o.over))
		}
	}
	for k := range c.keys {
		if f := c.keys[k].final; f != nil {
			note(-1, c.versions(int32(k), f))
		}
	}
	for i := range c.ops {
		o := &c.ops[i]
		t.of[i] = -1
		outcome := c.runs[o.run].outcome
		if o.level != kvs.Transaction {
			if o.writes() && (o.Result == OK || seen[int32(i)]) {
				t.of[i] = int32(len(c.runs) + len(c.threads) + i)
			}
			continue
		}
		switch {
		case o.Result == Failed || outcome == Failed || outcome == Unknown && !visible[o.run]:
		case c.inSession(int32(i)):
			t.of[i] = o.run
		case o.writes():
			t.of[i] = int32(len(c.runs)) + o.thread
		}
	}
}

// dirtyReads finds reads of what was never committed, or not so.
func (t *transactions) dirtyReads() []Violation {
	c := t.c
	var found []Violation
	aborted := func(w int32) bool {
		return c.ops[w].level == kvs.Transaction && c.ops[w].Result != Failed && c.runs[c.ops[w].run].outcome == Failed
	}
	for i := range c.ops {
		o := &c.ops[i]
		for _, w := range o.vals {
			if c.ops[w].run == o.run || c.ops[w].level != kvs.Transaction {
				continue
			}
			if aborted(w) {
				found = append(found, c.violation(AbortedRead, "%s saw %s, whose transaction failed", c.name(int32(i)), c.name(w)).at(c, w, int32(i)))
			} else if u := t.overwrite(w); u >= 0 {
				found = append(found, c.violation(IntermediateRead, "%s saw %s, which its own transaction had overwritten with %s before it committed",
					c.name(int32(i)), c.name(w), c.name(u)).at(c, w, u, int32(i)))
			}
		}
	}
	for k := range c.keys {
		f := c.keys[k].final
		if f == nil {
			continue
		}
		for _, w := range c.versions(int32(k), f) {
			if aborted(w) {
				found = append(found, c.violation(AbortedRead, "the store ends with %s, whose transaction failed", c.name(w)).at(c, w))
			}
		}
	}
	return found
}

// overwrite gives a later write of the same transaction to the same key, -1 if there is none.
func (t *transactions) overwrite(w int32) int32 {
	c := t.c
	if t.of[w] < 0 || t.of[w] >= int32(len(c.runs)) {
		return -1
	}
	for _, th := range c.runs[c.ops[w].run].threads {
		for _, u := range c.threads[th].ops {
			if c.ops[u].writes() && c.ops[u].key == c.ops[w].key && t.of[u] == t.of[w] && c.precedes(w, u) {
				return u
			}
		}
	}
	return -1
}
