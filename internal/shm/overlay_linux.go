//go:build amd64 || arm64

package shm

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// overlay gives length bytes of a file from offset on, both whole pages, as memory that the garbage collector owns: the file
// is mapped over a piece of Go's heap.
//
// A slice of mapped memory outside the heap keeps nothing alive, and functions may keep slices of their arguments for as
// long as they like: nobody could say when to unmap. A slice within the heap keeps its object alive. When nothing refers to
// the object any more its finalizer puts ordinary memory in the file's place, before the collector uses it for something
// else: a finalizer runs while its object is still allocated. Objects of this size have pages of their own, hold no pointers,
// and are neither moved nor looked into.
//
// The map is private: who writes to it against the rules gets a page of his own, where a shared or a read-only one would
// change others' values, or end the process.
func overlay(f *os.File, offset int64, length int) ([]byte, error) {
	base := unsafe.Pointer(unsafe.SliceData(reserve(max(length, ownPages))))
	if uintptr(base)%pageSize != 0 || os.Getpagesize() != pageSize {
		return nil, errors.New("the heap's pages are not the files'")
	}
	if err := mapAt(base, length, unix.MAP_PRIVATE|unix.MAP_FIXED, int(f.Fd()), offset); err != nil {
		return nil, err // what was there is there
	}
	maps.Add(1)
	runtime.SetFinalizer((*byte)(base), func(p *byte) {
		// If it fails the object stays a private map of the file, which serves as memory too.
		_ = mapAt(unsafe.Pointer(p), length, unix.MAP_PRIVATE|unix.MAP_FIXED|unix.MAP_ANON, -1, 0)
		maps.Add(-1)
	})
	return unsafe.Slice((*byte)(base), length), nil
}

// ownPages is more bytes than an object has that shares its pages with others.
const ownPages = 64 << 10

// mapAt is mmap at an address of Go's. It does not take its result, the same address, for a pointer, as unix.MmapPtr does:
// the race detector's pointer checks do not like that.
func mapAt(at unsafe.Pointer, length, flags, fd int, offset int64) error {
	_, _, errno := unix.Syscall6(unix.SYS_MMAP, uintptr(at), uintptr(length), unix.PROT_READ|unix.PROT_WRITE, uintptr(flags), uintptr(fd), uintptr(offset))
	if errno != 0 {
		return errno
	}
	return nil
}

// reserve is make([]byte, length), without the zeroing, which would touch every page: a strings.Builder does not zero what
// it grows by.
func reserve(length int) []byte {
	var b strings.Builder
	b.Grow(length)
	_ = b.WriteByte(0) // so that the string has a beginning
	return unsafe.Slice(unsafe.StringData(b.String()), length)
}
