//go:build unix

package lend

import (
	"golang.org/x/sys/unix"

	"github.com/squall-faas/squall/fault"
)

// reserve gives address space of n bytes that takes memory only where it is written to.
func reserve(n int64) ([]byte, error) {
	b, err := unix.Mmap(-1, 0, int(n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "reserve %d bytes of memory to lend: %w; lend less", n, err)
	}
	return b, nil
}

// giveBack returns the memory under b to the system. b reads as zeros, or as it was, afterwards.
func giveBack(b []byte) { _ = unix.Madvise(b, unix.MADV_DONTNEED) } // advice that is not taken costs memory, not truth

func unreserve(b []byte) error { return unix.Munmap(b) }
