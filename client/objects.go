package client

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/squall-faas/squall/cache/coded"
	"github.com/squall-faas/squall/cache/coded/layout"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/peer"
)

// Objects are large values, of 0 bytes to 16 GiB, in memory that idle executors lend, cut into data and parity shards so
// that some of them may go (docs/coded-tier.md). Safe for concurrent use. Made by Client.Objects.
//
// An object that was put without Stored is a cached copy of something: it may become a miss, not_found, when too many
// lenders go or need their memory; never wrong bytes, and never a value that was overwritten.
type Objects struct{ tier *coded.Tier }

// ObjectInfo is what is known of an object.
type ObjectInfo = coded.Info

// ObjectStat is ObjectInfo with where the shards are and what may go before a Get misses.
type ObjectStat = coded.Stat

// ObjectOptions of a Put. The zero value is the usual one.
type ObjectOptions struct {
	// Code is data and parity shards, "10+2"; "" is chosen by the fleet and the object's size.
	Code string
	// TTL after which the object is gone; 0 keeps it.
	TTL time.Duration
	// Stored keeps it in the store as well, before Put returns: nothing that lenders do can lose it then.
	Stored bool
	// ContentType is kept beside it.
	ContentType string
	// IfSeq writes only over the version with this Seq, 0 where there must be none; else conflict. nil writes in any case.
	IfSeq *uint64
}

func (o ObjectOptions) coded() (coded.PutOptions, error) {
	c := coded.PutOptions{TTL: o.TTL, Stored: o.Stored, Kind: o.ContentType, IfSeq: o.IfSeq}
	if o.Code == "" {
		return c, nil
	}
	var err error
	c.Code, err = layout.ParseCode(o.Code)
	return c, err
}

// Objects gives the namespace's objects. The first call joins those who hear lenders' heartbeats, and takes some 300 ms in
// the first operation. It is closed with the client.
func (c *Client) Objects(ctx context.Context) (*Objects, error) {
	c.objectsMu.Lock()
	defer c.objectsMu.Unlock()
	if c.objects != nil {
		return c.objects, nil
	}
	secret, err := peer.Secret(ctx, c.backbone.System)
	if err != nil {
		return nil, err
	}
	cfg := coded.Config{Namespace: c.backbone.Namespace, Bus: c.backbone.Bus, Store: c.backbone.System, Secret: secret}
	if c.backbone.Pipes != nil {
		cfg.Dial = c.backbone.Pipes.Dial
	}
	t, err := coded.New(cfg)
	if err != nil {
		return nil, err
	}
	c.objects = &Objects{t}
	return c.objects, nil
}

// Put keeps what r gives, to its end, under key, 1 to 1,017 bytes; it returns once every shard is held by a lender, and with
// Stored is in the store. After an error the object is what it was before; outcome_unknown where that is not certain. Of
// several Puts of a key at a time each is kept whole, and one is current in the end.
func (o *Objects) Put(ctx context.Context, key string, r io.Reader, opts ...ObjectOptions) (ObjectInfo, error) {
	var of ObjectOptions
	if len(opts) > 0 {
		of = opts[0]
	}
	c, err := of.coded()
	if err == nil {
		err = checkObject(key)
	}
	if err != nil {
		return ObjectInfo{}, err
	}
	if err := o.tier.Settle(ctx); err != nil {
		return ObjectInfo{}, err
	}
	return o.tier.Put(ctx, key, r, c)
}

// checkObject refuses keys of Squall's own objects.
func checkObject(key string) error {
	if strings.HasPrefix(key, coded.Reserved) {
		return fault.New(fault.InvalidKey, "an object's key must not begin with a zero byte: those are Squall's own")
	}
	return nil
}

// PutBytes is Put of bytes, which are sent from where they lie and must not change before it returns.
func (o *Objects) PutBytes(ctx context.Context, key string, b []byte, opts ...ObjectOptions) (ObjectInfo, error) {
	return o.Put(ctx, key, bytes.NewReader(b), opts...)
}

// Get writes an object to w, in order, as it comes. not_found where there is none, or too few shards are left; unavailable
// where those who have them do not answer now, or where it was overwritten while it was read.
func (o *Objects) Get(ctx context.Context, key string, w io.Writer) (ObjectInfo, error) {
	return o.tier.Get(ctx, key, w)
}

// GetRange writes length bytes from offset on to w, or all from there where length is negative, fetching no more than the
// shards that hold them.
func (o *Objects) GetRange(ctx context.Context, key string, offset, length int64, w io.Writer) (ObjectInfo, error) {
	return o.tier.GetRange(ctx, key, offset, length, w)
}

// GetBytes gives an object in memory; too_large where it has more than limit bytes, if that is not 0.
func (o *Objects) GetBytes(ctx context.Context, key string, limit int64) ([]byte, ObjectInfo, error) {
	return o.tier.GetBytes(ctx, key, limit)
}

// Delete removes an object; one that is not there is no error. No Get that starts afterwards finds it.
func (o *Objects) Delete(ctx context.Context, key string) error { return o.tier.Delete(ctx, key) }

// Head gives what is known of an object without asking its lenders.
func (o *Objects) Head(ctx context.Context, key string) (ObjectInfo, error) {
	return o.tier.Head(ctx, key)
}

// Stat asks an object's lenders what they hold of it.
func (o *Objects) Stat(ctx context.Context, key string) (ObjectStat, error) {
	return o.tier.Stat(ctx, key)
}

// List gives keys that begin with prefix, at most limit (1 to 10,000) and possibly fewer before the end, in no stated order;
// next continues the listing, and is empty at its end.
func (o *Objects) List(ctx context.Context, prefix, cursor string, limit int) (keys []string, next string, err error) {
	keys, next, err = o.tier.List(ctx, prefix, cursor, limit)
	return slices.DeleteFunc(keys, func(key string) bool { return checkObject(key) != nil }), next, err
}
