//go:build unix

package wasm

import "golang.org/x/sys/unix"

// region is address space that becomes memory from its head on.
type region struct {
	all  []byte
	open uint64 // bytes that may be touched
}

// reserve takes n bytes of address space that nothing backs yet; where there are none, grow fails.
func reserve(n uint64) region {
	b, err := unix.Mmap(-1, 0, int(n), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return region{}
	}
	return region{all: b}
}

// grow opens the first n bytes, zeroed where they are new; nil where there is no memory for them.
func (r *region) grow(n uint64) []byte {
	if n > uint64(len(r.all)) {
		return nil
	}
	if n > r.open {
		if err := unix.Mprotect(r.all[:n], unix.PROT_READ|unix.PROT_WRITE); err != nil {
			return nil
		}
		r.open = n
	}
	return r.all[:n:n]
}

func (r *region) release() {
	if r.all != nil {
		_ = unix.Munmap(r.all) // fails only for a range that is not mapped
		r.all = nil
	}
}
