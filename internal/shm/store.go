package shm

import (
	"sync/atomic"

	"github.com/squall-faas/squall/fault"
)

const (
	pageSize = 4096
	// mostLead is the most bytes between the page and the payload.
	mostLead = 64
	// MaxSize is the most bytes that one shared value has.
	MaxSize = int64(4 << 30)
)

// Config of a Store. The zero value is useful.
type Config struct {
	// Dir is the directory of all owners; "" is squall-<uid> in /dev/shm. It is made if it is not there, for this user
	// alone, and refused if it is another's.
	Dir string
	// MaxBytes bounds what this process shares at a time; 0 is half of what is free in Dir at the start.
	MaxBytes int64
}

// Stats of a Store.
type Stats struct {
	Files int64 // shared now
	Bytes int64 // shared now
	Maps  int64 // of others' values that this process maps now
	Swept int64 // owners that were found dead at the start
}

// Store is one process's shared values. Safe for concurrent use.
type Store struct {
	cfg   Config
	host  string
	owner [tokenLen]byte
	own   *directory
	files atomic.Int64
	bytes atomic.Int64
	swept int64
}

// maps counts the overlays of this process.
var maps atomic.Int64

// Host names this host, as far as can be told without opening a file: two processes whose hosts differ share nothing.
func (s *Store) Host() string { return s.host }

// Stats of now.
func (s *Store) Stats() Stats {
	return Stats{Files: s.files.Load(), Bytes: s.bytes.Load(), Maps: maps.Load(), Swept: s.swept}
}

// reserve counts bytes in, or says that there is no room.
func (s *Store) reserve(n int64) error {
	for {
		now := s.bytes.Load()
		if now+n > s.cfg.MaxBytes {
			return fault.New(fault.OutOfMemory, "%d bytes of %d are shared: %d more do not fit; send the value", now, s.cfg.MaxBytes, n)
		}
		if s.bytes.CompareAndSwap(now, now+n) {
			return nil
		}
	}
}
