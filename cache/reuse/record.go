package reuse

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Limits of a Record.
const (
	MaxKeys    = 4096
	MaxEncoded = 256 << 10
	MaxName    = 1 << 10
)

const (
	// perKey is what a key costs beside its bytes, in memory and to fetch: without it a few bytes that were asked for once
	// would be worth more than what is asked for all the time.
	perKey = 512
	// halfLife is the idle time after which a touch is worth half: about how long idle instances are kept.
	halfLife = 30 * time.Minute
)

// Key is one key of a Record.
type Key struct {
	Name    string
	Bytes   int64
	Version uint64 // the revision that was held; a newer one is as welcome
	Hits    uint64
	Idle    time.Duration // from its last touch to when the record was taken
}

// worth orders keys: hits per byte, those of late first.
func (k Key) worth() float64 {
	return float64(k.Hits) / float64(k.Bytes+perKey) * math.Exp2(-k.Idle.Seconds()/halfLife.Seconds())
}

// Record is what an application's cachelet leaves behind when it unloads, so that the next one starts warm (Faa$T §4.4):
// the keys that were worth most, at most MaxKeys of them and MaxEncoded bytes when encoded. Immutable.
type Record struct {
	taken time.Time
	keys  []Key // by worth, distinct, each valid
}

// NewRecord makes a Record of the most valuable of keys; keys without a name or with one over MaxName are left out, and
// so are those that were never hit.
func NewRecord(taken time.Time, keys []Key) Record {
	keys = slices.Clone(keys)
	for i := range keys {
		k := &keys[i]
		k.Bytes = max(k.Bytes, 0)
		k.Idle = min(max(k.Idle, 0), maxIdle).Truncate(time.Second)
	}
	keys = slices.DeleteFunc(keys, func(k Key) bool { return k.check() != nil })
	type ranked struct {
		worth float64
		key   *Key
	}
	order := make([]ranked, len(keys))
	for i := range keys {
		order[i] = ranked{keys[i].worth(), &keys[i]}
	}
	slices.SortFunc(order, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(b.worth, a.worth), cmp.Compare(a.key.Name, b.key.Name), cmp.Compare(b.key.Version, a.key.Version))
	})
	r := Record{taken: taken.UTC().Truncate(time.Second), keys: make([]Key, 0, min(len(keys), MaxKeys))}
	seen := make(map[string]bool, min(len(keys), MaxKeys))
	size := envelopeBytes
	for _, o := range order {
		if len(r.keys) == MaxKeys {
			break
		}
		if n := o.key.encodedBytes(); !seen[o.key.Name] && size+n <= MaxEncoded {
			seen[o.key.Name] = true
			size += n
			r.keys = append(r.keys, *o.key)
		}
	}
	return r
}

// Taken is when the record was made, to the second.
func (r Record) Taken() time.Time { return r.taken }

// Keys are the record's keys, the most valuable first. Do not write to them.
func (r Record) Keys() []Key { return r.keys }

// Merge joins what an earlier life of an application left with what a later one did. The earlier hits count half, and are
// as much older as the records are apart; of a key that both know, size and version are the later ones.
func Merge(older, newer Record) Record {
	apart := max(newer.taken.Sub(older.taken), 0)
	keys := make([]Key, len(newer.keys), len(newer.keys)+len(older.keys))
	copy(keys, newer.keys)
	at := make(map[string]int, len(keys))
	for i, k := range keys {
		at[k.Name] = i
	}
	for _, k := range older.keys {
		k.Hits /= 2
		if i, both := at[k.Name]; both {
			keys[i].Hits += min(k.Hits, math.MaxUint64-keys[i].Hits)
			continue
		}
		k.Idle = min(k.Idle, maxIdle) + min(apart, maxIdle)
		keys = append(keys, k)
	}
	return NewRecord(newer.taken, keys)
}

// Warm gives what to load, the most valuable first, into so many bytes. What does not fit any more is passed over.
func (r Record) Warm(budget int64) []Key {
	var out []Key
	for _, k := range r.keys {
		if need := k.Bytes + perKey; need <= budget {
			budget -= need
			out = append(out, k)
		}
	}
	return out
}
