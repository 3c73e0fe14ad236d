package dag

import "slices"

// Recovery is how a run goes on after it has lost sites.
type Recovery struct {
	// Plan is for every site that is left, in a Replanned event.
	Plan Plan
	// Resend is, by site, what it has to pass again: the Resend of its Replanned.
	Resend map[Site][]Send
	// Inputs are what the owner passes again itself: it has all inputs.
	Inputs []Send
}

// Recover plans the rest of a run that followed plan old and has lost sites: it runs again the smallest upstream
// closure whose outputs are needed and held at no site that is left, and nothing else. Only the owner of a run calls
// it, at most once per epoch.
//
// lost lists all sites that the run has lost so far. held is what each remaining site has reported (Run.Held); what a
// site has come to hold since then it passes on by itself, see Event.Known. choose gives a site that is left for a
// node whose home is lost, or for the collector when node is -1.
//
// A node has to run if its output is held nowhere and is needed, by the collector or by another node that has to run.
// The values that such a node takes are passed to its home from where they are held; those which are held nowhere
// come from their own nodes once these have run.
func Recover(g *Graph, old Plan, lost []Site, held map[Site][]Source, choose func(node int) Site) Recovery {
	isLost := func(s Site) bool { return slices.Contains(lost, s) }
	rec := Recovery{Resend: map[Site][]Send{}, Plan: Plan{
		Epoch:     old.Epoch + 1,
		Home:      slices.Clone(old.Home),
		Collector: old.Collector,
		Done:      make([]bool, len(g.Nodes)),
	}}
	if isLost(old.Collector) {
		rec.Plan.Collector = choose(-1)
	}
	holders := make([][]Site, g.Sources())
	for site, sources := range held {
		for _, s := range sources {
			if !isLost(site) && s >= 0 && int(s) < len(holders) {
				holders[s] = append(holders[s], site)
			}
		}
	}
	for _, h := range holders {
		slices.Sort(h) // The order of a map must not show.
	}
	mustRun := func(n int) bool { return !rec.Plan.Done[n] }
	for n := len(g.Nodes) - 1; n >= 0; n-- {
		s := g.NodeSource(n)
		needed := g.gathers(s) || slices.ContainsFunc(g.Consumers(s), func(c Consumer) bool { return mustRun(c.Node) })
		rec.Plan.Done[n] = !needed || len(holders[s]) > 0
	}
	supply := func(s Source, to Site) {
		_, isNode := g.NodeOf(s)
		switch h := holders[s]; {
		case slices.Contains(h, to):
		case !isNode:
			rec.Inputs = append(rec.Inputs, Send{Source: s, To: to})
		case len(h) > 0:
			rec.Resend[h[0]] = append(rec.Resend[h[0]], Send{Source: s, To: to})
		default:
			return
		}
		holders[s] = append(holders[s], to) // From here on it counts as there: each value goes to a site once.
	}
	for n := range g.Nodes {
		switch home := &rec.Plan.Home[n]; {
		case mustRun(n) && (isLost(*home) || old.done(n)): // the home of what was done may be a stand-in, see below
			*home = choose(n)
		case isLost(*home):
			*home = rec.Plan.Collector
		}
		if !mustRun(n) {
			continue
		}
		for _, a := range g.Nodes[n].Args {
			if a.Const == nil {
				supply(a.From, rec.Plan.Home[n])
			}
		}
	}
	for s := range Source(g.Sources()) {
		if g.gathers(s) {
			supply(s, rec.Plan.Collector)
		}
	}
	return rec
}
