package coded

import (
	"context"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/squall-faas/squall/cache/coded/firstd"
	"github.com/squall-faas/squall/cache/coded/lend"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/bus"
	"github.com/squall-faas/squall/internal/recent"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/internal/xfer"
	"github.com/squall-faas/squall/kvs"
)

// Config of a Tier. The fields without a documented default are required.
type Config struct {
	Namespace string
	Bus       bus.Bus
	Store     kvs.Store   // the system space: the catalog, and what was put as stored
	Secret    xfer.Secret // that the namespace's data ports share
	// Dial takes the place of TCP; nil is TCP.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Backing keeps what is put as stored; nil keeps it in Store, in parts.
	Backing Backing
	// Stall is how long a lender may take for each 256 KiB, and to begin (0: 2 s). Reads do not wait for it: they hedge.
	Stall time.Duration
	// Window is how many stripes one Get or Put has under way (0: 3).
	Window int
	// Memory bounds the stripes of all Gets and Puts under way, in bytes (0: 512 MiB). What does not fit waits.
	Memory int64
	Logger *slog.Logger // nil discards
}

func (c *Config) validate() error {
	if c.Bus == nil || c.Store == nil || c.Namespace == "" {
		return fault.New(fault.InvalidArgument, "the coded tier needs a namespace, a bus and a store")
	}
	if c.Dial == nil {
		c.Dial = (&net.Dialer{}).DialContext
	}
	if c.Stall <= 0 {
		c.Stall = 2 * time.Second
	}
	if c.Window <= 0 {
		c.Window = 3
	}
	if c.Memory <= 0 {
		c.Memory = 512 << 20
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if c.Backing == nil {
		c.Backing = NewParts(c.Store)
	}
	return nil
}

// maxHints is how many objects' whereabouts are remembered.
const maxHints = 4096

// Tier puts objects into lent memory and gets them back. Safe for concurrent use.
type Tier struct {
	cfg      Config
	log      *slog.Logger
	subjects wire.Subjects
	fleet    *fleet
	conns    *conns
	catalog  catalog
	learnt   *firstd.Learnt
	coders   coders
	budget   *budget
	stats    counters
	subs     []bus.Subscription
	life     context.Context
	end      context.CancelFunc
	work     sync.WaitGroup
	asked    chan struct{} // closed once lenders had a heartbeat's time to answer

	mu     sync.Mutex // guards what follows
	hints  *recent.Window[string, *object]
	gone   []func(wire.Lender)
	closed bool
}

// counters of a Tier.
type counters struct {
	gets, puts, direct, rebuilt, hedges, misses, backed, failed, repaired atomic.Int64
	moved, coding                                                         atomic.Int64
}

// Stats are what a Tier has done so far.
type Stats struct {
	Gets     int64         `json:"gets"`
	Puts     int64         `json:"puts"`
	Direct   int64         `json:"direct"`   // stripes whose data shards all came: nothing was computed
	Rebuilt  int64         `json:"rebuilt"`  // stripes that were computed from others
	Hedges   int64         `json:"hedges"`   // shards asked for beside one that was late
	Misses   int64         `json:"misses"`   // objects of which fewer than d shards could be had
	Backed   int64         `json:"backed"`   // of those, read from the store
	Failed   int64         `json:"failed"`   // shards that lenders did not give, or not right
	Repaired int64         `json:"repaired"` // columns rebuilt elsewhere
	Moved    int64         `json:"moved"`    // bytes sent for repairs and drains
	Coding   time.Duration `json:"coding"`   // spent on field arithmetic
}

// Stats of now.
func (t *Tier) Stats() Stats {
	s := &t.stats
	return Stats{
		Gets: s.gets.Load(), Puts: s.puts.Load(), Direct: s.direct.Load(), Rebuilt: s.rebuilt.Load(), Hedges: s.hedges.Load(),
		Misses: s.misses.Load(), Backed: s.backed.Load(), Failed: s.failed.Load(), Repaired: s.repaired.Load(),
		Moved: s.moved.Load(), Coding: time.Duration(s.coding.Load()),
	}
}

// welcomeWait is how long the first operation waits for lenders to announce themselves.
const welcomeWait = 300 * time.Millisecond

// New joins those who keep objects. Close leaves.
func New(cfg Config) (*Tier, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	t := &Tier{
		cfg: cfg, log: cfg.Logger, subjects: wire.In(cfg.Namespace), fleet: newFleet(), catalog: catalog{store: cfg.Store},
		learnt: firstd.NewLearnt(), budget: newBudget(cfg.Memory), hints: recent.New[string, *object](maxHints), asked: make(chan struct{}),
		conns: &conns{namespace: cfg.Namespace, secret: cfg.Secret, dial: cfg.Dial, stall: cfg.Stall, keep: 30 * time.Second, perPeer: 2 * cfg.Window},
	}
	t.life, t.end = context.WithCancel(context.Background())
	sub, err := cfg.Bus.Subscribe(t.subjects.Lenders(), "", t.announced)
	if err != nil {
		t.end()
		return nil, fault.New(fault.Unreachable, "hear of lenders: %w", err)
	}
	t.subs = append(t.subs, sub)
	if err := cfg.Bus.Publish(bus.Msg{Subject: t.subjects.WhoLends()}); err != nil {
		t.log.Warn("lenders were not asked who they are; their heartbeats will tell", "err", err)
	}
	t.work.Go(t.watch)
	return t, nil
}

// announced takes in a lender's heartbeat.
func (t *Tier) announced(m bus.Msg) {
	var l wire.Lender
	if err := wire.Decode(m.Data, &l); err != nil {
		t.log.Warn("a lender's heartbeat was refused", "err", err)
		return
	}
	if l.Every <= 0 || l.ID == "" {
		t.log.Warn("a lender's heartbeat was refused", "lender", l.ID, "err", "it says neither who it is nor when the next one comes")
		return
	}
	if t.fleet.hear(&l, time.Now()) {
		t.vanished(l)
	}
}

// watch notices lenders whose heartbeat is overdue.
func (t *Tier) watch() {
	welcome := time.NewTimer(welcomeWait)
	defer welcome.Stop()
	for {
		wait := 100 * time.Millisecond
		if at := t.fleet.due(); !at.IsZero() {
			wait = min(max(time.Until(at), time.Millisecond), time.Second)
		}
		timer := time.NewTimer(wait)
		select {
		case <-welcome.C:
			close(t.asked)
		case <-timer.C:
		case <-t.life.Done():
			timer.Stop()
			return
		}
		timer.Stop()
		for _, l := range t.fleet.sweep(time.Now()) {
			t.background(t.cfg.Stall, func(ctx context.Context) { t.ask(ctx, l) })
		}
	}
}

// ask asks a lender whose heartbeat is overdue whether it is there: a heartbeat that was lost, or a scheduler that is
// behind, is not worth a repair.
func (t *Tier) ask(ctx context.Context, l wire.Lender) {
	_, err := t.conns.held(ctx, l.Port, lend.Version{1}) // of which there is none
	if t.fleet.asked(l.ID, err == nil, time.Now()) {
		t.vanished(l)
	}
}

// vanished tells those who want to know.
func (t *Tier) vanished(l wire.Lender) {
	t.conns.forget(l.Port)
	t.mu.Lock()
	hear := t.gone
	t.mu.Unlock()
	for _, f := range hear {
		f(l)
	}
}

// onGone has f called, which must not block, with each lender that is there no more.
func (t *Tier) onGone(f func(wire.Lender)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gone = append(t.gone, f)
}

// ready waits, after the start, until lenders had time to announce themselves.
func (t *Tier) ready(ctx context.Context) error {
	if len(t.fleet.all()) > 0 {
		return nil
	}
	select {
	case <-t.asked:
		return nil
	case <-ctx.Done():
		return fault.From(context.Cause(ctx))
	case <-t.life.Done():
		return errTierClosed()
	}
}

// Settle waits until lenders had time to announce themselves to a Tier that is new, so that the first objects are spread
// over all of them.
func (t *Tier) Settle(ctx context.Context) error {
	select {
	case <-t.asked:
		return nil
	case <-ctx.Done():
		return fault.From(context.Cause(ctx))
	case <-t.life.Done():
		return errTierClosed()
	}
}

func errTierClosed() error {
	return fault.New(fault.Unavailable, "the coded tier is closed: this node is shutting down")
}

// background runs f, which must end with its context, unless the tier is closed.
func (t *Tier) background(limit time.Duration, f func(context.Context)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	t.work.Go(func() {
		ctx, cancel := context.WithTimeout(t.life, limit)
		defer cancel()
		f(ctx)
	})
}

// Lenders are those that are there now, by id.
func (t *Tier) Lenders() []wire.Lender { return t.fleet.all() }

// Close leaves, and waits for what is done in the background; Gets and Puts under way end in unavailable. Idempotent.
func (t *Tier) Close() error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return nil
	}
	t.closed = true
	t.mu.Unlock()
	for _, s := range t.subs {
		_ = s.Unsubscribe() // only fails on a bus that is closed already
	}
	t.end()
	t.conns.close()
	t.work.Wait()
	return nil
}

// hint is what was last known of an object; nil where nothing is.
func (t *Tier) hint(key string) *object {
	t.mu.Lock()
	defer t.mu.Unlock()
	o, _ := t.hints.Get(key)
	return o
}

func (t *Tier) remember(key string, o *object) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hints.Add(key, o)
}
