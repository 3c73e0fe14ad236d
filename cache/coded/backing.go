package coded

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"

	"github.com/squall-faas/squall/cache/coded/lend"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// Backing keeps whole objects where no lender's leaving can touch them. All methods are safe for concurrent use.
type Backing interface {
	// Write keeps the next bytes of a version, in order; what it has returned for is durable. Nothing keeps b.
	Write(ctx context.Context, key, version string, offset int64, b []byte) error
	// Read fills b from offset on; not_found where the version is not there.
	Read(ctx context.Context, key, version string, offset int64, b []byte) error
	// Remove forgets a version; one that is not there is no error.
	Remove(ctx context.Context, key, version string, size int64) error
}

func versionText(v lend.Version) string { return hex.EncodeToString(v[:]) }

// Parts is a Backing in a kvs.Store: parts of the object, each under a key of its own. A version's parts are written before
// the catalog names it, and removed after it names another, so a reader never finds half of one.
type Parts struct{ store kvs.Store }

// NewParts keeps objects in store.
func NewParts(store kvs.Store) *Parts { return &Parts{store} }

const (
	partsPrefix = "objectpart/"
	partBytes   = 1 << 20 // as long as a shard: full stripes end where parts do
)

func partKey(version string, n int64) kvs.Key {
	return kvs.Key(fmt.Sprintf("%s%s/%d", partsPrefix, version, n))
}

// Write implements Backing. Writes have to begin and, but for the last, end where parts do, or lie within one.
func (p *Parts) Write(ctx context.Context, key, version string, offset int64, b []byte) error {
	for len(b) > 0 {
		n, at := offset/partBytes, int(offset%partBytes)
		part := b[:min(len(b), partBytes-at)]
		if at > 0 { // the stripe before ended within the part
			before := make([]byte, at, at+len(part))
			if err := p.Read(ctx, key, version, n*partBytes, before); err != nil {
				return err
			}
			part = append(before, part...)
		} else {
			part = bytes.Clone(part) // the store keeps what it is given
		}
		if _, err := p.store.Put(ctx, partKey(version, n), value.MustOf(part), kvs.PutOptions{Meta: []byte(key)}); err != nil {
			return fault.New(fault.CodeOf(err), "store a part of object %.64q: %w", key, err)
		}
		b = b[len(part)-at:]
		offset += int64(len(part) - at)
	}
	return nil
}

// Read implements Backing.
func (p *Parts) Read(ctx context.Context, key, version string, offset int64, b []byte) error {
	for len(b) > 0 {
		n, at := offset/partBytes, int(offset%partBytes)
		e, err := p.store.Get(ctx, partKey(version, n))
		if err != nil {
			return err
		}
		part, err := value.As[[]byte](e.Value)
		if err != nil {
			return err
		}
		if len(part) <= at {
			return fault.New(fault.NotFound, "part %d of object %.64q has %d bytes, and is asked for more", n, key, len(part))
		}
		read := copy(b, part[at:])
		b, offset = b[read:], offset+int64(read)
	}
	return nil
}

// Remove implements Backing.
func (p *Parts) Remove(ctx context.Context, key, version string, size int64) error {
	for n := int64(0); n == 0 || n*partBytes < size; n++ {
		if err := p.store.Delete(ctx, partKey(version, n), 0); err != nil {
			return fault.New(fault.CodeOf(err), "remove a part of object %.64q: %w", key, err)
		}
	}
	return nil
}
