package coordinator

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/executor/runtime"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/bus"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/wasmbin"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// announceWait is how long a registration waits for an executor to announce a native function.
const announceWait = 5 * time.Second

func (c *Coordinator) answer(m bus.Msg, a *wire.Answer) {
	if m.Reply == "" {
		return
	}
	a.From = c.self
	b, err := wire.Encode(a)
	if err != nil || len(b) > c.cfg.Bus.MaxPayload() {
		b = wire.MustEncode(&wire.Answer{From: c.self, Err: fault.New(fault.TooLarge, "the answer has more than %d bytes: ask for less", c.cfg.Bus.MaxPayload())})
	}
	if err := c.cfg.Bus.Publish(bus.Msg{Subject: m.Reply, Data: b}); err != nil {
		c.log.Warn("answer not sent", "err", err)
	}
}

func operation(subject string) string { return subject[strings.LastIndexByte(subject, '.')+1:] }

// runOp takes in operations on runs and inquiries.
func (c *Coordinator) runOp(m bus.Msg) {
	op := operation(m.Subject)
	if op == wire.OpInquire {
		c.inquire(m)
		return
	}
	var q wire.RunOp
	if err := wire.Decode(m.Data, &q); err != nil {
		c.answer(m, &wire.Answer{Err: fault.From(err)})
		return
	}
	switch op {
	case wire.OpCancel:
		c.cancel(m, q.Run)
	case wire.OpStatus, wire.OpAwait:
		c.do(func(ctx context.Context) {
			ctx, cancel := context.WithTimeout(ctx, storeLimit)
			defer cancel()
			a := &wire.Answer{}
			if info, err := c.look(ctx, q, op == wire.OpAwait); err != nil {
				a.Err = c.outward(err)
			} else {
				a.Runs = []wire.RunInfo{info}
			}
			c.answer(m, a)
		})
	default:
		c.answer(m, &wire.Answer{Err: fault.New(fault.Unsupported, "no operation %q on runs", op)})
	}
}

// look tells a run's state, and with await sees to it that its outcome is sent.
func (c *Coordinator) look(ctx context.Context, q wire.RunOp, await bool) (wire.RunInfo, error) {
	c.mu.Lock()
	if r := c.runs[q.Run]; r != nil {
		defer c.mu.Unlock()
		if await {
			if !r.call.Mode.Recorded() {
				return wire.RunInfo{}, fault.New(fault.InvalidArgument, "run %s is a sync call: only its caller is answered; start it async to await it from elsewhere", q.Run)
			}
			if !slices.Contains(r.waiters, q.Reply) {
				r.waiters = append(r.waiters, q.Reply)
			}
		}
		return r.info(wire.Running), nil
	}
	e, ok := c.ended.Get(q.Run)
	c.mu.Unlock()
	if ok && !e.stored {
		if await {
			return wire.RunInfo{}, fault.New(fault.UnknownRun, "run %s was a sync call: its outcome is not recorded", q.Run)
		}
		return e.info, nil
	}
	rec, rev, err := c.recordOf(ctx, q.Run)
	if err != nil {
		return wire.RunInfo{}, err
	}
	info := wire.RunInfo{
		Run: q.Run, Target: rec.Call.Target, Name: rec.Call.Name, State: wire.Running, Started: rec.Started, Ended: rec.Ended,
		Durable: rec.Call.Mode.Durable(), Epoch: rec.Epoch,
	}
	if rec.Outcome == nil {
		c.adoptRun(ctx, rec, rev)
		if await {
			return c.look(ctx, q, true)
		}
		return info, nil
	}
	info.State, info.Err = rec.Outcome.State, rec.Outcome.Err
	if await {
		c.reply(q.Reply, rec.Outcome)
	}
	return info, nil
}

// cancel ends a run; its collector answers the caller.
func (c *Coordinator) cancel(m bus.Msg, run id.Run) {
	why := fault.New(fault.Cancelled, "the run was cancelled: start it again if its result is wanted after all")
	c.mu.Lock()
	r := c.runs[run]
	_, over := c.ended.Get(run)
	if r != nil && !r.placed {
		c.concludeLocked(r, why)
	} else if r != nil {
		r.cancelled = why
		for _, s := range r.sites {
			if err := c.mux.Send(s, &wire.Cancel{Run: run, Epoch: r.epoch, Err: why.With(func(e *fault.Error) { e.Run = run.String() })}); err != nil {
				c.log.Warn("cancel not sent", "run", run, "err", err)
			}
		}
	}
	c.mu.Unlock()
	if r != nil || over {
		c.answer(m, &wire.Answer{})
		return
	}
	c.do(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, storeLimit)
		defer cancel()
		_, _, err := c.recordOf(ctx, run)
		c.answer(m, &wire.Answer{Err: fault.From(err)})
	})
}

// inquire tells which runs are alive. The outcome of one that has ended is sent again: its caller asks because it has
// not got it.
func (c *Coordinator) inquire(m bus.Msg) {
	var q wire.Inquiry
	if err := wire.Decode(m.Data, &q); err != nil {
		c.answer(m, &wire.Answer{Err: fault.From(err)})
		return
	}
	a := &wire.Answer{States: make([]wire.State, len(q.Runs))}
	c.mu.Lock()
	for i, run := range q.Runs {
		a.States[i] = wire.Unknown
		if r := c.runs[run]; r != nil {
			a.States[i] = wire.Running
			if r.call.Mode.Recorded() && r.call.Reply != q.Reply && !slices.Contains(r.waiters, q.Reply) {
				r.waiters = append(r.waiters, q.Reply) // an await that an earlier owner took along
			}
		} else if e, ok := c.ended.Get(run); ok {
			a.States[i] = e.state
			c.repeatLocked(e, run, q.Reply)
		}
	}
	c.mu.Unlock()
	c.answer(m, a)
}

// admin takes in registrations and lists.
func (c *Coordinator) admin(m bus.Msg) {
	var q wire.Admin
	if err := wire.Decode(m.Data, &q); err != nil {
		c.answer(m, &wire.Answer{Err: fault.From(err)})
		return
	}
	op := operation(m.Subject)
	c.do(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, 2*storeLimit)
		defer cancel()
		a := &wire.Answer{}
		if err := c.administer(ctx, op, &q, a); err != nil {
			a = &wire.Answer{Err: c.outward(err)}
		}
		c.answer(m, a)
	})
}

func (c *Coordinator) administer(ctx context.Context, op string, q *wire.Admin, a *wire.Answer) error {
	switch op {
	case wire.OpPutFunction:
		if q.Function == nil {
			return fault.New(fault.InvalidArgument, "no function given")
		}
		a.Version = q.Function.Version
		return c.putFunction(ctx, q.Function)
	case wire.OpPutDAG:
		version, err := c.putDAG(ctx, q.Graph)
		a.Version = version
		return err
	case wire.OpGetDAG:
		g, err := c.registry.graph(q.Name)
		if err != nil {
			return err
		}
		a.Graph, a.Version = g.encoded, g.version
	case wire.OpRemoveFunction:
		if err := id.CheckName("function", q.Name); err != nil {
			return err
		}
		return c.registry.remove(ctx, wire.FunctionKey(q.Name), unknownFunction("", q.Name))
	case wire.OpRemoveDAG:
		if err := id.CheckName("DAG", q.Name); err != nil {
			return err
		}
		_, missing := c.registry.graph(q.Name)
		return c.registry.remove(ctx, wire.GraphKey(q.Name), missing)
	case wire.OpListFunctions:
		a.Functions = c.registry.listFunctions()
	case wire.OpListDAGs:
		a.Graphs = c.registry.listGraphs()
	case wire.OpMembers:
		a.Members = c.listMembers()
	case wire.OpRuns:
		a.Runs = c.listRuns(q.Limit)
	case wire.OpProfiles:
		return c.profiles(ctx, q.Name, a)
	default:
		return fault.New(fault.Unsupported, "no administrative operation %q", op)
	}
	return nil
}

// putFunction registers a version of a function: for native code once an executor that has it is here, for anything
// else once its code is stored and looks right.
func (c *Coordinator) putFunction(ctx context.Context, f *runtime.Spec) error {
	if err := id.CheckName("function", f.Name); err != nil {
		return err
	}
	if f.Version == "" {
		return fault.New(fault.InvalidArgument, "function %s has no version", f.Name)
	}
	if f.Limits.Memory < 0 || f.Limits.Output < 0 || f.Limits.Wall < 0 || f.Limits.Slots < 0 {
		return fault.New(fault.InvalidArgument, "function %s: a limit is negative; leave it 0 for the default", f.Name)
	}
	var err error
	switch f.Kind {
	case runtime.Native:
		err = c.awaitNative(ctx, f)
	case runtime.Wasm:
		err = c.checkCode(ctx, f)
	default:
		err = fault.New(fault.Unsupported, "no runtime %q: use native or wasm", f.Kind)
	}
	if err != nil {
		return err
	}
	return c.registry.put(ctx, wire.FunctionKey(f.Name), &wire.Function{Spec: *f})
}

func (c *Coordinator) awaitNative(ctx context.Context, f *runtime.Spec) error {
	ctx, cancel := context.WithTimeout(ctx, announceWait)
	defer cancel()
	for {
		c.mu.Lock()
		here := slices.ContainsFunc(c.members.sorted(), func(m *member) bool { return m.natives[f.Version] })
		moved := c.moved
		c.mu.Unlock()
		if here {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fault.New(fault.NativeNeedsExecutor, "no executor has the native function %s: use squall.Join in the program that defines it, or client.GoPackage", f.Name)
		}
	}
}

func (c *Coordinator) checkCode(ctx context.Context, f *runtime.Spec) error {
	e, err := c.cfg.System.Get(ctx, kvs.Key(wire.CodeKey(f.Version)))
	if fault.Is(err, fault.NotFound) {
		return fault.New(fault.InvalidArgument, "the code of function %s is not stored: put it under %s first", f.Name, wire.CodeKey(f.Version))
	}
	if err != nil {
		return err
	}
	code, err := value.As[[]byte](e.Value)
	if err != nil {
		return err
	}
	// What metering refuses, an executor would refuse too, only later: compile bombs, instructions that it does not run,
	// a memory that starts over the limit.
	_, err = wasmbin.Meter(code, wasmbin.Options{
		TickModule: "squall", TickName: "tick", MaxPages: uint32(max(f.Limits.WithDefaults().Memory/wasmbin.PageSize, 1)), // 0 would be no limit
	})
	return err
}

func (c *Coordinator) putDAG(ctx context.Context, encoded []byte) (string, error) {
	g, err := dag.Decode(encoded)
	if err != nil {
		return "", err
	}
	if err := g.Check(c.registry.signature); err != nil {
		return "", err
	}
	version := dag.Hash(g)
	return version, c.registry.put(ctx, wire.GraphKey(g.Name), &wire.Graph{Graph: encoded, Version: version})
}

func (c *Coordinator) listMembers() []wire.Member {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []wire.Member
	for _, m := range c.members.sorted() {
		out = append(out, wire.Member{Heartbeat: m.beat, Age: int64(time.Since(m.seen)), Suspect: m.suspect})
	}
	return out
}

// listRuns gives open runs, then ended ones, the latest first.
func (c *Coordinator) listRuns(limit int) []wire.RunInfo {
	if limit <= 0 || limit > 1000 {
		limit = 100
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []wire.RunInfo
	for _, r := range c.runs {
		out = append(out, r.info(wire.Running))
	}
	slices.SortFunc(out, func(a, b wire.RunInfo) int { return int(b.Started - a.Started) })
	c.ended.Newest(func(_ id.Run, e ended) bool {
		out = append(out, e.info)
		return len(out) < limit
	})
	return out[:min(len(out), limit)]
}
