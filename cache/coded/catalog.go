package coded

import (
	"context"
	"time"

	"github.com/squall-faas/squall/cache/coded/layout"
	"github.com/squall-faas/squall/cache/coded/lend"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// Reserved begins the keys of objects that are Squall's own. Users' do not, and are not shown them.
const Reserved = "\x00"

// catalogPrefix is where, in the system space, the objects' current versions are.
const catalogPrefix = "object/"

// catalog says which version of each key is current. It is replaced by compare-and-set only, and read with a proof that it
// is current: a read of another replica might be older, and name a version that was overwritten.
type catalog struct {
	store kvs.Store
	once  bool // of keys that have one version for ever: an entry that any replica has is right
	brief bool // and that there is none is taken from any replica too
}

// object is a catalog's entry as it was read.
type object struct {
	wire.Object
	revision kvs.Revision // 0: there is none
	shape    layout.Shape
}

func (o *object) version() lend.Version { return lend.Version(o.Version) }

func (o *object) expires() time.Time {
	if o.Expires == 0 {
		return time.Time{}
	}
	return time.Unix(0, o.Expires)
}

func checkKey(key string) error {
	if key == "" || len(key) > maxKey {
		return fault.New(fault.InvalidKey, "the object's key has %d bytes: give it 1 to %d; hash what is longer", len(key), maxKey)
	}
	return nil
}

// current reads an entry; one that is not there, deleted or expired has no Version, and its revision.
func (c catalog) current(ctx context.Context, key string) (*object, error) {
	if c.once {
		switch e, err := c.store.Get(ctx, kvs.Key(catalogPrefix+key)); {
		case err == nil:
			return openEntry(key, e)
		case c.brief && fault.Is(err, fault.NotFound):
			return &object{}, nil
		}
	}
	e, err := c.store.Current(ctx, kvs.Key(catalogPrefix+key))
	if err != nil {
		return nil, err
	}
	return openEntry(key, e)
}

func openEntry(key string, e kvs.Entry) (*object, error) {
	o := &object{}
	if e.Revision == 0 || e.Deleted {
		return o, nil
	}
	o.revision = e.Revision
	b, err := value.As[[]byte](e.Value)
	if err == nil {
		err = wire.Decode(b, &o.Object)
	}
	if err != nil {
		return nil, fault.New(fault.CodeOf(err), "the record of object %.64q: %w", key, err)
	}
	o.shape = layout.Shape{Code: layout.Code{Data: o.Data, Parity: o.Parity}, Size: o.Size, Shard: o.Shard}
	if err := o.shape.Check(); err != nil {
		return nil, fault.New(fault.CodeOf(err), "the record of object %.64q: %w", key, err)
	}
	if len(o.Version) != len(lend.Version{}) || len(o.Holders) != o.shape.Width() || o.Key != key {
		return nil, fault.New(fault.Unsupported, "the record of object %.64q is none of this release's", key)
	}
	return o, nil
}

// replace makes o the entry where the entry's revision is expect; else conflict.
func (c catalog) replace(ctx context.Context, o *wire.Object, expect kvs.Revision, now time.Time) (kvs.Revision, error) {
	b, err := wire.Encode(o)
	if err != nil {
		return 0, err
	}
	var opts kvs.PutOptions
	if o.Expires != 0 {
		opts.TTL = max(time.Unix(0, o.Expires).Sub(now), time.Second)
	}
	return c.store.CompareAndSet(ctx, kvs.Key(catalogPrefix+o.Key), value.MustOf(b), expect, opts)
}

// remove deletes the entry where its revision is expect; else conflict.
func (c catalog) remove(ctx context.Context, key string, expect kvs.Revision) error {
	return c.store.Delete(ctx, kvs.Key(catalogPrefix+key), expect)
}

// list gives keys that begin with prefix, as kvs.Store does.
func (c catalog) list(ctx context.Context, prefix, cursor string, limit int) ([]string, string, error) {
	page, err := c.store.List(ctx, kvs.Key(catalogPrefix+prefix), cursor, limit)
	if err != nil {
		return nil, "", err
	}
	keys := make([]string, len(page.Keys))
	for i, k := range page.Keys {
		keys[i] = string(k)[len(catalogPrefix):]
	}
	return keys, page.Next, nil
}
