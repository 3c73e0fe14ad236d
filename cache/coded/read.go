package coded

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/squall-faas/squall/cache/coded/layout"
	"github.com/squall-faas/squall/fault"
)

// Info is what is known of an object.
type Info struct {
	Key     string      `json:"key"`
	Version string      `json:"version"` // names this content for ever
	Seq     uint64      `json:"seq"`     // counts the versions of the key
	Size    int64       `json:"size"`
	Code    layout.Code `json:"code"`
	Kind    string      `json:"kind,omitempty"` // its author's content type
	Stored  bool        `json:"stored"`         // in the store as well
	Written time.Time   `json:"written"`
	Expires time.Time   `json:"expires,omitzero"`
}

func (o *object) info() Info {
	return Info{
		Key: o.Key, Version: versionText(o.version()), Seq: o.Seq, Size: o.Size, Code: o.shape.Code, Kind: o.Kind, Stored: o.Stored,
		Written: time.Unix(0, o.Written).UTC(), Expires: o.expires(),
	}
}

// Get writes the object under key to w, in order, as its stripes come. not_found where there is none or fewer than d shards
// are left of one that is not stored; unavailable where lenders that have it do not answer now. After an error w may have
// got the beginning of it, never anything else; what it gets is of one version, that was current at some moment during the
// call.
func (t *Tier) Get(ctx context.Context, key string, w io.Writer) (Info, error) {
	return t.GetRange(ctx, key, 0, -1, w)
}

// GetRange is Get of length bytes from offset on, or of all that follow where length is negative. Only the stripes and
// shards that hold them are fetched, where none is missing. invalid_argument where they are not inside the object.
func (t *Tier) GetRange(ctx context.Context, key string, offset, length int64, w io.Writer) (Info, error) {
	return t.read(ctx, t.catalog, key, offset, length, func(o *object, length int64) (sink, error) { return &writerSink{w: w}, nil })
}

// GetBytes gives the object in memory of its own. too_large over limit bytes, where limit is not 0.
func (t *Tier) GetBytes(ctx context.Context, key string, limit int64) ([]byte, Info, error) {
	return t.getBytes(ctx, t.catalog, key, limit)
}

// GetOnce is GetBytes of a key that was put with PutOptions.Once: there is no newer version that would have to be ruled out,
// so any replica of the catalog may say where it is.
func (t *Tier) GetOnce(ctx context.Context, key string, limit int64) ([]byte, Info, error) {
	return t.getBytes(ctx, catalog{store: t.cfg.Store, once: true}, key, limit)
}

// GetIfThere is GetOnce of what may never have been put: the word of any replica that it is not there is taken.
func (t *Tier) GetIfThere(ctx context.Context, key string, limit int64) ([]byte, Info, error) {
	return t.getBytes(ctx, catalog{store: t.cfg.Store, once: true, brief: true}, key, limit)
}

func (t *Tier) getBytes(ctx context.Context, c catalog, key string, limit int64) (b []byte, i Info, err error) {
	i, err = t.read(ctx, c, key, 0, -1, func(o *object, length int64) (sink, error) {
		if limit > 0 && length > limit {
			return nil, fault.New(fault.TooLarge, "object %.64q has %d bytes, at most %d are wanted: read it as a stream or in ranges", key, length, limit)
		}
		if int64(len(b)) != length {
			b = make([]byte, length)
		}
		return &memorySink{dst: b}, nil
	})
	if err != nil {
		return nil, i, err
	}
	return b, i, nil
}

// GetInto reads the object into dst, which is as long as it: nothing is allocated or copied for its sake. invalid_argument
// where it is longer or shorter. After an error dst has anything in it.
func (t *Tier) GetInto(ctx context.Context, key string, dst []byte) (Info, error) {
	return t.read(ctx, t.catalog, key, 0, -1, func(o *object, length int64) (sink, error) {
		if int64(len(dst)) != length {
			return nil, fault.New(fault.InvalidArgument, "object %.64q has %d bytes, there is room for %d: ask Stat how long it is", key, length, len(dst))
		}
		return &memorySink{dst: dst}, nil
	})
}

// read reads a range into the sink that open gives for the version that is read. It begins with what was last known of the
// object while the catalog is asked what is current, and shows nothing before that has answered.
func (t *Tier) read(ctx context.Context, c catalog, key string, offset, length int64, open func(*object, int64) (sink, error)) (Info, error) {
	if err := checkKey(key); err != nil {
		return Info{}, err
	}
	if err := t.ready(ctx); err != nil {
		return Info{}, err
	}
	t.stats.gets.Add(1)
	hint := t.hint(key)
	for {
		proven := newProof(ctx, c, key, hint != nil)
		o := hint
		if o == nil {
			var err error
			if o, err = proven.wait(ctx); err != nil {
				return Info{}, err
			}
		}
		info, next, err := t.attempt(ctx, o, proven, offset, length, open)
		if next == nil {
			return info, err
		}
		hint = next
	}
}

// errOvertaken: another version is current.
var errOvertaken = errors.New("another version is current")

// attempt reads one version. Where that failed because the object was changed meanwhile it gives what is current next.
func (t *Tier) attempt(ctx context.Context, o *object, proven *proofOf, offset, length int64, open func(*object, int64) (sink, error)) (i Info, next *object, err error) {
	if length < 0 {
		length = max(o.Size-offset, 0)
	}
	parts, err := o.shape.Range(offset, length)
	var s sink
	if err == nil {
		s, err = open(o, length)
	}
	prove := func() error { return proven.confirm(ctx, o) }
	if err == nil {
		err = t.pump(ctx, o, parts, offset, s, prove)
	}
	if err == nil {
		err = prove()
	}
	if err == nil {
		t.remember(o.Key, o)
		return o.info(), nil, nil
	}
	var theirs writeError
	if errors.As(err, &theirs) {
		return i, nil, theirs.error
	}
	if ctx.Err() != nil {
		return i, nil, fault.From(context.Cause(ctx))
	}
	// Whatever went wrong may have gone wrong because this is not current any more, or was not when it began.
	now, e := newProof(ctx, t.catalog, o.Key, false).wait(ctx)
	switch {
	case e != nil:
		return i, nil, e
	case same(o, now):
		if errors.Is(err, errMiss) {
			t.stats.misses.Add(1)
		}
		return i, nil, err
	case s != nil && s.shown():
		return i, nil, fault.New(fault.Unavailable, "object %.64q was replaced while it was read, and what is left of the old one is not enough: read it again", o.Key)
	}
	return i, now, nil
}

// same reports whether two entries name the same shards.
func same(a, b *object) bool { return a.revision == b.revision }

// proofOf is what the catalog says is current, asked for once.
type proofOf struct {
	done chan struct{}
	o    *object
	err  error
	key  string
	now  func() time.Time
}

// newProof asks; on a goroutine of its own where there is something to do meanwhile. The goroutine ends with ctx.
func newProof(ctx context.Context, c catalog, key string, apart bool) *proofOf {
	p := &proofOf{done: make(chan struct{}), key: key, now: time.Now}
	ask := func() {
		defer close(p.done)
		p.o, p.err = c.current(ctx, key)
	}
	if apart {
		go ask()
	} else {
		ask()
	}
	return p
}

// wait gives what is current; not_found where there is none.
func (p *proofOf) wait(ctx context.Context) (*object, error) {
	select {
	case <-p.done:
	case <-ctx.Done():
		return nil, fault.From(context.Cause(ctx))
	}
	if p.err != nil {
		return nil, p.err
	}
	if p.o.Version == nil || p.o.Expires != 0 && !p.now().Before(p.o.expires()) {
		return nil, fault.New(fault.NotFound, "there is no object under key %.64q: put one first, or correct the key", p.key)
	}
	return p.o, nil
}

// confirm proves that o's version is current; errOvertaken where another is. That others hold its shards by now is no
// matter: they are the same bytes.
func (p *proofOf) confirm(ctx context.Context, o *object) error {
	now, err := p.wait(ctx)
	if err != nil {
		return err
	}
	if now.version() != o.version() {
		return errOvertaken
	}
	return nil
}
