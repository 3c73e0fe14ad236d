package coordinator

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/bus"
	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/link"
	"github.com/squall-faas/squall/internal/recent"
	"github.com/squall-faas/squall/internal/sched"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

const (
	tickEach   = 100 * time.Millisecond
	probeWait  = 400 * time.Millisecond
	probeAgain = 250 * time.Millisecond
	keepEnded  = 16 << 10
	storeLimit = 15 * time.Second
)

// Coordinator owns runs. Safe for concurrent use.
type Coordinator struct {
	cfg      Config
	log      *slog.Logger
	subjects wire.Subjects
	self     wire.Peer
	mux      *link.Mux
	registry *registry
	subs     []bus.Subscription
	ctx      context.Context // ends with Close; for goroutines of runs
	stop     context.CancelFunc
	work     sync.WaitGroup
	wake     chan struct{} // the scheduler wants a tick at another time

	mu       sync.Mutex // guards what follows
	members  *members
	runs     map[id.Run]*run
	adopting map[id.Run]chan struct{} // closed when the run is in runs, or is not to be
	waiting  []*run                   // runs that no executor can run just now, oldest first
	ended    *recent.Window[id.Run, ended]
	sched    *sched.Scheduler
	adviser  *adviser
	commands []sched.Command // a buffer for what the scheduler says
	woken    time.Time       // when it wants its next tick
	probing  map[wire.Peer]bool
	turn     int
	moved    chan struct{} // closed and renewed when an executor joins or announces functions
	closed   bool
}

// ended is what is remembered of a run that is over.
type ended struct {
	collector wire.Peer
	state     wire.State
	stored    bool
	info      wire.RunInfo
	outcome   *wire.Outcome // where the owner answered itself and did not store it
}

// New starts a coordinator: it reads what is registered, adopts the durable runs that nobody owns, and takes calls.
// ctx bounds the start alone.
func New(ctx context.Context, cfg Config) (*Coordinator, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	c := &Coordinator{
		cfg: cfg, log: cfg.Logger.With("coordinator", cfg.Name), subjects: wire.In(cfg.Namespace),
		registry: newRegistry(cfg.System), members: newMembers(cfg.Suspect, cfg.Dead),
		runs: map[id.Run]*run{}, adopting: map[id.Run]chan struct{}{}, probing: map[wire.Peer]bool{}, moved: make(chan struct{}),
		sched: sched.New(sched.Config{Queue: cfg.MaxQueue, Seed: uint64(time.Now().UnixNano())}), wake: make(chan struct{}, 1),
		adviser: newAdviser(),
	}
	c.ended = recent.New[id.Run, ended](keepEnded)
	c.ctx, c.stop = context.WithCancel(context.Background())
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Coordinator) start(ctx context.Context) error {
	stopWatch := context.AfterFunc(ctx, c.stop) // the watch outlives the start
	if err := c.registry.load(c.ctx, c.work.Go); err != nil {
		return err
	}
	if err := c.alone(ctx); err != nil {
		return err
	}
	life, err := incarnation(c.ctx, c.cfg.System, c.cfg.Name)
	if err != nil {
		return err
	}
	if !stopWatch() {
		return ctx.Err()
	}
	c.self = wire.Peer{Name: c.cfg.Name, Incarnation: life}
	c.mux, err = link.New(link.Config{
		Bus: c.cfg.Bus, Subjects: c.subjects, Self: c.self, Handle: c.handle, Lost: c.linkLost, Clock: hlc.New(life, nil), Logger: c.log,
	})
	if err != nil {
		return err
	}
	for _, s := range []struct {
		subject, queue string
		handle         bus.Handler
	}{
		{c.subjects.Heartbeats(), "", c.heartbeat},
		{c.subjects.Calls(), wire.Queue, c.call},
		{c.subjects.Runs(), wire.Queue, c.runOp},
		{c.subjects.Admins(), wire.Queue, c.admin},
	} {
		sub, err := c.cfg.Bus.Subscribe(s.subject, s.queue, s.handle)
		if err != nil {
			return err
		}
		c.subs = append(c.subs, sub)
	}
	c.work.Go(c.ticks)
	c.work.Go(c.keepRecords)
	c.work.Go(c.advise)
	if len(c.cfg.Sweepers) > 0 {
		c.work.Go(c.sweep)
	}
	return nil
}

// alone refuses to start beside another coordinator of the namespace: each would know only its own runs. conflict names
// the other one.
func (c *Coordinator) alone(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeWait)
	defer cancel()
	out, err := c.cfg.Bus.Request(ctx, c.subjects.Admin(wire.OpMembers), wire.MustEncode(&wire.Admin{}))
	var other wire.Answer
	if err != nil || wire.Decode(out, &other) != nil {
		return nil // nobody who could answer
	}
	return fault.New(fault.Conflict, "coordinator %s serves namespace %s already, and two would not know each other's runs: end it first", other.From.Name, c.cfg.Namespace)
}

// incarnation draws the number of a coordinator's life. Executors take no messages of a life that is earlier than one
// they have known, and nobody fences a coordinator: so the number grows even where the clock was set back.
func incarnation(ctx context.Context, store kvs.Store, name string) (uint64, error) {
	key := kvs.Key(wire.IncarnationKey(name))
	for {
		last := int64(0)
		e, err := store.Get(ctx, key)
		if err == nil {
			last, err = value.As[int64](e.Value)
		}
		if err != nil && !fault.Is(err, fault.NotFound) {
			return 0, err
		}
		next := max(last+1, time.Now().UnixNano())
		v, err := value.Of(next)
		if err != nil {
			return 0, err
		}
		if _, err = store.CompareAndSet(ctx, key, v, e.Revision, kvs.PutOptions{}); err == nil {
			return uint64(next), nil
		}
		if !fault.Is(err, fault.Conflict) {
			return 0, err
		}
	}
}

// Close stops taking calls and leaves its open runs to whoever adopts them. It waits for its goroutines. Idempotent.
func (c *Coordinator) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	c.mu.Unlock()
	c.stop()
	for _, s := range c.subs {
		_ = s.Unsubscribe() // only fails on a bus that is closed already
	}
	if c.mux != nil {
		c.mux.Close()
	}
	c.work.Wait()
	return nil
}

// Executors is how many executors are members now, and how many of them take work.
func (c *Coordinator) Executors() (members, up int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.members.byName {
		members++
		if m.beat.Condition == wire.Up && !m.suspect {
			up++
		}
	}
	return members, up
}

// Open is how many runs are open.
func (c *Coordinator) Open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.runs)
}

// outward is an error as callers are told it. What this coordinator's own end has cut short nobody has cancelled: another
// coordinator takes the same call.
func (c *Coordinator) outward(err error) *fault.Error {
	if c.ctx.Err() != nil && fault.Is(err, fault.Cancelled) {
		return fault.New(fault.Unavailable, "coordinator %s is leaving: try again, another takes over", c.cfg.Name)
	}
	return fault.From(err)
}

// do runs f on a goroutine that Close waits for, with a context that Close ends.
func (c *Coordinator) do(f func(ctx context.Context)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.goLocked(func() { f(c.ctx) })
}

// goLocked runs f on a goroutine that Close waits for.
func (c *Coordinator) goLocked(f func()) {
	if !c.closed {
		c.work.Go(f)
	}
}

// heartbeat takes in an executor's announcement.
func (c *Coordinator) heartbeat(m bus.Msg) {
	var hb wire.Heartbeat
	if err := wire.Decode(m.Data, &hb); err != nil {
		c.log.Warn("heartbeat refused", "err", err)
		return
	}
	now, keys := time.Now(), hb.Keys
	hb.Keys = nil // they are the scheduler's, and large: lists of members go without
	c.mu.Lock()
	changes := c.members.heartbeat(now, hb)
	c.unscheduleLocked(now, changes)
	c.heardLocked(now, &hb, keys)
	c.mu.Unlock()
	c.apply(changes)
}

// linkLost hears from the link that a node is gone.
func (c *Coordinator) linkLost(p wire.Peer) {
	c.mu.Lock()
	changes := c.members.lose(p)
	c.unscheduleLocked(time.Now(), changes)
	c.mu.Unlock()
	c.apply(changes)
}

// ticks drives what depends on time.
func (c *Coordinator) ticks() {
	t := time.NewTicker(tickEach)
	defer t.Stop()
	patience := time.NewTimer(time.Hour)
	defer patience.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-c.wake:
			c.wakeAt(patience)
			continue
		case <-patience.C:
			c.tickScheduler()
			c.wakeAt(patience)
			continue
		case <-t.C:
		}
		now := time.Now()
		c.mu.Lock()
		changes := c.members.tick(now)
		c.unscheduleLocked(now, changes)
		c.sched.Sweep(now)
		c.mu.Unlock()
		c.apply(changes)
		c.placeWaiting(now)
		c.overdue(now)
	}
}

// apply does what changes among the members ask for.
func (c *Coordinator) apply(changes []change) {
	for _, ch := range changes {
		switch ch.kind {
		case joined:
			c.mu.Lock()
			close(c.moved)
			c.moved = make(chan struct{})
			c.mu.Unlock()
			c.placeWaiting(time.Now())
		case probe:
			c.probe(ch.peer)
		case fence:
			err := c.cfg.Bus.Publish(bus.Msg{Subject: c.subjects.Fence(ch.peer.Name), Data: wire.MustEncode(&wire.Fence{Incarnation: ch.peer.Incarnation})})
			if err != nil {
				c.log.Warn("fence not sent; the next heartbeat brings another", "executor", ch.peer.Name, "err", err)
			}
		case lost:
			c.log.Warn("executor is lost", "executor", ch.peer.Name, "incarnation", ch.peer.Incarnation)
			c.mux.Forget(ch.peer)
			c.executorLost(ch.peer, true)
		case left:
			c.log.Info("executor has left", "executor", ch.peer.Name, "incarnation", ch.peer.Incarnation)
			c.mux.Forget(ch.peer)
			c.executorLost(ch.peer, false)
		}
	}
}

// verdict on a silent executor.
type verdict uint8

const (
	unclear verdict = iota // it does not answer, but somebody holds its inbox
	alive
	dead   // nobody is at its inbox, or another life of it
	cutOff // this coordinator, or everybody: nothing can be said
)

// examine finds out about a silent executor. That nobody is at its inbox counts when it is seen twice, by a coordinator
// whose own connection stands: after a restart of the server everybody is back within moments, but not at once.
func (c *Coordinator) examine(ctx context.Context, p wire.Peer) verdict {
	for again := false; ; again = true {
		if !c.mux.Connected() || !c.mux.Settled() {
			return cutOff
		}
		ask, cancel := context.WithTimeout(ctx, probeWait)
		out, err := c.cfg.Bus.Request(ask, c.subjects.Ping(p.Name), wire.MustEncode(&wire.Ping{From: c.self}))
		cancel()
		var answer wire.Ping
		switch {
		case err == nil && wire.Decode(out, &answer) == nil && answer.From == p:
			return alive
		case err == nil:
			return dead
		case !errors.Is(err, bus.ErrNoResponders):
			return unclear
		case again:
			return dead
		}
		select {
		case <-ctx.Done():
			return unclear
		case <-time.After(probeAgain):
		}
	}
}

// probe asks a silent executor whether it lives. Where nobody listens at its inbox it is dead, and its work moves on
// at once instead of after the full silence.
func (c *Coordinator) probe(p wire.Peer) {
	c.mu.Lock()
	busy := c.probing[p]
	c.probing[p] = true
	c.mu.Unlock()
	if busy {
		return
	}
	c.do(func(ctx context.Context) {
		verdict := c.examine(ctx, p)
		c.mu.Lock()
		delete(c.probing, p)
		var changes []change
		switch verdict {
		case dead:
			changes = c.members.lose(p)
			c.unscheduleLocked(time.Now(), changes)
		case alive:
			c.members.alive(time.Now(), p)
		case cutOff:
			c.members.excuse(time.Now()) // the silence is this node's own
		}
		c.mu.Unlock()
		c.apply(changes)
	})
}
