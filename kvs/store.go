// Package kvs is the key-value store that Squall's state lives in: the Store seam, what passes through it, and a
// memory Store that serves as the reference model.
package kvs

import (
	"context"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/value"
)

// Limits of every Store.
const (
	MaxKey     = 1 << 10  // bytes
	MaxValue   = 64 << 20 // bytes of payload
	MaxPage    = 10_000   // keys
	MaxPending = 1 << 16  // changed keys that a watcher may be behind
)

// Key is any 1 to MaxKey bytes.
type Key string

// Check refuses as invalid_key an empty key and one over MaxKey.
func (k Key) Check() error {
	switch {
	case k == "":
		return fault.New(fault.InvalidKey, "the key is empty: give it 1 to %d bytes", MaxKey)
	case len(k) > MaxKey:
		return fault.New(fault.InvalidKey, "the key has %d bytes: at most %d are allowed; hash what is longer", len(k), MaxKey)
	}
	return nil
}

// Revision numbers the writes of a key: it grows with each, over deletes and expiries too, and is never 0 for a key
// that exists. Revisions of different keys are not comparable.
type Revision uint64

// Entry is one version of one key.
type Entry struct {
	Key      Key
	Value    value.Value
	Revision Revision
	Written  time.Time // by the store's clock
	// Deleted, in a Watch only: the key was deleted, and Revision is the delete's own; or it expired, and Revision is
	// that of the version that did. Value is Null.
	Deleted bool
}

// PutOptions of a write; the zero value is the usual write.
type PutOptions struct {
	// TTL after which the key is gone; 0 keeps it. A later write's TTL replaces it, also with none. Rounded up to
	// whole seconds; at least one. A store may take up to two seconds longer to notice.
	TTL time.Duration
}

// Page is one page of a List.
type Page struct {
	// Keys may be fewer than were asked for, even none, before the end of the listing.
	Keys []Key
	// Next continues the listing; empty at its end. Opaque.
	Next string
}

// Store maps keys to values. All methods are safe for concurrent use and return *fault.Error: invalid_key, too_large,
// not_found, conflict, invalid_argument (a limit, cursor or TTL that makes no sense), unavailable (also after Close),
// unsupported (a record of a later version), deadline_exceeded, cancelled. A write that ends in unavailable,
// deadline_exceeded or cancelled may still have been stored.
//
// A write that returned is stored, and fsynced unless the store was set up otherwise; a read that starts afterwards
// through the same Store sees it or a later one.
type Store interface {
	// Get returns the current entry; not_found where there is none.
	Get(ctx context.Context, key Key) (Entry, error)
	// Put writes v whatever was there.
	Put(ctx context.Context, key Key, v value.Value, o PutOptions) (Revision, error)
	// CompareAndSet writes v if the key's revision is expect; 0 means that the key must not exist. Else conflict.
	CompareAndSet(ctx context.Context, key Key, v value.Value, expect Revision, o PutOptions) (Revision, error)
	// Delete removes the key if its revision is expect, or whatever it is if expect is 0; a key that is not there is
	// no error when expect is 0, and conflict otherwise.
	Delete(ctx context.Context, key Key, expect Revision) error
	// List returns up to limit (1 to MaxPage) keys that begin with prefix, in no stated order, continued by cursor. A
	// key that exists throughout a listing appears exactly once in it.
	List(ctx context.Context, prefix Key, cursor string, limit int) (Page, error)
	// Watch streams the changes of keys that begin with prefix from now on: when Watch has returned, no later change
	// is missed, though several of one key may arrive as the last, and a key that came and went may not show at all.
	// Changes of one key arrive in the order of their revisions. The channel is closed when ctx ends, the store is
	// closed or lost, or the receiver is MaxPending keys behind: who still needs the keys then watches again and lists.
	Watch(ctx context.Context, prefix Key) (<-chan Entry, error)
	// Close releases the store's resources; it waits for calls under way. Idempotent.
	Close() error
}
