package upkeep

import (
	"cmp"
	"slices"
	"strings"
)

// Held is a column of an object's version as a lender has it.
type Held struct {
	Key     string
	Version string // opaque; no two contents have the same
	Column  int
	Bytes   int64
	Seq     uint64 // grows with each write of the key: of two versions the one with the higher is the later
	Used    int64  // how often it was read lately
}

type id struct {
	key    string
	column int
}

// Delta is what makes a standby hold what a lender holds: the columns to send, and those of earlier versions that the
// standby has to drop. It goes by version, not by presence: a key that was written again is sent again, and the standby is
// rid of its old value before it has the new one, so that it can at no time give a value that was overwritten. What the
// standby has of a later version than the lender is left alone: then it is the lender that is behind.
//
// What is used most for its bytes is sent first, so that a drain that is cut short has saved what was worth most.
func Delta(lender, standby []Held) (send []Held, drop []Held) {
	has := map[id]Held{}
	for _, h := range standby {
		has[id{h.Key, h.Column}] = h
	}
	for _, h := range lender {
		other, ok := has[id{h.Key, h.Column}]
		switch {
		case ok && other.Version == h.Version, ok && other.Seq > h.Seq:
		case ok:
			drop = append(drop, other)
			send = append(send, h)
		default:
			send = append(send, h)
		}
	}
	slices.SortStableFunc(send, ByValue)
	return send, drop
}

// ByValue orders columns by what they are worth for their bytes, the most first.
func ByValue(a, b Held) int {
	// a.Used/a.Bytes against b.Used/b.Bytes, each with one more use so that small ones come first among the unused
	x, y := float64(a.Used+1)*float64(max(b.Bytes, 1)), float64(b.Used+1)*float64(max(a.Bytes, 1))
	if c := cmp.Compare(y, x); c != 0 {
		return c
	}
	return strings.Compare(a.Key, b.Key)
}
