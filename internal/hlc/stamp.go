package hlc

import (
	"cmp"
	"fmt"
	"time"
)

// logicalBits is how much of Stamp.Time counts stamps instead of time; what is left for time lasts until 2112.
const logicalBits = 12

// maxMicros is the last microsecond that a stamp can name.
const maxMicros = 1<<(64-logicalBits) - 1

// Stamp orders writes of the whole fleet: by time, then by node. The zero Stamp is before all others.
type Stamp struct {
	Time uint64 `cbor:"1,keyasint"` // microseconds since 1970 << 12 | logical
	Node uint64 `cbor:"2,keyasint"` // of the clock that made it, unique in the fleet
}

// At is the first stamp of node at t. Times before 1970 count as 1970, times after 2112 as the last moment before.
func At(t time.Time, node uint64) Stamp { return Stamp{Time: micros(t) << logicalBits, Node: node} }

func micros(t time.Time) uint64 { return uint64(min(max(t.UnixMicro(), 0), maxMicros)) }

// Compare is negative where s is before t, positive where it is after, 0 where they are the same stamp.
func (s Stamp) Compare(t Stamp) int {
	if c := cmp.Compare(s.Time, t.Time); c != 0 {
		return c
	}
	return cmp.Compare(s.Node, t.Node)
}

// Less reports whether s is before t.
func (s Stamp) Less(t Stamp) bool { return s.Compare(t) < 0 }

// IsZero reports whether s is the stamp of nothing.
func (s Stamp) IsZero() bool { return s == Stamp{} }

// Wall is the time of s, to the microsecond, in UTC.
func (s Stamp) Wall() time.Time { return time.UnixMicro(int64(s.Time >> logicalBits)).UTC() }

// String shows the time, the logical part and the node, such as 2026-01-02T15:04:05.000001Z+7@2a.
func (s Stamp) String() string {
	return fmt.Sprintf("%s+%d@%x", s.Wall().Format("2006-01-02T15:04:05.000000Z07:00"), s.Time&(1<<logicalBits-1), s.Node)
}
