package dag

import (
	"slices"

	"github.com/squall-faas/squall/fault"
)

// Site numbers an executor within one run: an index into the executors that the run's messages name. A number is
// never given twice in a run, not even to an executor that comes back.
type Site int

// Plan says where a run's nodes live. It is immutable once it has been handed out: runs keep its slices.
type Plan struct {
	// Epoch counts recoveries. Only the run's owner raises it. What comes from other sites as Arrived and NodeFailed
	// carries its sender's epoch, and the shell refuses it where it is lower than that of the Run (Run.Plan).
	Epoch uint32 `cbor:"1,keyasint"`
	// Home is the site of each node of the graph.
	Home []Site `cbor:"2,keyasint"`
	// Collector is the site that gathers the outputs and replies.
	Collector Site `cbor:"3,keyasint"`
	// Done marks the nodes that need not run any more, because after a recovery their outputs are held wherever they
	// are needed, or sent there. Their home does nothing about them. Nil means none.
	Done []bool `cbor:"4,keyasint,omitempty"`
	// Paths are how the values of sources are to travel, by source: from node to node, so those of inputs are Auto. Nil
	// means Auto for all. One that this release does not know is taken for Auto.
	Paths []Path `cbor:"5,keyasint,omitempty"`
}

// Check tells whether p is a plan for g over so many sites; it is for plans that came from outside. invalid_argument
// where it is not.
func (p *Plan) Check(g *Graph, sites int) error {
	legal := func(s Site) bool { return s >= 0 && int(s) < sites }
	switch {
	case len(p.Home) != len(g.Nodes) || p.Done != nil && len(p.Done) != len(g.Nodes):
		return fault.New(fault.InvalidArgument, "a plan for %d nodes does not fit DAG %s of %d", len(p.Home), g.Name, len(g.Nodes))
	case p.Paths != nil && len(p.Paths) != g.Sources():
		return fault.New(fault.InvalidArgument, "a plan with the paths of %d values does not fit DAG %s of %d", len(p.Paths), g.Name, g.Sources())
	case !legal(p.Collector) || slices.ContainsFunc(p.Home, func(s Site) bool { return !legal(s) }):
		return fault.New(fault.InvalidArgument, "the plan names sites beyond the %d of the run", sites)
	}
	return nil
}

// Path is how the value of a source is to travel.
func (p *Plan) Path(s Source) Path {
	if s < 0 || int(s) >= len(p.Paths) {
		return Auto
	}
	return p.Paths[s]
}

// InputSends lists where a run's inputs have to go when it starts: each once to every site that has a use for it.
func (p *Plan) InputSends(g *Graph) []Send {
	sends := make([]Send, 0, len(g.Inputs))
	for s := range Source(len(g.Inputs)) {
		from := len(sends)
		add := func(to Site) {
			if send := (Send{Source: s, To: to}); !slices.Contains(sends[from:], send) {
				sends = append(sends, send)
			}
		}
		for _, c := range g.Consumers(s) {
			if !p.done(c.Node) {
				add(p.Home[c.Node])
			}
		}
		if g.gathers(s) {
			add(p.Collector)
		}
	}
	return sends
}

// done reports whether node n need not run.
func (p *Plan) done(n int) bool { return n < len(p.Done) && p.Done[n] }

// decides reports whether node n is decided at s.
func (p *Plan) decides(s Site, n int) bool { return n < len(p.Home) && p.Home[n] == s && !p.done(n) }
