package history

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/squall-faas/squall/kvs"
)

// zone is when a version of a register was certainly current: from the first moment by which an operation on it had
// ended to the last at which one began (Gibbons & Korach, SIAM J. Comput. 1997, §4). If the second is the earlier of the
// two, all operations on the version can have been at one moment between them.
type zone struct {
	from, to    int64 // a forward zone has from < to
	first, last int32 // the operations that say so; -1 the final state, -2 the beginning
}

const (
	atEnd   = -1
	atStart = -2
)

// explain says why a register's operations are not linearizable, by as few of them as it can.
func (c *Checker) explain(e *key, ops []porcupine.Operation, left time.Duration) Violation {
	if a, b, ok := conflict(c.zones(e, ops)); ok {
		var who []int32
		for _, i := range []int32{a.first, b.first, a.last, b.last} {
			if i >= 0 && !slices.Contains(who, i) {
				who = append(who, i)
			}
		}
		slices.Sort(who)
		why := fmt.Sprintf("one version was current already at %s and still at %s; another one at %s and at %s, in between",
			c.moment(a.first), c.moment(a.last), c.moment(b.first), c.moment(b.last))
		return c.violation(NotLinearizable, "%s", why).at(c, who...)
	}
	return c.explainSearch(e, ops, left)
}

func (c *Checker) moment(i int32) string {
	switch i {
	case atEnd:
		return "the end"
	case atStart:
		return "the beginning"
	}
	return c.name(i)
}

// zones gives each version's zone. Of a key that was deleted, the absence is no version: it may have been several.
func (c *Checker) zones(e *key, ops []porcupine.Operation) []zone {
	all := map[int64]*zone{absent: {from: math.MinInt64, to: math.MinInt64, first: atStart, last: atStart}}
	for _, o := range ops {
		s := o.Input.(step)
		if s.n == absent && len(e.deletes) > 0 {
			continue
		}
		i := o.Metadata.(int32)
		z := all[s.n]
		if z == nil {
			z = &zone{from: math.MaxInt64, to: math.MinInt64}
			all[s.n] = z
		}
		if o.Return < z.from {
			z.from, z.first = o.Return, i
		}
		if o.Call > z.to {
			z.to, z.last = o.Call, i
		}
	}
	zones := make([]zone, 0, len(all))
	for _, z := range all {
		zones = append(zones, *z)
	}
	slices.SortFunc(zones, func(a, b zone) int {
		return cmp.Or(cmp.Compare(min(a.from, a.to), min(b.from, b.to)), cmp.Compare(a.first, b.first))
	})
	return zones
}

// conflict finds two zones that exclude each other: two forward ones that overlap, or a backward one within a forward
// one.
func conflict(zones []zone) (a, b zone, ok bool) {
	var open zone // the forward zone that reaches furthest of those begun
	has := false
	for _, z := range zones {
		low, high := min(z.from, z.to), max(z.from, z.to)
		if has && low > open.from && (z.from < z.to && low < open.to || high < open.to) {
			return open, z, true
		}
		if z.from < z.to && (!has || z.to > open.to) {
			open, has = z, true
		}
	}
	return zone{}, zone{}, false
}

// explainSearch names the operations around the point that the search did not get past.
func (c *Checker) explainSearch(e *key, ops []porcupine.Operation, left time.Duration) Violation {
	_, info := porcupine.CheckOperationsVerbose(cell(false), ops, max(left, time.Second))
	var longest []porcupine.Operation
	for _, part := range info.PartialLinearizationsOperations() {
		for _, l := range part {
			if len(l) > len(longest) {
				longest = l
			}
		}
	}
	placed := map[int32]bool{}
	for _, o := range longest {
		placed[o.Metadata.(int32)] = true
	}
	var who []int32
	var names []string
	for _, o := range slices.SortedFunc(slices.Values(ops), func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) }) {
		if i := o.Metadata.(int32); !placed[i] && i >= 0 && len(who) < 4 {
			who = append(who, i)
			names = append(names, c.name(i))
		}
	}
	why := fmt.Sprintf("no order of its %d operations explains what was read; %d can be put in order, then none of %s can come next",
		len(ops), len(longest), strings.Join(names, ", "))
	if len(who) == 0 {
		return Violation{Rule: NotLinearizable, Level: kvs.Strong.String(), Key: e.name, Why: "no order of its operations explains the state at the end"}
	}
	return c.violation(NotLinearizable, "%s", why).at(c, who...)
}
