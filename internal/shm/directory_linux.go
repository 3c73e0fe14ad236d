//go:build amd64 || arm64

package shm

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	lockName = "lock"
	// unfinished begins the names of directories whose locks are not held yet.
	unfinished = "new-"
	// finishWithin is how long one may stay so before it is taken for what a crash has left.
	finishWithin = time.Minute
)

// directory is a process's own. Its lock says that the process lives: the kernel drops it with the last descriptor, so it
// needs no process number, which another process or another container may have as well.
type directory struct {
	path string
	lock *os.File
	once sync.Once
	err  error
}

// makeDirectory makes one and locks it. It gets its name only when it is locked, so that nobody sweeps it before.
func makeDirectory(root, name string) (*directory, error) {
	d := &directory{path: filepath.Join(root, name)}
	early := filepath.Join(root, unfinished+name)
	if err := os.Mkdir(early, 0o700); err != nil {
		return nil, unavailable("make a directory", err)
	}
	var err error
	d.lock, err = os.OpenFile(filepath.Join(early, lockName), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err == nil {
		err = unix.Flock(int(d.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err == nil {
		err = os.Rename(early, d.path)
	}
	if err == nil {
		return d, nil
	}
	if d.lock != nil {
		err = errors.Join(err, d.lock.Close())
	}
	return nil, unavailable("lock a directory", errors.Join(err, os.RemoveAll(early)))
}

func (d *directory) close() error {
	d.once.Do(func() { d.err = errors.Join(os.RemoveAll(d.path), d.lock.Close()) })
	return d.err
}

// sweep removes the directories of processes that are gone, and says how many those were. What it cannot remove stays for
// the next one.
func sweep(root string) (swept int64) {
	all, err := os.ReadDir(root)
	if err != nil {
		return 0
	}
	for _, entry := range all {
		path := filepath.Join(root, entry.Name())
		if strings.HasPrefix(entry.Name(), unfinished) {
			if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) > finishWithin && os.RemoveAll(path) == nil {
				swept++
			}
			continue
		}
		if abandoned(path) && os.RemoveAll(path) == nil {
			swept++
		}
	}
	return swept
}

// abandoned reports whether nobody holds a directory's lock. One without a lock is half removed.
func abandoned(path string) bool {
	f, err := os.OpenFile(filepath.Join(path, lockName), os.O_RDWR, 0)
	if err != nil {
		return errors.Is(err, os.ErrNotExist)
	}
	defer func() { _ = f.Close() }() // with the lock, if it was taken
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
}
