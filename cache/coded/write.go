package coded

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/squall-faas/squall/cache/coded/layout"
	"github.com/squall-faas/squall/cache/coded/placement"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/wire"
)

// PutOptions of a Put. The zero value is the usual one.
type PutOptions struct {
	Code   layout.Code   // zero: by the fleet and the object's size
	TTL    time.Duration // after which the object is gone; 0 keeps it
	Stored bool          // in the store as well, before the Put is answered: nothing that lenders do can lose it
	Kind   string        // the author's content type, at most 256 bytes
	// IfSeq writes only where the current version has this Seq, 0 where there must be no object; else conflict. nil writes
	// whatever is there.
	IfSeq *uint64
	// Once says that the key was never used and will not be put again, as one that is drawn at random: what is there is not
	// asked for, and GetOnce reads it.
	Once bool
}

const maxKind = 256

func (o *PutOptions) check() error {
	switch {
	case o.TTL < 0:
		return fault.New(fault.InvalidArgument, "the TTL is %v: give a positive one, or 0 to keep the object", o.TTL)
	case len(o.Kind) > maxKind:
		return fault.New(fault.InvalidArgument, "a content type of %d bytes: at most %d are kept", len(o.Kind), maxKind)
	case o.Code.IsZero():
		return nil
	}
	return o.Code.Check()
}

// Put keeps what r gives, up to its end, under key, and returns once all d+p shards of every stripe are held and the catalog
// names the new version, and with Stored once the store has it too. Stripes are sent as they come: memory is needed for a
// few. Where it fails, r's error included, the object is what it was before. Of several Puts of a key at a time each is
// kept whole, and the one that the catalog took last is current.
//
// Errors: too_large over 16 GiB, no_executor where nobody lends, overloaded or unavailable where lenders refuse or fail,
// conflict of IfSeq, outcome_unknown where the store did not say whether the new version became current.
func (t *Tier) Put(ctx context.Context, key string, r io.Reader, o PutOptions) (Info, error) {
	if b, ok := r.(*bytes.Reader); ok { // its bytes are sent from where they lie
		all := make(grab, 0)
		if _, err := b.WriteTo(&all); err != nil {
			return Info{}, err
		}
		return t.PutBytes(ctx, key, all, o)
	}
	return t.put(ctx, key, o, func(p *putting) error { return p.stream(r) })
}

// grab keeps the slice that a bytes.Reader writes.
type grab []byte

func (g *grab) Write(b []byte) (int, error) { *g = b; return len(b), nil }

// PutBytes is Put of bytes that are in memory: they are sent from where they lie. b must not change before it returns.
func (t *Tier) PutBytes(ctx context.Context, key string, b []byte, o PutOptions) (Info, error) {
	return t.put(ctx, key, o, func(p *putting) error { return p.bytes(b) })
}

// putting is one Put.
type putting struct {
	tier    *Tier
	opts    PutOptions
	object  object
	columns []*sending
	parcels sync.WaitGroup  // that are not sent yet
	placed  layout.Shape    // that the lenders were chosen for
	mu      sync.Mutex      // guards the object's Holders while columns are sent
	ctx     context.Context // of the sending, and no longer
	fail    context.CancelCauseFunc
}

func (t *Tier) put(ctx context.Context, key string, o PutOptions, feed func(*putting) error) (i Info, err error) {
	err = checkKey(key)
	if err == nil {
		err = o.check()
	}
	if err == nil {
		err = t.ready(ctx)
	}
	if err != nil {
		return Info{}, err
	}
	t.stats.puts.Add(1)
	version := id.NewRun() // by time, so that what was given up can be told by its age
	p := &putting{tier: t, opts: o}
	p.object.Object = wire.Object{Key: key, Version: version[:], Stored: o.Stored, Kind: o.Kind}
	if o.TTL > 0 {
		p.object.Expires = time.Now().Add(o.TTL).UnixNano()
	}
	var cancel context.CancelFunc
	p.ctx, cancel = context.WithCancel(ctx)
	defer cancel()
	p.ctx, p.fail = context.WithCancelCause(p.ctx)
	defer p.fail(nil)
	stop := context.AfterFunc(t.life, func() { p.fail(errTierClosed()) })
	defer stop()
	err = feed(p)
	if e := p.finish(); err == nil {
		err = e
	}
	if err == nil {
		err = p.mend()
	}
	if err == nil {
		i, err = p.commit(ctx)
	}
	if err != nil && !fault.Is(err, fault.OutcomeUnknown) {
		p.giveUp()
	}
	if err != nil && ctx.Err() != nil && !fault.Is(err, fault.OutcomeUnknown) {
		err = fault.From(context.Cause(ctx))
	}
	return i, err
}

// code is what an object of size bytes is cut by; of one whose size is not known yet, size is negative.
func (p *putting) code(size int64) layout.Code {
	if !p.opts.Code.IsZero() {
		return p.opts.Code
	}
	return layout.Choose(size, p.tier.fleet.shape(time.Now()))
}

// bytes sends an object that is in memory.
func (p *putting) bytes(b []byte) error {
	shape, err := layout.Cut(int64(len(b)), p.code(int64(len(b))))
	if err != nil {
		return err
	}
	if err := p.place(shape); err != nil {
		return err
	}
	for i := range shape.Stripes() {
		x := shape.Stripe(i)
		if err := p.send(x, b[x.Offset:x.Offset+int64(x.Length)], nil); err != nil {
			return err
		}
	}
	return nil
}

// stream sends what r gives. Until the first stripe is full nobody knows how large the object is.
func (p *putting) stream(r io.Reader) error {
	code := p.code(-1)
	stripe := code.Data * layout.ShardBytes
	for at := int64(0); ; at += int64(stripe) {
		release, err := p.tier.budget.take(p.ctx, int64(stripe))
		if err != nil {
			return err
		}
		b := p.tier.coders.scratch(stripe)
		free := func() { p.tier.coders.recycle(b); release() }
		n, err := io.ReadFull(r, b)
		end := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !end {
			free()
			return err
		}
		if end && at == 0 {
			err := p.bytes(b[:n])
			p.parcels.Wait()
			free()
			return err
		}
		if at+int64(n) > layout.MaxObject {
			free()
			return layout.TooLarge(at + int64(n))
		}
		if at == 0 {
			shape, err := layout.Cut(int64(stripe), code)
			if err == nil {
				err = p.place(shape)
			}
			if err != nil {
				free()
				return err
			}
		}
		if p.object.shape, err = layout.Cut(at+int64(n), code); err != nil {
			free()
			return err
		}
		if n == 0 {
			free()
			return nil
		}
		if err := p.send(p.object.shape.Stripe(p.object.shape.Stripes()-1), b[:n], free); err != nil {
			return err
		}
		if end {
			return nil
		}
	}
}

// place chooses lenders and begins to send to them.
func (p *putting) place(shape layout.Shape) error {
	p.object.shape, p.placed = shape, shape
	p.object.Holders = make([]string, shape.Width())
	if shape.Size == 0 { // nothing is sent
		return nil
	}
	holders, err := placement.Place(p.object.Key, p.tier.fleet.takers(time.Now()), shape)
	if err != nil {
		return err
	}
	p.object.Holders = holders
	for c, holder := range holders {
		p.columns = append(p.columns, newSending(p, c, holder))
	}
	return nil
}

// commit makes the version current, and retires the one before.
func (p *putting) commit(ctx context.Context) (Info, error) {
	t, o := p.tier, &p.object
	o.Size, o.Data, o.Parity, o.Shard = o.shape.Size, o.shape.Data, o.shape.Parity, o.shape.Shard
	for {
		lost := p.seal() // while the catalog is asked
		was, err := &object{}, error(nil)
		if !p.opts.Once {
			was, err = t.catalog.current(ctx, o.Key)
		}
		missing := <-lost
		if err != nil {
			return Info{}, err
		}
		if len(missing) > 0 {
			if err := p.again(missing); err != nil {
				return Info{}, err
			}
			continue
		}
		expired := was.Expires != 0 && !time.Now().Before(was.expires())
		if p.opts.IfSeq != nil && (was.Version != nil && !expired && was.Seq != *p.opts.IfSeq || (was.Version == nil || expired) && *p.opts.IfSeq != 0) {
			return Info{}, fault.New(fault.Conflict, "object %.64q is at version %d, not %d: read it again", o.Key, was.Seq, *p.opts.IfSeq)
		}
		o.Seq, o.Written = was.Seq+1, time.Now().UnixNano()
		o.revision, err = t.catalog.replace(ctx, &o.Object, was.revision, time.Now())
		switch {
		case err == nil:
			t.remember(o.Key, o)
			t.retire(was)
			return o.info(), nil
		case fault.Is(err, fault.Conflict): // another was faster: this one is the later
			p.opts.Once = false
			continue
		case fault.Is(err, fault.Unavailable), fault.Is(err, fault.Unreachable), fault.Is(err, fault.DeadlineExceeded), fault.Is(err, fault.Cancelled):
			return Info{}, fault.New(fault.OutcomeUnknown, "whether the new version of object %.64q became current is not known: read it, or put it again: %w", o.Key, err)
		default:
			return Info{}, err
		}
	}
}

// sealWait bounds how long a lender is waited for that is to seal. One that does not answer has its column all the same.
const sealWait = 500 * time.Millisecond

// seal tells lenders that the version is complete, and gives the columns whose lenders do not have them any more: they were
// evicted, because less is lent or because this Put took very long.
func (p *putting) seal() <-chan []int {
	t, o := p.tier, &p.object
	at := t.fleet.find(o.Holders, time.Now())
	gone := make([]bool, len(at))
	var asked sync.WaitGroup
	for c, x := range at {
		if o.shape.Column(c) == 0 || x.addr == "" {
			continue
		}
		asked.Go(func() {
			ctx, cancel := context.WithTimeout(p.ctx, sealWait)
			defer cancel()
			gone[c] = fault.Is(t.conns.seal(ctx, x.addr, o.version()), fault.NotFound)
		})
	}
	out := make(chan []int, 1)
	go func() {
		asked.Wait()
		var missing []int
		for c, g := range gone {
			if g {
				missing = append(missing, c)
			}
		}
		out <- missing
	}()
	return out
}

// again rebuilds columns that were evicted before the version was current.
func (p *putting) again(missing []int) error {
	if len(missing) > p.object.shape.Parity {
		return fault.New(fault.Overloaded, "%d of %d lenders of object %.64q have taken their memory back while it was sent: put it again", len(missing), len(p.object.Holders), p.object.Key)
	}
	for _, c := range missing {
		p.object.Holders[c] = ""
	}
	return p.mend()
}

// retire tells lenders, and the store, that a version is not current any more.
func (t *Tier) retire(was *object) {
	if was.Version == nil {
		return
	}
	t.each(was, func(ctx context.Context, addr string) { _ = t.conns.retire(ctx, addr, was.version()) })
	if was.Stored {
		t.background(time.Minute, func(ctx context.Context) {
			if err := t.cfg.Backing.Remove(ctx, was.Key, versionText(was.version()), was.Size); err != nil {
				t.log.Warn("an overwritten object is still in the store", "key", was.Key, "err", err)
			}
		})
	}
}

// giveUp drops what was sent.
func (p *putting) giveUp() {
	t, o := p.tier, &p.object
	t.each(o, func(ctx context.Context, addr string) { _ = t.conns.drop(ctx, addr, o.version(), -1) })
	if o.Stored {
		t.background(time.Minute, func(ctx context.Context) {
			_ = t.cfg.Backing.Remove(ctx, o.Key, versionText(o.version()), o.shape.Size) // else swept
		})
	}
}

// each calls f for the lenders of an object in the background, one after the other a lender, all at a time.
func (t *Tier) each(o *object, f func(ctx context.Context, addr string)) {
	seen := map[string]bool{}
	for _, at := range t.fleet.find(o.Holders, time.Now()) {
		addr := at.addr
		if addr == "" || seen[addr] {
			continue
		}
		seen[addr] = true
		t.background(2*t.cfg.Stall, func(ctx context.Context) { f(ctx, addr) })
	}
}

// forgetLimit bounds how long Forget takes for each key.
const forgetLimit = 5 * time.Second

// Forget is Delete of several, in the background: best effort.
func (t *Tier) Forget(keys ...string) {
	t.background(forgetLimit*time.Duration(len(keys)), func(ctx context.Context) {
		for _, key := range keys {
			if err := t.Delete(ctx, key); err != nil {
				t.log.Debug("an object was not removed", "key", key, "err", err)
			}
		}
	})
}

// Delete removes the object; one that is not there is no error. Once it has returned no read finds it.
func (t *Tier) Delete(ctx context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	for {
		was, err := t.catalog.current(ctx, key)
		if err != nil || was.revision == 0 {
			return err
		}
		err = t.catalog.remove(ctx, key, was.revision)
		if err == nil {
			t.retire(was)
			return nil
		}
		if !fault.Is(err, fault.Conflict) {
			return err
		}
	}
}
