package value

import (
	"bytes"
	"slices"
)

// span is where an encoded pair of a map lies: its key from at, its value from key to end.
type span struct{ at, key, end int }

// sortPairs puts the pairs that lie one after the other from start in the order of their encoded keys, as RFC 8949
// §4.2.1 asks, and the head of their map before them. It gives a key that occurs twice.
func sortPairs(dst []byte, start int, pairs []span) (out, twice []byte) {
	byKey := func(a, b span) int { return bytes.Compare(dst[a.at:a.key], dst[b.at:b.key]) }
	if !slices.IsSortedFunc(pairs, byKey) {
		slices.SortFunc(pairs, byKey)
		sorted := make([]byte, 0, len(dst)-start)
		for i, p := range pairs {
			at := len(sorted)
			sorted = append(sorted, dst[p.at:p.end]...)
			pairs[i] = span{start + at, start + at + p.key - p.at, start + len(sorted)}
		}
		copy(dst[start:], sorted)
	}
	for i := 1; i < len(pairs); i++ {
		if byKey(pairs[i-1], pairs[i]) == 0 {
			return nil, dst[pairs[i].at:pairs[i].key]
		}
	}
	return insertHead(dst, start, majorMap, len(pairs)), nil
}
