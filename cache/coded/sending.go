package coded

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/squall-faas/squall/cache/coded/layout"
	"github.com/squall-faas/squall/cache/coded/lend"
	"github.com/squall-faas/squall/cache/coded/placement"
	"github.com/squall-faas/squall/fault"
)

// parcel is a stripe on its way to its lenders; its memory is let go when the last shard has left.
type parcel struct {
	stripe layout.Stripe
	shards [][]byte // as stored
	left   atomic.Int32
	free   func()
	taken  *sync.WaitGroup
}

func (q *parcel) done() {
	if q.left.Add(-1) == 0 {
		q.free()
		q.taken.Done()
	}
}

// sending is the goroutine that sends one column: one shard after the other, while the next stripes are encoded.
type sending struct {
	column int
	holder string
	in     chan *parcel
	over   chan struct{}
	sent   int   // shards that the holder has
	err    error // why the column is not held; read once over is closed
	tried  []string
}

func newSending(p *putting, column int, holder string) *sending {
	s := &sending{column: column, holder: holder, in: make(chan *parcel, p.tier.cfg.Window), over: make(chan struct{})}
	go func() {
		defer close(s.over)
		for q := range s.in {
			if s.err == nil && len(q.shards[s.column]) > 0 {
				s.err = s.send(p, q)
			}
			q.done()
		}
	}()
	return s
}

// send sends a shard. Where the first one fails, another lender takes the column: nothing is lost yet.
func (s *sending) send(p *putting, q *parcel) error {
	t := p.tier
	meta := lend.Meta{ID: lend.ID{Version: p.object.version(), Column: uint16(s.column)}, Key: p.object.Key, Expires: p.object.expires()}
	shard := q.shards[s.column]
	sum := sumOf(meta.ID, uint32(q.stripe.Index), shard)
	for {
		err := fault.New(fault.Unreachable, "lender %s is gone", s.holder)
		if addr := t.fleet.addr(s.holder); addr != "" {
			e := t.conns.putShard(p.ctx, addr, meta, uint32(q.stripe.Index), shard, sum)
			if e == nil {
				s.sent++
				return nil
			}
			err = fault.From(e)
		}
		if p.ctx.Err() != nil {
			return fault.From(context.Cause(p.ctx))
		}
		t.stats.failed.Add(1)
		t.log.Info("a lender did not take a shard", "lender", s.holder, "key", p.object.Key, "err", err)
		if s.sent > 0 || !s.move(p) {
			return err
		}
	}
}

// move chooses another lender; false where none is left that was not tried. Where each has a column of the object already,
// one of them gets a second.
func (s *sending) move(p *putting) bool {
	s.tried = append(s.tried, s.holder)
	takers := slices.DeleteFunc(p.tier.fleet.takers(time.Now()), func(l placement.Lender) bool { return slices.Contains(s.tried, l.Name) })
	p.mu.Lock()
	defer p.mu.Unlock()
	holders := slices.Clone(p.object.Holders)
	holders[s.column] = ""
	now, err := placement.Replace(p.object.Key, takers, p.placed, holders)
	if err != nil {
		return false
	}
	s.holder = now[s.column]
	p.object.Holders[s.column] = s.holder
	return true
}

// send encodes a stripe and hands its shards to the columns. data is its bytes of the object, whose memory may be longer;
// free is called once nothing needs it any more.
func (p *putting) send(x layout.Stripe, data []byte, free func()) error {
	t := p.tier
	if p.opts.Stored {
		if err := t.cfg.Backing.Write(p.ctx, p.object.Key, versionText(p.object.version()), x.Offset, data); err != nil {
			if free != nil {
				free()
			}
			return err
		}
	}
	release, err := t.budget.take(p.ctx, int64(x.Parity*x.Shard))
	if err != nil {
		if free != nil {
			free()
		}
		return err
	}
	var spare [][]byte
	scratch := func() []byte {
		b := t.coders.scratch(x.Shard)
		spare = append(spare, b)
		return b
	}
	q := &parcel{stripe: x, taken: &p.parcels, free: func() {
		for _, b := range spare {
			t.coders.recycle(b)
		}
		release()
		if free != nil {
			free()
		}
	}}
	q.left.Store(int32(x.Width()))
	p.parcels.Add(1)
	shards := make([][]byte, x.Width())
	for c := range shards {
		size, at := x.Stored(c), c*x.Shard
		switch {
		case c >= x.Data && x.Data == 1: // a copy
			shards[c] = shards[0]
		case c >= x.Data:
			shards[c] = scratch()
		case size == x.Shard:
			shards[c] = data[at : at+size]
		default: // filled up for the arithmetic
			shards[c] = scratch()
			if size > 0 {
				copy(shards[c], data[at:at+size])
			}
			clear(shards[c][size:])
		}
	}
	q.shards = make([][]byte, x.Width())
	for c, b := range shards {
		q.shards[c] = b[:x.Stored(c)]
	}
	rest := p.columns
	if p.object.shape.Stripes() == 1 { // its data leaves while the parity is computed; of several, the stripe before does
		err, rest = p.hand(q, p.columns[:x.Data]), p.columns[x.Data:]
	}
	if x.Data > 1 && err == nil {
		began := time.Now()
		err = t.coders.encode(x, shards)
		t.stats.coding.Add(int64(time.Since(began)))
	}
	if err != nil {
		for range rest {
			q.done()
		}
		return err
	}
	return p.hand(q, rest)
}

// hand gives a parcel to its columns.
func (p *putting) hand(q *parcel, to []*sending) (err error) {
	for _, s := range to {
		select {
		case s.in <- q:
		case <-p.ctx.Done():
			q.done()
			err = fault.From(context.Cause(p.ctx))
		}
	}
	return err
}

// finish waits until all that was handed to the columns has been sent or given up. More columns that failed than the code
// survives are an error.
func (p *putting) finish() error {
	failed := 0
	var first error
	for _, s := range p.columns {
		close(s.in)
	}
	for _, s := range p.columns {
		<-s.over
	}
	for _, s := range p.columns { // not before all are over: one that still moves reads who holds the others
		if s.err != nil {
			failed++
			if first == nil {
				first = s.err
			}
			p.object.Holders[s.column] = ""
		}
	}
	p.parcels.Wait()
	if failed > p.object.shape.Parity {
		e := fault.New(fault.CodeOf(first), "%d of %d lenders did not take object %.64q, the first says: %w", failed, len(p.columns), p.object.Key, first)
		return e
	}
	return nil
}
