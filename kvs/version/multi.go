package version

import (
	"slices"

	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/value"
)

// spread is a large odd number: it tells apart the actors of one node's plain writes.
const spread = 0x9e3779b97f4a7c15

// count is a stamp as the counter of a dot, which has room for two bits less.
func count(s hlc.Stamp) uint64 { return max(s.Time>>2, 1) }

// asMulti is what v holds as a register of siblings: a plain value is the one sibling of whoever wrote it. No other write
// ever has its dot, because no other has its stamp: the bits of it that the counter has no room for are the actor's.
func asMulti(v *Version) lattice.MultiValue {
	if m, ok := v.State.(lattice.MultiValue); ok {
		return m
	}
	if v.Absent || v.State != nil {
		return lattice.MultiValue{}
	}
	dot := lattice.Dot{Actor: v.Stamp.Node ^ (v.Stamp.Time&3)*spread, Counter: count(v.Stamp)}
	return lattice.MultiValue{
		Clock:    lattice.VectorClock{dot.Actor: dot.Counter},
		Siblings: []lattice.Sibling{{Dot: dot, Stamp: v.Stamp, Value: v.Value}},
	}
}

// with adds a write to m in the place of what context covers. Its dot is later than all of its writer's that m or context
// knows, and for the case that both have forgotten some (a tombstone was swept) no earlier than its stamp.
func with(m lattice.MultiValue, context lattice.VectorClock, stamp hlc.Stamp, v value.Value) lattice.MultiValue {
	kept := discard(m, context)
	dot := lattice.Dot{Actor: stamp.Node, Counter: max(kept.Clock[stamp.Node]+1, count(stamp))}
	kept.Siblings = append(kept.Siblings, lattice.Sibling{Dot: dot, Stamp: stamp, Value: v})
	slices.SortFunc(kept.Siblings, func(a, b lattice.Sibling) int { return a.Dot.Compare(b.Dot) })
	kept.Clock = kept.Clock.With(dot)
	return kept
}

// discard removes the siblings that context covers.
func discard(m lattice.MultiValue, context lattice.VectorClock) lattice.MultiValue {
	kept := make([]lattice.Sibling, 0, len(m.Siblings)+1)
	for _, s := range m.Siblings {
		if !context.Covers(s.Dot) {
			kept = append(kept, s)
		}
	}
	return lattice.MultiValue{Clock: m.Clock.Join(context), Siblings: kept}
}

// newestFirst gives the siblings, that with the highest stamp first.
func newestFirst(m lattice.MultiValue) []lattice.Sibling {
	out := slices.Clone(m.Siblings)
	slices.SortStableFunc(out, func(a, b lattice.Sibling) int { return b.Stamp.Compare(a.Stamp) })
	return out
}

// Combine gives the version that holds what each of parts holds, which are concurrent: of one key, with its newest value
// first and the highest revision.
func Combine(parts ...*Version) *Version {
	out := *parts[0]
	var all lattice.MultiValue
	for _, v := range parts {
		m := asMulti(v)
		all.Clock = all.Clock.Join(m.Clock)
		all.Siblings = append(all.Siblings, m.Siblings...)
		out.Revision = max(out.Revision, v.Revision)
		out.Deps, out.After = JoinDeps(out.Deps, v.Deps), max(out.After, v.After)
	}
	slices.SortFunc(all.Siblings, func(a, b lattice.Sibling) int { return a.Dot.Compare(b.Dot) })
	all.Siblings = slices.CompactFunc(all.Siblings, func(a, b lattice.Sibling) bool { return a.Dot == b.Dot })
	out.State, out.Absent = all, len(all.Siblings) == 0
	if !out.Absent {
		first := newestFirst(all)[0]
		out.Value, out.Stamp = first.Value, first.Stamp
	}
	return &out
}

// without removes the siblings of some writes.
func without(m lattice.MultiValue, stamps []hlc.Stamp) lattice.MultiValue {
	kept := make([]lattice.Sibling, 0, len(m.Siblings))
	for _, s := range m.Siblings {
		if !slices.Contains(stamps, s.Stamp) {
			kept = append(kept, s)
		}
	}
	return lattice.MultiValue{Clock: m.Clock, Siblings: kept}
}
