// Package archive keeps what executors have learnt (package profile) in the system space: each stores a book of its own, and
// whoever wants to know reads all of them.
package archive

import (
	"context"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/profile"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// Kept is how long a book stays that its executor has not stored again.
const Kept = 30 * 24 * time.Hour

// Keep stores the book of an executor, encoded, over its last one.
func Keep(ctx context.Context, store kvs.Store, executor string, encoded []byte) error {
	v, err := value.Of(encoded)
	if err != nil {
		return err
	}
	_, err = store.Put(ctx, kvs.Key(wire.ProfileKey(executor)), v, kvs.PutOptions{TTL: Kept})
	return err
}

// Recall gives what all executors of the namespace have stored, as one book. What cannot be decoded is left out: it is of a
// later release.
func Recall(ctx context.Context, store kvs.Store) (*profile.Book, error) {
	all := &profile.Book{}
	for cursor := ""; ; {
		page, err := store.List(ctx, wire.ProfilePrefix, cursor, 100)
		if err != nil {
			return nil, err
		}
		for _, key := range page.Keys {
			e, err := store.Get(ctx, key)
			if fault.Is(err, fault.NotFound) {
				continue
			}
			if err != nil {
				return nil, err
			}
			b, err := value.As[[]byte](e.Value)
			if err != nil {
				continue
			}
			if book, err := profile.Decode(b); err == nil {
				all.Merge(book)
			}
		}
		if cursor = page.Next; cursor == "" {
			return all, nil
		}
	}
}
