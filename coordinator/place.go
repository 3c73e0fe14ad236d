package coordinator

import (
	"slices"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/executor/runtime"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/advice"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/value"
)

// Weights of the score that a node's executor is chosen by: locality minus load. Load is in shares of
// the executor's slots, so a predecessor's executor keeps a node until it has as much work waiting as it has slots
// more than another.
const (
	weightNear   = 1.0  // the executor has the output of a predecessor
	weightCached = 0.75 // the executor has the referenced keys cached, or a share of their bytes
	// weightAdvised is of the executor that plays the node's role in a plan: more than being near, so that what is better apart
	// comes apart; no more, so that load still outweighs it.
	weightAdvised = 1.5
	// weightNamed is added, while nobody plays a role yet, for the executor that the plan was made for: of two that are free,
	// the one with the better link; a load of a quarter of its slots outweighs it.
	weightNamed = 0.25
)

// placer places one run. Pure.
type placer struct {
	graph     *dag.Graph
	functions []runtime.Spec                  // by node
	members   []*member                       // in a stable order
	first     *wire.Peer                      // where the scheduler has bound node 0; nil where it has not
	held      func(wire.Peer, []string) int64 // bytes of keys that an executor has cached, as far as is known; nil for nothing
	refs      map[dag.Source][]string         // keys that inputs refer to
	advice    *advice.Advice                  // nil for none
	turn      int                             // rotates ties
	planned   []int                           // nodes given to each member so far; nil is none
	sites     []wire.Peer                     // so far
	cast      []int                           // members by role of the advice, so far; -1 is nobody
	strayed   []bool                          // nodes that are not where the advice has them
}

// place chooses an executor for every node. no_executor names the first function that nobody can run.
func (p *placer) place(epoch uint32) (dag.Plan, []wire.Peer, error) {
	plan := dag.Plan{Epoch: epoch, Home: make([]dag.Site, len(p.graph.Nodes))}
	p.heed()
	for i := range p.graph.Nodes {
		m := p.choose(i, plan.Home[:i])
		if m == nil {
			return dag.Plan{}, nil, noExecutor(p.graph.Nodes[i].Name, p.functions[i], len(p.members))
		}
		plan.Home[i] = p.site(m.beat.From)
	}
	out := p.graph.Outputs[len(p.graph.Outputs)-1].From
	if n, ok := p.graph.NodeOf(out); ok {
		plan.Collector = plan.Home[n]
	} else if len(plan.Home) > 0 {
		plan.Collector = plan.Home[len(plan.Home)-1]
	}
	plan.Paths = p.paths()
	return plan, p.sites, nil
}

// site numbers an executor within the run; runs have few.
func (p *placer) site(peer wire.Peer) dag.Site {
	if s := slices.Index(p.sites, peer); s >= 0 {
		return dag.Site(s)
	}
	p.sites = append(p.sites, peer)
	return dag.Site(len(p.sites) - 1)
}

// choose gives the executor with the best score for a node whose predecessors are placed, and plans the node there; nil
// where nobody can run it.
func (p *placer) choose(node int, homes []dag.Site) *member {
	if p.planned == nil {
		p.planned = make([]int, len(p.members))
	}
	best, bestScore := -1, 0.0
	refs, most := p.references(node)
	for k := range p.members {
		i := (k + p.turn) % len(p.members)
		if !p.members[i].canRun(p.functions[node]) {
			continue
		}
		if node == 0 && p.first != nil && p.members[i].beat.From == *p.first {
			best = i
			break
		}
		if score := p.score(i, node, homes, refs, most); best < 0 || score > bestScore {
			best, bestScore = i, score
		}
	}
	if best < 0 {
		return nil
	}
	p.planned[best]++
	p.act(best, node)
	return p.members[best]
}

// references lists the keys that a node refers to, and the most bytes of them that any executor has cached.
func (p *placer) references(node int) (refs []string, most int64) {
	if p.held == nil || len(p.refs) == 0 {
		return nil, 0
	}
	for _, a := range p.graph.Nodes[node].Args {
		if a.Const == nil {
			refs = append(refs, p.refs[a.From]...)
		}
	}
	if len(refs) > 0 {
		for _, m := range p.members {
			most = max(most, p.held(m.beat.From, refs))
		}
	}
	return refs, most
}

func (p *placer) score(member, node int, homes []dag.Site, refs []string, most int64) float64 {
	m := p.members[member]
	score := p.advised(member, node) - m.load()
	if p.advice == nil { // which reckons with what it plans
		score -= float64(p.planned[member]) / float64(max(m.beat.Slots, 1)) / 8
	}
	for _, a := range p.graph.Nodes[node].Args {
		if a.Const != nil {
			continue
		}
		if pred, ok := p.graph.NodeOf(a.From); ok && pred < len(homes) && p.sites[homes[pred]] == m.beat.From {
			score += weightNear
			break
		}
	}
	if most > 0 {
		score += weightCached * float64(p.held(m.beat.From, refs)) / float64(most)
	}
	return score
}

func noExecutor(node string, f runtime.Spec, members int) error {
	switch {
	case members == 0:
		return fault.New(fault.NoExecutor, "no executor is up: start one with `squall executor`, or squall.Join in your program")
	case f.Kind == runtime.Native:
		return fault.New(fault.NoExecutor, "node %s: no executor that is up has the native function %s compiled in: start the program that registered it", node, f.Name)
	}
	return fault.New(fault.NoExecutor, "node %s: none of the %d executors that are up takes %s functions now", node, members, f.Kind)
}

// references gives the keys that inline inputs refer to, as far as a look at the kind tells.
func references(inputs []wire.Value) map[dag.Source][]string {
	var out map[dag.Source][]string
	for i, v := range inputs {
		if len(v.Inline) > 1 && value.Kind(v.Inline[0]) == value.Reference {
			if out == nil {
				out = map[dag.Source][]string{}
			}
			out[dag.Source(i)] = append(out[dag.Source(i)], string(v.Inline[1:]))
		}
	}
	return out
}

// deliveries gives the inputs that each site needs from the start; nil for a site that takes part only when another
// passes it a value. A site that has a node without arguments takes part from the start too. The collector need not: a
// message to it while it is far from its turn would only be in the way of the call.
func deliveries(g *dag.Graph, plan dag.Plan, sites int) [][]dag.Source {
	need := make([][]dag.Source, sites)
	for _, send := range plan.InputSends(g) {
		need[send.To] = append(need[send.To], send.Source)
	}
	start := func(site dag.Site) {
		if need[site] == nil {
			need[site] = []dag.Source{}
		}
	}
	for i := range g.Nodes {
		if g.Needs(i) == 0 {
			start(plan.Home[i])
		}
	}
	return need
}
