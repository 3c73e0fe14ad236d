package version

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/kvs"
)

const (
	// Horizon is how long a dependency is remembered: what caches serve to causal readers was confirmed later than that.
	Horizon = 75 * time.Second
	// MaxDeps is how many dependencies a version carries; past it, the oldest are given up for a time before which nothing
	// that is cached counts as confirmed (Version.After).
	MaxDeps = 64
)

// Since is the time from which on dependencies matter at now: both are stamps' times.
func Since(now uint64) uint64 {
	return now - min(now, hlc.At(time.Unix(0, 0).Add(Horizon), 0).Time)
}

// JoinDeps gives the dependencies of both, each key with its higher revision, sorted by key. It returns one of its
// arguments where the other adds nothing.
func JoinDeps(a, b []Dep) []Dep {
	if len(b) == 0 {
		return a
	}
	if len(a) == 0 {
		return b
	}
	out := make([]Dep, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch c := strings.Compare(string(a[0].Key), string(b[0].Key)); {
		case c < 0:
			out, a = append(out, a[0]), a[1:]
		case c > 0:
			out, b = append(out, b[0]), b[1:]
		case a[0].Revision >= b[0].Revision:
			out, a, b = append(out, a[0]), a[1:], b[1:]
		default:
			out, a, b = append(out, b[0]), a[1:], b[1:]
		}
	}
	return append(append(out, a...), b...)
}

// SortDeps puts dependencies in the order that JoinDeps and Find want.
func SortDeps(deps []Dep) {
	slices.SortFunc(deps, byKey)
}

func byKey(a, b Dep) int { return strings.Compare(string(a.Key), string(b.Key)) }

// FindDep gives the revision that deps ask for of key, 0 for none.
func FindDep(deps []Dep, key kvs.Key) kvs.Revision {
	i, ok := slices.BinarySearchFunc(deps, key, func(d Dep, key kvs.Key) int { return strings.Compare(string(d.Key), string(key)) })
	if !ok {
		return 0
	}
	return deps[i].Revision
}

// PruneDeps drops what is older than horizon, a stamp's time, and all but the newest most, or fewer where their keys are so
// long that a version would not be stored. It gives what is kept, and the time of the newest that was dropped for want of
// room, 0 for none: who cannot be told what to check by key is to check everything by that time. deps is left as it is.
func PruneDeps(deps []Dep, horizon uint64, most int) (kept []Dep, after uint64) {
	n, old := 0, false
	for i := range deps {
		n += depBytes + len(deps[i].Key)
		old = old || deps[i].Time < horizon
	}
	if !old && len(deps) <= most && n <= maxDepBytes {
		return deps, 0
	}
	kept = slices.DeleteFunc(slices.Clone(deps), func(d Dep) bool { return d.Time < horizon })
	slices.SortFunc(kept, func(a, b Dep) int { return cmp.Or(cmp.Compare(b.Time, a.Time), byKey(a, b)) })
	n = 0
	for i, d := range kept {
		if n += depBytes + len(d.Key); i == most || n > maxDepBytes {
			kept, after = kept[:i:i], d.Time
			break
		}
	}
	SortDeps(kept)
	return kept, after
}

const (
	depBytes    = 24 // of a dependency in Meta, beside its key
	maxDepBytes = kvs.MaxMeta / 2
)
