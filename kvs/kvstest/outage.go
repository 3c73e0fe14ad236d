package kvstest

import (
	"context"
	"sync/atomic"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// Outages is a Store that can be switched off, and be made to lose the answers to writes. It is safe for concurrent use.
type Outages struct {
	store kvs.Store
	down  atomic.Bool
	mute  atomic.Bool
	lost  atomic.Int64
}

var _ kvs.Store = (*Outages)(nil)

// Outage wraps s, switched on.
func Outage(s kvs.Store) *Outages { return &Outages{store: s} }

// Down switches the store off, or on again. While it is off every call ends in unavailable, nothing is stored, and
// nothing is pushed or watched: watches that were open end, feeds lose what comes.
func (o *Outages) Down(off bool) { o.down.Store(off) }

// LoseAnswers makes writes end in unavailable after they were carried out, until it is called with false.
func (o *Outages) LoseAnswers(lose bool) { o.mute.Store(lose) }

// Lost counts the answers lost.
func (o *Outages) Lost() int { return int(o.lost.Load()) }

func (o *Outages) up() error {
	if o.down.Load() {
		return fault.New(fault.Unavailable, "the store is switched off")
	}
	return nil
}

// answer is what becomes of the answer to a write.
func (o *Outages) answer(err error) error {
	if err == nil && o.mute.Load() {
		o.lost.Add(1)
		return fault.New(fault.Unavailable, "the answer was lost; it may have been stored")
	}
	return err
}

func read[T any](o *Outages, call func() (T, error)) (v T, err error) {
	if err := o.up(); err != nil {
		return v, err
	}
	return call()
}

func write[T any](o *Outages, call func() (T, error)) (v T, err error) {
	if err := o.up(); err != nil {
		return v, err
	}
	got, err := call()
	if err = o.answer(err); err != nil {
		return v, err
	}
	return got, nil
}

// Get is the store's, or unavailable.
func (o *Outages) Get(ctx context.Context, key kvs.Key) (kvs.Entry, error) {
	return read(o, func() (kvs.Entry, error) { return o.store.Get(ctx, key) })
}

// GetMany is the store's, or unavailable.
func (o *Outages) GetMany(ctx context.Context, keys []kvs.Key) ([]kvs.Entry, error) {
	return read(o, func() ([]kvs.Entry, error) { return o.store.GetMany(ctx, keys) })
}

// Current is the store's, or unavailable.
func (o *Outages) Current(ctx context.Context, key kvs.Key) (kvs.Entry, error) {
	return read(o, func() (kvs.Entry, error) { return o.store.Current(ctx, key) })
}

// List is the store's, or unavailable.
func (o *Outages) List(ctx context.Context, prefix kvs.Key, cursor string, limit int) (kvs.Page, error) {
	return read(o, func() (kvs.Page, error) { return o.store.List(ctx, prefix, cursor, limit) })
}

// News is the store's, or unavailable.
func (o *Outages) News(ctx context.Context, held []kvs.Held, since kvs.Mark) (newer []kvs.Entry, next kvs.Mark, err error) {
	if err := o.up(); err != nil {
		return nil, kvs.Mark{}, err
	}
	return o.store.News(ctx, held, since)
}

// Put is the store's, or unavailable.
func (o *Outages) Put(ctx context.Context, key kvs.Key, v value.Value, p kvs.PutOptions) (kvs.Revision, error) {
	return write(o, func() (kvs.Revision, error) { return o.store.Put(ctx, key, v, p) })
}

// CompareAndSet is the store's, or unavailable.
func (o *Outages) CompareAndSet(ctx context.Context, key kvs.Key, v value.Value, expect kvs.Revision, p kvs.PutOptions) (kvs.Revision, error) {
	return write(o, func() (kvs.Revision, error) { return o.store.CompareAndSet(ctx, key, v, expect, p) })
}

// Delete is the store's, or unavailable.
func (o *Outages) Delete(ctx context.Context, key kvs.Key, expect kvs.Revision) error {
	_, err := write(o, func() (struct{}, error) { return struct{}{}, o.store.Delete(ctx, key, expect) })
	return err
}

// WriteMany is the store's, or unavailable.
func (o *Outages) WriteMany(ctx context.Context, writes []kvs.Write, fence kvs.Fence) ([]kvs.Result, error) {
	return write(o, func() ([]kvs.Result, error) { return o.store.WriteMany(ctx, writes, fence) })
}

// Commit is the store's, or unavailable.
func (o *Outages) Commit(ctx context.Context, writes []kvs.Write, checks []kvs.Check, fence kvs.Fence) ([]kvs.Revision, error) {
	return write(o, func() ([]kvs.Revision, error) { return o.store.Commit(ctx, writes, checks, fence) })
}

// Fence is the store's, or unavailable.
func (o *Outages) Fence(ctx context.Context, writer string) (kvs.Fence, error) {
	return write(o, func() (kvs.Fence, error) { return o.store.Fence(ctx, writer) })
}

// Slot is the store's.
func (o *Outages) Slot(key kvs.Key) int { return o.store.Slot(key) }

// Watch is the store's, or unavailable. It ends with the first change that comes while the store is off.
func (o *Outages) Watch(ctx context.Context, prefix kvs.Key) (<-chan kvs.Entry, error) {
	if err := o.up(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	inner, err := o.store.Watch(ctx, prefix)
	if err != nil {
		cancel()
		return nil, err
	}
	out := make(chan kvs.Entry)
	go func() {
		defer close(out)
		defer func() {
			for range inner { // until it has ended
			}
		}()
		defer cancel()
		for e := range inner {
			if o.down.Load() {
				return
			}
			select {
			case out <- e:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, nil
}

// Follow is the store's, or unavailable.
func (o *Outages) Follow(ctx context.Context) (kvs.Feed, error) {
	if err := o.up(); err != nil {
		return nil, err
	}
	inner, err := o.store.Follow(ctx)
	if err != nil {
		return nil, err
	}
	return outageFeed{o: o, relay: newRelay(inner, func(in <-chan kvs.Push, out func(kvs.Push)) {
		for p := range in {
			if !o.down.Load() {
				out(p)
			}
		}
	})}, nil
}

type outageFeed struct {
	*relay
	o *Outages
}

// Add is the feed's, or unavailable.
func (f outageFeed) Add(keys ...kvs.Key) error {
	if err := f.o.up(); err != nil {
		return err
	}
	return f.relay.Add(keys...)
}

// Close closes the store, also while it is off.
func (o *Outages) Close() error { return o.store.Close() }
