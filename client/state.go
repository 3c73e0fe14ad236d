package client

import (
	"context"

	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

// Put writes x under key, any 1 to 1,024 bytes, and returns once it is stored durably. The last write wins; with
// Consistency(SK), (MK) or (DSC), what others have written and this client has not read stays beside it as a sibling. With
// TTL the key goes away by itself.
//
// Errors beside the store's: wrong_type for a causal put to a key that holds a counter or set, clock_skew where this
// machine's clock cannot order writes.
func (c *Client) Put(ctx context.Context, key string, x any, opts ...KVOption) error {
	_, err := c.Write(ctx, key, x, opts...)
	return err
}

// Write is Put, and gives the revision that it made.
func (c *Client) Write(ctx context.Context, key string, x any, opts ...KVOption) (kvs.Revision, error) {
	v, err := value.Of(x)
	if err != nil {
		return 0, err
	}
	w, err := c.writer.Put(ctx, kvs.Key(key), v, keyOptionsOf(opts).write())
	if err != nil {
		return 0, err
	}
	return w.Revision, nil
}

// Delete removes key; a key that is not there is no error. At a causal level it removes what this client has read or
// written, and leaves what others wrote meanwhile.
func (c *Client) Delete(ctx context.Context, key string, opts ...KVOption) error {
	_, err := c.writer.Delete(ctx, kvs.Key(key), keyOptionsOf(opts).write())
	return err
}

// Get reads the value under key as a T; not_found where there is none. What a lattice holds is read as its value: a counter
// as an integer, a set as a list. Consistency(Strong) proves that the value was current during the call.
func Get[T any](ctx context.Context, c *Client, key string, opts ...KVOption) (T, error) {
	v, err := c.Get(ctx, key, opts...)
	if err != nil {
		var zero T
		return zero, err
	}
	return value.As[T](v)
}

// Get reads the value under key undecoded; not_found where there is none.
func (c *Client) Get(ctx context.Context, key string, opts ...KVOption) (value.Value, error) {
	v, err := c.Version(ctx, key, opts...)
	if err != nil {
		return value.Value{}, err
	}
	return v.Value, nil
}

// Version is Get with all that is known of what was read: its revision, its siblings, when it was written and expires.
func (c *Client) Version(ctx context.Context, key string, opts ...KVOption) (*version.Version, error) {
	return c.writer.Get(ctx, kvs.Key(key), keyOptionsOf(opts).level)
}

// Siblings reads all values that were written to key concurrently at a causal level, the one that Get gives first. A put by
// this client at a causal level then replaces them.
func (c *Client) Siblings(ctx context.Context, key string, opts ...KVOption) ([]value.Value, error) {
	level := keyOptionsOf(opts).level
	if level == kvs.LWW {
		level = kvs.SingleKey // who asks for siblings has seen them
	}
	v, err := c.writer.Get(ctx, kvs.Key(key), level)
	if err != nil {
		return nil, err
	}
	return v.Siblings(), nil
}

// Update carries out a lattice's operation on key, and gives its value afterwards. Updates of several writers merge: none
// is lost, at any level. It counts once, also where an answer was lost; with IdempotencyKey also when it is called again.
// wrong_type where the key holds something else.
func (c *Client) Update(ctx context.Context, key string, op lattice.Op, opts ...KVOption) (value.Value, error) {
	v, err := c.writer.Update(ctx, kvs.Key(key), op, keyOptionsOf(opts).write())
	if err != nil {
		return value.Value{}, err
	}
	return v.Value, nil
}

// Add adds n to the counter under key, which begins at 0, and gives its value afterwards.
func Add(ctx context.Context, c *Client, key string, n int64, opts ...KVOption) (int64, error) {
	v, err := c.Update(ctx, key, lattice.Op{Kind: lattice.Add, Arg: value.MustOf(n)}, opts...)
	if err != nil {
		return 0, err
	}
	return value.As[int64](v)
}

// Transact carries out f's reads and writes as one transaction over keys that share a {tag}: all of it or nothing, and
// serializable. f is called again where another write came between, so it must have no effects of its own.
//
//	err := c.Transact(ctx, func(t *client.Transaction) error {
//		from, err := client.In[int](ctx, t, "from{7}")
//		if err != nil || from < 10 {
//			return err
//		}
//		to, err := client.In[int](ctx, t, "to{7}")
//		return errors.Join(err, t.Put(ctx, "from{7}", from-10), t.Put(ctx, "to{7}", to+10))
//	})
//
// Errors: f's, as it is; txn_cross_shard for keys of several tags; txn_conflict where others were faster 32 times.
func (c *Client) Transact(ctx context.Context, f func(*Transaction) error) error {
	return c.writer.Txn(ctx, func(t *version.Txn) error { return f(&Transaction{t}) })
}

// Transaction is a transaction under way; see Client.Transact.
type Transaction struct{ txn *version.Txn }

// In reads a key inside a transaction as a T; not_found where there is none.
func In[T any](ctx context.Context, t *Transaction, key string) (T, error) {
	v, err := t.txn.Get(ctx, kvs.Key(key))
	if err != nil {
		var zero T
		return zero, err
	}
	return value.As[T](v)
}

// Get reads a key undecoded; not_found where there is none.
func (t *Transaction) Get(ctx context.Context, key string) (value.Value, error) {
	return t.txn.Get(ctx, kvs.Key(key))
}

// Put writes x under key when the transaction commits; its own reads see it at once.
func (t *Transaction) Put(ctx context.Context, key string, x any) error {
	v, err := value.Of(x)
	if err != nil {
		return err
	}
	return t.txn.Put(ctx, kvs.Key(key), v)
}

// Delete removes key when the transaction commits.
func (t *Transaction) Delete(ctx context.Context, key string) error {
	return t.txn.Delete(ctx, kvs.Key(key))
}

// Update carries out a lattice's operation when the transaction commits, and gives the value that key has then.
func (t *Transaction) Update(ctx context.Context, key string, op lattice.Op) (value.Value, error) {
	return t.txn.Update(ctx, kvs.Key(key), op)
}
