package advice

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/dag/planner"
	"github.com/squall-faas/squall/internal/forecast"
	"github.com/squall-faas/squall/internal/profile"
)

// taught is a book in which each function took so long, with results of so many bytes, often enough to be known.
func taught(functions map[string]time.Duration, out int64) *profile.Book {
	b := &profile.Book{}
	for version, took := range functions {
		for i := range int64(forecast.Enough) {
			b.Function(version).Observe(profile.Run{At: i, In: 8, Out: out, Took: took})
		}
	}
	return b
}

// asked is a case in which versions are the functions' names.
func asked(t testing.TB, book *profile.Book, executors int, slots int, draw func(b *dag.Builder) dag.Ref) forecast.Case {
	t.Helper()
	b := dag.New("g")
	b.Output("y", draw(b))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	c := forecast.Case{Graph: g, Book: book, Inputs: make([]planner.Input, len(g.Inputs))}
	for i := range c.Inputs {
		c.Inputs[i].Bytes = 8
	}
	for _, n := range g.Nodes {
		c.Versions = append(c.Versions, n.Function)
	}
	for i := range executors {
		c.Executors = append(c.Executors, planner.Executor{Name: string(rune('a' + i)), Slots: slots})
	}
	return c
}

func fan(width int) func(b *dag.Builder) dag.Ref {
	return func(b *dag.Builder) dag.Ref {
		first := b.Call("first", "first", b.Input("x"))
		var parts []any
		for i := range width {
			parts = append(parts, b.Call(fmt.Sprint("part", i), "slow", first))
		}
		return b.Call("join", "join", parts...)
	}
}

func TestMake(t *testing.T) {
	const ms = time.Millisecond
	slow := map[string]time.Duration{"first": ms, "slow": 100 * ms, "join": ms}
	chain := func(b *dag.Builder) dag.Ref {
		return b.Call("c", "slow", b.Call("b", "slow", b.Call("a", "slow", b.Input("x"))))
	}
	for _, c := range []struct {
		name string
		of   forecast.Case
		want Verdict
		most int // roles
	}{
		{"a fan-out that would queue is spread", asked(t, taught(slow, 8), 4, 1, fan(4)), Given, 4},
		{"two slots take two of them", asked(t, taught(slow, 8), 4, 2, fan(4)), Given, 4},
		{"where all have a slot it stays", asked(t, taught(slow, 8), 4, 8, fan(4)), Useless, 0},
		{"a chain stays", asked(t, taught(slow, 8), 4, 1, chain), Useless, 0},
		{"nobody to spread it to", asked(t, taught(slow, 8), 1, 1, fan(4)), Useless, 0},
		{"a function that nobody knows", asked(t, taught(map[string]time.Duration{"slow": time.Second, "first": ms}, 8), 4, 1, fan(4)), Unknown, 0},
		{"nothing known at all", asked(t, nil, 4, 1, fan(4)), Unknown, 0},
		{"too short", asked(t, taught(map[string]time.Duration{"first": 100, "slow": 100, "join": 100}, 8), 4, 1, fan(4)), Small, 0},
		{"values that take longer to move than to wait", asked(t, taught(map[string]time.Duration{"first": ms, "slow": 2 * ms, "join": ms}, 50<<20), 4, 1, fan(4)), Useless, 0},
		{"more nodes than are planned", asked(t, taught(slow, 8), 4, 1, fan(MaxNodes)), Useless, 0},
	} {
		a, v, err := Make(c.of)
		if err != nil || v != c.want || (a != nil) != (v == Given) {
			t.Errorf("%s: %+v, %v, %v; want %v", c.name, a, v, err, c.want)
			continue
		}
		if a == nil {
			continue
		}
		if a.Roles[0] != 0 || a.Names[0] != "a" || len(a.Names) < 2 || len(a.Names) > c.most || float64(a.Predicted) >= gain*float64(a.Otherwise) {
			t.Errorf("%s: %+v", c.name, a)
		}
	}
	if _, _, err := Make(forecast.Case{Graph: dag.Single("f", 1)}); err == nil || !strings.Contains(err.Error(), "versions") {
		t.Errorf("a case that does not fit: %v", err)
	}
}

// TestFirstIsBound: where the first node would be better off elsewhere, it stays where it is bound, and what was to be there
// goes where the first node was to be.
func TestFirstIsBound(t *testing.T) {
	homes := []int{2, 0, 2, 1, 0}
	if exchange(homes); !slices.Equal(homes, []int{0, 2, 0, 1, 2}) {
		t.Errorf("%v", homes)
	}
	homes = []int{0, 1}
	if exchange(homes); !slices.Equal(homes, []int{0, 1}) {
		t.Errorf("%v", homes)
	}
}

// TestPaths: paths are advised where they are predicted to be better than the executor's rule, and for values of nodes alone.
func TestPaths(t *testing.T) {
	c := asked(t, taught(map[string]time.Duration{"first": time.Millisecond, "slow": 30 * time.Second, "join": time.Millisecond}, 100<<20), 8, 1, fan(8))
	for i := range 8 { // executors see each other badly, and the store well
		for j := range 8 {
			for k := range int64(8) {
				c.Book.Link(profile.Pair{From: c.Executors[i].Name, To: c.Executors[j].Name}).
					Observe(profile.Transfer{At: k, Bytes: 10 << 20, Took: 10 * time.Second})
			}
		}
	}
	a, v, err := Make(c)
	if err != nil || v != Given {
		t.Fatalf("%v, %v", v, err)
	}
	if len(a.Paths) != c.Graph.Sources() || a.Paths[c.Graph.NodeSource(0)] != dag.Remote || a.Paths[0] != dag.Auto {
		t.Errorf("paths %v of %+v", a.Paths, a)
	}
}

// BenchmarkMake is one question of a DAG of 18 nodes on 8 executors.
func BenchmarkMake(b *testing.B) {
	const ms = time.Millisecond
	c := asked(b, taught(map[string]time.Duration{"first": ms, "slow": 100 * ms, "join": ms}, 8), 8, 2, fan(16))
	b.ReportAllocs()
	for b.Loop() {
		if _, v, err := Make(c); err != nil || v != Given {
			b.Fatal(v, err)
		}
	}
}
