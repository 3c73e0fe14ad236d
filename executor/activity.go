package executor

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/squall-faas/squall/cache/session"
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/kvs"
)

// lingering is how long after its deadline a run's part here is kept for an owner that might recover it.
const lingering = 30 * time.Second

// activity is this executor's part of one run: the shell around the pure machine.
type activity struct {
	e       *Executor
	run     id.Run
	ctx     context.Context // ends with the run
	end     context.CancelCauseFunc
	started time.Time
	depth   int // of the header, which changes with the plan; these do not
	trace   bool

	mu        sync.Mutex // guards what follows
	header    wire.Header
	self      dag.Site
	until     time.Time // the run's deadline; zero is none
	spec      *spec
	machine   *dag.Run
	ready     bool     // the spec is here and what waited for it is done
	waiting   []func() // messages that came before the spec
	early     []early  // messages of an epoch whose plan has not come yet
	sites     []wire.Peer
	lost      map[wire.Peer]bool
	asked     uint32       // the highest epoch that the owner has asked for
	told      []dag.Source // what the owner was told, at its last query, is held here
	stats     stats
	carries   map[dag.Source]*session.State // what was seen and done on the way to a source's value
	stored    map[dag.Source]stored         // values that the plan has travel through the store
	timers    []*time.Timer
	natives   []*invocation        // under way here
	revocable withdrawals          // likewise, where they may be taken back
	flows     map[dag.Source]*flow // what is yielded, or was, by nodes here
	working   int                  // goroutines that run invocations of this run
	credit    bool                 // it came with a credit and has not asked for a slot yet
	begun     bool                 // an invocation was begun here
	returned  bool                 // it goes back to its owner
	wished    bool                 // its owner was told that it would be better off elsewhere
	queued    []dag.Command        // invocations that wait for one of them
	over      bool
}

type early struct {
	epoch uint32
	do    func()
}

// newActivity makes the part of a run that h describes; nil where h does not name this incarnation. The caller holds
// the executor's lock.
func newActivity(e *Executor, h *wire.Header) *activity {
	self := dag.Site(-1)
	for i, p := range h.Executors {
		if p == e.self {
			self = dag.Site(i)
		}
	}
	if self < 0 {
		return nil
	}
	now := time.Now()
	a := &activity{
		e: e, run: h.Run, started: now, header: *h, self: self, depth: h.Depth, trace: h.Trace,
		until: h.Remaining.Deadline(now), sites: h.Executors[:len(h.Executors):len(h.Executors)],
	}
	a.ctx, a.end = context.WithCancelCause(context.Background())
	if !a.until.IsZero() && self != h.Plan.Collector {
		a.timers = append(a.timers, time.AfterFunc(a.until.Sub(now), a.outlived))
	}
	if s := e.library.cached(h.Spec); s != nil && h.Plan.Check(s.graph, len(h.Executors)) == nil {
		a.prepare(s)
		a.ready = true
		return a
	}
	e.work.Go(a.load)
	return a
}

func (a *activity) prepare(s *spec) {
	a.spec = s
	a.machine = dag.NewRun(s.graph, dag.RunConfig{
		Self: a.self, Plan: a.header.Plan, Deadline: a.until, Seed: seed(a.run), Late: a.late(s),
	})
}

// seed makes jitter differ between runs and agree between a run's sites.
func seed(run id.Run) uint64 {
	var s uint64
	for _, b := range run {
		s = s*31 + uint64(b)
	}
	return s
}

// load reads the spec and then does what has waited for it.
func (a *activity) load() {
	ctx, cancel := context.WithTimeout(a.ctx, loadTimeout)
	s, err := a.e.library.spec(ctx, a.header.Spec)
	cancel()
	if err == nil {
		err = a.header.Plan.Check(s.graph, len(a.header.Executors))
	}
	if err != nil {
		a.mu.Lock()
		over := a.over
		a.mu.Unlock()
		if over { // that is why; somebody else answers
			return
		}
		a.e.log.Error("a run cannot start", "run", a.run, "err", err)
		a.fail(fault.From(err))
		a.e.abandon(a) // a new plan for this site tries again
		return
	}
	a.mu.Lock()
	a.prepare(s)
	for len(a.waiting) > 0 {
		todo := a.waiting
		a.waiting = nil
		a.mu.Unlock()
		for _, do := range todo {
			do()
		}
		a.mu.Lock()
	}
	a.ready = true
	a.mu.Unlock()
}

// fail ends a run that could not even be read: the collector is told, or the caller where this is the collector.
func (a *activity) fail(err *fault.Error) {
	if a.self == a.header.Plan.Collector {
		a.finish(&wire.Outcome{Run: a.run, State: wire.Errored, Err: err})
		return
	}
	a.passFailure(err)
}

func (a *activity) owner() wire.Peer {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.header.Owner
}

func (a *activity) epoch() uint32 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.header.Plan.Epoch
}

// post does what a message asks, now or when it can: after the spec is here, and after the plan of the message's
// epoch is.
func (a *activity) post(epoch uint32, do func()) {
	a.mu.Lock()
	switch {
	case a.over:
	case epoch > a.header.Plan.Epoch:
		a.early = append(a.early, early{epoch, do})
	case !a.ready:
		a.waiting = append(a.waiting, do)
	default:
		a.mu.Unlock()
		do()
		return
	}
	a.mu.Unlock()
}

// stop ends the run's context here, and notes which native functions do not return.
func (a *activity) stop(why error) {
	a.end(why)
	a.mu.Lock()
	natives := slices.Clone(a.natives)
	a.mu.Unlock()
	for _, i := range natives {
		i.overdue()
	}
}

// enter and leave note which native functions are under way.
func (a *activity) enter(i *invocation) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.natives = append(a.natives, i)
}

func (a *activity) leave(i *invocation) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if k := slices.Index(a.natives, i); k >= 0 {
		last := len(a.natives) - 1
		a.natives[k], a.natives[last] = a.natives[last], nil
		a.natives = a.natives[:last]
	}
}

// commands are buffers for what the machine says. They are big, and would escape to the heap at every step.
var commands = sync.Pool{New: func() any { c := make([]dag.Command, 0, 4); return &c }}

func newCommands() *[]dag.Command { return commands.Get().(*[]dag.Command) }

func freeCommands(c *[]dag.Command) {
	clear(*c)
	*c = (*c)[:0]
	commands.Put(c)
}

// advance takes one event in and does what comes out; functions run on goroutines of their own.
func (a *activity) advance(ev dag.Event) {
	buf := newCommands()
	*buf = a.step(ev, *buf)
	a.perform(*buf, false)
	freeCommands(buf)
}

// step is the machine's, under the lock.
func (a *activity) step(ev dag.Event, cmds []dag.Command) []dag.Command {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over || a.machine == nil {
		return cmds
	}
	return a.machine.Step(time.Now(), ev, cmds)
}

// perform does what the machine says. With inline set the caller has a slot: the first invocation is not started but
// returned, to be run with it.
func (a *activity) perform(cmds []dag.Command, inline bool) (next dag.Command, ok bool) {
	for i := range cmds {
		if e := cmds[i].Err; e != nil && e.Code == fault.Fenced {
			// Its writes are refused: this node was declared dead, and others execute the run. Nothing that it says of it
			// counts, and it drops it as soon as it hears.
			continue
		}
		switch c := &cmds[i]; c.Kind {
		case dag.Invoke:
			a.admit(c.Invocation)
			if f := a.spec.functions[c.Invocation.Node]; inline && !ok && a.e.limits.none(f) && a.e.library.has(f) {
				next, ok = *c, true
				continue
			}
			a.start(*c)
		case dag.Pass:
			a.offLoop(inline, *c, a.pass)
		case dag.Delegate:
			a.offLoop(inline, *c, a.delegate)
		case dag.PassFailure:
			a.passFailure(c.Err)
		case dag.Spread:
			a.spread(*c)
		case dag.PassAbsence:
			a.passAbsence(*c)
		case dag.Decline:
			a.decline(*c)
		case dag.Withdraw:
			a.withdraw(*c)
		case dag.SetTimer:
			a.setTimer(c.Timer, c.At)
		case dag.Abort:
			a.stop(errReleased)
		case dag.Reply:
			if a.recorded() || a.transacts() { // not with the slot: the store takes a while
				a.background(*c, a.reply)
			} else {
				a.reply(*c)
			}
		}
	}
	return next, ok
}

// start runs an invocation, and what follows it, on a goroutine of its own; past the run's share of them it waits for
// one to be done. A Reduce over a million values starts half a million steps at once: they must not fill the queue for
// slots, which is everybody's.
func (a *activity) start(c dag.Command) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.working >= 2*a.e.cfg.Slots {
		a.queued = append(a.queued, c)
		return
	}
	a.working++
	a.e.work.Go(func() { a.worker(c) })
}

// worker runs invocations of this run until none waits.
func (a *activity) worker(c dag.Command) {
	done := false
	defer func() {
		if !done { // runtime.Goexit took this goroutine: the next one does the rest
			if c, ok := a.next(); ok {
				a.e.work.Go(func() { a.worker(c) })
			}
		}
	}()
	for ok := true; ok; c, ok = a.next() {
		a.work(c)
	}
	done = true
}

// next gives the invocation that has waited longest, or counts the worker out.
func (a *activity) next() (dag.Command, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		a.queued = nil
	}
	if len(a.queued) == 0 {
		a.working--
		return dag.Command{}, false
	}
	c := a.queued[0]
	a.queued[0] = dag.Command{}
	a.queued = a.queued[1:]
	return c, true
}

// offLoop does what may wait for the store: on the goroutine of a function, or on one of its own when the inbox's
// would be held up.
func (a *activity) offLoop(inline bool, c dag.Command, do func(dag.Command)) {
	if inline || a.burden(&c) < a.e.cfg.Offload.Small() && !a.recorded() {
		do(c)
		return
	}
	a.background(c, do)
}

func (a *activity) background(c dag.Command, do func(dag.Command)) { a.e.work.Go(func() { do(c) }) }

func (a *activity) recorded() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.header.Mode.Recorded()
}

func (a *activity) transacts() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.header.Level == kvs.Transaction
}

// site gives the executor that a site of this run is.
func (a *activity) site(s dag.Site) wire.Peer {
	a.mu.Lock()
	defer a.mu.Unlock()
	if int(s) < 0 || int(s) >= len(a.sites) {
		return wire.Peer{}
	}
	return a.sites[s]
}

func (a *activity) setTimer(timer dag.Timer, at time.Time) {
	t := time.AfterFunc(time.Until(at), func() {
		if timer == dag.DeadlineTimer {
			a.stop(context.DeadlineExceeded)
		}
		a.advance(dag.Event{Kind: dag.TimerFired, Timer: timer})
	})
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		t.Stop()
		return
	}
	a.timers = append(a.timers, t)
}

// outlived ends what runs here at the deadline, and lets go of the run a while later. Its collector is told: it may not
// have heard of the run yet.
func (a *activity) outlived() {
	a.stop(context.DeadlineExceeded)
	a.passFailure(fault.New(fault.DeadlineExceeded, "the run had not finished at its deadline"))
	t := time.AfterFunc(lingering, func() {
		a.e.settle(a)
		a.drop(errReleased)
	})
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		t.Stop()
	}
	a.timers = append(a.timers, t)
}

// drop gives the run up here without answering anybody.
func (a *activity) drop(why error) {
	a.mu.Lock()
	first := !a.over
	a.over = true
	timers, extra, epoch := a.timers, a.extraLocked(), a.header.Plan.Epoch
	a.timers, a.waiting, a.early, a.machine, a.carries, a.stored = nil, nil, nil, nil, nil, nil
	pinned := pins(a.run, a.header.Began)
	level := a.header.Level
	a.mu.Unlock()
	a.stop(why)
	a.spent()
	if !first {
		return
	}
	if level.Session() {
		a.e.cfg.Cache.Release(pinned)
	}
	for _, t := range timers {
		t.Stop()
	}
	for _, p := range extra {
		if p.Name != "" {
			a.e.send(p, &wire.Release{Runs: []id.Run{a.run}, Epochs: []uint32{epoch}})
		}
	}
}

// extraLocked are the executors outside the plan that took items of a Map from here.
func (a *activity) extraLocked() []wire.Peer { return a.sites[len(a.header.Executors):] }
