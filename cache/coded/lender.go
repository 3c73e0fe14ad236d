package coded

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/squall-faas/squall/cache/coded/lend"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/bus"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/wire"
)

// LenderConfig of a Lender. The fields without a documented default are required.
type LenderConfig struct {
	Name string // of the node, a checked name
	Host string // its failure domain; "" is one of its own
	// Most is how many bytes it may ever lend, which takes address space; Lend how many it lends at first (0: none).
	Most, Lend int64
	// Listen is where it listens, host:port; "" is loopback, any port. Announce is how others reach it; "" is where it
	// listens.
	Listen, Announce string
	Listener         net.Listener // takes the place of Listen
	// Heartbeat is how often it announces itself (0: 500 ms): how soon it is noticed that it has vanished.
	Heartbeat time.Duration
	// Stall is how long a client may take for each 256 KiB (0: 5 s), Idle how long a connection is kept without a request
	// (0: 1 min).
	Stall, Idle time.Duration
	// Grace is how long a column that is not sealed is kept after its last shard before the catalog is asked about it (0: 1
	// min).
	Grace time.Duration
	// MaxConns bounds connections (0: 1024).
	MaxConns int
	// Evicted hears, and must not block, of keys whose columns were evicted because less is lent; nil ignores them. A
	// Keeper's Look rebuilds them elsewhere.
	Evicted func(keys ...string)
	Logger  *slog.Logger // nil discards
}

func (c *LenderConfig) validate() error {
	if err := id.CheckName("lender", c.Name); err != nil {
		return err
	}
	if c.Lend > c.Most || c.Lend < 0 {
		return fault.New(fault.InvalidArgument, "a lender is to lend %d bytes, and at most %d", c.Lend, c.Most)
	}
	for _, d := range []struct {
		value *time.Duration
		or    time.Duration
	}{{&c.Heartbeat, 500 * time.Millisecond}, {&c.Stall, 5 * time.Second}, {&c.Idle, time.Minute}, {&c.Grace, time.Minute}} {
		if *d.value <= 0 {
			*d.value = d.or
		}
	}
	if c.MaxConns <= 0 {
		c.MaxConns = 1024
	}
	if c.Evicted == nil {
		c.Evicted = func(...string) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	return nil
}

// Lender lends this process's memory to the namespace. Safe for concurrent use.
type Lender struct {
	cfg      LenderConfig
	tier     *Tier
	log      *slog.Logger
	id       string
	addr     string
	memory   *lend.Memory
	port     *port
	sub      bus.Subscription
	draining atomic.Bool
	end      context.CancelFunc
	done     sync.WaitGroup
	once     sync.Once
	tending  sync.Mutex // held by tend
	next     int        // of revisit, guarded by tending
}

// NewLender begins to lend. It speaks over the tier's bus and asks its catalog. Close ends it; what it holds is lost then,
// unless Drain has moved it.
func NewLender(t *Tier, cfg LenderConfig) (l *Lender, err error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	l = &Lender{cfg: cfg, tier: t, log: cfg.Logger, id: cfg.Name + "-" + id.Token(8)}
	if l.memory, err = lend.NewMemory(cfg.Most, cfg.Lend); err != nil {
		return nil, err
	}
	listener := cfg.Listener
	if listener == nil {
		addr := cfg.Listen
		if addr == "" {
			addr = "127.0.0.1:0"
		}
		var lc net.ListenConfig
		if listener, err = lc.Listen(t.life, "tcp", addr); err != nil {
			return nil, errors.Join(fault.New(fault.InvalidArgument, "listen on %s for objects: %w; choose an address of this machine and a free port", addr, err), l.memory.Close())
		}
	}
	l.addr = cfg.Announce
	if l.addr == "" {
		l.addr = listener.Addr().String()
	}
	l.port = newPort(portConfig{
		memory: l.memory, namespace: t.cfg.Namespace, secret: t.cfg.Secret, listener: listener, stall: cfg.Stall, idle: cfg.Idle,
		most: cfg.MaxConns, refusing: l.draining.Load, logger: l.log,
	})
	var ctx context.Context
	ctx, l.end = context.WithCancel(context.Background())
	if l.sub, err = t.cfg.Bus.Subscribe(t.subjects.WhoLends(), "", func(bus.Msg) { l.announce(false) }); err != nil {
		return nil, errors.Join(fault.New(fault.Unreachable, "hear who asks for lenders: %w", err), l.Close())
	}
	l.announce(false)
	l.done.Go(func() { l.beat(ctx) })
	l.done.Go(func() { l.tendAll(ctx) })
	return l, nil
}

// ID is this start of the lender.
func (l *Lender) ID() string { return l.id }

// Addr is how others reach it.
func (l *Lender) Addr() string { return l.addr }

// Stats of its memory.
func (l *Lender) Stats() lend.Stats { return l.memory.Stats() }

// Lend changes how many bytes are lent. What is over that is given back before it returns: shards are dropped, the least
// used first, and whoever is reading them is cut off and reads others. Keepers rebuild them elsewhere.
func (l *Lender) Lend(bytes int64) {
	evicted, left := l.memory.Limit(bytes)
	if left > 0 {
		l.port.cut()
	}
	l.announce(false)
	keys := map[string]bool{}
	for _, h := range evicted {
		if !keys[h.Key] {
			keys[h.Key] = true
			l.cfg.Evicted(h.Key)
		}
	}
}

// announce tells who this is and what it lends.
func (l *Lender) announce(left bool) {
	s := l.memory.Stats()
	b, err := wire.Encode(&wire.Lender{
		ID: l.id, Name: l.cfg.Name, Host: l.cfg.Host, Port: l.addr, Lent: s.Limit, Used: s.Used, Draining: l.draining.Load(), Left: left, Every: int64(l.cfg.Heartbeat),
	})
	if err == nil {
		err = l.tier.cfg.Bus.Publish(bus.Msg{Subject: l.tier.subjects.Lender(l.id), Data: b})
	}
	if err != nil {
		l.log.Warn("lender not announced", "err", err)
	}
}

func (l *Lender) beat(ctx context.Context) {
	tick := time.NewTicker(l.cfg.Heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.announce(false)
		case <-ctx.Done():
			return
		}
	}
}

// tendAll looks after what is held, every half grace.
func (l *Lender) tendAll(ctx context.Context) {
	tick := time.NewTicker(l.cfg.Grace / 2)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.tend(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// tend removes what has expired or was replaced, and asks the catalog about columns that nobody has sealed: of writes that
// went wrong, or whose seal was lost.
func (l *Lender) tend(ctx context.Context) {
	l.tending.Lock() // a drain tends too
	defer l.tending.Unlock()
	for _, h := range l.memory.Sweep(time.Now(), l.cfg.Grace) {
		o, err := l.tier.catalog.current(ctx, h.Key)
		switch {
		case err != nil: // asked again next time
		case o.Version != nil && o.version() == h.Version && int(h.Column) < len(o.Holders) && o.Holders[h.Column] == l.id:
			l.memory.Seal(h.Version, time.Now())
		default:
			l.memory.Drop(h.Version, int(h.Column))
		}
	}
	l.revisit(ctx)
}

// revisitEach time so many columns are held against the catalog.
const revisitEach = 64

// revisit drops columns that are not current or another's by now, of which nobody could tell this lender: it was not
// reachable then. It goes on where it ended last time.
func (l *Lender) revisit(ctx context.Context) {
	held := l.memory.Held(nil)
	for n := 0; n < min(revisitEach, len(held)) && ctx.Err() == nil; n++ {
		l.next = (l.next + 1) % len(held)
		h := held[l.next]
		if !h.Sealed || time.Since(h.Touched) < l.cfg.Grace { // its writer may be about to make it current
			continue
		}
		o, err := l.tier.catalog.current(ctx, h.Key)
		switch {
		case err != nil: // asked again another time
		case o.Version == nil || o.version() != h.Version:
			l.memory.Retire(h.Version, time.Now()) // not dropped: a reader may have begun
		case int(h.Column) >= len(o.Holders) || o.Holders[h.Column] != l.id:
			l.memory.Drop(h.Version, int(h.Column))
		}
	}
}

// Close stops lending and says so. Idempotent.
func (l *Lender) Close() error {
	var err error
	l.once.Do(func() {
		l.end()
		l.done.Wait()
		if l.sub != nil {
			_ = l.sub.Unsubscribe() // only fails on a bus that is closed already
		}
		l.announce(true)
		l.port.close()
		err = l.memory.Close()
	})
	return err
}
