package coded

import (
	"context"
	"io"
	"time"

	"github.com/squall-faas/squall/cache/coded/layout"
	"github.com/squall-faas/squall/fault"
)

// sink takes a range, part by part and in order.
type sink interface {
	// room gives memory for a part that covers its stripe, at in the range; nil where the part has to be copied.
	room(at int64, p layout.Part) []byte
	// deliver takes a part: b is what room gave, or other memory that is reused afterwards.
	deliver(at int64, b []byte) error
	// shown reports whether anybody has seen what was delivered, so that it cannot be read again from the beginning.
	shown() bool
}

// memorySink is a range in memory: stripes are read to where they belong.
type memorySink struct{ dst []byte }

func (s *memorySink) room(at int64, p layout.Part) []byte {
	if p.From != 0 || p.To != p.Length {
		return nil
	}
	return s.dst[at : at+int64(p.Length)]
}

func (s *memorySink) deliver(at int64, b []byte) error {
	if len(b) > 0 && &s.dst[at] != &b[0] {
		copy(s.dst[at:], b)
	}
	return nil
}

func (s *memorySink) shown() bool { return false }

// writerSink is a range that is written to an io.Writer.
type writerSink struct {
	w       io.Writer
	written bool
}

func (s *writerSink) shown() bool { return s.written }

func (s *writerSink) room(int64, layout.Part) []byte { return nil }

func (s *writerSink) deliver(_ int64, b []byte) error {
	s.written = true
	n, err := s.w.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return writeError{err}
	}
	return nil
}

// writeError is the error of who takes the object: none of the tier's.
type writeError struct{ error }

func (e writeError) Unwrap() error { return e.error }

// fetched is a part on its way.
type fetched struct {
	part layout.Part
	at   int64
	b    []byte // what deliver gets
	free func()
	err  error
}

// pump fetches parts, some at a time, and delivers them in order. prove is called before the first is delivered.
func (t *Tier) pump(ctx context.Context, o *object, parts []layout.Part, offset int64, s sink, prove func() error) error {
	if len(parts) == 0 {
		return nil
	}
	where := t.fleet.find(o.Holders, time.Now())
	one := func(p layout.Part) *fetched {
		f := &fetched{part: p, at: p.Offset + int64(p.From) - offset}
		f.fetch(ctx, t, o, where, s.room(f.at, p))
		return f
	}
	deliver := func(f *fetched, first bool) error {
		defer f.free()
		if f.err != nil {
			return f.err
		}
		if first {
			if err := prove(); err != nil {
				return err
			}
		}
		return s.deliver(f.at, f.b)
	}
	if len(parts) == 1 {
		return deliver(one(parts[0]), true)
	}
	ctx, cancel := context.WithCancel(ctx)
	window := make(chan chan *fetched, t.cfg.Window-1)
	over := make(chan struct{})
	go func() {
		defer close(over)
		defer close(window)
		for _, p := range parts {
			f := make(chan *fetched, 1)
			select {
			case window <- f:
			case <-ctx.Done():
				return
			}
			go func() { f <- one(p) }()
		}
	}()
	var err error
	delivered := 0
	for f := range window { // to the end, also after an error: nothing may write to the sink's memory any more
		got := <-f
		if err == nil {
			err = context.Cause(ctx) // of whoever reads: they want no more
		}
		if err != nil {
			got.free()
			continue
		}
		if err = deliver(got, delivered == 0); err != nil {
			cancel()
		}
		delivered++
	}
	if err == nil && delivered < len(parts) { // nothing was under way when the reader's context ended
		err = context.Cause(ctx)
	}
	cancel()
	<-over
	return err
}

// fetch reads a part from lenders, and where too few are left and the object is stored, from there.
func (f *fetched) fetch(ctx context.Context, t *Tier, o *object, where []whereabouts, room []byte) {
	p := f.part
	data := room
	f.free = func() {}
	if data == nil {
		release, err := t.budget.take(ctx, int64(p.Padded()))
		if err != nil {
			f.err = err
			return
		}
		data = t.coders.scratch(p.Padded())
		f.free = func() {
			t.coders.recycle(data)
			release()
		}
	}
	f.b = data[p.From:p.To]
	f.err = t.stripe(ctx, o, where, p.Stripe, p.First, p.Beyond, data)
	if f.err == nil || !o.Stored || ctx.Err() != nil {
		return
	}
	if err := t.cfg.Backing.Read(ctx, o.Key, versionText(o.version()), p.Offset+int64(p.From), f.b); err != nil {
		f.err = fault.New(fault.CodeOf(err), "object %.64q is neither with its lenders (%s) nor can it be read from the store: %w", o.Key, fault.From(f.err).Message, err)
		return
	}
	t.stats.backed.Add(1)
	f.err = nil
}
