package coordinator

import (
	"slices"

	"github.com/squall-faas/squall/dag"
)

// How the placer follows advice. A role is played by whoever gets its first node: among those who play no other one, all are as
// good but for their load, the one that the plan was made for is a little better, and those of other roles a little worse. From
// then on the role's nodes go there, unless load outweighs that.

// heed begins to follow the advice, if there is any and it is of this graph.
func (p *placer) heed() {
	if a := p.advice; a != nil && len(a.Roles) == len(p.graph.Nodes) {
		p.cast, p.strayed = slices.Repeat([]int{-1}, len(a.Names)), make([]bool, len(a.Roles))
		return
	}
	p.advice = nil
}

// advised is what the advice adds to the score of a member for a node.
func (p *placer) advised(member, node int) float64 {
	if p.advice == nil {
		return 0
	}
	role := p.advice.Roles[node]
	switch by := p.cast[role]; {
	case by == member:
		return weightAdvised
	case by >= 0 || slices.Contains(p.cast, member):
		return 0
	}
	for other := range p.cast {
		if p.members[member].beat.From.Name != p.named(other) {
			continue
		}
		if other == role {
			return weightAdvised + weightNamed
		}
		if p.cast[other] < 0 {
			return weightAdvised - weightNamed
		}
	}
	return weightAdvised
}

// named is the executor that a role was planned for. Where the scheduler has bound the first node to another one, these two
// change places.
func (p *placer) named(role int) string {
	name := p.advice.Names[role]
	if first := p.cast[0]; first >= 0 && p.members[first].beat.From.Name == name {
		return p.advice.Names[0]
	}
	return name
}

// act notes who has got a node.
func (p *placer) act(member, node int) {
	if p.advice == nil {
		return
	}
	role := p.advice.Roles[node]
	if p.cast[role] < 0 && !slices.Contains(p.cast, member) {
		p.cast[role] = member
	}
	p.strayed[node] = p.cast[role] != member
}

// followed reports whether every node is where the advice has it.
func (p *placer) followed() bool { return p.advice != nil && !slices.Contains(p.strayed, true) }

// paths are those of the advice, for each source whose node and consumers are where it has them; nil where none is.
func (p *placer) paths() []dag.Path {
	if p.advice == nil || len(p.advice.Paths) != p.graph.Sources() {
		return nil
	}
	var out []dag.Path
	for s, path := range p.advice.Paths {
		n, ok := p.graph.NodeOf(dag.Source(s))
		away := func(c dag.Consumer) bool { return p.strayed[c.Node] }
		if path == dag.Auto || !ok || p.strayed[n] || slices.ContainsFunc(p.graph.Consumers(dag.Source(s)), away) {
			continue
		}
		if out == nil {
			out = make([]dag.Path, len(p.advice.Paths))
		}
		out[s] = path
	}
	return out
}
