package coordinator

import (
	"context"
	"slices"
	"time"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/bus"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/value"
)

// run is one open run, guarded by the Coordinator's lock.
type run struct {
	call      wire.Call
	inputs    []wire.Value // by source
	pin       *pin
	plan      dag.Plan
	sites     []wire.Peer
	started   time.Time
	until     time.Time // deadline; zero is none
	record    uint64    // revision of its record; 0 where there is none
	epoch     uint32    // of the plan, or of the next one while it waits
	crashes   int       // executors that died under it
	waiters   []string  // where else its outcome is wanted; recorded runs only
	placed    bool
	ending    bool         // its outcome is being stored: nothing is done about it any more
	cancelled *fault.Error // somebody has asked for its end
	giveUp    time.Time    // while it waits for an executor
	apart     time.Time    // until then, a suspect waits for an executor without another suspect
	lost      []dag.Site   // of sites, over all recoveries
	rescue    *rescue      // while survivors are being asked what they hold
}

func (r *run) id() id.Run { return r.call.Run }

func (r *run) info(state wire.State) wire.RunInfo {
	return wire.RunInfo{
		Run: r.id(), Target: r.call.Target, Name: r.call.Name, State: state, Started: r.started.UnixNano(),
		Durable: r.call.Mode.Durable(), Epoch: r.epoch,
	}
}

// call takes in a request for a run. It runs on the one goroutine of the subscription: whatever has to wait for the
// store goes to another.
func (c *Coordinator) call(m bus.Msg) {
	var call wire.Call
	if err := wire.Decode(m.Data, &call); err != nil {
		c.log.Warn("call refused", "err", err)
		return
	}
	k := pinKey{call.Target, call.Name, len(call.Values)}
	if call.Target == wire.TargetDAG {
		k.arity = 0
	}
	if p := c.registry.pinned(k); p != nil && !call.Mode.Durable() {
		c.admit(&call, p, 0)
		return
	}
	c.do(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, storeLimit)
		defer cancel()
		if err := id.CheckName(call.Target.String(), call.Name); err != nil {
			c.refuse(&call, err)
			return
		}
		p, err := c.registry.pin(ctx, k)
		if err != nil {
			c.refuse(&call, err)
			return
		}
		if !call.Mode.Durable() {
			c.admit(&call, p, 0)
			return
		}
		c.admitDurable(ctx, &call, p)
	})
}

// refuse answers a call that does not become a run.
func (c *Coordinator) refuse(call *wire.Call, err error) {
	c.reply(call.Reply, &wire.Outcome{Run: call.Run, State: wire.Errored, Err: fault.From(err).With(func(e *fault.Error) {
		if e.Run == "" {
			e.Run = call.Run.String()
		}
	})})
}

func (c *Coordinator) reply(to string, o *wire.Outcome) {
	if to == "" {
		return
	}
	b, err := wire.Encode(o)
	if err == nil {
		err = c.cfg.Bus.Publish(bus.Msg{Subject: to, Data: b})
	}
	if err != nil {
		c.log.Warn("reply not sent; the caller asks again", "run", o.Run, "err", err)
	}
}

// inputs puts a call's values in the order of the graph's inputs; wrong_arity names what is missing and what is too
// much.
func inputs(call *wire.Call, p *pin) ([]wire.Value, error) {
	if call.Target == wire.TargetFunction {
		return call.Values, nil // the pin was resolved for this arity
	}
	if len(call.Inputs) != len(call.Values) {
		return nil, fault.New(fault.InvalidArgument, "a call with %d input names and %d values", len(call.Inputs), len(call.Values))
	}
	want := p.graph.Inputs
	if slices.Equal(call.Inputs, want) {
		return call.Values, nil
	}
	out := make([]wire.Value, len(want))
	have := make([]bool, len(want))
	for i, name := range call.Inputs {
		k := slices.Index(want, name)
		if k < 0 {
			return nil, fault.New(fault.WrongArity, "DAG %s has no input %q: its inputs are %q", p.name, name, want)
		}
		if have[k] {
			return nil, fault.New(fault.WrongArity, "DAG %s is given input %q twice", p.name, name)
		}
		out[k], have[k] = call.Values[i], true
	}
	if k := slices.Index(have, false); k >= 0 {
		return nil, fault.New(fault.WrongArity, "DAG %s needs input %q, which the call does not give: its inputs are %q", p.name, want[k], want)
	}
	return out, nil
}

// admit makes a call a run and places it. record is the revision of its record, 0 where there is none.
func (c *Coordinator) admit(call *wire.Call, p *pin, record uint64) {
	in, err := inputs(call, p)
	if err != nil {
		c.refuse(call, err)
		return
	}
	now := time.Now()
	r := &run{
		call: *call, inputs: in, pin: p, started: now, until: call.Remaining.Deadline(now), record: record,
		epoch: 1, giveUp: now.Add(c.cfg.PlaceWait),
	}
	if call.Mode.Durable() && call.Mode.Async() { // acknowledged, and nobody stands and waits
		r.giveUp = now.Add(adoptionWait)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.knownLocked(call) {
		return
	}
	if len(c.runs) >= c.cfg.MaxRuns {
		c.refuse(call, fault.New(fault.Overloaded, "%d runs are open, the most this coordinator takes: try again later", len(c.runs)).
			With(func(e *fault.Error) { e.RetryAfter = time.Second }))
		return
	}
	c.runs[r.id()] = r
	if call.Mode.Async() {
		c.reply(call.Reply, &wire.Outcome{Run: r.id(), State: wire.Running})
	}
	c.placeLocked(r)
}

// knownLocked answers a repeated call: a run that is open stays the one run of its id, and the outcome of one that has
// ended is sent again.
func (c *Coordinator) knownLocked(call *wire.Call) bool {
	if r := c.runs[call.Run]; r != nil {
		switch {
		case call.Mode.Async():
			c.reply(call.Reply, &wire.Outcome{Run: call.Run, State: wire.Running})
		case r.call.Mode.Recorded():
			r.waiters = append(r.waiters, call.Reply)
		}
		return true
	}
	e, ok := c.ended.Get(call.Run)
	if !ok {
		return false
	}
	if call.Mode.Async() {
		c.reply(call.Reply, &wire.Outcome{Run: call.Run, State: wire.Running})
	} else {
		c.repeatLocked(e, call.Run, call.Reply)
	}
	return true
}

// repeatLocked has the outcome of a run that has ended sent again.
func (c *Coordinator) repeatLocked(e ended, run id.Run, to string) {
	switch {
	case e.stored:
		c.goLocked(func() { c.answerFromRecord(run, []string{to}) })
		return
	case e.outcome != nil:
		c.reply(to, e.outcome)
		return
	}
	if err := c.mux.Send(e.collector, &wire.Query{Run: run}); err != nil {
		c.log.Debug("collector not asked to repeat a reply", "run", run, "err", err)
	}
}

// placeLocked places a run and starts it, or lets it wait for an executor.
func (c *Coordinator) placeLocked(r *run) {
	members := c.members.sorted()
	if r.crashes > 0 && time.Now().Before(r.apart) {
		free := c.unsuspectedLocked(members, r)
		if len(free) == 0 && len(members) > 0 {
			c.waitLocked(r)
			return
		}
		members = free
	}
	c.turn++
	p := placer{
		graph: r.pin.graph, functions: r.pin.functions, members: members, turn: c.turn,
		near: c.near, refs: references(r.inputs),
	}
	plan, sites, err := p.place(r.epoch)
	if err != nil {
		if time.Now().Before(r.giveUp) {
			c.waitLocked(r)
			return
		}
		c.concludeLocked(r, fault.From(err))
		return
	}
	r.plan, r.sites, r.placed = plan, sites, true
	for _, s := range sites {
		c.members.assign(s, 1)
	}
	for source, refs := range p.refs {
		for _, ref := range refs {
			for _, consumer := range r.pin.graph.Consumers(source) {
				c.hints.Add(ref, sites[plan.Home[consumer.Node]].Name)
			}
		}
	}
	h := c.headerLocked(r)
	for site, need := range deliveries(r.pin.graph, plan, len(sites)) {
		if need == nil {
			continue
		}
		d := &wire.Deliver{Header: h}
		for _, s := range need {
			d.Values = append(d.Values, wire.Sourced{Source: s, Value: r.inputs[s]})
		}
		if err := c.mux.Send(sites[site], d); err != nil {
			c.log.Warn("run not delivered", "run", r.id(), "err", err)
		}
	}
}

// apartWait is how long a suspect waits for an executor that has no other suspect.
const apartWait = 2 * time.Second

// unsuspectedLocked leaves out the executors on which another suspect runs.
func (c *Coordinator) unsuspectedLocked(members []*member, except *run) []*member {
	taken := map[wire.Peer]bool{}
	for _, r := range c.runs {
		if r != except && r.crashes > 0 && r.placed {
			for _, p := range r.sites {
				taken[p] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(members), func(m *member) bool { return taken[m.beat.From] })
}

// waitLocked has a run placed later.
func (c *Coordinator) waitLocked(r *run) {
	if !slices.Contains(c.waiting, r) {
		c.waiting = append(c.waiting, r)
	}
}

func (c *Coordinator) near(ref string) string {
	name, _ := c.hints.Get(ref)
	return name
}

func (c *Coordinator) headerLocked(r *run) wire.Header {
	h := wire.Header{
		Run: r.id(), Spec: r.pin.hash, Plan: r.plan, Executors: r.sites, Owner: c.self, Reply: r.call.Reply,
		Remaining: wire.Until(r.until, time.Now()), Mode: r.call.Mode, Depth: r.call.Depth, Trace: r.call.Trace,
		Record: r.record,
	}
	if r.call.Mode.Recorded() {
		h.What = &wire.What{Target: r.call.Target, Name: r.call.Name, Started: r.started.UnixNano()}
	}
	return h
}

// placeWaiting tries again to place what waits, and gives up on what has waited too long.
func (c *Coordinator) placeWaiting(time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	waiting := c.waiting
	c.waiting = nil
	for _, r := range waiting {
		switch {
		case c.runs[r.id()] != r || r.ending:
		case !r.placed:
			c.placeLocked(r)
		case r.rescue != nil && len(r.rescue.asked) == 0:
			c.replanLocked(r)
		}
	}
}

// overdue ends runs whose collector has not, although their deadline passed a while ago.
func (c *Coordinator) overdue(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.runs {
		if !r.until.IsZero() && now.Sub(r.until) > overdueAfter {
			c.concludeLocked(r, fault.New(fault.DeadlineExceeded, "the run had not finished at its deadline, and its executors did not say why"))
		}
	}
}

// overdueAfter is how much later than the collector the owner ends a run.
const overdueAfter = 500 * time.Millisecond

// concludeLocked ends a run on the owner's own account: its collector is gone, was never placed, or is silent.
func (c *Coordinator) concludeLocked(r *run, why *fault.Error) {
	if c.runs[r.id()] != r || r.ending {
		return
	}
	why = why.With(func(e *fault.Error) { e.Run = r.id().String() })
	c.releaseLocked(r)
	o := &wire.Outcome{Run: r.id(), State: wire.Errored, Err: why}
	if !r.call.Mode.Recorded() {
		c.closeLocked(r, wire.Peer{}, why, false)
		c.keepLocked(o)
		c.reply(r.call.Reply, o)
		return
	}
	r.ending = true
	c.goLocked(func() {
		err := c.recordOutcome(r, o)
		c.mu.Lock()
		waiters := append([]string{r.call.Reply}, r.waiters...)
		c.closeLocked(r, wire.Peer{}, why, err == nil)
		if err != nil {
			c.keepLocked(o)
		}
		c.mu.Unlock()
		if err != nil {
			c.log.Error("the outcome of a run cannot be recorded", "run", r.id(), "err", err)
			for _, w := range waiters {
				c.reply(w, o)
			}
			return
		}
		c.answerFromRecord(r.id(), waiters)
	})
}

// keepLocked keeps the outcome of a run that the owner has answered itself, in case it does not arrive.
func (c *Coordinator) keepLocked(o *wire.Outcome) {
	if e, ok := c.ended.Get(o.Run); ok {
		e.outcome = o
		c.ended.Add(o.Run, e)
	}
}

// closeLocked forgets an open run and remembers that it has ended.
func (c *Coordinator) closeLocked(r *run, collector wire.Peer, why *fault.Error, stored bool) {
	if c.runs[r.id()] != r {
		return
	}
	delete(c.runs, r.id())
	for _, s := range r.sites {
		c.members.assign(s, -1)
	}
	state := wire.Succeeded
	if why != nil {
		state = wire.Errored
	}
	info := r.info(state)
	info.Ended, info.Err = time.Now().UnixNano(), why
	c.ended.Add(r.id(), ended{collector: collector, state: state, stored: stored, info: info})
}

// handle takes one message off the links. It must not block.
func (c *Coordinator) handle(from wire.Peer, msg []byte) {
	t, err := wire.Peek(msg)
	if err != nil {
		c.log.Warn("message refused", "node", from.Name, "err", err)
		return
	}
	switch t {
	case wire.TypeReport:
		var m wire.Report
		if err = wire.Decode(msg, &m); err == nil {
			c.report(from, &m)
		}
	case wire.TypeHeld:
		var m wire.Held
		if err = wire.Decode(msg, &m); err == nil {
			c.held(from, &m)
		}
	case wire.TypeSpread:
		var m wire.Spread
		if err = wire.Decode(msg, &m); err == nil {
			c.spread(from, &m)
		}
	case wire.TypeRelease: // a collector releases itself through its report
	default:
		err = fault.New(fault.Unsupported, "a coordinator takes no message of type %d", t)
	}
	if err != nil {
		c.log.Warn("message refused", "node", from.Name, "err", err)
	}
}

// report closes the runs that a collector has ended.
func (c *Coordinator) report(from wire.Peer, m *wire.Report) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range m.Ended {
		if r := c.runs[e.Run]; r != nil {
			c.endedLocked(r, from, e.Epoch, e.Err())
		}
	}
}

// releaseLocked has all sites of a run let go of it.
func (c *Coordinator) releaseLocked(r *run) {
	for _, s := range r.sites {
		if c.members.live(s) {
			if err := c.mux.Send(s, &wire.Release{Runs: []id.Run{r.id()}, Epochs: []uint32{r.epoch}}); err != nil {
				c.log.Debug("run not released", "run", r.id(), "err", err)
			}
		}
	}
}

// endedLocked closes a run that its collector has ended in an epoch, and tells who waits for it.
func (c *Coordinator) endedLocked(r *run, collector wire.Peer, epoch uint32, why *fault.Error) {
	if epoch < r.epoch { // the collector has released the sites that it knew; it knew nothing of this recovery
		c.releaseLocked(r)
	}
	c.closeLocked(r, collector, why, r.call.Mode.Recorded())
	if waiters := r.waiters; len(waiters) > 0 {
		c.goLocked(func() { c.answerFromRecord(r.id(), waiters) })
	}
}

// spread finds executors for a Map's items.
func (c *Coordinator) spread(from wire.Peer, m *wire.Spread) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.runs[m.Run]
	if r == nil || m.Node < 0 || m.Node >= len(r.pin.functions) {
		return
	}
	offers := &wire.Offers{Run: m.Run, Node: m.Node}
	for _, x := range c.members.sorted() {
		if x.beat.From == from || !x.canRun(r.pin.functions[m.Node]) {
			continue
		}
		// Two items a slot: the next is there when one is done.
		if items := min(2*x.beat.Slots, m.Items); items > 0 {
			offers.Offers = append(offers.Offers, wire.Offer{Executor: x.beat.From, Items: items, Site: c.siteLocked(r, x.beat.From)})
		}
	}
	if err := c.mux.Send(from, offers); err != nil {
		c.log.Warn("offers not sent", "run", m.Run, "err", err)
	}
}

// siteLocked makes an executor a site of a run, if it is none yet: the run is recovered when it is lost.
func (c *Coordinator) siteLocked(r *run, p wire.Peer) dag.Site {
	if i := slices.Index(r.sites, p); i >= 0 {
		return dag.Site(i)
	}
	r.sites = append(slices.Clip(r.sites), p) // what messages hold of it stays as it is
	c.members.assign(p, 1)
	return dag.Site(len(r.sites) - 1)
}

// recordOf reads a run's record; unknown_run where there is none.
func (c *Coordinator) recordOf(ctx context.Context, run id.Run) (*wire.RunRecord, uint64, error) {
	e, err := c.cfg.System.Get(ctx, runKey(run))
	if fault.Is(err, fault.NotFound) {
		return nil, 0, fault.New(fault.UnknownRun, "no run %s is open or recorded: sync calls are not recorded, others for %s", run, wire.RunRetention)
	}
	if err != nil {
		return nil, 0, err
	}
	b, err := value.As[[]byte](e.Value)
	if err != nil {
		return nil, 0, err
	}
	rec := &wire.RunRecord{}
	return rec, uint64(e.Revision), wire.Decode(b, rec)
}
