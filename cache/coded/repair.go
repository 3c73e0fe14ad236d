package coded

import (
	"context"
	"slices"
	"time"

	"github.com/squall-faas/squall/cache/coded/lend"
	"github.com/squall-faas/squall/cache/coded/placement"
	"github.com/squall-faas/squall/fault"
)

// refill rebuilds the columns of an object that have no holder, "" in its Holders, and gives all holders with the new ones;
// they hold theirs unsealed. The lenders are chosen among takers. pace is called with bytes before they are moved.
func (t *Tier) refill(ctx context.Context, o *object, takers []placement.Lender, pace func(context.Context, int64) error) ([]string, error) {
	holders, err := placement.Replace(o.Key, takers, o.shape, o.Holders)
	if err != nil {
		return nil, err
	}
	var columns []int
	for c, holder := range o.Holders {
		if holder == "" {
			columns = append(columns, c)
		}
	}
	now := time.Now()
	from, to := t.fleet.find(o.Holders, now), t.fleet.find(holders, now)
	for i := range o.shape.Stripes() {
		x := o.shape.Stripe(i)
		if err := pace(ctx, int64(x.Length+len(columns)*x.Shard)); err != nil {
			return nil, err
		}
		if err := t.refillStripe(ctx, o, i, columns, from, to, holders); err != nil {
			return nil, err
		}
	}
	t.stats.repaired.Add(int64(len(columns)))
	return holders, nil
}

func (t *Tier) refillStripe(ctx context.Context, o *object, index int, columns []int, from, to []whereabouts, holders []string) error {
	x := o.shape.Stripe(index)
	release, err := t.budget.take(ctx, int64(x.Padded()+x.Parity*x.Shard))
	if err != nil {
		return err
	}
	defer release()
	data := t.coders.scratch(x.Padded())
	defer t.coders.recycle(data)
	if err := t.stripe(ctx, o, from, x, 0, x.Data, data); err != nil {
		if !o.Stored || ctx.Err() != nil || t.cfg.Backing.Read(ctx, o.Key, versionText(o.version()), x.Offset, data[:x.Length]) != nil {
			return err
		}
	}
	clear(data[x.Length:])
	shards := make([][]byte, x.Width())
	for c := range shards {
		if c < x.Data {
			shards[c] = data[c*x.Shard : (c+1)*x.Shard]
			continue
		}
		shards[c] = t.coders.scratch(x.Shard)
		defer t.coders.recycle(shards[c])
	}
	if slices.ContainsFunc(columns, func(c int) bool { return c >= x.Data }) {
		if err := t.coders.encode(x, shards); err != nil {
			return err
		}
	}
	for _, c := range columns {
		size := x.Stored(c)
		if size == 0 {
			continue
		}
		if to[c].addr == "" {
			return fault.New(fault.Unavailable, "lender %s is gone", holders[c])
		}
		meta := lend.Meta{ID: lend.ID{Version: o.version(), Column: uint16(c)}, Key: o.Key, Expires: o.expires()}
		shard := shards[c][:size]
		if err := t.conns.putShard(ctx, to[c].addr, meta, uint32(index), shard, sumOf(meta.ID, uint32(index), shard)); err != nil {
			return err
		}
		t.stats.moved.Add(int64(size))
	}
	return nil
}

// unpaced moves as fast as it goes.
func unpaced(context.Context, int64) error { return nil }

// mendTries is how many sets of lenders a Put tries for columns that were lost while it was under way.
const mendTries = 3

// mend rebuilds, elsewhere, the columns whose lenders failed in the middle: a Put is answered when all are held.
func (p *putting) mend() error {
	t := p.tier
	tried := []string{}
	for _, s := range p.columns {
		if s.err != nil {
			tried = append(tried, append(s.tried, s.holder)...)
		}
	}
	var err error
	for range mendTries {
		missing := false
		for c, holder := range p.object.Holders {
			missing = missing || holder == "" && p.object.shape.Column(c) > 0
		}
		if !missing {
			return nil
		}
		takers := slices.DeleteFunc(t.fleet.takers(time.Now()), func(l placement.Lender) bool { return slices.Contains(tried, l.Name) })
		var holders []string
		if holders, err = t.refill(p.ctx, &p.object, takers, unpaced); err == nil {
			p.object.Holders = holders
			continue
		}
		if p.ctx.Err() != nil || fault.Is(err, fault.NoExecutor) {
			break
		}
	}
	if err == nil {
		return nil
	}
	if fault.Is(err, fault.NoExecutor) { // then why the others did not take it says more
		for _, s := range p.columns {
			if s.err != nil {
				err = s.err
			}
		}
	}
	return fault.New(fault.CodeOf(err), "lenders failed while object %.64q was sent, and their shards could not be rebuilt elsewhere: %w", p.object.Key, err)
}

// moved makes others the holders of columns, in the catalog: those that change was asked for, as long as the version is still
// current and the column is still with who had it. It gives the entry as it is then; nil where the version is not current.
func (t *Tier) moved(ctx context.Context, key string, v lend.Version, change map[int][2]string) (*object, error) {
	for {
		o, err := t.catalog.current(ctx, key)
		if err != nil {
			return nil, err
		}
		if o.Version == nil || o.version() != v {
			return nil, nil
		}
		next := *o
		next.Holders = slices.Clone(o.Holders)
		for c, c2 := range change {
			if next.Holders[c] == c2[0] {
				next.Holders[c] = c2[1]
			}
		}
		if slices.Equal(next.Holders, o.Holders) {
			return o, nil
		}
		next.revision, err = t.catalog.replace(ctx, &next.Object, o.revision, time.Now())
		if err == nil {
			t.remember(key, &next)
			return &next, nil
		}
		if !fault.Is(err, fault.Conflict) {
			return nil, err
		}
	}
}
