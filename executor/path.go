package executor

import (
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/value"
)

// A plan may say by which path a source's value goes to other sites (dag.Plan.Paths). It is a wish: offload's rule has the last
// word, and a durable run's values are stored in any case.

// stored is a source's value that was put in the store: whichever site it goes to next gets the same reference.
type stored struct {
	epoch uint32 // of the plan that said so
	value wire.Value
}

// passed encodes a source's value for another site by the plan's path. What goes through the store is written once, however
// many sites read it.
func (a *activity) passed(site dag.Site, s dag.Source, v value.Value) (wire.Value, error) {
	a.mu.Lock()
	path, epoch := a.header.Plan.Path(s), a.header.Plan.Epoch
	before, ok := a.stored[s]
	a.mu.Unlock()
	if ok && path == dag.Remote && before.epoch == epoch {
		return before.value, nil
	}
	out, err := a.outTo(site, path, v)
	if err != nil {
		return wire.Value{}, err
	}
	if path == dag.Remote && out[0].Far != nil {
		a.mu.Lock()
		if a.stored == nil && !a.over {
			a.stored = map[dag.Source]stored{}
		}
		if !a.over {
			a.stored[s] = stored{epoch, out[0]}
		}
		a.mu.Unlock()
	}
	return out[0], nil
}

// itemPath is how the arguments of a Map's items, or of a second try, go to who runs them: as the list does, where the list is
// all they are. Further arguments are the same for all items, and the store would take them once for each.
func (a *activity) itemPath(node int) dag.Path {
	n := &a.spec.graph.Nodes[node]
	if n.Kind != dag.Map || len(n.Args) != 1 || n.Args[0].Const != nil {
		return dag.Auto
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.header.Plan.Path(n.Args[0].From)
}

// burden is the size of what a command sends, for offLoop: what is sure to be stored counts as large.
func (a *activity) burden(c *dag.Command) int {
	size := c.Value.Size()
	var path dag.Path
	if c.Kind == dag.Pass {
		a.mu.Lock()
		path = a.header.Plan.Path(c.Source)
		a.mu.Unlock()
	} else {
		path, size = a.itemPath(c.Invocation.Node), sizeOf(c.Args)
	}
	if path == dag.Remote {
		return max(size, a.e.cfg.Offload.Small())
	}
	return size
}
