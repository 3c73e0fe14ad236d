package caller

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/bus"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/offload"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

const (
	// DefaultTimeout is the deadline of a sync run whose caller's context has none.
	DefaultTimeout = time.Minute
	// DefaultRunTime is the deadline of an async or durable run that names none.
	DefaultRunTime = 24 * time.Hour

	findCoordinator = 3500 * time.Millisecond // how long a call looks for a coordinator before it is unreachable: another takes over sooner
	adminTimeout    = 30 * time.Second
	askAgain        = 3 * time.Second // of silence; doubled each time
)

// Config of a Caller.
type Config struct {
	Bus       bus.Bus
	Offload   *offload.Offload
	Namespace string       // a checked name
	Logger    *slog.Logger // nil discards
}

// Caller is one process's end of all its calls. Safe for concurrent use.
type Caller struct {
	cfg      Config
	log      *slog.Logger
	subjects wire.Subjects
	inbox    string
	subs     []bus.Subscription
	stop     chan struct{}
	done     sync.WaitGroup

	mu      sync.Mutex          // guards what follows
	pending map[id.Run]*pending // the waits for each run, linked
	closed  bool
}

// pending is one wait for an outcome.
type pending struct {
	run      id.Run
	next     *pending // for the same run; guarded by the Caller
	submits  bool     // published the call
	since    time.Time
	admit    bool // wants the admission, not the outcome
	recorded bool // the outcome is stored, so that it can be asked for again
	got      chan reply
	unseen   int // inquiries since the last sign of it that a coordinator answered
	absent   int // inquiries in a row that nobody answered
}

type reply struct {
	outcome *wire.Outcome
	err     error
	retry   bool // nobody listens for calls just now
}

// New subscribes the caller's inbox; Close ends it.
func New(cfg Config) (*Caller, error) {
	c := &Caller{
		cfg: cfg, log: cfg.Logger, subjects: wire.In(cfg.Namespace),
		stop: make(chan struct{}), pending: map[id.Run]*pending{},
	}
	if c.log == nil {
		c.log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	c.inbox = c.subjects.Reply(id.Token(16))
	for subject, h := range map[string]bus.Handler{c.inbox: c.receive, c.inbox + ".*": c.unheard} {
		sub, err := cfg.Bus.Subscribe(subject, "", h)
		if err != nil {
			for _, s := range c.subs {
				_ = s.Unsubscribe() // the bus is what failed
			}
			return nil, fault.New(fault.Unreachable, "subscribe to replies: %w", err)
		}
		c.subs = append(c.subs, sub)
	}
	c.done.Go(c.inquire)
	return c, nil
}

// Close ends every open call with cancelled; runs that were started go on. Idempotent.
func (c *Caller) Close() {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.closed = true
	open := c.pending
	c.pending = map[id.Run]*pending{}
	c.mu.Unlock()
	close(c.stop)
	for _, s := range c.subs {
		_ = s.Unsubscribe() // only fails on a bus that is closed already
	}
	for p := range all(open) {
		p.answer(reply{err: fault.New(fault.Cancelled, "the client was closed while run %s was open", p.run)})
	}
	c.done.Wait()
}

// Request is one call.
type Request struct {
	Run    id.Run // minted here when zero
	Target wire.Target
	Name   string
	Inputs []string // names, for a DAG
	Values []value.Value
	Mode   wire.Mode
	// RunTime is how long an async or durable run may take; 0 is DefaultRunTime. A sync run has its context's deadline.
	RunTime time.Duration
	Depth   int
	Trace   bool
	Level   kvs.Level
	Ack     kvs.Ack // of the functions' writes
	// Priority among the calls of its application that wait for a slot: -10 to 10.
	Priority int
}

// Result is the outcome of a run that succeeded.
type Result struct {
	Run    id.Run
	Names  []string // of the outputs; a function's only one is "result"
	Values []value.Value
	Stats  []wire.NodeStat // where time went, if the call asked
	Took   time.Duration   // at the collector, from its first value to the reply
}

// Call runs r and waits for its outcome: for a sync call, and for a durable one that the caller wants to wait for.
// When ctx is cancelled the run is cancelled too.
func (c *Caller) Call(ctx context.Context, r Request) (*Result, error) {
	r.Mode &^= wire.Async
	if r.Run.IsZero() {
		r.Run = id.NewRun()
	}
	p, err := c.expect(pending{run: r.Run, submits: true, recorded: r.Mode.Recorded()})
	if err != nil {
		return nil, err
	}
	defer c.forget(p)
	deadline, given := ctx.Deadline()
	var late <-chan time.Time
	if !given { // a timer of our own costs a call less than a context
		t := time.NewTimer(DefaultTimeout)
		defer t.Stop()
		deadline, late = time.Now().Add(DefaultTimeout), t.C
	}
	msg, err := c.prepare(ctx, r, margin(deadline))
	if err != nil {
		return nil, err
	}
	o, err := c.submit(ctx, p, r.Name, msg, late)
	if err != nil {
		if ctx.Err() != nil || fault.Is(err, fault.DeadlineExceeded) {
			c.abandon(r.Run)
		}
		return nil, err
	}
	return c.result(ctx, o)
}

// Start submits an async run and returns when it is admitted: for a durable run, when it is stored.
func (c *Caller) Start(ctx context.Context, r Request) (id.Run, error) {
	r.Mode |= wire.Async
	if r.Run.IsZero() {
		r.Run = id.NewRun()
	}
	if r.RunTime == 0 {
		r.RunTime = DefaultRunTime
	}
	ctx, cancel := withDefault(ctx, adminTimeout)
	defer cancel()
	p, err := c.expect(pending{run: r.Run, submits: true, admit: true})
	if err != nil {
		return r.Run, err
	}
	defer c.forget(p)
	msg, err := c.prepare(ctx, r, time.Now().Add(r.RunTime))
	if err != nil {
		return r.Run, err
	}
	o, err := c.submit(ctx, p, r.Name, msg, nil)
	if err != nil {
		return r.Run, err
	}
	if o.Err != nil && !o.Stored { // what is stored is the outcome of a run that was admitted
		return r.Run, o.Err
	}
	return r.Run, nil
}

// Await waits for the outcome of a run that anyone started; unknown_run where none is recorded under that id.
func (c *Caller) Await(ctx context.Context, run id.Run) (*Result, error) {
	ctx, cancel := withDefault(ctx, DefaultRunTime)
	defer cancel()
	p, err := c.expect(pending{run: run, recorded: true})
	if err != nil {
		return nil, err
	}
	defer c.forget(p)
	if _, err := c.ask(ctx, c.subjects.Run(wire.OpAwait), &wire.RunOp{Run: run, Reply: c.inbox}); err != nil {
		return nil, err
	}
	select {
	case got := <-p.got:
		if got.err != nil {
			return nil, got.err
		}
		return c.result(ctx, got.outcome)
	case <-ctx.Done():
		return nil, fault.From(ctx.Err())
	}
}

// Status tells the state of a run; unknown_run where none is recorded under that id.
func (c *Caller) Status(ctx context.Context, run id.Run) (wire.RunInfo, error) {
	a, err := c.ask(ctx, c.subjects.Run(wire.OpStatus), &wire.RunOp{Run: run})
	if err != nil {
		return wire.RunInfo{}, err
	}
	if len(a.Runs) != 1 {
		return wire.RunInfo{}, fault.New(fault.Internal, "status of run %s: the coordinator answered with %d runs", run, len(a.Runs))
	}
	return a.Runs[0], nil
}

// Cancel ends a run; it returns once the coordinator has taken the request. A run that has ended stays as it is.
func (c *Caller) Cancel(ctx context.Context, run id.Run) error {
	_, err := c.ask(ctx, c.subjects.Run(wire.OpCancel), &wire.RunOp{Run: run})
	return err
}

// Admin makes an administrative request.
func (c *Caller) Admin(ctx context.Context, op string, a *wire.Admin) (*wire.Answer, error) {
	return c.ask(ctx, c.subjects.Admin(op), a)
}

// ask makes a request of any coordinator, looking for one for a while. One that dies takes the request along and nobody says
// so: after a silence it is made again, which is safe for all that is asked this way.
func (c *Caller) ask(ctx context.Context, subject string, m wire.Message) (*wire.Answer, error) {
	ctx, cancel := withDefault(ctx, adminTimeout)
	defer cancel()
	b, err := wire.Encode(m)
	if err != nil {
		return nil, err
	}
	silence := askAgain
	for wait := newSearch(); ; {
		attempt, cancel := context.WithTimeout(ctx, silence)
		out, err := c.cfg.Bus.Request(attempt, subject, b)
		cancel()
		if errors.Is(err, bus.ErrNoResponders) && wait.again(ctx) {
			continue
		}
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			silence *= 2 // it may be slow, not dead
			continue
		}
		if err != nil {
			return nil, unreachable(err)
		}
		var a wire.Answer
		if err := wire.Decode(out, &a); err != nil {
			return nil, err
		}
		if a.Err != nil {
			return nil, a.Err
		}
		return &a, nil
	}
}

// prepare encodes a call, large values offloaded.
func (c *Caller) prepare(ctx context.Context, r Request, deadline time.Time) ([]byte, error) {
	if err := id.CheckName(r.Target.String(), r.Name); err != nil {
		return nil, err // before it stands in a subject
	}
	remaining := wire.Until(deadline, time.Now())
	values, err := c.cfg.Offload.Out(ctx, time.Duration(remaining)+time.Minute, r.Values...)
	if err != nil {
		return nil, err
	}
	return wire.Encode(&wire.Call{
		Run: r.Run, Target: r.Target, Name: r.Name, Inputs: r.Inputs, Values: values, Reply: c.inbox,
		Remaining: remaining, Mode: r.Mode, Depth: r.Depth, Trace: r.Trace,
		Level: r.Level, Ack: r.Ack, Priority: r.Priority,
	})
}

// submit publishes a call and waits for what it expects.
func (c *Caller) submit(ctx context.Context, p *pending, name string, msg []byte, late <-chan time.Time) (*wire.Outcome, error) {
	call := bus.Msg{Subject: c.subjects.Call(name), Reply: c.inbox + "." + p.run.String(), Data: msg}
	for wait := newSearch(); ; {
		if err := c.cfg.Bus.Publish(call); err != nil {
			return nil, unreachable(err)
		}
		select {
		case got := <-p.got:
			if got.retry && wait.again(ctx) {
				continue
			}
			if got.retry {
				return nil, unreachable(bus.ErrNoResponders)
			}
			return got.outcome, got.err
		case <-ctx.Done():
			return nil, fault.From(ctx.Err())
		case <-late:
			return nil, fault.From(context.DeadlineExceeded)
		}
	}
}

// result turns an outcome into what its caller sees.
func (c *Caller) result(ctx context.Context, o *wire.Outcome) (*Result, error) {
	if o.Err != nil {
		return nil, o.Err
	}
	if len(o.Names) != len(o.Values) {
		return nil, fault.New(fault.Unsupported, "run %s answered with %d names for %d values", o.Run, len(o.Names), len(o.Values))
	}
	vs, err := c.cfg.Offload.InAll(ctx, o.Values)
	if err != nil {
		return nil, err
	}
	return &Result{Run: o.Run, Names: o.Names, Values: vs, Stats: o.Stats, Took: time.Duration(o.Elapsed)}, nil
}

// abandon tells the coordinators, without waiting, that nobody waits for a run any more.
func (c *Caller) abandon(run id.Run) {
	err := c.cfg.Bus.Publish(bus.Msg{Subject: c.subjects.Run(wire.OpCancel), Data: wire.MustEncode(&wire.RunOp{Run: run})})
	if err != nil {
		c.log.Debug("cancel not sent; the run ends at its deadline", "run", run, "err", err)
	}
}

// expect makes a place for a run's outcome.
func (c *Caller) expect(of pending) (*pending, error) {
	p := &of
	p.since, p.got = time.Now(), make(chan reply, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, fault.New(fault.Cancelled, "the client is closed: connect again")
	}
	p.next = c.pending[p.run]
	c.pending[p.run] = p
	return p, nil
}

func (c *Caller) forget(p *pending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending[p.run] == p && p.next == nil {
		delete(c.pending, p.run)
		return
	}
	for at := c.pending[p.run]; at != nil; at = at.next {
		switch p {
		case at: // the first of several
			c.pending[p.run] = p.next
			return
		case at.next:
			at.next = p.next
			return
		}
	}
}

func (p *pending) answer(r reply) {
	select {
	case p.got <- r:
	default: // answered already
	}
}

// receive hands an outcome to whom it is for.
func (c *Caller) receive(m bus.Msg) {
	var o wire.Outcome
	if err := wire.Decode(m.Data, &o); err != nil {
		c.log.Warn("reply refused", "err", err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for p := c.pending[o.Run]; p != nil; p = p.next {
		if o.State != wire.Running || p.admit {
			p.answer(reply{outcome: &o})
		}
	}
}

// unheard learns from the transport that no coordinator listens for calls.
func (c *Caller) unheard(m bus.Msg) {
	if !m.NoResponders {
		return
	}
	run, err := id.ParseRun(m.Subject[strings.LastIndexByte(m.Subject, '.')+1:])
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for p := c.pending[run]; p != nil; p = p.next {
		if p.submits {
			p.answer(reply{retry: true})
		}
	}
}
