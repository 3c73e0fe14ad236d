package cluster

import "time"

func init() { versionPatience = 10 * time.Second }

// Remembering gives a Lend whose process has so many bytes of memory, used as used says.
func (l Lend) Remembering(total int64, used func() int64) Lend {
	l.memory = func() memoryUse { return memoryUse{total: total, used: used()} }
	return l
}
