package coded

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/squall-faas/squall/cache/coded/lend"
	"github.com/squall-faas/squall/cache/coded/placement"
	"github.com/squall-faas/squall/cache/coded/upkeep"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/wire"
)

// KeeperConfig of a Keeper. The zero value is useful.
type KeeperConfig struct {
	// Self is the id of the lender beside which it runs: of several Keepers each looks after the keys that are its lender's
	// by rendezvous hashing. "" looks after all.
	Self string
	// Rate bounds the bytes a second that repairs read and send (0: 128 MiB), Burst what may move at once (0: 32 MiB).
	Rate, Burst float64
	// Scan is how often all objects are held against what lenders say they hold (0: 30 s), for losses that no heartbeat
	// tells: evictions, and memory that was taken back.
	Scan time.Duration
}

// Keeper repairs: it rebuilds columns whose lenders have vanished, or no longer hold them, on others. Close ends it.
type Keeper struct {
	cfg  KeeperConfig
	tier *Tier
	end  context.CancelFunc
	done sync.WaitGroup
	wake chan struct{}

	mu            sync.Mutex // guards what follows
	bucket        upkeep.Bucket
	shallow, deep bool            // a scan is due
	keys          map[string]bool // to look at, whoever they belong to
}

// NewKeeper starts one.
func NewKeeper(t *Tier, cfg KeeperConfig) *Keeper {
	if cfg.Rate <= 0 {
		cfg.Rate = 128 << 20
	}
	if cfg.Burst <= 0 {
		cfg.Burst = 32 << 20
	}
	if cfg.Scan <= 0 {
		cfg.Scan = 30 * time.Second
	}
	k := &Keeper{cfg: cfg, tier: t, wake: make(chan struct{}, 1), bucket: upkeep.Bucket{Rate: cfg.Rate, Burst: cfg.Burst}, keys: map[string]bool{}}
	var ctx context.Context
	ctx, k.end = context.WithCancel(t.life)
	t.onGone(func(wire.Lender) { k.due(func() { k.shallow = true }) })
	k.done.Go(func() { k.run(ctx) })
	return k
}

// Look has objects held against what lenders say they hold, soon: those of which this node knows that a column is gone.
func (k *Keeper) Look(keys ...string) {
	k.due(func() {
		for _, key := range keys {
			k.keys[key] = true
		}
	})
}

// Scan has all objects looked at, soon.
func (k *Keeper) Scan() { k.due(func() { k.deep = true }) }

func (k *Keeper) due(set func()) {
	k.mu.Lock()
	set()
	k.mu.Unlock()
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// Close ends repairs, which leave objects as they were, and waits for them. Idempotent.
func (k *Keeper) Close() {
	k.end()
	k.done.Wait()
}

func (k *Keeper) run(ctx context.Context) {
	tick := time.NewTicker(k.cfg.Scan)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-k.wake:
		case <-tick.C:
			k.mu.Lock()
			k.deep = true
			k.mu.Unlock()
		case <-ctx.Done():
			return
		}
		k.mu.Lock()
		deep, shallow, keys := k.deep, k.shallow, k.keys
		k.deep, k.shallow, k.keys = false, false, map[string]bool{}
		k.mu.Unlock()
		if err := k.round(ctx, deep, shallow, keys); err != nil && ctx.Err() == nil {
			k.tier.log.Warn("objects could not be looked after; it is tried again", "err", err)
		}
	}
}

// round finds what has lost columns and repairs it, the most endangered first.
func (k *Keeper) round(ctx context.Context, deep, shallow bool, keys map[string]bool) error {
	var q upkeep.Queue
	var held holdings // nobody is asked where there is nothing to look after
	ask := func() holdings {
		if held == nil && (deep || len(keys) > 0) {
			held = k.holdings(ctx)
		}
		return held
	}
	for key := range keys {
		o, err := k.tier.catalog.current(ctx, key)
		if err != nil {
			return err
		}
		k.consider(&q, o, ask())
	}
	for cursor := ""; deep || shallow; {
		page, next, err := k.tier.catalog.list(ctx, "", cursor, 500)
		if err != nil {
			return err
		}
		for _, key := range page {
			if !k.mine(key) {
				continue
			}
			o, err := k.tier.catalog.current(ctx, key)
			if err != nil {
				if fault.Is(err, fault.Unsupported) { // of a later release: it is that one's
					continue
				}
				return err
			}
			k.consider(&q, o, ask())
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	for {
		e, ok := q.Pop()
		if !ok {
			return nil
		}
		if err := k.repair(ctx, e.Key, held); err != nil {
			if ctx.Err() != nil {
				return err
			}
			level := slog.LevelWarn
			if fault.Is(err, fault.NoExecutor) { // nobody has the room now: that is how it is, and no fault
				level = slog.LevelInfo
			}
			k.tier.log.Log(ctx, level, "an object was not repaired; it is tried again", "key", e.Key, "lost", e.Lost, "err", err)
		}
	}
}

// mine reports whether this keeper looks after a key.
func (k *Keeper) mine(key string) bool {
	if k.cfg.Self == "" {
		return true
	}
	var all []placement.Lender
	for _, l := range k.tier.fleet.all() {
		if !l.Draining { // it leaves, and its keeper does not begin anything
			all = append(all, placement.Lender{Name: l.ID, Lent: 1})
		}
	}
	ranked := placement.Rank(key, all)
	return len(ranked) > 0 && ranked[0].Name == k.cfg.Self
}

// holdings is what lenders say they hold; a lender that does not say is not in it.
type holdings map[string]map[lend.ID]lend.Held

func (k *Keeper) holdings(ctx context.Context) holdings {
	out := holdings{}
	for lender, said := range k.tier.holdings(ctx, k.tier.fleet.all(), lend.Version{}) {
		if said.err != nil {
			continue // its heartbeats tell whether it is there
		}
		by := make(map[lend.ID]lend.Held, len(said.held))
		for _, h := range said.held {
			by[h.ID] = h
		}
		out[lender] = by
	}
	return out
}

// lost are the columns of an object that nobody holds whole.
func (k *Keeper) lost(o *object, held holdings) (lost []int) {
	for c, holder := range o.Holders {
		bytes := o.shape.Column(c)
		if bytes == 0 {
			continue
		}
		if !k.tier.fleet.alive(holder) {
			lost = append(lost, c)
			continue
		}
		if by, said := held[holder]; said && by[lend.ID{Version: o.version(), Column: uint16(c)}].Bytes != bytes {
			lost = append(lost, c)
		}
	}
	return lost
}

func (k *Keeper) consider(q *upkeep.Queue, o *object, held holdings) {
	if o.Version == nil {
		return
	}
	lost := k.lost(o, held)
	if o.Stored && len(lost) > o.Parity { // it is in the store: as good as the last one that can be repaired
		lost = lost[:o.Parity]
		if o.Parity == 0 {
			return // whoever reads it reads the store
		}
	}
	q.Put(upkeep.Endangered{Key: o.Key, Lost: len(lost), Parity: o.Parity, Bytes: o.Size, Since: time.Unix(0, o.Written)})
}

// repair rebuilds an object's lost columns. It goes only to lenders that have the room: a repair that evicts others would
// endanger as much as it saves.
func (k *Keeper) repair(ctx context.Context, key string, held holdings) error {
	t := k.tier
	o, err := t.catalog.current(ctx, key)
	if err != nil || o.Version == nil {
		return err
	}
	lost := k.lost(o, held)
	if len(lost) == 0 || len(lost) > o.Parity && !o.Stored {
		return nil
	}
	before := slices.Clone(o.Holders)
	for _, c := range lost {
		o.Holders[c] = ""
	}
	need := o.shape.Column(o.shape.Width() - 1)
	if o.Parity == 0 {
		need = o.shape.Column(0)
	}
	now := time.Now()
	room := map[string]bool{}
	for _, l := range t.fleet.all() {
		room[l.ID] = l.Used+need <= l.Lent
	}
	takers := slices.DeleteFunc(t.fleet.takers(now), func(l placement.Lender) bool { return !room[l.Name] })
	holders, err := t.refill(ctx, o, takers, k.pace)
	if err != nil {
		return err
	}
	change := map[int][2]string{}
	for _, c := range lost {
		change[c] = [2]string{before[c], holders[c]}
	}
	cur, err := t.moved(ctx, key, o.version(), change)
	if err != nil {
		return err
	}
	for _, c := range lost {
		addr := t.fleet.addr(holders[c])
		switch {
		case addr == "":
		case cur == nil || cur.Holders[c] != holders[c]: // another was faster
			_ = t.conns.drop(ctx, addr, o.version(), c) // else the lender finds out itself
		default:
			_ = t.conns.seal(ctx, addr, o.version())
		}
	}
	return nil
}

// pace waits until n bytes may move.
func (k *Keeper) pace(ctx context.Context, n int64) error {
	k.mu.Lock()
	wait := k.bucket.Take(n, time.Now())
	k.mu.Unlock()
	if wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fault.From(context.Cause(ctx))
	}
}
