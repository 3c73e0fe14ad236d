package history

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/kvs"
)

// wild makes a history without any sense: runs read anything that was written before, and replace anything.
func wild(seed uint64, ops, keys int) *History {
	rng := rand.New(rand.NewPCG(seed, 3))
	h := &History{}
	written := make([][]string, keys)
	deleted := map[string]bool{}
	for now, run := int64(1), 0; len(h.Ops) < ops; run++ {
		outcome := OK
		if rng.IntN(8) == 0 {
			outcome = Failed
		}
		level := []string{"mk", "dsc"}[rng.IntN(2)]
		h.Ends = append(h.Ends, End{Run: fmt.Sprint(run), Level: level, Outcome: outcome})
		for call := range 1 + rng.IntN(4) {
			for seq := range 1 + rng.IntN(4) {
				k := rng.IntN(keys)
				now += rng.Int64N(10)
				o := Op{
					ID: len(h.Ops), Run: fmt.Sprint(run), Call: fmt.Sprint(call), Seq: seq, Level: level, Node: fmt.Sprint("n", rng.IntN(3)),
					Key: fmt.Sprint(k), Begin: now, End: now + rng.Int64N(40), Result: OK,
				}
				if call > 0 && rng.IntN(3) > 0 {
					o.After = []string{fmt.Sprint(rng.IntN(call))}
				}
				var some []string
				for range rng.IntN(3) {
					if recent := written[k][max(0, len(written[k])-6):]; len(recent) > 0 {
						some = append(some, recent[rng.IntN(len(recent))])
					}
				}
				id := fmt.Sprint("w", o.ID)
				switch rng.IntN(8) {
				case 0, 1, 2:
					o.Kind, o.Values, o.Replaces = Write, []string{id}, some
				case 3:
					o.Kind, o.Values, o.Replaces = Delete, []string{id}, some
					deleted[id] = true
				default:
					o.Kind = Read
					o.Values = slices.DeleteFunc(unique(some), func(v string) bool { return deleted[v] })
				}
				if o.writes() {
					o.Result = []Result{OK, OK, OK, Unknown}[rng.IntN(4)]
					written[k] = append(written[k], id)
				}
				h.Ops = append(h.Ops, o)
			}
		}
	}
	return h
}

// naive holds the reads of a graph against their pasts by the definitions, version by version and path by path.
type naive struct {
	*graph
	past []map[int32]bool // of each node, with itself
}

func newNaive(g *graph) *naive {
	v := &naive{graph: g}
	for n := range int32(len(g.op)) {
		all := map[int32]bool{n: true}
		for _, m := range slices.Concat(g.session.of(n), g.saw.of(n)) {
			for x := range v.past[m] {
				all[x] = true
			}
		}
		v.past = append(v.past, all)
	}
	return v
}

// stale reports whether what read n shows is older than a write among those known, skipped ones left out.
func (v *naive) stale(n int32, known map[int32]bool, skip func(n int32) bool) bool {
	c := v.c
	o := &c.ops[v.op[n]]
	outdated := func(shown int32) (yes, replaced bool) { // shown -1 is the initial version
		for w := range known {
			p := &c.ops[v.op[w]]
			if !p.writes() || p.key != o.key || w == shown || shown >= 0 && !v.past[w][shown] {
				continue
			}
			if skip == nil || !skip(w) {
				yes = true
			}
		}
		for w := range known {
			if shown >= 0 && c.ops[v.op[w]].writes() && slices.Contains(v.saw.of(w), shown) {
				replaced = true
			}
		}
		return yes, yes && replaced
	}
	shown := v.saw.of(n)
	if len(shown) == 0 {
		shown = []int32{-1}
		for m := range int32(len(v.op)) {
			if d := &c.ops[v.op[m]]; d.Kind == Delete && d.key == o.key && d.Begin <= o.End {
				shown = append(shown, m)
			}
		}
	}
	all := true
	for _, s := range shown {
		yes, replaced := outdated(s)
		if replaced {
			return true
		}
		all = all && yes
	}
	return all
}

func (v *naive) union(nodes []int32) map[int32]bool {
	all := map[int32]bool{}
	for _, m := range nodes {
		for x := range v.past[m] {
			all[x] = true
		}
	}
	return all
}

// TestPastAgreesWithItsDefinition compares the bits with a naive reading of the definitions, on histories that break
// every promise.
func TestPastAgreesWithItsDefinition(t *testing.T) {
	compare := func(t interface{ Fatalf(string, ...any) }, seed uint64, ops, keys int) {
		c, err := New(wild(seed, ops, keys))
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		members := c.atLevel(func(kvs.Level) bool { return true })
		g := newGraph(c, c.wholeRuns(members, c.overOf))
		if len(g.op) < len(members) {
			t.Fatalf("seed %d: the history has a cycle", seed)
		}
		mk := func(i int32) bool { return c.ops[i].level == kvs.MultiKey }
		dsc := func(i int32) bool { return c.ops[i].level == kvs.DistributedSession && c.bound(i) }
		got := judge(g, against{session: dsc, cut: dsc, node: mk})
		v := newNaive(g)
		runs := g.readsByRun(func(n int32) bool { return c.ops[g.op[n]].Kind == Read && dsc(g.op[n]) })
		found := 0
		for n := range int32(len(g.op)) {
			i := g.op[n]
			o := &c.ops[i]
			if o.Kind != Read {
				continue
			}
			var session, cut, node bool
			if dsc(i) {
				own := func(n int32) bool { return c.ops[g.op[n]].run == o.run }
				session = v.stale(n, v.union(g.session.of(n)), nil)
				// A value that was replaced only by a write of the run itself does not count, nor is it replaced then.
				cut = !slices.ContainsFunc(g.saw.of(n), own) && v.stale(n, v.union(runs[o.run].saw), own)
			}
			if mk(i) {
				var before []int32
				for m := range int32(len(g.op)) {
					if p := &c.ops[g.op[m]]; p.Kind == Read && mk(g.op[m]) && p.Node == o.Node && p.End < o.Begin {
						before = append(before, g.saw.of(m)...)
					}
				}
				node = v.stale(n, v.union(before), nil)
			}
			asks := got.asks.of(n)
			if s, x, d := got.session[n].is(asks), got.cut[n].is(asks), got.node[n].is(asks); s != session || x != cut || d != node {
				t.Fatalf("seed %d, %s: session %v, cut %v, node %v; by definition %v, %v, %v", seed, c.name(i), s, x, d, session, cut, node)
			}
			if session || cut || node {
				found++
			}
		}
		if ops > 500 && len(got.versions) <= blockBits {
			t.Fatalf("seed %d: %d versions are one block", seed, len(got.versions))
		}
		if ops > 500 && keys < 100 && found < 20 {
			t.Fatalf("seed %d: only %d reads are stale: the test shows nothing", seed, found)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		compare(t, rapid.Uint64().Draw(t, "seed"), 10+rapid.IntRange(0, 60).Draw(t, "ops"), rapid.IntRange(1, 5).Draw(t, "keys"))
	})
	compare(t, 1, 1800, 60) // several blocks
	compare(t, 2, 1500, 1000)
}
