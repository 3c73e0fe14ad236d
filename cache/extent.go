package cache

import (
	"github.com/squall-faas/squall/cache/session"
	"github.com/squall-faas/squall/kvs"
)

// mostExtent bounds what is reserved for a session, in keys: 64 KiB for its index.
const mostExtent = 2 << 10

// extent is what an application's sessions of a level see lately, for which the next one makes room at once: one that grows from
// nothing copies what it knows half a dozen times (BenchmarkSessionHit).
func (l *Cachelet) extent(level kvs.Level) session.Extent {
	e := l.extents[level].Load()
	return session.Extent{Keys: int(e >> 32), Reads: int(uint32(e))}
}

// extended is told what a session has seen. What is reserved follows upwards at once, and downwards slowly.
func (l *Cachelet) extended(level kvs.Level, e session.Extent) {
	old := l.extent(level)
	e.Keys = min(max(e.Keys, old.Keys-(old.Keys+7)/8), mostExtent)
	e.Reads = min(max(e.Reads, old.Reads-(old.Reads+7)/8), e.Keys)
	if e != old {
		l.extents[level].Store(uint64(e.Keys)<<32 | uint64(e.Reads))
	}
}
