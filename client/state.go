package client

import (
	"context"
	"time"

	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// Put writes x under key, any 1 to 1,024 bytes, and returns once it is stored. With a TTL the key goes away by itself.
func (c *Client) Put(ctx context.Context, key string, x any, ttl ...time.Duration) error {
	v, err := value.Of(x)
	if err != nil {
		return err
	}
	var o kvs.PutOptions
	if len(ttl) > 0 {
		o.TTL = ttl[0]
	}
	_, err = c.backbone.User.Put(ctx, kvs.Key(key), v, o)
	return err
}

// Get reads the value under key as a T; not_found where there is none.
func Get[T any](ctx context.Context, c *Client, key string) (T, error) {
	e, err := c.backbone.User.Get(ctx, kvs.Key(key))
	if err != nil {
		var zero T
		return zero, err
	}
	return value.As[T](e.Value)
}

// Get reads the value under key undecoded; not_found where there is none.
func (c *Client) Get(ctx context.Context, key string) (value.Value, error) {
	e, err := c.backbone.User.Get(ctx, kvs.Key(key))
	return e.Value, err
}

// Delete removes key; a key that is not there is no error.
func (c *Client) Delete(ctx context.Context, key string) error {
	return c.backbone.User.Delete(ctx, kvs.Key(key), 0)
}
