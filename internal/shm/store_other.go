//go:build !linux || !(amd64 || arm64)

package shm

import "github.com/squall-faas/squall/fault"

type directory struct{}

func unsupported() error {
	return fault.New(fault.Unsupported, "values are shared by memory on Linux only: send them")
}

// Open gives unsupported.
func Open(Config) (*Store, error) { return nil, unsupported() }

// Publish gives unsupported.
func (s *Store) Publish([]byte, int) (*File, error) { return nil, unsupported() }

// Map gives unsupported.
func (s *Store) Map(Ticket) ([]byte, error) { return nil, unsupported() }

// Close does nothing.
func (s *Store) Close() error { return nil }

// File is a published value; there are none.
type File struct{ ticket Ticket }

// Ticket is what a reader needs.
func (f *File) Ticket() Ticket { return f.ticket }

// Remove does nothing.
func (f *File) Remove() {}
