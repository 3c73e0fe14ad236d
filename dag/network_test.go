package dag

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/value"
)

// network runs one symbolic graph over several sites, with its owner and its client. Everything that is under way is in
// one bag, out of which the seed picks what happens next: messages, invocations, timers, the owner's work. So messages
// overtake each other, come twice, and sites are lost at any moment, some only in the eyes of the owner.
type network struct {
	y     *symbolic
	rnd   *rand.Rand
	sites []*simSite
	bag   []parcel
	owner simOwner

	losses    int // sites that may still be lost
	duplicate int // messages that may still be doubled

	reply    *Command       // that has reached the client
	executed map[string]int // successes by node.item
	credit   map[string]int // places that a Map's home was offered and has not used
	trace    []string
	problem  string

	withdrawn int             // invocations that were taken back
	takenBack map[string]bool // those of Maps, by home, invocation and place
}

// simSite is a site with its run; run is nil before the site takes part.
type simSite struct {
	run     *Run
	alive   bool
	lost    bool // dead; or alive, but the owner takes it for dead
	replies int
}

// simOwner is what the owner knows.
type simOwner struct {
	plan    Plan
	lost    []Site
	round   int // of collecting what is held
	reports map[Site][]Source
	heldAt  []map[Source]bool // by epoch: what the plan was made from
}

// parcel is one thing that is under way.
type parcel struct {
	what    string
	from    Site // owner is -1
	to      Site
	epoch   uint32
	checked bool // refused by runs of a later epoch
	ev      *Event
	plan    *Plan              // what makes a run at a site that has none
	frees   *string            // the place that an answer gives back, until it has
	do      func(net *network) // anything else
	inv     Invocation         // of an invocation, and of its answer
	home    Site               // of the node of that
}

const simOwnerSite Site = -1

func newNetwork(y *symbolic, sites int, seed uint64, losses, duplicates int) *network {
	net := &network{y: y, rnd: rand.New(rand.NewPCG(seed, 0)), losses: losses, duplicate: duplicates, executed: map[string]int{}, credit: map[string]int{}, takenBack: map[string]bool{}}
	for range sites {
		net.sites = append(net.sites, &simSite{alive: true})
	}
	p := Plan{Home: make([]Site, len(y.g.Nodes)), Collector: net.anySite()}
	for n := range p.Home {
		p.Home[n] = net.anySite()
	}
	net.owner.plan = p
	net.owner.heldAt = []map[Source]bool{nil}
	for s := range net.sites {
		if p.Collector != Site(s) && !slices.Contains(p.Home, Site(s)) {
			continue
		}
		net.add(parcel{what: "start", from: simOwnerSite, to: Site(s), plan: &p, ev: &Event{Kind: Started}})
	}
	net.sendInputs(p.InputSends(y.g), 0)
	return net
}

func (net *network) anySite() Site {
	for {
		s := Site(net.rnd.IntN(len(net.sites)))
		if !slices.Contains(net.owner.lost, s) {
			return s
		}
	}
}

func (net *network) add(p parcel) { net.bag = append(net.bag, p) }

func (net *network) sendInputs(sends []Send, epoch uint32) {
	for _, s := range sends {
		net.add(parcel{
			what: fmt.Sprintf("input %d", s.Source), from: simOwnerSite, to: s.To, epoch: epoch, checked: true,
			ev: &Event{Kind: Arrived, Source: s.Source, Value: net.y.inputs[s.Source]},
		})
	}
}

// play lets things happen until the client has its answer.
func (net *network) play() {
	for range 100_000 {
		if net.reply != nil || net.problem != "" {
			return
		}
		if len(net.bag) == 0 {
			net.problem = "nothing is under way and there is no answer"
			return
		}
		if net.losses > 0 && net.rnd.IntN(40) == 0 {
			net.lose()
		}
		i := net.rnd.IntN(len(net.bag))
		p := net.bag[i]
		if p.ev != nil && net.duplicate > 0 && net.rnd.IntN(8) == 0 {
			net.duplicate--
		} else {
			net.bag = slices.Delete(net.bag, i, i+1)
		}
		net.deliver(p)
	}
	net.problem = "no answer after very many events"
}

func (net *network) note(format string, args ...any) {
	net.trace = append(net.trace, fmt.Sprintf(format, args...))
}

func (net *network) lose() {
	net.losses--
	var alive []Site
	for s := range net.sites {
		if !net.sites[s].lost {
			alive = append(alive, Site(s))
		}
	}
	s := alive[net.rnd.IntN(len(alive))]
	net.sites[s].lost, net.sites[s].alive = true, net.rnd.IntN(3) == 0
	net.note("LOST %d, a zombie: %v", s, net.sites[s].alive)
	net.bag = slices.DeleteFunc(net.bag, func(p parcel) bool { // some of what it had sent gets lost as well
		return p.from == s && net.rnd.IntN(2) == 0
	})
	net.add(parcel{what: "notice", from: simOwnerSite, to: simOwnerSite, do: func(net *network) { net.notice(s) }})
}

// notice is the owner's: it asks the sites that are left what they hold.
func (net *network) notice(s Site) {
	o := &net.owner
	o.lost = append(o.lost, s)
	o.round++
	o.reports = map[Site][]Source{}
	round := o.round
	for to := range net.sites {
		if to := Site(to); !slices.Contains(o.lost, to) {
			net.add(parcel{what: "ask", from: simOwnerSite, to: to, do: func(net *network) {
				var held []Source
				if run := net.sites[to].run; run != nil {
					held = run.Held()
				}
				net.add(parcel{what: "report", from: simOwnerSite, to: simOwnerSite, do: func(net *network) { net.report(round, to, held) }})
			}})
		}
	}
}

func (net *network) report(round int, from Site, held []Source) {
	o := &net.owner
	if round != o.round {
		return
	}
	if o.reports[from] = held; len(o.reports)+len(o.lost) < len(net.sites) {
		return
	}
	old := o.plan
	rec := Recover(net.y.g, old, o.lost, o.reports, func(int) Site { return net.anySite() })
	o.plan = rec.Plan
	at := map[Source]bool{}
	for _, held := range o.reports {
		for _, s := range held {
			at[s] = true
		}
	}
	o.heldAt = append(o.heldAt, at)
	for s := range Site(len(net.sites)) {
		known, asked := o.reports[s]
		if !asked {
			continue
		}
		if net.rnd.IntN(8) == 0 {
			known = nil // It need not be said.
		}
		net.add(parcel{what: "replan", from: simOwnerSite, to: s, epoch: rec.Plan.Epoch, plan: &rec.Plan, ev: &Event{
			Kind: Replanned, Plan: rec.Plan, Lost: slices.Clone(o.lost), Resend: rec.Resend[s], Known: known,
		}})
	}
	net.sendInputs(rec.Inputs, rec.Plan.Epoch)
	net.note("PLAN %+v resend %v inputs %v", rec.Plan, rec.Resend, rec.Inputs)
}

func (net *network) deliver(p parcel) {
	if p.to >= 0 && !net.sites[p.to].alive {
		return
	}
	if p.do != nil {
		p.do(net)
		return
	}
	site := net.sites[p.to]
	if site.run == nil {
		if p.plan == nil { // The message that makes the run is under way.
			net.add(p)
			return
		}
		late := func(int, []value.Value, float64) (time.Duration, bool) { return time.Second, net.rnd.IntN(4) > 0 }
		site.run = NewRun(net.y.g, RunConfig{Self: p.to, Plan: *p.plan, Late: late})
		net.step(p.to, Event{Kind: Started})
	}
	if p.checked && p.epoch < site.run.Plan().Epoch {
		return
	}
	if p.ev.Kind == Declined && p.epoch > site.run.Plan().Epoch {
		net.add(p)
		return
	}
	net.note("%d ← %s", p.to, p.what)
	if p.frees != nil && *p.frees != "" {
		if !net.takenBack[fmt.Sprint(p.to, p.inv, p.from)] {
			net.credit[*p.frees]++
		}
		*p.frees = ""
	}
	net.step(p.to, *p.ev)
}

// step gives a run an event and does what it says.
func (net *network) step(at Site, ev Event) {
	run := net.sites[at].run
	ended := run.Ended()
	cmds := run.Step(time.Time{}, ev, nil)
	if ended && len(cmds) > 0 {
		net.problem = "commands after the reply"
	}
	epoch := run.Plan().Epoch
	for _, o := range ev.Offers {
		net.credit[placeKey(at, ev.Invocation.Node, o.Site)] += o.Items
	}
	for i, c := range cmds {
		switch c.Kind {
		case Invoke, Delegate:
			to := at
			if c.Kind == Delegate {
				to = c.Site
			}
			net.check(at, run, c)
			net.add(parcel{what: "invoke", from: at, to: to, inv: c.Invocation, home: at, do: func(net *network) { net.execute(at, to, c) }})
		case Pass:
			net.add(parcel{
				what: fmt.Sprintf("pass %d from %d", c.Source, at), from: at, to: c.Site, epoch: epoch, checked: true,
				ev: &Event{Kind: Arrived, Source: c.Source, Value: c.Value},
			})
		case PassAbsence:
			net.add(parcel{
				what: fmt.Sprintf("absence of %d from %d: %v", c.Source, at, c.Err), from: at, to: c.Site, epoch: epoch, checked: true,
				ev: &Event{Kind: Absent, Source: c.Source, Err: c.Err},
			})
		case Decline:
			net.add(parcel{
				what: fmt.Sprintf("node %d declines %d", c.Invocation.Node, c.Source), from: at, to: c.Site, epoch: epoch, checked: true,
				ev: &Event{Kind: Declined, Source: c.Source, Invocation: Invocation{Node: c.Invocation.Node}},
			})
		case Withdraw:
			net.withdraw(at, c)
		case PassFailure:
			net.add(parcel{what: "failure", from: at, to: c.Site, epoch: epoch, checked: true, ev: &Event{Kind: NodeFailed, Err: c.Err}})
		case Spread:
			net.spread(at, c)
		case SetTimer:
			net.add(parcel{what: "timer", from: at, to: at, ev: &Event{Kind: TimerFired, Timer: c.Timer}})
		case Reply:
			net.sites[at].replies++
			if net.sites[at].replies > 1 || i != len(cmds)-1 || !run.Ended() {
				net.problem = "the reply is not the only and last one"
			}
			net.add(parcel{what: "reply", from: at, to: simOwnerSite, do: func(net *network) { net.reply = &c }})
		}
	}
}

// check holds what may be invoked against what is known.
func (net *network) check(at Site, run *Run, c Command) {
	n := c.Invocation.Node
	s := net.y.g.NodeSource(n)
	if _, held := run.Value(s); held {
		net.problem = fmt.Sprintf("site %d invokes node %d, whose value it holds", at, n)
	}
	if net.y.g.Nodes[n].Kind == Map {
		key := placeKey(at, n, c.Site)
		if net.credit[key]--; net.credit[key] < 0 {
			net.problem = fmt.Sprintf("site %d sends more items of node %d than site %d has offered", at, n, c.Site)
		}
	}
	if net.owner.heldAt[run.Plan().Epoch][s] {
		net.problem = fmt.Sprintf("site %d invokes node %d in epoch %d, which was held elsewhere", at, n, run.Plan().Epoch)
	}
}

// placeKey names the place at a site that a home has for a Map.
func placeKey(home Site, node int, site Site) string { return fmt.Sprint(home, node, site) }

// spread answers with the site's own slots, if any, and with those of others.
func (net *network) spread(at Site, c Command) {
	offer := func(from Site, offers []Offer) {
		net.add(parcel{what: "offer", from: from, to: at, ev: &Event{Kind: Offered, Invocation: Invocation{Node: c.Invocation.Node}, Offers: offers}})
	}
	offer(at, []Offer{{Site: at, Items: net.rnd.IntN(3)}})
	var offers []Offer
	for range 1 + net.rnd.IntN(3) {
		offers = append(offers, Offer{Site: net.anySite(), Items: 1 + net.rnd.IntN(3)})
	}
	offer(simOwnerSite, offers)
}

// execute runs an invocation at one site for the home of its node.
func (net *network) execute(home, at Site, c Command) {
	n := c.Invocation.Node
	ev := &Event{Kind: Finished, Invocation: c.Invocation, Site: at}
	if net.y.broken[n] || c.Invocation.Try <= net.y.tries[n] {
		ev.Kind, ev.Err = Failed, fault.New(fault.FunctionError, "broken")
	} else {
		ev.Value = term(net.y.g.Nodes[n].Function, c.Args)
		net.executed[fmt.Sprintf("%d.%d", n, c.Invocation.Item)]++
	}
	clear(c.Args) // The shell may write to them.
	frees := placeKey(home, n, at)
	net.add(parcel{inv: c.Invocation, home: home, frees: &frees, what: fmt.Sprintf("answer %+v", c.Invocation), from: at, to: home, ev: ev})
}

// withdraw takes an invocation back: it may not have begun, or end without an answer; a result may be on its way.
func (net *network) withdraw(home Site, c Command) {
	net.withdrawn++
	if key := placeKey(home, c.Invocation.Node, c.Site); net.y.g.Nodes[c.Invocation.Node].Kind == Map {
		net.credit[key]++ // The place is free for the home, and its answer, if there is one, frees nothing.
		net.takenBack[fmt.Sprint(home, c.Invocation, c.Site)] = true
	}
	net.bag = slices.DeleteFunc(net.bag, func(p parcel) bool {
		if p.inv != c.Invocation || p.home != home || p.inv.Try == 0 {
			return false
		}
		return p.do != nil && net.rnd.IntN(4) > 0 || p.ev != nil && p.ev.Kind == Failed
	})
}

// verify compares the answer with what it has to be; "" is right.
func (net *network) verify() string {
	if net.problem != "" {
		return net.problem
	}
	ends, origins := net.y.endings()
	fails := false
	for s := range Source(net.y.g.Sources()) {
		fails = fails || ends[s].state == edgeFailed && net.y.g.gathers(s)
	}
	if wrong := net.checkValues(ends); wrong != "" {
		return wrong
	}
	if fails {
		if net.reply.Err == nil || !origins[net.reply.Err.Node] {
			return fmt.Sprintf("got %v, want an error of one of %v", net.reply.Err, origins)
		}
		return ""
	}
	if net.reply.Err != nil {
		return fmt.Sprintf("got an error: %v", net.reply.Err)
	}
	for i, o := range net.y.g.Outputs {
		switch got := net.reply.Outputs[i]; {
		case ends[o.From].state == edgeAbsent && !got.IsNull():
			return fmt.Sprintf("output %s is %s, and its node is skipped", o.Name, show(got))
		case net.y.g.derived().routes == nil && show(got) != show(ends[o.From].value):
			return fmt.Sprintf("output %s is %s, want %s", o.Name, show(got), show(ends[o.From].value))
		case ends[o.From].state == edgePresent && !net.isHeld(o.From, got):
			return fmt.Sprintf("output %s is %s, which is nowhere", o.Name, show(got))
		}
	}
	return ""
}

// isHeld reports whether a site has that value for a source.
func (net *network) isHeld(s Source, v value.Value) bool {
	return slices.ContainsFunc(net.sites, func(site *simSite) bool {
		if site.run == nil {
			return false
		}
		held, ok := site.run.Value(s)
		return ok && show(held) == show(v)
	})
}
