package cluster

import (
	"context"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

const (
	accessKept    = 30 * 24 * time.Hour // a record of an application that nobody has called since is of no more use
	accessTimeout = 2 * time.Second     // a node that leaves does not wait longer for a store that is away
)

// keepAccess is cache.Config.Keep over the system space.
func keepAccess(store kvs.Store) func(app string, record []byte) error {
	return func(app string, record []byte) error {
		ctx, cancel := context.WithTimeout(context.Background(), accessTimeout)
		defer cancel()
		v, err := value.Of(record)
		if err == nil {
			_, err = store.Put(ctx, kvs.Key(wire.AccessKey(app)), v, kvs.PutOptions{TTL: accessKept})
		}
		return err
	}
}

// recallAccess is cache.Config.Recall.
func recallAccess(store kvs.Store) func(app string) ([]byte, error) {
	return func(app string) ([]byte, error) {
		ctx, cancel := context.WithTimeout(context.Background(), accessTimeout)
		defer cancel()
		e, err := store.Get(ctx, kvs.Key(wire.AccessKey(app)))
		if fault.Is(err, fault.NotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		return value.As[[]byte](e.Value)
	}
}
