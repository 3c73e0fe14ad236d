package executor

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/squall-faas/squall/executor/runtime"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/bus"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/link"
	"github.com/squall-faas/squall/internal/recent"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/kvs"
)

const keepEnded = 16 << 10 // ended runs that late messages are recognised by

// Executor runs functions on one node. Safe for concurrent use.
type Executor struct {
	cfg      Config
	log      *slog.Logger
	subjects wire.Subjects
	slots    *slots
	library  *library
	replies  *replies
	reports  *reports
	credits  *credits
	digest   *digests
	limits   *functionLimits
	mail     *mailroom
	beat     chan struct{} // asks for a heartbeat now
	stop     chan struct{}
	done     sync.WaitGroup        // the executor's own goroutines
	work     workers               // invocations and whatever else belongs to a run
	stuck    atomic.Int64          // native invocations past their deadline that have not returned
	calls    atomic.Uint64         // invocations since the start
	sessions [levels]atomic.Uint64 // bytes of sessions that left with values, by consistency level
	fences   bus.Subscription

	mu        sync.Mutex // guards what follows
	self      wire.Peer
	mux       *link.Mux
	runs      map[id.Run]*activity
	visits    map[id.Run]*visit
	ended     *recent.Window[id.Run, uint32] // the epoch that ended
	condition wire.Condition
	idle      chan struct{} // closed when draining and no run is left
	closed    bool
}

// New starts an executor; it announces itself and takes work until Drain or Close.
func New(cfg Config) (*Executor, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	runtimes := cfg.Runtimes
	if cfg.Natives != nil {
		runtimes = append([]runtime.Runtime{cfg.Natives}, runtimes...)
	}
	e := &Executor{
		cfg: cfg, log: cfg.Logger.With("executor", cfg.Name), subjects: wire.In(cfg.Namespace),
		slots: newSlots(cfg.Slots, cfg.MaxQueue), library: newLibrary(cfg.System, runtimes, cfg.Profiler),
		replies: newReplies(), limits: newFunctionLimits(),
		beat: make(chan struct{}, 1), stop: make(chan struct{}),
		self: wire.Peer{Name: cfg.Name, Incarnation: uint64(time.Now().UnixNano())},
		runs: map[id.Run]*activity{}, visits: map[id.Run]*visit{}, condition: wire.Up,
	}
	e.ended = recent.New[id.Run, uint32](keepEnded)
	e.reports = newReports(e)
	e.credits, e.digest = &credits{e: e}, &digests{e: e}
	e.slots.freed = e.credits.freed
	if err := e.unnamed(); err != nil {
		return nil, err
	}
	if err := e.takeFence(e.self); err != nil {
		return nil, err
	}
	fences, err := cfg.Bus.Subscribe(e.subjects.Fence(cfg.Name), "", e.fenced)
	if err != nil {
		return nil, err
	}
	e.fences = fences
	if e.mail, err = newMailroom(cfg, e.incarnation); err != nil {
		_ = fences.Unsubscribe() // the bus is what failed
		return nil, err
	}
	if e.mux, err = e.listen(e.self); err != nil {
		e.mail.close()
		_ = fences.Unsubscribe() // the bus is what failed
		return nil, err
	}
	e.done.Go(e.heartbeats)
	e.done.Go(e.digest.keep)
	return e, nil
}

// unnamed refuses a name that another node answers to: the two would take each other for lives of one node.
func (e *Executor) unnamed() error {
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if _, err := e.cfg.Bus.Request(ctx, e.subjects.Ping(e.cfg.Name), wire.MustEncode(&wire.Ping{From: e.self})); err != nil {
		return nil // nobody answers, as it should be
	}
	return fault.New(fault.Conflict, "a node named %s is up in namespace %s already: give this one another name", e.cfg.Name, e.cfg.Namespace)
}

// takeFence has this life's writes carry a fence, which the owner of its runs raises before their work is executed again.
func (e *Executor) takeFence(self wire.Peer) error {
	if e.cfg.State == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), fenceTimeout)
	defer cancel()
	f, err := e.cfg.State.Fence(ctx, self.Writer())
	if err != nil {
		return err
	}
	e.cfg.Cache.SetFence(f)
	return nil
}

const fenceTimeout = 15 * time.Second

// Rejoin has the executor drop what it runs and come back as a new incarnation: its writes are refused, so it was declared
// dead and has not heard of it.
func (e *Executor) Rejoin() {
	e.mu.Lock()
	self := e.self
	closed := e.closed
	e.mu.Unlock()
	if !closed {
		e.rejoin(self.Incarnation)
	}
}

// Name is the executor's name.
func (e *Executor) Name() string { return e.cfg.Name }

// Slots is how many functions run at once.
func (e *Executor) Slots() int { return e.cfg.Slots }

// Invocations is how many functions were run since the start.
func (e *Executor) Invocations() uint64 { return e.calls.Load() }

// SessionBytes is how many bytes of metadata the runs at a consistency level have sent along with values, from here to other
// executors, since the start.
func (e *Executor) SessionBytes(l kvs.Level) uint64 {
	if int(l) >= levels {
		return 0
	}
	return e.sessions[l].Load()
}

// sent counts a session that leaves.
func (e *Executor) sent(l kvs.Level, session []byte) {
	if int(l) < levels {
		e.sessions[l].Add(uint64(len(session)))
	}
}

// levels is how many consistency levels there are.
const levels = int(kvs.Transaction) + 1

// Stuck is how many native functions run on past their deadline, each keeping a slot.
func (e *Executor) Stuck() int { return int(e.stuck.Load()) }

// Idle reports whether nothing of any run is under way here.
func (e *Executor) Idle() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, v := range e.visits {
		if v.items > 0 {
			return false
		}
	}
	return len(e.runs) == 0
}

// Announce sends a heartbeat now: something about the executor has changed.
func (e *Executor) Announce() {
	select {
	case e.beat <- struct{}{}:
	default: // one is due already
	}
}

func (e *Executor) listen(self wire.Peer) (*link.Mux, error) {
	return link.New(link.Config{
		Bus: e.cfg.Bus, Subjects: e.subjects, Self: self, Handle: e.handle, Lost: e.peerLost, Clock: e.cfg.Cache.Clock(), Logger: e.log,
	})
}

// Drain stops taking runs and waits for those under way; ctx bounds the wait. Close afterwards.
func (e *Executor) Drain(ctx context.Context) error {
	e.mu.Lock()
	e.condition = wire.Draining
	idle := make(chan struct{})
	e.idle = idle
	e.signalIdleLocked()
	e.mu.Unlock()
	e.Announce()
	select {
	case <-idle:
		e.reports.flush()
		e.link().Flush(time.Now().Add(time.Second))
		return e.cfg.Cache.Flush(ctx) // what was acknowledged as cached must not leave with the node
	case <-ctx.Done():
		e.evacuate()
		return ctx.Err()
	}
}

func (e *Executor) signalIdleLocked() {
	if e.idle != nil && len(e.runs) == 0 && len(e.visits) == 0 {
		close(e.idle)
		e.idle = nil
	}
}

// Close leaves the cluster at once: runs under way here are given up, and their owners run them elsewhere. It waits
// for sandboxed invocations to stop, and up to a second for native ones, which cannot be stopped. Idempotent.
func (e *Executor) Close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.closed = true
	e.condition = wire.Left
	runs, visits, mux := e.runs, maps.Clone(e.visits), e.mux
	e.runs = map[id.Run]*activity{}
	e.mu.Unlock()
	e.reports.flush()
	e.sendHeartbeat()
	for _, a := range runs {
		a.drop(errLeft)
	}
	for _, v := range visits {
		v.end(errLeft)
	}
	close(e.stop)
	_ = e.fences.Unsubscribe() // only fails on a bus that is closed already
	e.mail.close()
	mux.Close()
	e.done.Wait()
	e.reports.close()
	finished := make(chan struct{})
	go func() {
		e.work.close()
		e.work.Wait()
		e.library.close()
		close(finished)
	}()
	select {
	case <-finished:
	case <-time.After(time.Second):
		e.log.Warn("native functions are still running; they are abandoned", "count", e.stuck.Load())
	}
	return nil
}

// link is the current incarnation's end of all links.
func (e *Executor) link() *link.Mux {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.mux
}

// send puts a message on the link to a peer.
func (e *Executor) send(to wire.Peer, m wire.Message) {
	if err := e.link().Send(to, m); err != nil {
		e.log.Warn("message not sent", "node", to.Name, "err", err)
	}
}

// fenced hears that this incarnation was declared dead: others run what it ran. It drops everything and comes back
// as a new one.
func (e *Executor) fenced(m bus.Msg) {
	var f wire.Fence
	if err := wire.Decode(m.Data, &f); err != nil {
		e.log.Warn("fence refused", "err", err)
		return
	}
	e.rejoin(f.Incarnation)
}

// rejoin ends the incarnation that is over, and all before it.
func (e *Executor) rejoin(over uint64) {
	e.mu.Lock()
	if e.closed || over < e.self.Incarnation {
		e.mu.Unlock()
		return
	}
	e.self.Incarnation = max(uint64(time.Now().UnixNano()), over+1)
	e.credits.reset()
	self, old, runs := e.self, e.mux, e.runs
	e.runs = map[id.Run]*activity{}
	e.ended.Clear()
	for run, v := range e.visits {
		e.endVisitLocked(run, v, errFenced)
	}
	e.mu.Unlock()
	e.log.Warn("declared dead by a coordinator: dropping runs and joining again", "runs", len(runs))
	for _, a := range runs {
		a.drop(errFenced)
	}
	old.Close()
	for err := e.takeFence(self); err != nil; err = e.takeFence(self) {
		e.log.Warn("no fence for the new life yet; nothing is taken before there is one", "err", err)
		select {
		case <-e.stop:
			return
		case <-time.After(time.Second):
		}
	}
	mux, err := e.listen(self)
	if err != nil {
		e.log.Error("cannot listen after being declared dead", "err", err)
		return
	}
	e.mu.Lock()
	e.mux = mux
	e.signalIdleLocked()
	closed := e.closed
	e.mu.Unlock()
	if closed {
		mux.Close()
	}
	e.Announce()
}

// peerLost hears that another node is gone. A lost executor's work is its owners' business; a lost owner's runs go on
// and answer their callers.
func (e *Executor) peerLost(p wire.Peer) {
	e.log.Info("peer is gone", "node", p.Name)
	e.credits.lost(p)
}

// heartbeats announces the executor until it closes.
func (e *Executor) heartbeats() {
	t := time.NewTicker(e.cfg.Heartbeat)
	defer t.Stop()
	for {
		e.sendHeartbeat()
		select {
		case <-e.stop:
			return
		case <-t.C:
		case <-e.beat:
		}
	}
}

func (e *Executor) sendHeartbeat() {
	e.mu.Lock()
	hb := wire.Heartbeat{
		From: e.self, Condition: e.condition, Slots: e.cfg.Slots, Runs: len(e.runs), Release: e.cfg.Release,
		Port: e.cfg.Port, Apps: e.cfg.Cache.Apps(),
	}
	e.mu.Unlock()
	var load wire.Load
	hb.Grants, load = e.credits.grant()
	hb.Busy, hb.Queued, hb.Mean, hb.Credits, hb.Keys = load.Busy, load.Queued, load.Mean, true, e.digest.update()
	hb.CacheLen = e.cfg.Cache.Stats().Bytes
	if e.cfg.Natives != nil {
		hb.Natives = e.cfg.Natives.Functions()
	}
	for _, r := range e.cfg.Runtimes {
		hb.Kinds = append(hb.Kinds, r.Kind())
	}
	hb.Now = e.cfg.Cache.Clock().Wall().UnixNano()
	b, err := wire.Encode(&hb)
	if err == nil {
		err = e.cfg.Bus.Publish(bus.Msg{Subject: e.subjects.Heartbeat(e.cfg.Name), Data: b})
	}
	if err != nil {
		e.log.Warn("heartbeat not sent", "err", err)
	}
}
