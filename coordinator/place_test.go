package coordinator

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/executor/runtime"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/value"
)

// executors gives members from texts: "a slots=4 busy=1 queued=2 assigned=3 has=f,g wasm draining suspect".
func executors(t testing.TB, texts ...string) []*member {
	t.Helper()
	var out []*member
	for i, text := range texts {
		words := strings.Fields(text)
		m := &member{
			beat:    wire.Heartbeat{From: wire.Peer{Name: words[0], Incarnation: uint64(i + 1)}, Condition: wire.Up, Slots: 2},
			natives: map[string]bool{}, kinds: map[runtime.Kind]bool{},
		}
		for _, w := range words[1:] {
			key, v, _ := strings.Cut(w, "=")
			var n int
			_, _ = fmt.Sscan(v, &n)
			switch key {
			case "slots":
				m.beat.Slots = n
			case "busy":
				m.beat.Busy = n
			case "queued":
				m.beat.Queued = n
			case "assigned":
				m.assigned = n
			case "has":
				for f := range strings.SplitSeq(v, ",") {
					m.natives[f] = true
				}
			case "wasm":
				m.kinds[runtime.Wasm] = true
			case "draining":
				m.beat.Condition = wire.Draining
			case "suspect":
				m.suspect = true
			default:
				t.Fatalf("what is %q?", w)
			}
		}
		out = append(out, m)
	}
	return out
}

// natives gives the functions of a graph's nodes, native ones whose version is their name.
func natives(g *dag.Graph) []runtime.Spec {
	var out []runtime.Spec
	for _, n := range g.Nodes {
		out = append(out, runtime.Spec{Name: n.Function, Version: n.Function, Kind: runtime.Native})
	}
	return out
}

// holders has executors hold a byte of each key that is hinted at.
func holders(hints map[string]string) func(wire.Peer, []string) int64 {
	return func(p wire.Peer, refs []string) (n int64) {
		for _, ref := range refs {
			if hints[ref] == p.Name {
				n++
			}
		}
		return n
	}
}

func graphOf(t testing.TB, draw func(b *dag.Builder)) *dag.Graph {
	t.Helper()
	b := dag.New("g")
	draw(b)
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// homes tells where the nodes and the collector are, by name.
func homes(plan dag.Plan, sites []wire.Peer) string {
	var out []string
	for _, s := range plan.Home {
		out = append(out, sites[s].Name)
	}
	return strings.Join(out, " ") + " → " + sites[plan.Collector].Name
}

func TestPlace(t *testing.T) {
	chain := graphOf(t, func(b *dag.Builder) {
		b.Output("y", b.Call("n2", "f", b.Call("n1", "f", b.Call("n0", "f", b.Input("x")))))
	})
	mixed := graphOf(t, func(b *dag.Builder) {
		b.Output("y", b.Call("n1", "g", b.Call("n0", "f", b.Input("x"))))
	})
	wide := graphOf(t, func(b *dag.Builder) {
		x := b.Input("x")
		for i := range 8 {
			b.Output(fmt.Sprintf("y%d", i), b.Call(fmt.Sprintf("n%d", i), "f", x))
		}
	})
	single := dag.Single("f", 1)
	for _, tc := range []struct {
		name  string
		g     *dag.Graph
		who   []string
		hints map[string]string
		input string
		want  string
	}{
		{"a chain stays together", chain, []string{"a has=f", "b has=f", "c has=f"}, nil, "", "a a a → a"},
		{"a chain begins on the idle one and stays", chain, []string{"a has=f busy=1", "b has=f"}, nil, "", "b b b → b"},
		{"a little load does not move what is near", mixed, []string{"a has=f,g busy=1", "b has=g"}, nil, "", "a a → a"},
		{"an overloaded predecessor is left", mixed, []string{"a has=f,g busy=2 queued=2", "b has=g"}, nil, "", "a b → b"},
		{"each goes where its function is", mixed, []string{"a has=f", "b has=g"}, nil, "", "a b → b"},
		{"who drains takes nothing", single, []string{"a has=f draining", "b has=f busy=2 queued=9"}, nil, "", "b → b"},
		{"who is suspect takes nothing", single, []string{"a has=f suspect", "b has=f busy=2 queued=9"}, nil, "", "b → b"},
		{"what was assigned and not heard of yet counts", single, []string{"a has=f assigned=1", "b has=f"}, nil, "", "b → b"},
		{"a larger executor is less loaded", single, []string{"a has=f busy=1 slots=2", "b has=f busy=2 slots=16"}, nil, "", "b → b"},
		{"a reference goes where it was resolved", single, []string{"a has=f", "b has=f", "c has=f"}, map[string]string{"k": "c"}, "k", "c → c"},
		{"but not to one that is overloaded", single, []string{"a has=f", "b has=f", "c has=f busy=2"}, map[string]string{"k": "c"}, "k", "a → a"},
		{"a hint of who is gone is none", single, []string{"a has=f busy=1", "b has=f"}, map[string]string{"k": "z"}, "k", "b → b"},
		{"many nodes of one run spread", wide, []string{"a has=f slots=4", "b has=f slots=4"}, nil, "", "a b a b a b a b → b"},
	} {
		p := placer{graph: tc.g, functions: natives(tc.g), members: executors(t, tc.who...), held: holders(tc.hints)}
		if tc.input != "" {
			w, err := value.MustOf(value.Ref(tc.input)).Wire()
			if err != nil {
				t.Fatal(err)
			}
			p.refs = references([]wire.Value{{Inline: w}})
		}
		plan, sites, err := p.place(3)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if got := homes(plan, sites); got != tc.want || plan.Epoch != 3 {
			t.Errorf("%s: %s in epoch %d, want %s", tc.name, got, plan.Epoch, tc.want)
		}
	}
}

// TestPlaceSpreads places one run after another: idle executors take turns, and load evens out.
func TestPlaceSpreads(t *testing.T) {
	members := executors(t, "a has=f", "b has=f", "c has=f")
	g := dag.Single("f", 1)
	for turn := range 30 {
		p := placer{graph: g, functions: natives(g), members: members, turn: turn}
		_, sites, err := p.place(1)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range members {
			if m.beat.From == sites[0] {
				m.assigned++
			}
		}
	}
	for _, m := range members {
		if m.assigned != 10 {
			t.Errorf("%s has %d of 30 runs", m.beat.From.Name, m.assigned)
		}
	}
	// Runs that end at once leave no load behind; the turn alone has to spread them.
	count := map[string]int{}
	for turn := range 30 {
		p := placer{graph: g, functions: natives(g), members: executors(t, "a has=f", "b has=f", "c has=f"), turn: turn}
		_, sites, err := p.place(1)
		if err != nil {
			t.Fatal(err)
		}
		count[sites[0].Name]++
	}
	if count["a"] != 10 || count["b"] != 10 || count["c"] != 10 {
		t.Errorf("30 short runs went to %v", count)
	}
}

func TestPlaceNoExecutor(t *testing.T) {
	g := graphOf(t, func(b *dag.Builder) { b.Output("y", b.Call("n1", "g", b.Call("n0", "f", b.Input("x")))) })
	for _, tc := range []struct {
		who  []string
		kind runtime.Kind
		says string
	}{
		{nil, runtime.Native, "no executor is up"},
		{[]string{"a has=f"}, runtime.Native, "node n1: no executor that is up has the native function g compiled in"},
		{[]string{"a has=f,g draining", "b has=f"}, runtime.Native, "node n1: no executor that is up has the native function g"},
		{[]string{"a has=f", "b has=g suspect"}, runtime.Wasm, "node n1: none of the 2 executors that are up takes wasm functions now"},
	} {
		functions := natives(g)
		functions[1].Kind = tc.kind
		p := placer{graph: g, functions: functions, members: executors(t, tc.who...)}
		_, _, err := p.place(1)
		if !fault.Is(err, fault.NoExecutor) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%v: %v, want %q", tc.who, err, tc.says)
		}
	}
}

// drawGraph gives a random graph of calls of the functions f0 to f3.
func drawGraph(rt *rapid.T) *dag.Graph {
	b := dag.New("g")
	var from []dag.Ref
	for i := range rapid.IntRange(0, 3).Draw(rt, "inputs") {
		from = append(from, b.Input(fmt.Sprintf("x%d", i)))
	}
	inputs := len(from)
	for i := range rapid.IntRange(1, 12).Draw(rt, "nodes") {
		var args []any
		for range rapid.IntRange(0, 3).Draw(rt, "args") {
			if len(from) == 0 || rapid.Bool().Draw(rt, "constant") {
				args = append(args, 7)
				continue
			}
			args = append(args, rapid.SampledFrom(from).Draw(rt, "from"))
		}
		from = append(from, b.Call(fmt.Sprintf("n%d", i), fmt.Sprintf("f%d", rapid.IntRange(0, 3).Draw(rt, "f")), args...))
	}
	b.Output("last", from[len(from)-1])
	for i := range inputs { // each is used
		b.Output(fmt.Sprintf("input%d", i), from[i])
	}
	g, err := b.Build()
	if err != nil {
		rt.Fatal(err)
	}
	return g
}

func TestPlaceProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		g := drawGraph(rt)
		var texts []string
		for i := range rapid.IntRange(1, 5).Draw(rt, "executors") {
			text := fmt.Sprintf("e%d slots=%d busy=%d queued=%d", i, rapid.IntRange(1, 8).Draw(rt, "slots"), rapid.IntRange(0, 8).Draw(rt, "busy"), rapid.IntRange(0, 20).Draw(rt, "queued"))
			var has []string
			for f := range 4 {
				if rapid.IntRange(0, 9).Draw(rt, "has") < 7 {
					has = append(has, fmt.Sprintf("f%d", f))
				}
			}
			if len(has) > 0 {
				text += " has=" + strings.Join(has, ",")
			}
			if rapid.IntRange(0, 9).Draw(rt, "suspect") == 0 {
				text += " suspect"
			}
			texts = append(texts, text)
		}
		members := executors(t, texts...)
		p := placer{graph: g, functions: natives(g), members: members, turn: rapid.IntRange(0, 10).Draw(rt, "turn")}
		plan, sites, err := p.place(1)
		can := func(n int) bool {
			return slices.ContainsFunc(members, func(m *member) bool { return m.canRun(p.functions[n]) })
		}
		if err != nil {
			for n := range g.Nodes {
				if !can(n) {
					return // and so it says
				}
			}
			rt.Fatalf("refused although every node has an executor: %v", err)
		}
		if err := plan.Check(g, len(sites)); err != nil {
			rt.Fatal(err)
		}
		for n, home := range plan.Home {
			i := slices.IndexFunc(members, func(m *member) bool { return m.beat.From == sites[home] })
			if i < 0 || !members[i].canRun(p.functions[n]) {
				rt.Fatalf("node %d is on %v, which cannot run it", n, sites[home])
			}
		}
		for i, s := range sites {
			if slices.Index(sites, s) != i {
				rt.Fatalf("%v is two sites", s)
			}
			if !slices.Contains(plan.Home, dag.Site(i)) {
				rt.Fatalf("site %d has no node", i)
			}
		}
		checkDeliveries(rt, g, plan, len(sites))
	})
}

// checkDeliveries holds deliveries to its definition: an input goes, once, to the home of each node that takes it, and
// to the collector if it is an output; a site hears from the owner if it gets an input or has a node without arguments.
func checkDeliveries(rt *rapid.T, g *dag.Graph, plan dag.Plan, sites int) {
	got := deliveries(g, plan, sites)
	if len(got) != sites {
		rt.Fatalf("%d lists for %d sites", len(got), sites)
	}
	for site := range dag.Site(sites) {
		hears := false
		want := map[dag.Source]bool{}
		for i, n := range g.Nodes {
			waits := false
			for _, a := range n.Args {
				if a.Const != nil {
					continue
				}
				waits = true
				if _, node := g.NodeOf(a.From); !node && plan.Home[i] == site {
					want[a.From] = true
				}
			}
			hears = hears || !waits && plan.Home[i] == site
		}
		for _, o := range g.Outputs {
			if _, node := g.NodeOf(o.From); !node && plan.Collector == site {
				want[o.From] = true
			}
		}
		if hears = hears || len(want) > 0; hears != (got[site] != nil) {
			rt.Fatalf("site %d hears from the owner: %v, want %v", site, got[site] != nil, hears)
		}
		if len(got[site]) != len(want) {
			rt.Fatalf("site %d gets %v, want %v", site, got[site], want)
		}
		for _, s := range got[site] {
			if !want[s] {
				rt.Fatalf("site %d gets %v, want %v", site, got[site], want)
			}
		}
	}
}

func TestInputs(t *testing.T) {
	g := graphOf(t, func(b *dag.Builder) {
		b.Output("y", b.Call("n", "f", b.Input("a"), b.Input("b")))
	})
	p := &pin{name: "g", graph: g}
	v := func(s string) wire.Value { return wire.Value{Inline: []byte(s)} }
	for _, tc := range []struct {
		names string
		want  string
		code  fault.Code
		says  string
	}{
		{"a b", "a b", "", ""},
		{"b a", "a b", "", ""},
		{"a", "", fault.WrongArity, `needs input "b"`},
		{"", "", fault.WrongArity, `needs input "a"`},
		{"a b c", "", fault.WrongArity, `no input "c"`},
		{"a a", "", fault.WrongArity, `input "a" twice`},
		{"a b b", "", fault.WrongArity, `input "b" twice`},
	} {
		call := &wire.Call{Target: wire.TargetDAG, Name: "g", Inputs: strings.Fields(tc.names)}
		for _, n := range call.Inputs {
			call.Values = append(call.Values, v(n))
		}
		got, err := inputs(call, p)
		if tc.code != "" {
			if !fault.Is(err, tc.code) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%q: %v, want %s %q", tc.names, err, tc.code, tc.says)
			}
			continue
		}
		var order []string
		for _, v := range got {
			order = append(order, string(v.Inline))
		}
		if err != nil || strings.Join(order, " ") != tc.want {
			t.Errorf("%q: %v, %v, want %q", tc.names, order, err, tc.want)
		}
	}
	if _, err := inputs(&wire.Call{Target: wire.TargetDAG, Inputs: []string{"a"}}, p); !fault.Is(err, fault.InvalidArgument) {
		t.Errorf("a name without a value: %v", err)
	}
}
