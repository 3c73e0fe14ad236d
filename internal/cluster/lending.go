package cluster

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/squall-faas/squall/cache/coded"
	"github.com/squall-faas/squall/cache/coded/lend"
	"github.com/squall-faas/squall/executor"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/backbone"
	"github.com/squall-faas/squall/internal/xfer"
)

// Lend says how much of its memory an executor lends to the coded tier. The zero value is useful.
type Lend struct {
	// Most bytes that are lent; 0 is a quarter of the memory that the process may use, or 64 MiB where a cluster in memory
	// is all in one process; negative lends nothing. How much of it is lent at a moment is Policy's.
	Most int64
	// Listen is where others reach what is lent, host:port; "" is the host of the data port, any port. Announce is how, ""
	// is the host by which the data port is announced.
	Listen, Announce string
	// Host is the failure domain: of executors with the same one, all may be lost at once. "" is this host's name.
	Host string
	// Uncached has the node's cache read large versions from the store only, and offer none to lent memory.
	Uncached bool
	// Policy but for Most, which is taken from above.
	Policy lend.Policy

	memory func() memoryUse // of the process; tests give their own
}

const (
	// lookEvery is how often it is decided anew how much is lent.
	lookEvery = 500 * time.Millisecond
	// drainLending bounds how long a node that leaves moves what it was lent to others. What is left goes with it, and
	// keepers rebuild it.
	drainLending = 20 * time.Second
	// togetherLend is Lend.Most of nodes that share a process, and its memory.
	togetherLend = 64 << 20
)

// lending is what a node has to do with lent memory: a client of it, and where the node lends itself, a lender, and a keeper
// that repairs what others have lost.
//
//	slots, queue, memory ──▶ lend.Policy, every half second and when work comes to an idle node ──▶ coded.Lender
//	                                                                         keys evicted by that ──▶ coded.Keeper
type lending struct {
	tier     *coded.Tier
	lender   *coded.Lender // nil where nothing is lent, as keeper is
	keeper   *coded.Keeper
	policy   lend.Policy
	memory   func() memoryUse
	slots    int
	draining atomic.Bool
	idle     atomic.Bool   // nothing ran at the last regular look, and nothing has come since
	wake     chan struct{} // asks for a look
	end      context.CancelFunc
	work     sync.WaitGroup
	log      *slog.Logger

	quietSince time.Time // since when half of the slots have been free; only the looking goroutine uses it
}

// newLending joins those who keep objects, and begins to lend once start is called.
func newLending(b *backbone.Backbone, cfg ExecutorConfig, secret xfer.Secret, dataPort string) (*lending, error) {
	l := &lending{wake: make(chan struct{}, 1), log: logger(cfg).With("executor", cfg.Name), memory: cfg.Lend.memory, policy: cfg.Lend.Policy}
	tc := coded.Config{Namespace: b.Namespace, Bus: b.Bus, Store: b.System, Secret: secret, Logger: cfg.Logger}
	if b.Pipes != nil {
		tc.Dial = b.Pipes.Dial
	}
	var err error
	if l.tier, err = coded.New(tc); err != nil || cfg.Lend.Most < 0 {
		return l, err
	}
	if l.memory == nil {
		l.memory = newMemoryMeter(os.DirFS("/")).read
	}
	l.policy.Most = cfg.Lend.Most
	switch {
	case l.policy.Most > 0:
	case b.Pipes != nil:
		l.policy.Most = togetherLend
	default:
		l.policy.Most = max(l.memory().total/4, 1<<20)
	}
	lc := coded.LenderConfig{Name: cfg.Name, Host: cfg.Lend.Host, Most: l.policy.Most, Evicted: l.evicted, Logger: cfg.Logger}
	if lc.Host == "" {
		lc.Host, _ = os.Hostname() // "" then: a domain of its own
	}
	if lc.Listener, lc.Announce, err = lendPort(b, cfg, dataPort); err != nil {
		return l, err
	}
	if l.lender, err = coded.NewLender(l.tier, lc); err != nil {
		_ = lc.Listener.Close()
		if cfg.Lend.Most == 0 && fault.Is(err, fault.Unavailable) { // nobody has asked for it
			l.log.Warn("no memory is lent", "err", err)
			return l, nil
		}
		return l, err
	}
	l.keeper = coded.NewKeeper(l.tier, coded.KeeperConfig{Self: l.lender.ID()})
	return l, nil
}

// lendPort listens for those who put and get objects. Others reach it by the host by which they reach the data port.
func lendPort(b *backbone.Backbone, cfg ExecutorConfig, dataPort string) (net.Listener, string, error) {
	if b.Pipes != nil {
		return b.Pipes.Listen(cfg.Name + "/lent"), "", nil
	}
	addr := cfg.Lend.Listen
	if addr == "" {
		host, _, err := net.SplitHostPort(cfg.Listen)
		if err != nil {
			host = "127.0.0.1"
		}
		addr = net.JoinHostPort(host, "0")
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, "", fault.New(fault.InvalidArgument, "listen on %s for objects: %w; choose an address of this machine and a free port", addr, err)
	}
	if cfg.Lend.Announce != "" {
		return listener, cfg.Lend.Announce, nil
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String()) // a TCP listener's has one
	if host, _, err := net.SplitHostPort(dataPort); err == nil {
		return listener, net.JoinHostPort(host, port), nil
	}
	return listener, "", nil // where it listens
}

// start begins to lend what the load leaves. A node that has just started has nothing to do: it lends at once.
func (l *lending) start(load func() (busy, queued int), slots int) {
	if l.lender == nil {
		return
	}
	l.slots = slots
	l.quietSince = time.Now().Add(-time.Hour)
	var ctx context.Context
	ctx, l.end = context.WithCancel(context.Background())
	l.work.Go(func() { l.follow(ctx, load) })
}

// follow looks at the load until ctx ends.
func (l *lending) follow(ctx context.Context, load func() (busy, queued int)) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for regular := true; ; {
		busy, queued := load()
		l.look(time.Now(), busy+queued)
		if regular { // so that short calls cause one look more in an interval, and no more
			l.idle.Store(busy+queued == 0)
		}
		select {
		case <-tick.C:
			regular = true
		case <-l.wake:
			regular = false
		case <-ctx.Done():
			return
		}
	}
}

// look lends what is there to lend, or gives back what the work needs: when it returns that is the system's.
func (l *lending) look(now time.Time, busy int) {
	s := l.lender.Stats()
	use := l.memory()
	of := lend.Load{
		Total: use.total, Used: max(use.used-s.Resident, 0), Slots: l.slots, Busy: busy, Lent: s.Limit, Pressured: use.pressed,
	}
	if !l.policy.Idles(of) {
		l.quietSince = now
	}
	of.IdleFor = now.Sub(l.quietSince)
	n := l.policy.Lend(of)
	if l.draining.Load() { // Lender.Drain moves what is held, as long as there is memory for it
		n = min(n, s.Limit)
	}
	if n != s.Limit {
		l.lender.Lend(n)
	}
}

// arrived hears that work has come. It never blocks, and costs one load where the node is not idle.
func (l *lending) arrived() {
	if !l.idle.Load() || !l.idle.CompareAndSwap(true, false) {
		return
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// evicted has what this lender had to drop rebuilt elsewhere.
func (l *lending) evicted(keys ...string) {
	if l.keeper != nil {
		l.keeper.Look(keys...)
	}
}

// drain moves what is held to other lenders, until ctx ends or for drainLending. It is no failure of the drain that some is
// left: where it is not stored too, it was a cached copy.
func (l *lending) drain(ctx context.Context) {
	if l == nil || l.lender == nil {
		return
	}
	l.draining.Store(true)
	if l.keeper != nil {
		l.keeper.Close() // others look after what it has
	}
	ctx, cancel := context.WithTimeout(ctx, drainLending)
	defer cancel()
	if err := l.lender.Drain(ctx); err != nil {
		l.log.Info("not all that was held in lent memory was moved", "err", err)
	}
}

// close stops lending, and gives all memory back.
func (l *lending) close() error {
	if l == nil {
		return nil
	}
	if l.end != nil {
		l.end()
		l.work.Wait()
	}
	if l.keeper != nil {
		l.keeper.Close()
	}
	var errs []error
	if l.lender != nil {
		errs = append(errs, l.lender.Close())
	}
	if l.tier != nil {
		errs = append(errs, l.tier.Close())
	}
	return errors.Join(errs...)
}

// arrivals tells lending when work comes, beside what a Profiler learns.
type arrivals struct {
	executor.Profiler
	lending *lending
}

// Wants implements executor.Profiler: it is asked at the beginning of each run of a function.
func (a arrivals) Wants(version string, now time.Time) bool {
	a.lending.arrived()
	return a.Profiler.Wants(version, now)
}
