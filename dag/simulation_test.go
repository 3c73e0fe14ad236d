package dag

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// simulate plays a drawn graph with several seeds, and gives what each came to.
func simulate(t *rapid.T, broken bool, losses int) []*network {
	y := drawSymbolic(t, broken)
	sites := rapid.IntRange(1, 5).Draw(t, "sites")
	seed := rapid.Uint64().Draw(t, "seed")
	duplicates := rapid.IntRange(0, 20).Draw(t, "duplicates")
	var nets []*network
	for i := range uint64(10) {
		net := newNetwork(y, sites, seed+i, min(losses, sites-1), duplicates)
		net.play()
		if wrong := net.verify(); wrong != "" {
			t.Fatalf("seed %d: %s\ngraph: %s\n%s", seed+i, wrong, y.g.YAML(), strings.Join(net.trace, "\n"))
		}
		nets = append(nets, net)
	}
	return nets
}

// TestRunsEndRight: whatever the order of messages, and whichever come twice, a run ends with the right outputs, and
// nothing is executed successfully twice.
func TestRunsEndRight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for _, net := range simulate(t, false, 0) {
			ends, origins := net.y.endings()
			if len(origins) > 0 {
				return
			}
			for inv, times := range net.executed {
				var n, item int
				if _, err := fmt.Sscanf(inv, "%d.%d", &n, &item); err != nil || times != 1 && net.y.g.Nodes[n].Hedge == 0 {
					t.Fatalf("%s was executed %d times: %v", inv, times, err)
				}
				if ends[net.y.g.NodeSource(n)].state != edgePresent {
					t.Fatalf("%s was executed, and should be skipped", inv)
				}
			}
			if net.y.g.Requires != 0 {
				continue
			}
			if want := net.y.invocations(); len(net.executed) != want {
				t.Fatalf("%d invocations were executed, want %d", len(net.executed), want)
			}
		}
	})
}

// TestRunsFailRight: a run that has to fail ends with an error of a node that fails.
func TestRunsFailRight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { simulate(t, true, 0) })
}

// TestRunsSurviveLosses: all sites but one may be lost at any moment, and during a recovery, and the run still ends
// right; what a live site held is not executed again.
func TestRunsSurviveLosses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { simulate(t, false, 4) })
}

// TestFailingRunsSurviveLosses: the same for runs that have to fail.
func TestFailingRunsSurviveLosses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { simulate(t, true, 4) })
}

// TestRecoverRunsTheSmallestClosure holds Recover against the definition, worked out the slow way.
func TestRecoverRunsTheSmallestClosure(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawSymbolic(t, false).g
		sites := rapid.IntRange(2, 5).Draw(t, "sites")
		site := rapid.Map(rapid.IntRange(0, sites-1), func(i int) Site { return Site(i) })
		old := Plan{Epoch: 3, Collector: site.Draw(t, "collector")}
		for range g.Nodes {
			old.Home = append(old.Home, site.Draw(t, "home"))
		}
		var lost, live []Site
		held := map[Site][]Source{}
		for s := range Site(sites) {
			if s > 0 && rapid.Bool().Draw(t, "lost") {
				lost = append(lost, s)
				continue
			}
			live = append(live, s)
			for x := range Source(g.Sources()) {
				if rapid.IntRange(0, 2).Draw(t, "held") == 0 {
					held[s] = append(held[s], x)
				}
			}
		}
		rec := Recover(g, old, lost, held, func(int) Site { return rapid.SampledFrom(live).Draw(t, "choice") })
		if err := rec.Plan.Check(g, sites); err != nil || rec.Plan.Epoch != 4 {
			t.Fatalf("plan %+v: %v", rec.Plan, err)
		}
		anywhere := func(s Source) bool {
			return slices.ContainsFunc(live, func(l Site) bool { return slices.Contains(held[l], s) })
		}
		must := map[int]bool{}
		for changed := true; changed; {
			changed = false
			for n := range g.Nodes {
				s := g.NodeSource(n)
				needed := g.gathers(s)
				for m := range must {
					needed = needed || slices.ContainsFunc(g.Nodes[m].Args, func(a Arg) bool { return a.Const == nil && a.From == s })
				}
				if needed && !anywhere(s) && !must[n] {
					must[n], changed = true, true
				}
			}
		}
		for n, home := range rec.Plan.Home {
			if must[n] == rec.Plan.done(n) {
				t.Fatalf("node %d: must run %v, but done %v", n, must[n], rec.Plan.done(n))
			}
			if !slices.Contains(live, home) || slices.Contains(live, old.Home[n]) && home != old.Home[n] {
				t.Fatalf("node %d moved from site %d to %d", n, old.Home[n], home)
			}
		}
		// Every value that is needed somewhere is there, sent there once from where it is, or yet to be made.
		sent := map[Send]int{}
		for from, sends := range rec.Resend {
			for _, s := range sends {
				if sent[s]++; !slices.Contains(held[from], s.Source) || slices.Contains(held[s.To], s.Source) {
					t.Fatalf("%+v from %d makes no sense", s, from)
				}
			}
		}
		for _, s := range rec.Inputs {
			if sent[s]++; int(s.Source) >= len(g.Inputs) || slices.Contains(held[s.To], s.Source) {
				t.Fatalf("input %+v makes no sense", s)
			}
		}
		wanted := map[Send]bool{}
		want := func(s Source, at Site) {
			n, isNode := g.NodeOf(s)
			if !slices.Contains(held[at], s) && (!isNode || !must[n]) {
				wanted[Send{Source: s, To: at}] = true
			}
		}
		for n := range must {
			for _, a := range g.Nodes[n].Args {
				if a.Const == nil {
					want(a.From, rec.Plan.Home[n])
				}
			}
		}
		for s := range Source(g.Sources()) {
			if g.gathers(s) {
				want(s, rec.Plan.Collector)
			}
		}
		for s, times := range sent {
			if times != 1 || !wanted[s] {
				t.Fatalf("%+v is sent %d times, wanted: %v", s, times, wanted[s])
			}
		}
		if len(sent) != len(wanted) {
			t.Fatalf("sends %v, want %v", sent, wanted)
		}
	})
}
