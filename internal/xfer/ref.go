package xfer

import (
	"context"

	"github.com/squall-faas/squall/fault"
)

// MaxToken is the most bytes that a Ref's Key and its Version have, each.
const MaxToken = 2 << 10

// Ref names one value for ever: under the same Key and Version there are always the same bytes. To the server both are
// opaque; any bytes will do.
type Ref struct {
	Key     string
	Version string
}

func (r Ref) check() error {
	if r.Key == "" {
		return fault.New(fault.InvalidArgument, "the reference has no key: give the one that its holder announced")
	}
	if len(r.Key) > MaxToken || len(r.Version) > MaxToken {
		return fault.New(fault.InvalidArgument, "a reference with a key of %d and a version of %d bytes: each may have %d; use a hash of it",
			len(r.Key), len(r.Version), MaxToken)
	}
	return nil
}

// Source is asked for what a Server serves. It is called once for each range, from many goroutines at once.
type Source interface {
	// Open finds a value: not_found where it is not here. It must return when ctx ends. Who holds the capability for ref
	// has been checked already.
	Open(ctx context.Context, ref Ref) (Blob, error)
}

// Blob is a value as its Source holds it.
type Blob interface {
	// Size of the whole in bytes.
	Size() int64
	// View gives length bytes from offset on, which lie inside of Size, without copying where it can. The server only
	// reads them, and keeps them until they are sent or its reader is found too slow.
	View(offset int64, length int) ([]byte, error)
}

// Bytes is a Blob in memory.
type Bytes []byte

// Size is its length.
func (b Bytes) Size() int64 { return int64(len(b)) }

// View is a part of b itself. It never fails.
func (b Bytes) View(offset int64, length int) ([]byte, error) {
	return b[offset : offset+int64(length)], nil
}
