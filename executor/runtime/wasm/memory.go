package wasm

import (
	"github.com/tetratelabs/wazero/experimental"
)

// pageSize is the unit in which WebAssembly memory grows.
const pageSize = 64 << 10

// memory is the linear memory of one instance: an address range reserved up to the limit and backed as it grows. It
// lies outside the Go heap, so that growing copies nothing, closing gives it back at once, and the collector neither
// scans it nor lets garbage grow in proportion to it.
type memory struct {
	limit   uint64 // bytes
	region  region
	size    uint64
	refused bool // the guest wanted to grow over the limit
}

// Allocate implements experimental.MemoryAllocator. wazero calls it once for the one memory of an instance.
func (m *memory) Allocate(_, most uint64) experimental.LinearMemory {
	m.region = reserve(min(m.limit, most))
	return m
}

// Reallocate implements experimental.LinearMemory.
func (m *memory) Reallocate(size uint64) []byte {
	if size > m.limit {
		m.refused = true
		return nil
	}
	b := m.region.grow(size)
	if b == nil {
		m.refused = true // the host itself has no more
		return nil
	}
	m.size = size
	return b
}

// Free implements experimental.LinearMemory.
func (m *memory) Free() { m.region.release() }
