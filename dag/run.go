package dag

import (
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/value"
)

// RunConfig of one site's part of a run.
type RunConfig struct {
	Self     Site
	Plan     Plan
	Deadline time.Time // the zero time is none
	Seed     uint64    // varies the jitter of backoffs; a site may use the same for all its runs
	// Late tells how long a quantile of the run times of a node's function is, for these arguments, or false where too few
	// are known. It is asked for hedged nodes, within Step; nil hedges nothing.
	Late func(node int, args []value.Value, quantile float64) (time.Duration, bool)
}

// Run is one site's part of one run: a step machine. Not safe for concurrent use.
//
// It holds every value that arrived or was made here until it is dropped itself, because a recovery may ask for any
// of them again; the elements that a Map or Reduce works on are let go when that node is finished.
type Run struct {
	g    *Graph
	cfg  RunConfig
	plan Plan

	values  []value.Value // by source
	held    []bool        // by source: whether values has it
	nodes   []node
	routing *routing      // of a graph with joins or conditions, else nil
	args    []value.Value // room for the arguments of the next invocations
	awaited int           // sources that a collector gathers and that are not held here
	lost    []Site

	began   bool         // a first Step was taken
	started bool         // nodes without arguments may run
	replied bool         // the collector has given its Reply
	err     *fault.Error // why the run stopped here early

	now time.Time // of the Step under way
	out []Command // of the Step under way
}

// node is how far a node of the graph is. At sites that are not its home only missing is kept up.
type node struct {
	task            // of a Call
	begun   bool    // its arguments were there, and it is decided here
	flows   bool    // one of them was only a stream so far
	missing int32   // arguments whose source is not held here
	spread  *spread // of a Map that has begun
	fold    *fold   // of a Reduce that has begun
	second  *second // of a Call that was found late
}

// NewRun makes the part of a run that happens at cfg.Self. g must be validated.
func NewRun(g *Graph, cfg RunConfig) *Run {
	r := &Run{
		g: g, cfg: cfg, plan: cfg.Plan,
		values: make([]value.Value, g.Sources()),
		held:   make([]bool, g.Sources()),
		nodes:  make([]node, len(g.Nodes)),
	}
	if rt := g.derived().routes; rt != nil {
		r.routing = newRouting(g, rt)
	}
	room := 0
	for n := range g.Nodes {
		r.nodes[n].missing = int32(g.Needs(n))
		if g.Nodes[n].Kind == Call && r.decides(n) {
			room += len(g.Nodes[n].Args)
		}
	}
	for s := range Source(g.Sources()) {
		if r.gathers(s) {
			r.awaited++
		}
	}
	r.args = make([]value.Value, room)
	return r
}

// Step takes in one event at the time now and appends to cmds what the shell is to do, in order. Events that make no
// sense, come late or come twice change nothing. Step does not block and keeps no part of cmds; it keeps the values
// and slices of ev, which must not be written to afterwards.
func (r *Run) Step(now time.Time, ev Event, cmds []Command) []Command {
	if r.replied {
		return cmds
	}
	r.now, r.out = now, cmds
	if !r.began {
		r.began = true
		r.armDeadline()
	}
	switch {
	case ev.Kind == Replanned:
		r.replan(&ev)
	case r.err != nil: // Stopped. Only a new plan matters, for it may move the collector.
	default:
		r.step(&ev)
	}
	cmds, r.out = r.out, nil
	return cmds
}

func (r *Run) step(ev *Event) {
	switch ev.Kind {
	case Arrived:
		if s := ev.Source; s >= 0 && int(s) < len(r.held) && !r.settled(s) {
			r.hold(s, ev.Value)
		}
	case Absent:
		if s := ev.Source; r.routing != nil && s >= 0 && int(s) < len(r.held) && !r.settled(s) {
			r.miss(s, ev.Err)
		}
	case Declined:
		if s := ev.Source; s >= 0 && int(s) < len(r.held) {
			r.declined(s, ev.Invocation.Node)
		}
	case Started:
		r.started = true
		r.beginReady()
	case Finished:
		r.finished(ev)
	case Failed:
		r.failed(ev)
	case Offered:
		switch n := ev.Invocation.Node; {
		case !r.open(n):
		case r.nodes[n].spread != nil:
			r.nodes[n].spread.offered(r, ev.Offers)
		default:
			r.hedge(n, ev.Offers)
		}
	case NodeFailed:
		r.nodeFailed(ev.Err)
	case Flowing:
		r.flowing(ev.Source, ev.Nodes)
	case TimerFired:
		r.timerFired(ev.Timer)
	case Cancelled:
		r.cancelled(ev.Err)
	}
}

// Held lists the sources whose values are at this site, or of which it is known here that they have none, in ascending
// order: what the site reports for a recovery.
func (r *Run) Held() []Source {
	var out []Source
	for s := range r.held {
		if r.settled(Source(s)) {
			out = append(out, Source(s))
		}
	}
	return out
}

// Value gives the value of a source that is held here.
func (r *Run) Value(s Source) (value.Value, bool) {
	if s < 0 || int(s) >= len(r.held) || !r.held[s] {
		return value.Value{}, false
	}
	return r.values[s], true
}

// Plan is the plan that the run follows now.
func (r *Run) Plan() Plan { return r.plan }

// Ended reports whether the Reply was given, and so no command will follow. A site that is not the collector never
// ends by itself: it keeps what it holds until the owner releases the run.
func (r *Run) Ended() bool { return r.replied }

func (r *Run) emit(c Command) { r.out = append(r.out, c) }

// over reports whether nothing more may be invoked.
func (r *Run) over() bool { return r.replied || r.err != nil }

func (r *Run) decides(n int) bool { return r.plan.decides(r.cfg.Self, n) }

// open reports whether n is a node that is decided here and has no value yet.
func (r *Run) open(n int) bool {
	return n >= 0 && n < len(r.nodes) && r.decides(n) && !r.settled(r.g.NodeSource(n)) &&
		(r.routing == nil || !r.routing.cancelled[n])
}

// hold takes in the value of a source, whether it arrived or was made here, and starts what waited for it. The first
// value of a source is the only one; the caller has checked.
func (r *Run) hold(s Source, v value.Value) {
	r.values[s], r.held[s] = v, true
	if r.gathers(s) {
		r.awaited--
		if r.replyIfComplete() {
			return
		}
	}
	if n, ok := r.g.NodeOf(s); ok {
		r.nodes[n].spread, r.nodes[n].fold = nil, nil
		if r.decides(n) {
			if r.pass(s); r.routing != nil {
				r.declineRest(n)
			}
		}
	}
	if r.routing != nil {
		r.route(s)
		return
	}
	for _, c := range r.g.Consumers(s) {
		to := &r.nodes[c.Node]
		to.missing--
		if to.missing == 0 {
			r.begin(c.Node)
			if r.over() {
				return
			}
		}
	}
}

// pass sends a source's value to every other site that needs it, once each. It goes first of all that the value sets
// off: the other sites wait for it longest.
func (r *Run) pass(s Source) {
	from := len(r.out)
	for _, c := range r.g.Consumers(s) {
		if !r.plan.done(c.Node) && c.Node < len(r.plan.Home) {
			r.passTo(r.plan.Home[c.Node], s, from)
		}
	}
	if r.gathers(s) {
		r.passTo(r.plan.Collector, s, from)
	}
}

// passTo sends to one site, unless a command since from does already.
func (r *Run) passTo(site Site, s Source, from int) {
	if site == r.cfg.Self || site < 0 {
		return
	}
	for i := range r.out[from:] {
		if r.out[from+i].Site == site {
			return
		}
	}
	if !r.held[s] {
		r.emit(Command{Kind: PassAbsence, Source: s, Err: r.routing.absent[s].err, Site: site})
		return
	}
	r.emit(Command{Kind: Pass, Source: s, Value: r.values[s], Site: site})
}

// beginReady begins every node that can.
func (r *Run) beginReady() {
	for n := range r.nodes {
		if r.routing != nil {
			r.reconsider(n)
			if r.over() {
				return
			}
			continue
		}
		if r.nodes[n].missing == 0 {
			r.begin(n)
			if r.over() {
				return
			}
		}
	}
}

// begin starts a node that misses no argument, unless it is another site's, has begun, or waits for Started.
func (r *Run) begin(n int) {
	if r.nodes[n].begun || !r.open(n) || !r.started && r.g.Needs(n) == 0 {
		return
	}
	r.nodes[n].begun = true
	switch r.g.Nodes[n].Kind {
	case Call:
		r.invoke(n)
	case Map:
		r.beginMap(n)
	case Reduce:
		r.beginReduce(n)
	}
}

// invoke makes the next try of a Call.
func (r *Run) invoke(n int) {
	args := r.room(r.g.Nodes[n].Arity(), 1)
	if !r.arguments(n, args) {
		return
	}
	t := &r.nodes[n].task
	t.state = running
	t.try++
	inv := Invocation{Node: n, Try: int(t.try)}
	r.emit(Command{Kind: Invoke, Invocation: inv, Args: args, Site: r.cfg.Self})
	r.armHedge(inv, args)
}

// arguments fills args with those of a node; an absent one is null. It ends the node where a constant does not parse.
func (r *Run) arguments(n int, args []value.Value) bool {
	node := &r.g.Nodes[n]
	j := 0 // in node.Args
	for i := range args {
		a := &node.Args[j]
		var v value.Value
		var err error
		switch {
		case node.joins(j):
			v, err = r.joinArgument(n)
			j += node.Join.Count - 1
		case a.Const != nil:
			v, err = a.Const.Value()
		case r.routing == nil || r.routing.of(n)[j] == edgePresent:
			v = r.values[a.From]
		}
		if err != nil {
			r.fail(n, r.locate(fault.From(err), Invocation{Node: n}))
			return false
		}
		args[i] = v
		j++
	}
	return true
}

// room cuts a fresh slice of n values out of a larger one. Where that has run out, the next one is for ahead calls
// like this, so that many small invocations cost few allocations. What is cut lives as long as its whole piece, so it
// is for values that the run holds anyway.
func (r *Run) room(n, ahead int) []value.Value {
	if len(r.args) < n {
		r.args = make([]value.Value, n*ahead)
	}
	cut := r.args[:n:n]
	r.args = r.args[n:]
	return cut
}

func (r *Run) finished(ev *Event) {
	n := ev.Invocation.Node
	if !r.open(n) || !r.nodes[n].begun {
		return
	}
	switch nd := &r.nodes[n]; r.g.Nodes[n].Kind {
	case Call:
		if r.callFinished(ev) {
			nd.state = settled
			r.hold(r.g.NodeSource(n), ev.Value)
		}
	case Map:
		nd.spread.finished(r, ev)
	case Reduce:
		nd.fold.finished(r, ev)
	}
}

func (r *Run) failed(ev *Event) {
	n := ev.Invocation.Node
	if !r.open(n) || !r.nodes[n].begun {
		return
	}
	switch nd := &r.nodes[n]; r.g.Nodes[n].Kind {
	case Call:
		if r.callFailed(ev) {
			r.dryUp(n)
			r.retry(&nd.task, ev.Invocation, ev.Err)
		}
	case Map:
		nd.spread.failed(r, ev)
	case Reduce:
		nd.fold.failed(r, ev)
	}
}

func (r *Run) timerFired(t Timer) {
	if t == DeadlineTimer {
		r.deadlinePassed()
		return
	}
	n := t.Node
	if !r.open(n) || !r.nodes[n].begun {
		return
	}
	switch nd := &r.nodes[n]; r.g.Nodes[n].Kind {
	case Call:
		switch {
		case t.Item != 0:
		case t.Try < 0:
			r.late(n, -t.Try)
		case nd.due(t.Try):
			r.invoke(n)
		}
	case Map:
		nd.spread.timerFired(r, t)
	case Reduce:
		nd.fold.timerFired(r, t)
	}
}
