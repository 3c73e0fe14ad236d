package coded

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/squall-faas/squall/cache/coded/lend"
	"github.com/squall-faas/squall/cache/coded/placement"
	"github.com/squall-faas/squall/cache/coded/upkeep"
	"github.com/squall-faas/squall/fault"
)

// Drain prepares a planned stop: the lender takes nothing new, and what it holds is moved to others, what is used most for
// its bytes first, until all is moved or ctx ends. It goes by version: what another has already is not sent, and what was
// overwritten is not moved. It is repeated until a pass finds nothing: Puts that were under way when it began have ended
// then. Close follows. The error says how many columns are left behind.
func (l *Lender) Drain(ctx context.Context) error {
	l.draining.Store(true)
	l.announce(false)
	for {
		held := l.memory.Held(nil)
		var mine []upkeep.Held
		by := map[upkeep.Held]lend.Held{}
		waiting := 0
		for _, h := range held {
			if !h.Sealed {
				waiting++
				continue
			}
			x := upkeep.Held{Key: h.Key, Version: versionText(h.Version), Column: int(h.Column), Bytes: h.Bytes, Used: h.Hits}
			mine = append(mine, x)
			by[x] = h
		}
		if len(mine) == 0 && waiting == 0 {
			return nil
		}
		send, _ := upkeep.Delta(mine, nil)
		left := waiting
		var last error
		for _, h := range send {
			if err := l.move(ctx, by[h]); err != nil {
				left++
				last = err
			}
			if ctx.Err() != nil {
				break
			}
		}
		if ctx.Err() != nil {
			return fault.New(fault.DeadlineExceeded, "lender %s was not drained in time: %d columns are left and go with it; keepers rebuild them", l.cfg.Name, len(l.memory.Held(nil)))
		}
		if left == len(held) && last != nil { // nothing has moved
			return fault.New(fault.CodeOf(last), "lender %s is left with %d columns that no other takes; they go with it: %w", l.cfg.Name, left, last)
		}
		if left > 0 {
			pause := time.NewTimer(20 * time.Millisecond) // for Puts under way to be sealed
			select {
			case <-pause.C:
			case <-ctx.Done():
			}
			pause.Stop()
			if waiting > 0 {
				l.tend(ctx)
			}
		}
	}
}

// move moves a column to another lender, and drops it here.
func (l *Lender) move(ctx context.Context, h lend.Held) error {
	t := l.tier
	o, err := t.catalog.current(ctx, h.Key)
	if err != nil {
		return err
	}
	column := int(h.Column)
	if o.Version == nil || o.version() != h.Version || column >= len(o.Holders) || o.Holders[column] != l.id {
		l.memory.Drop(h.Version, column) // overwritten, deleted, or another's by now
		return nil
	}
	now := time.Now()
	room := map[string]bool{}
	for _, m := range t.fleet.all() {
		room[m.ID] = m.ID != l.id && m.Used+h.Bytes <= m.Lent
	}
	takers := slices.DeleteFunc(t.fleet.takers(now), func(x placement.Lender) bool { return !room[x.Name] })
	vacant := slices.Clone(o.Holders)
	vacant[column] = ""
	if i := slices.Index(vacant, ""); i != column { // another column is lost: that is the keepers' to rebuild
		for c := range vacant {
			if vacant[c] == "" && c != column {
				vacant[c] = l.id
			}
		}
	}
	holders, err := placement.Replace(h.Key, takers, o.shape, vacant)
	if err != nil {
		return err
	}
	to := holders[column]
	addr := t.fleet.addr(to)
	if addr == "" {
		return fault.New(fault.Unavailable, "lender %s is gone", to)
	}
	if err := l.copyColumn(ctx, o, h, addr); err != nil {
		return err
	}
	cur, err := t.moved(ctx, h.Key, h.Version, map[int][2]string{column: {l.id, to}})
	if err != nil {
		return err
	}
	if cur == nil || cur.Holders[column] != to { // overwritten meanwhile
		_ = t.conns.drop(ctx, addr, h.Version, column) // else that lender finds out itself
	} else {
		_ = t.conns.seal(ctx, addr, h.Version) // likewise
	}
	l.memory.Drop(h.Version, column)
	return nil
}

// copyColumn sends what the other lender does not have of a column.
func (l *Lender) copyColumn(ctx context.Context, o *object, h lend.Held, addr string) error {
	t := l.tier
	there, err := t.conns.held(ctx, addr, h.Version)
	if err != nil {
		return err
	}
	for _, x := range there {
		if x.ID == h.ID && x.Bytes == h.Bytes {
			return nil
		}
	}
	for i := range o.shape.Stripes() {
		if o.shape.Stripe(i).Stored(int(h.Column)) == 0 {
			continue
		}
		r, err := l.memory.Get(h.ID, uint32(i), time.Now())
		if err != nil {
			return err
		}
		shard := r.Views[0]
		if len(r.Views) > 1 {
			shard = bytes.Join(r.Views, nil)
		}
		err = t.conns.putShard(ctx, addr, h.Meta, uint32(i), shard, r.Sum)
		r.Release()
		if err != nil {
			return err
		}
		t.stats.moved.Add(int64(len(shard)))
	}
	return nil
}
