package history

import (
	"fmt"
	"slices"

	"github.com/squall-faas/squall/kvs"
)

// tally is what is known of one increment: its operation may have been executed again, and counts once.
type tally struct {
	begin  int64 // the first execution's
	result Result
	lax    bool // acknowledged by a cache alone
}

// Counters checks that each increment was counted exactly once: at the end, and in every read no more than there can have
// been, and no fewer than its run had made itself. Strong reads are checked by Strong.
func (c *Checker) Counters() []Violation {
	found := slices.Clone(c.overcounts)
	for k := range c.keys {
		if e := &c.keys[k]; e.counter {
			found = append(found, c.finalCount(e, c.increments(e.ops))...)
		}
	}
	for r := range c.runs {
		if c.runs[r].outcome == OK && c.runs[r].level.Session() {
			for _, group := range c.byKey(c.runs[r].threads, func(o *op) bool { return o.counts() }) {
				found = append(found, c.ownCounts(group)...)
			}
		}
	}
	return found
}

// increments gathers a counter's increments by their ids. The best result of several executions is that of all.
func (c *Checker) increments(ops []int32) map[string]tally {
	all := map[string]tally{}
	for _, i := range ops { // by begin
		o := &c.ops[i]
		if o.Kind != Increment {
			continue
		}
		t, again := all[o.Values[0]]
		if !again {
			t = tally{o.Begin, o.Result, !o.kept()}
		}
		if o.Result == OK || o.Result == Unknown && t.result == Failed {
			t.result = o.Result
		}
		t.lax = t.lax && !o.kept()
		all[o.Values[0]] = t
	}
	return all
}

// findOvercounts finds reads of more increments than had begun: thin air, for counters.
func (c *Checker) findOvercounts(e *key, all map[string]tally) {
	begins := make([]int64, 0, len(all))
	for _, t := range all {
		if t.result != Failed {
			begins = append(begins, t.begin)
		}
	}
	slices.Sort(begins)
	for _, i := range e.ops {
		o := &c.ops[i]
		if o.Kind != ReadCounter || o.Result != OK {
			continue
		}
		most, _ := slices.BinarySearch(begins, o.End+1)
		if o.N < 0 || o.N > int64(most) {
			c.thin[i] = true
			c.overcounts = append(c.overcounts, c.violation(Counter,
				"%s: at most %d increments had begun by then, so one was counted twice", c.name(i), most).at(c, i))
		}
	}
}

// finalCount compares the end with the increments that were acknowledged.
func (c *Checker) finalCount(e *key, all map[string]tally) []Violation {
	var found []Violation
	var least, most int64
	for _, t := range all {
		if t.result != Failed {
			most++
		}
		if t.result == OK && !t.lax {
			least++
		}
	}
	if e.final == nil {
		return nil
	}
	switch n := e.final.N; {
	case n < least:
		found = append(found, Violation{Rule: Counter, Key: e.name, Why: fmt.Sprintf("the store ends with %d: %d increments were acknowledged, so %d were lost", n, least, least-n)})
	case n > most:
		found = append(found, Violation{Rule: Counter, Key: e.name, Why: fmt.Sprintf("the store ends with %d: there were only %d increments, so some were counted twice", n, most)})
	}
	for _, f := range e.seen {
		if f.N != e.final.N {
			found = append(found, Violation{Rule: Diverged, Key: e.name, Why: fmt.Sprintf("node %s ends with %d, the store with %d", f.Node, f.N, e.final.N)})
		}
	}
	return found
}

// ownCounts checks one run's operations on one counter: what a read saw beyond the run's own increments is the version
// that the run works on, and that is one version throughout.
func (c *Checker) ownCounts(group []int32) []Violation {
	low, high := int64(0), int64(1)<<62 // what the version can have been, as far as the reads agree
	lowest, highest := int32(-1), int32(-1)
	for _, i := range group {
		o := &c.ops[i]
		if o.Kind != ReadCounter || o.Result != OK || c.thin[i] {
			continue
		}
		sure, maybe := map[string]bool{}, map[string]bool{}
		for _, w := range group {
			p := &c.ops[w]
			if p.Kind != Increment || p.Result == Failed || c.precedes(i, w) {
				continue
			}
			maybe[p.Values[0]] = true
			if p.Result == OK && c.precedes(w, i) {
				sure[p.Values[0]] = true
			}
		}
		if o.N < int64(len(sure)) {
			return []Violation{c.violation(OwnWrite, "%s: the run had incremented it %d times before", c.name(i), len(sure)).at(c, i)}
		}
		if n := o.N - int64(len(maybe)); n > low {
			low, lowest = n, i
		}
		if n := o.N - int64(len(sure)); n < high {
			high, highest = n, i
		}
		if low > high && o.level != kvs.Transaction {
			first, second := min(lowest, highest), max(lowest, highest)
			return []Violation{c.violation(Unrepeatable, "%s and %s differ by more than the run's own increments", c.name(first), c.name(second)).at(c, first, second)}
		}
	}
	return nil
}
