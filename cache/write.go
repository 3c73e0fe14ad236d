package cache

import (
	"context"
	"strings"

	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// Put writes v under key, whatever was there, and returns its revision once it is stored; then it is cached too. It
// blocks on the store. Errors are the store's. After one that leaves open whether v was stored (a deadline, a store
// that went away) the next Get asks the store.
func (c *Cache) Put(ctx context.Context, key kvs.Key, v value.Value) (kvs.Revision, error) {
	return c.PutWith(ctx, key, v, kvs.PutOptions{})
}

// PutWith is Put with options. A value with a TTL leaves the cache when the store announces that it has expired.
func (c *Cache) PutWith(ctx context.Context, key kvs.Key, v value.Value, o kvs.PutOptions) (kvs.Revision, error) {
	if err := key.Check(); err != nil {
		return 0, err
	}
	if c.closed.Load() {
		return 0, errClosed()
	}
	if int64(v.Size()) <= c.limits.entry {
		var err error
		if v, err = own(v); err != nil {
			return 0, err
		}
	}
	key = kvs.Key(strings.Clone(string(key)))
	h := c.hash(key)
	s := c.shard(h)
	s.mu.Lock()
	n := s.noteLocked(key)
	barrier := n.barrier
	s.mu.Unlock()

	rev, err := c.store.Put(ctx, key, v, o)
	var made *version
	if err == nil && int64(v.Size()) <= c.limits.entry {
		made, _ = newVersion(kvs.Entry{Key: key, Value: v, Revision: rev})
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.releaseLocked(key, n)
	if err != nil {
		c.learnDeletedLocked(s, h, key, n) // or written, or neither
		return 0, err
	}
	c.learnLocked(s, h, key, n, rev, made, barrier)
	return rev, nil
}

// Delete removes key from the store and the cache; a key that is not there is no error. It blocks on the store.
func (c *Cache) Delete(ctx context.Context, key kvs.Key) error {
	if err := key.Check(); err != nil {
		return err
	}
	if c.closed.Load() {
		return errClosed()
	}
	h := c.hash(key)
	s := c.shard(h)
	s.mu.Lock()
	n := s.noteLocked(key)
	s.mu.Unlock()

	err := c.store.Delete(ctx, key, 0)

	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.releaseLocked(key, n)
	c.learnDeletedLocked(s, h, key, n)
	return err
}
