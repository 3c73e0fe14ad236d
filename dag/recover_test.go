package dag_test

import (
	"testing"

	"github.com/squall-faas/squall/dag"
)

// TestRecoverTwice loses, in a second loss, an output whose node was done at the first: the node has to run again, and
// where that may be is for the owner to choose, for its first home is gone.
func TestRecoverTwice(t *testing.T) {
	b := dag.New("g")
	b.Output("y", b.Call("b", "g", b.Call("a", "f", b.Input("x"))))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	old := dag.Plan{Epoch: 1, Home: []dag.Site{0, 1}, Collector: 1}
	chosen := map[int]dag.Site{0: 3, 1: 2}
	choose := func(node int) dag.Site { return chosen[node] }
	first := dag.Recover(g, old, []dag.Site{0}, map[dag.Site][]dag.Source{1: {1}}, choose)
	if !first.Plan.Done[0] || first.Plan.Done[1] {
		t.Fatalf("after the first loss done are %v", first.Plan.Done)
	}
	second := dag.Recover(g, first.Plan, []dag.Site{0, 1}, map[dag.Site][]dag.Source{2: nil}, func(node int) dag.Site {
		if node < 0 {
			return 2
		}
		return choose(node)
	})
	if second.Plan.Done[0] || second.Plan.Home[0] != 3 || second.Plan.Home[1] != 2 {
		t.Errorf("after the second loss done are %v, homes %v", second.Plan.Done, second.Plan.Home)
	}
	// The same where the stand-in, the collector, is still there but has lost what it held.
	again := dag.Recover(g, first.Plan, []dag.Site{0}, map[dag.Site][]dag.Source{1: nil}, choose)
	if again.Plan.Done[0] || again.Plan.Home[0] != 3 {
		t.Errorf("done are %v, homes %v", again.Plan.Done, again.Plan.Home)
	}
}
