package coordinator

import (
	"fmt"
	"slices"
	"testing"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/internal/advice"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/value"
)

// TestPlaceAdvised: what advice says is done, by whoever is free to play its roles, unless load says otherwise.
func TestPlaceAdvised(t *testing.T) {
	fan := graphOf(t, func(b *dag.Builder) {
		first := b.Call("first", "f", b.Input("x"))
		var parts []any
		for i := range 3 {
			parts = append(parts, b.Call(fmt.Sprint("part", i), "f", first))
		}
		b.Output("y", b.Call("join", "f", parts...))
	})
	spread := &advice.Advice{Roles: []int{0, 0, 1, 2, 0}, Names: []string{"a", "b", "c"}}
	paths := &advice.Advice{Roles: spread.Roles, Names: spread.Names, Paths: []dag.Path{dag.Auto, dag.Remote, dag.Auto, dag.Direct, dag.Auto, dag.Auto}}
	for _, tc := range []struct {
		name     string
		who      []string
		advice   *advice.Advice
		first    string
		want     string
		followed bool
		paths    []dag.Path
	}{
		{"without advice what belongs together stays", []string{"a has=f", "b has=f", "c has=f"}, nil, "a", "a a a a a → a", false, nil},
		{"each role is somebody's", []string{"a has=f", "b has=f", "c has=f"}, spread, "a", "a a b c a → a", true, nil},
		{"who has the first node and who was to have it change places", []string{"a has=f", "b has=f", "c has=f"}, spread, "b", "b b a c b → b", true, nil},
		{"the first node is bound to one that no role was planned for", []string{"a has=f busy=2", "b has=f", "c has=f", "z has=f"}, spread, "z", "z z b c z → z", true, nil},
		{"of those who are free any will do", []string{"a has=f", "b has=f busy=2 queued=2", "c has=f", "d has=f"}, spread, "a", "a a d c a → a", true, nil},
		{"where all others are loaded it stays near", []string{"a has=f", "b has=f busy=2", "c has=f busy=2"}, spread, "a", "a a a a a → a", false, nil},
		{"a role goes where its function is", []string{"a has=f", "b has=g", "c has=f", "d has=f"}, spread, "a", "a a d c a → a", true, nil},
		{"fewer executors than roles", []string{"a has=f", "b has=f"}, spread, "a", "a a b a a → a", false, nil},
		{"who is gone plays no role", []string{"a has=f", "c has=f", "d has=f"}, spread, "a", "a a d c a → a", true, nil},
		{"paths go with the placement", []string{"a has=f", "b has=f", "c has=f"}, paths, "a", "a a b c a → a", true, paths.Paths},
		{"but only with all of it", []string{"a has=f", "b has=f", "c has=f busy=2 queued=9"}, paths, "a", "a a b a a → a", false,
			[]dag.Path{dag.Auto, dag.Auto, dag.Auto, dag.Direct, dag.Auto, dag.Auto}},
		{"advice of another graph is none", []string{"a has=f", "b has=f"}, &advice.Advice{Roles: []int{0, 1}, Names: []string{"a", "b"}}, "a", "a a a a a → a", false, nil},
	} {
		p := placer{graph: fan, functions: natives(fan), members: executors(t, tc.who...), advice: tc.advice}
		var first wire.Peer
		for _, m := range p.members {
			if m.beat.From.Name == tc.first {
				first = m.beat.From
			}
		}
		p.first = &first
		plan, sites, err := p.place(1)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if got := homes(plan, sites); got != tc.want || p.followed() != tc.followed {
			t.Errorf("%s: %s, followed %v; want %s, %v", tc.name, got, p.followed(), tc.want, tc.followed)
		}
		if !slices.Equal(plan.Paths, tc.paths) {
			t.Errorf("%s: paths %v, want %v", tc.name, plan.Paths, tc.paths)
		}
		if err := plan.Check(fan, len(sites)); err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

// TestListLen: how many items a Map would have is read from the first bytes of an encoded list.
func TestListLen(t *testing.T) {
	for _, c := range []struct {
		v    any
		want int
	}{
		{[]string{}, 0}, {[]string{"a", "b"}, 2}, {make([]string, 24), 24}, {make([]string, 300), 300}, {make([]string, 70_000), 70_000},
		{[]float64{1, 2, 3}, 3}, {make([]int32, 1000), 1000}, {[]float32{1}, 1}, {make([]int, 5), 5}, {map[string]int{"a": 1}, 0}, {7, 0}, {"text", 0}, {[]byte("bytes"), 0},
	} {
		w, err := value.MustOf(c.v).Wire()
		if err != nil {
			t.Fatal(err)
		}
		if got := listLen(w); got != c.want {
			t.Errorf("%.40q: %d items, want %d", fmt.Sprint(c.v), got, c.want)
		}
	}
	for _, cut := range []string{"", "\x9f", "\x9a\x00", "\xd8", "\xd8\x56", "\x9b\x00\x00\x00\x00\x00\x00\x00\x05", "\xd8\x56\x99"} {
		if n := listLen(append([]byte{byte(value.CBOR)}, cut...)); n != 0 {
			t.Errorf("% x has %d items", cut, n)
		}
	}
}
