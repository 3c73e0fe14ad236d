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
	MaxValue   = 1 << 30  // bytes of payload
	MaxMeta    = 64 << 10 // bytes of an entry's Meta
	MaxBatch   = 900      // writes and checks of one Commit: JetStream takes 1,000 messages, some of which are the store's own
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

// AnyRevision is the expectation that whatever is there meets, also nothing.
const AnyRevision = ^Revision(0)

// Entry is one version of one key.
type Entry struct {
	Key      Key
	Value    value.Value
	Revision Revision
	Written  time.Time // by the store's clock
	// Meta is what the writer stored beside the value, at most MaxMeta bytes; opaque to stores. Do not write to it.
	Meta []byte
	// Expires is when the version's TTL ends, by the store's clock; zero where it has none. Who keeps a copy drops it
	// then: a Feed says nothing of expiries.
	Expires time.Time
	// Deleted: the key was deleted, and Revision is the delete's own, Meta what its writer left; or, of a Watch or News,
	// it expired, and Revision is that of the version that did. Value is Null.
	Deleted bool
}

// PutOptions of a write; the zero value is the usual write.
type PutOptions struct {
	// TTL after which the key is gone; 0 keeps it. A later write's TTL replaces it, also with none. Rounded up to
	// whole seconds; at least one. A store may take up to two seconds longer to notice.
	TTL time.Duration
	// Meta is stored beside the value.
	Meta []byte
}

// Write is one write of a batch.
type Write struct {
	Key     Key
	Value   value.Value // not of a Delete
	Options PutOptions  // of a Delete only Meta
	Delete  bool        // leaves a tombstone that remembers Meta for a while
	Expect  Revision    // AnyRevision, or the key's revision; 0 where it must not exist, that is never a tombstone's
}

// Result is what became of one Write.
type Result struct {
	Revision Revision // of a Delete the tombstone's; 0 where nothing was there to delete
	Err      error    // nil where it is stored
}

// Check is an expectation of a Commit about a key that it does not write.
type Check struct {
	Key    Key
	Expect Revision // 0: it must not exist
}

// Fence is a writer's right to write: a write that carries one is refused as fenced once the fence of its writer was
// raised again. The zero Fence refuses nothing. Made by Store.Fence; opaque.
type Fence struct {
	Writer string
	Marks  []uint64 // the store's own
}

// Held is what a cache knows of a key.
type Held struct {
	Key      Key
	Revision Revision // 0: that it does not exist
}

// Mark is up to where a store was asked for news. The zero Mark is before everything. Opaque.
type Mark struct {
	At   time.Time
	Seqs []uint64
}

// Feed pushes the changes of the keys that its holder is interested in: best effort. A push may be lost, late, come twice
// or out of order; Store.News finds what was lost. Safe for concurrent use.
type Feed interface {
	// Add declares interest in keys; what changes after Add returned is pushed. Twice is once.
	Add(keys ...Key) error
	// Remove ends the interest in key. Pushes under way may still come.
	Remove(key Key)
	// Changes are the pushes. The channel is closed when the feed is lost, or with Close.
	Changes() <-chan Push
	// Close ends the feed. Idempotent.
	Close()
}

// Push is one change of one key: its new entry, or Deleted.
type Push struct {
	Entry
	Partial bool // the value was too large to be pushed and is not here: Get it
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
	// GetMany reads several keys, in as few requests as the engine can, each as fresh as Get would. Entries stand by
	// position; where there is none, Revision is 0, or Deleted is set and Revision is the tombstone's where one is
	// remembered, with its Meta.
	GetMany(ctx context.Context, keys []Key) ([]Entry, error)
	// Current is a linearizable Get: it proves that what it returns was current at some moment during the call, which the
	// word of a replica or of a paused leader is not. It may cost a write. As of GetMany, none is no error.
	Current(ctx context.Context, key Key) (Entry, error)
	// WriteMany carries out independent writes, at most one a key, with as few fsyncs as the engine can: thousands in the
	// time that a few Puts take. Results stand by position; one that fails, as conflict or otherwise, leaves the others
	// alone. The error is for what concerns all: invalid_argument, fenced, unavailable, deadline_exceeded, cancelled; after
	// one of the last three any of the writes may have been stored.
	WriteMany(ctx context.Context, writes []Write, fence Fence) ([]Result, error)
	// Commit carries out writes and checks, at most MaxBatch of both, atomically: all or, with conflict, none. All keys
	// must be of one slot (else invalid_argument). Revisions stand by position of writes.
	Commit(ctx context.Context, writes []Write, checks []Check, fence Fence) ([]Revision, error)
	// Slot of a key: keys with the same {tag} have the same, and Commit together.
	Slot(key Key) int
	// Fence raises the fence of a writer, a checked name, and returns the one that is valid from now on; every earlier one
	// is refused. It is stored like a write.
	Fence(ctx context.Context, writer string) (Fence, error)
	// Follow opens a feed.
	Follow(ctx context.Context) (Feed, error)
	// News gives those of the held keys whose revision is another by now, with their entries (Deleted where they are
	// gone), and the mark from which to ask next time about the same keys. since is what the last News returned that was
	// asked about all these keys, or an older one, or the zero Mark; it only makes the answer cheaper, but what was told
	// then may not be told again. News is certain as of some moment during the call, which Mark.At is not after.
	News(ctx context.Context, held []Held, since Mark) (newer []Entry, next Mark, err error)
	// Close releases the store's resources; it waits for calls under way. Idempotent.
	Close() error
}
