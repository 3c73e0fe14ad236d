package dag

// Consumer is one use of a source: argument Arg of node Node. A node that takes a source twice consumes it twice.
type Consumer struct {
	Node int
	Arg  int
}

// index holds what follows from a graph's structure. The lists of all sources lie one after another in one slice
// each; source s owns those from its offset up to the next one's.
type index struct {
	consumers   []Consumer
	consumersAt []int32
	outputs     []int
	outputsAt   []int32
	sinks       []int
	needs       []int32
	depth       []int32
	routes      *routes // of a graph with joins or conditions, else nil
}

// newIndex derives the index of a graph that keeps the structural promises of Validate.
func newIndex(g *Graph) *index {
	n, edges := g.Sources(), 0
	ix := &index{needs: make([]int32, len(g.Nodes)), depth: make([]int32, len(g.Nodes))}
	ix.consumersAt, ix.outputsAt = make([]int32, n+1), make([]int32, n+1)
	for i := range g.Nodes {
		for _, a := range g.Nodes[i].Args {
			if a.Const != nil {
				continue
			}
			edges++
			ix.needs[i]++
			ix.consumersAt[a.From+1]++
			if from, ok := g.NodeOf(a.From); ok {
				ix.depth[i] = max(ix.depth[i], ix.depth[from]+1)
			}
		}
	}
	for _, o := range g.Outputs {
		ix.outputsAt[o.From+1]++
	}
	for s := range n {
		ix.consumersAt[s+1] += ix.consumersAt[s]
		ix.outputsAt[s+1] += ix.outputsAt[s]
	}
	ix.consumers, ix.outputs = make([]Consumer, edges), make([]int, len(g.Outputs))
	fill := make([]int32, n)
	copy(fill, ix.consumersAt)
	for i := range g.Nodes {
		for j, a := range g.Nodes[i].Args {
			if a.Const == nil {
				ix.consumers[fill[a.From]] = Consumer{Node: i, Arg: j}
				fill[a.From]++
			}
		}
	}
	copy(fill, ix.outputsAt)
	for i, o := range g.Outputs {
		ix.outputs[fill[o.From]] = i
		fill[o.From]++
	}
	for i := range g.Nodes {
		if s := len(g.Inputs) + i; ix.consumersAt[s] == ix.consumersAt[s+1] {
			ix.sinks = append(ix.sinks, i)
		}
	}
	if g.features()&Conditional != 0 {
		ix.routes = newRoutes(g, ix)
	}
	return ix
}

// derived is the index, which only a graph that was validated has.
func (g *Graph) derived() *index {
	if g.index == nil {
		panic("dag: the graph was neither built nor validated: call Validate first")
	}
	return g.index
}

// Consumers lists who takes s as an argument, by node and then by position. It allocates nothing; do not write to the
// slice.
func (g *Graph) Consumers(s Source) []Consumer {
	ix := g.derived()
	from, to := ix.consumersAt[s], ix.consumersAt[s+1]
	return ix.consumers[from:to:to]
}

// OutputsOf lists the outputs that s gives, as indexes of Outputs in ascending order. It allocates nothing; do not
// write to the slice.
func (g *Graph) OutputsOf(s Source) []int {
	ix := g.derived()
	from, to := ix.outputsAt[s], ix.outputsAt[s+1]
	return ix.outputs[from:to:to]
}

// Needs is how many of node i's arguments come from sources, by position: how many arrivals, counted as Consumers
// counts them, let it start. 0 for a node of constants only, or of no arguments, which starts at once.
func (g *Graph) Needs(i int) int { return int(g.derived().needs[i]) }

// Sinks lists the nodes that no other node consumes, whether or not they give an output, in ascending order. A run is
// settled once they are. Do not write to the slice.
func (g *Graph) Sinks() []int { return g.derived().sinks }

// Linear reports whether a run of g has one path: at each moment at most one function runs, and each node sees what all
// before it have done.
func (g *Graph) Linear() bool {
	for i := range g.Nodes {
		if g.Nodes[i].Kind != Call || g.Nodes[i].Hedge > 0 {
			return false
		}
	}
	if g.derived().routes != nil {
		return false
	}
	sources := make(map[int]bool)
	for i := range g.Nodes {
		clear(sources)
		for _, a := range g.Nodes[i].Args {
			if a.Const != nil {
				continue
			}
			if from, ok := g.NodeOf(a.From); ok {
				sources[from] = true
			}
		}
		// The one before it in topological order, and no other.
		if len(sources) > 1 || i > 0 && !sources[i-1] || i == 0 && len(sources) > 0 {
			return false
		}
	}
	return true
}

// Depth is the length of the longest chain of nodes that leads to node i: 0 where its arguments are inputs and
// constants.
func (g *Graph) Depth(i int) int { return int(g.derived().depth[i]) }
