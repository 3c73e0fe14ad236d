//go:build amd64 || arm64

package shm

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/squall-faas/squall/fault"
)

// Open makes this process's directory, and sweeps those of processes that are gone. Close removes it. unavailable: no
// such file system, no permission.
func Open(cfg Config) (*Store, error) {
	if cfg.Dir == "" {
		cfg.Dir = "/dev/shm/squall-" + strconv.Itoa(os.Getuid())
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, unavailable("name this host", err)
	}
	if err := private(cfg.Dir); err != nil {
		return nil, err
	}
	if cfg.MaxBytes == 0 {
		var st unix.Statfs_t
		if err := unix.Statfs(cfg.Dir, &st); err != nil {
			return nil, unavailable("look at "+cfg.Dir, err)
		}
		cfg.MaxBytes = int64(st.Bavail) * st.Bsize / 2
	}
	s := &Store{cfg: cfg, host: "linux-" + strings.TrimSpace(string(boot)) + "-" + strconv.Itoa(os.Getuid())}
	s.swept = sweep(cfg.Dir)
	_, _ = rand.Read(s.owner[:]) // never fails
	if s.own, err = makeDirectory(cfg.Dir, hex.EncodeToString(s.owner[:])); err != nil {
		return nil, err
	}
	return s, nil
}

func unavailable(what string, err error) error {
	return fault.New(fault.Unavailable, "shared memory: %s: %w", what, err)
}

// private makes a directory for this user alone, or sees that the one that is there is so.
func private(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return unavailable("make the directory", err)
	}
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return unavailable("look at the directory", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || int(st.Uid) != os.Getuid() || st.Mode&0o077 != 0 {
		return fault.New(fault.Unavailable, "shared memory: %s is not a directory of this user alone: remove it", dir)
	}
	return nil
}

// Publish writes data to a file that other processes of this user on this host can map, lead bytes behind the beginning of
// a page. Remove the file when nobody is to open it any more. out_of_memory where there is no room; then send the value.
func (s *Store) Publish(data []byte, lead int) (*File, error) {
	if len(data) < 1 || int64(len(data)) > MaxSize || lead < 0 || lead > mostLead {
		return nil, fault.New(fault.InvalidArgument, "%d bytes at %d are no value to share: 1 to %d", len(data), lead, MaxSize)
	}
	f := &File{store: s, ticket: Ticket{owner: s.owner, lead: uint8(lead), size: int64(len(data))}}
	_, _ = rand.Read(f.ticket.name[:]) // never fails
	_, _ = rand.Read(f.ticket.nonce[:])
	f.bytes = 2*pageSize + int64(len(data)) // the head's page, and the last one's rest
	if err := s.reserve(f.bytes); err != nil {
		return nil, err
	}
	_, name := f.ticket.file()
	f.path = filepath.Join(s.own.path, name)
	if err := writeFile(f.path, f.ticket, data); err != nil {
		s.bytes.Add(-f.bytes)
		_ = os.Remove(f.path) // as far as it was there
		if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
			return nil, fault.New(fault.OutOfMemory, "shared memory is full: send the value: %w", err)
		}
		return nil, unavailable("write a value", err)
	}
	s.files.Add(1)
	return f, nil
}

const (
	writeAlone   = 16 << 20 // bytes that one goroutine writes
	writeWorkers = 2        // the kernel's locks let few more in
)

// writeFile writes rather than maps: a full file system is an error then, and no fault.
func writeFile(path string, t Ticket, data []byte) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	at := int64(pageSize) + int64(t.lead)
	// The whole length at once, so that a map of all of it never reaches beyond the end.
	if err := f.Truncate(pages(at + t.size)); err != nil {
		return err
	}
	parts := min(writeWorkers, len(data)/writeAlone+1)
	step := (len(data)/parts + pageSize - 1) &^ (pageSize - 1)
	var group errgroup.Group
	for from := 0; from < len(data); from += step {
		group.Go(func() error {
			_, err := f.WriteAt(data[from:min(from+step, len(data))], at+int64(from))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	_, err = f.WriteAt(t.head(), 0)
	return err
}

func pages(n int64) int64 { return (n + pageSize - 1) &^ (pageSize - 1) }

// Map gives the value of a ticket that another process of the host has published. It is not copied; whoever reads a page
// first pays for having it mapped. not_found: there is no such file here, because it was removed or the owner's host, or
// user, is another; unavailable: it is not the ticket's file.
func (s *Store) Map(t Ticket) ([]byte, error) {
	owner, name := t.file()
	f, err := os.Open(filepath.Join(s.cfg.Dir, owner, name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.New(fault.NotFound, "the shared value is not on this host, or is gone: have it sent")
	case err != nil:
		return nil, unavailable("open a value", err)
	}
	defer func() { _ = f.Close() }() // only read
	head := make([]byte, len(t.head()))
	if _, err := f.ReadAt(head, 0); err != nil || !bytes.Equal(head, t.head()) {
		return nil, fault.New(fault.Unavailable, "the shared value is another than the ticket's: have it sent")
	}
	length := pages(int64(t.lead) + t.size)
	// A file that is too short would fault when it is read.
	if st, err := f.Stat(); err != nil || st.Size() != pageSize+length {
		return nil, fault.New(fault.Unavailable, "the shared value is not as long as the ticket says: have it sent")
	}
	b, err := overlay(f, pageSize, int(length))
	if err != nil {
		return nil, unavailable("map a value", err)
	}
	end := int64(t.lead) + t.size
	return b[t.lead:end:end], nil
}

// File is a published value.
type File struct {
	store  *Store
	ticket Ticket
	path   string
	bytes  int64
	once   sync.Once
}

// Ticket is what a reader needs.
func (f *File) Ticket() Ticket { return f.ticket }

// Remove takes the file's name away; maps of it stay good. Idempotent.
func (f *File) Remove() {
	f.once.Do(func() {
		_ = os.Remove(f.path) // else the owner's directory goes as a whole
		f.store.files.Add(-1)
		f.store.bytes.Add(-f.bytes)
	})
}

// Close removes all that this process shares. Maps stay good, here and elsewhere. Idempotent.
func (s *Store) Close() error { return s.own.close() }
