package coded

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/squall-faas/squall/cache/coded/firstd"
	"github.com/squall-faas/squall/cache/coded/layout"
	"github.com/squall-faas/squall/cache/coded/lend"
	"github.com/squall-faas/squall/fault"
)

// errMiss: fewer than d shards of a stripe are left.
var errMiss = errors.New("too few shards are left")

// stripeRead is the shell of one firstd.Plan: a goroutine for each shard that is asked for, and the caller's own.
type stripeRead struct {
	tier   *Tier
	object *object
	where  []whereabouts // of the holders
	stripe layout.Stripe
	first  int
	beyond int
	data   []byte // the stripe's data shards, one behind the other, as far as the object goes or with room for all

	spare  [][]byte // by column: memory of shards that have no place in data
	began  []time.Time
	missed []error
	lost   int // columns that are gone for good
}

// arrival is the end of one shard's way.
type arrival struct {
	column int
	took   time.Duration
	err    error
}

// stripe reads the data columns from first up to beyond of a stripe into data. When it has returned, nothing writes to data
// any more. The error wraps errMiss where too few shards are left, whoever is asked.
func (t *Tier) stripe(ctx context.Context, o *object, where []whereabouts, x layout.Stripe, first, beyond int, data []byte) error {
	r := &stripeRead{
		tier: t, object: o, where: where, stripe: x, first: first, beyond: beyond, data: data,
		spare: make([][]byte, x.Width()), began: make([]time.Time, x.Width()), missed: make([]error, x.Width()),
	}
	defer func() {
		for _, b := range r.spare {
			t.coders.recycle(b)
		}
	}()
	direct, here, err := r.gather(ctx)
	if err != nil {
		return err
	}
	if direct {
		t.stats.direct.Add(1)
		return nil
	}
	t.stats.rebuilt.Add(1)
	began := time.Now()
	err = r.rebuild(here)
	t.stats.coding.Add(int64(time.Since(began)))
	return err
}

// gather gets enough shards, and says which are here.
func (r *stripeRead) gather(ctx context.Context) (direct bool, here []bool, err error) {
	x, t := r.stripe, r.tier
	ctx, cancel := context.WithCancel(ctx)
	var flying sync.WaitGroup
	defer flying.Wait()
	defer cancel()
	now := time.Now()
	plan := firstd.New(x.Data, r.first, r.beyond, r.columns(now), t.learnt.Hedge(x.Shard))
	ends := make(chan arrival, x.Width())
	ask := func(columns []int) {
		for _, c := range columns {
			r.began[c] = time.Now()
			place := r.place(c)
			flying.Go(func() {
				err := t.conns.getShard(ctx, r.where[c].addr, lend.ID{Version: r.object.version(), Column: uint16(c)}, uint32(x.Index), place)
				ends <- arrival{c, time.Since(r.began[c]), err}
			})
		}
	}
	ask(plan.Start(now))
	for !plan.Done() {
		if plan.Stuck() {
			return false, nil, r.stuck()
		}
		var alarm <-chan time.Time
		if at := plan.Wake(); !at.IsZero() {
			alarm = time.After(time.Until(at)) // collected when it is not needed any more
		}
		select {
		case e := <-ends:
			if ctx.Err() != nil {
				return false, nil, fault.From(context.Cause(ctx))
			}
			ask(r.ended(plan, e))
		case <-alarm:
			late := plan.At(time.Now())
			t.stats.hedges.Add(int64(len(late)))
			ask(late)
		case <-ctx.Done():
			return false, nil, fault.From(context.Cause(ctx))
		case <-t.life.Done():
			return false, nil, errTierClosed()
		}
	}
	now = time.Now()
	for _, c := range plan.Out() {
		t.learnt.Late(r.object.Holders[c], x.Shard, now.Sub(r.began[c]))
	}
	here = make([]bool, x.Width())
	for c := range here {
		here[c] = plan.Here(c)
	}
	return plan.Direct(), here, nil
}

// columns says of each column what is to be expected, and has slow lenders tried beside the others now and then.
func (r *stripeRead) columns(now time.Time) []firstd.Column {
	cols := make([]firstd.Column, r.stripe.Width())
	for c := range cols {
		size := r.stripe.Stored(c)
		cols[c].Bytes = size
		if size == 0 {
			continue
		}
		if r.where[c].addr == "" {
			cols[c].Absent = true
			r.missed[c] = fault.New(fault.Unreachable, "its lender is gone")
			r.lost++
			continue
		}
		holder := r.object.Holders[c]
		cols[c] = r.tier.learnt.Column(holder, size, now)
		cols[c].Slow = cols[c].Slow || r.where[c].quiet
		if cols[c].Slow && r.tier.learnt.Probe(holder, now) {
			r.probe(c, size)
		}
	}
	return cols
}

// probe asks a slow lender beside the others, for what its answer teaches.
func (r *stripeRead) probe(column, size int) {
	t, holder, addr := r.tier, r.object.Holders[column], r.where[column].addr
	id, stripe := lend.ID{Version: r.object.version(), Column: uint16(column)}, uint32(r.stripe.Index)
	t.background(t.cfg.Stall, func(ctx context.Context) {
		b := t.coders.scratch(size)
		defer t.coders.recycle(b)
		began := time.Now()
		if err := t.conns.getShard(ctx, addr, id, stripe, b); err == nil {
			t.learnt.Took(holder, size, time.Since(began))
		} else if !fault.Is(err, fault.NotFound) {
			t.learnt.Failed(holder, time.Now())
		}
	})
}

// ended takes in the end of a shard's way, and gives what to ask next.
func (r *stripeRead) ended(plan *firstd.Plan, e arrival) []int {
	t, holder := r.tier, r.object.Holders[e.column]
	if e.err == nil {
		t.learnt.Took(holder, r.stripe.Stored(e.column), e.took)
		plan.Arrived(e.column)
		return nil
	}
	r.missed[e.column] = e.err
	if fault.Is(e.err, fault.NotFound) {
		r.lost++
	} else {
		t.stats.failed.Add(1)
		t.learnt.Failed(holder, time.Now())
	}
	return plan.Failed(e.column, time.Now())
}

// stuck is the error when too few shards can be had.
func (r *stripeRead) stuck() error {
	var why []string
	for c, err := range r.missed {
		if err != nil {
			why = append(why, fmt.Sprintf("%d: %s", c, fault.From(err).Message))
		}
	}
	words := strings.Join(why[:min(len(why), 4)], "; ")
	if r.stripe.Width()-r.lost < r.stripe.Data {
		return fault.New(fault.NotFound, "%w of object %.64q: %d of %d, and %d are needed (%s)", errMiss, r.object.Key, r.stripe.Width()-r.lost, r.stripe.Width(), r.stripe.Data, words)
	}
	return fault.New(fault.Unavailable, "object %.64q: fewer than %d of %d lenders give their shards now, try again: %s", r.object.Key, r.stripe.Data, r.stripe.Width(), words)
}

// place is where a column's bytes go.
func (r *stripeRead) place(c int) []byte {
	size := r.stripe.Stored(c)
	if c < r.stripe.Data {
		at := c * r.stripe.Shard
		return r.data[at : at+size]
	}
	if r.spare[c] == nil {
		r.spare[c] = r.tier.coders.scratch(r.stripe.Shard)
	}
	return r.spare[c][:size]
}

// rebuild computes the wanted columns that are not here. Shards that are shorter than the stripe's are filled up with zeros
// first, in place where data has the room.
func (r *stripeRead) rebuild(here []bool) error {
	x := r.stripe
	shards := make([][]byte, x.Width())
	wanted := make([]bool, x.Width())
	for c := range shards {
		size := x.Stored(c)
		at := c * x.Shard
		whole := c >= x.Data || len(r.data) >= at+x.Shard
		switch {
		case !here[c] && (c < r.first || c >= r.beyond):
			continue
		case c >= x.Data:
			shards[c] = r.spare[c][:x.Shard]
		case whole:
			shards[c] = r.data[at : at+x.Shard : at+x.Shard]
			clear(shards[c][size:])
		default:
			r.spare[c] = r.tier.coders.scratch(x.Shard)
			shards[c] = r.spare[c][:x.Shard]
			if here[c] && size > 0 {
				copy(shards[c], r.data[at:at+size])
			}
			clear(shards[c][size:])
		}
		if !here[c] {
			shards[c], wanted[c] = shards[c][:0], true
		}
	}
	if err := r.tier.coders.rebuild(x, shards, wanted); err != nil {
		return err
	}
	for c, w := range wanted {
		if size := x.Stored(c); w && len(r.data) < (c+1)*x.Shard {
			copy(r.data[c*x.Shard:c*x.Shard+size], shards[c][:x.Shard])
		}
	}
	return nil
}
