package lattice

import (
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/value"
)

// Two clocks that share a node number make equal stamps. Replicas still agree.
func TestRegistersWithEqualStampsConverge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) Register {
			return Register{hlc.Stamp{Time: rapid.Uint64Range(0, 1).Draw(t, label)}, drawValue(t)}
		}
		a, b, c := draw("a"), draw("b"), draw("c")
		if !same(t, join(t, a, b), join(t, b, a)) || !same(t, join(t, a, a), a) ||
			!same(t, join(t, join(t, a, b), c), join(t, a, join(t, b, c))) {
			t.Fatalf("%v, %v and %v do not converge", a, b, c)
		}
	})
}

func TestCounterKeepsInRange(t *testing.T) {
	for _, tc := range []struct {
		start, add, want int64
		overflow         bool
	}{
		{0, math.MaxInt64, math.MaxInt64, false},
		{0, math.MinInt64, math.MinInt64, false},
		{1, math.MaxInt64, 1, true},
		{-1, math.MinInt64, -1, true},
		{math.MaxInt64, math.MinInt64, -1, false},
		{math.MinInt64, math.MaxInt64, -1, false},
		{5, 0, 5, false},
	} {
		c, err := Counter{}.Add(1, tc.start)
		if err != nil {
			t.Fatal(err)
		}
		for _, actor := range []uint64{1, 2} { // the same one, and another
			got, err := c.Add(actor, tc.add)
			if got.Value() != tc.want || fault.Is(err, fault.InvalidArgument) != tc.overflow || err != nil && !tc.overflow {
				t.Errorf("%d and %d of actor %d give %d, %v; want %d", tc.start, tc.add, actor, got.Value(), err, tc.want)
			}
		}
	}
}

// Adds of which none could know of the others may overflow together. The counter then reads as the nearest int64, takes
// no more in that direction, and loses nothing.
func TestCounterOverflowsByJoin(t *testing.T) {
	for _, tc := range []struct{ most, further, back int64 }{
		{math.MaxInt64, 1, -math.MaxInt64},
		{math.MinInt64, -1, math.MaxInt64},
	} {
		var sum State = Counter{}
		for actor := range uint64(3) {
			c, err := Counter{}.Add(actor, tc.most)
			if err != nil {
				t.Fatal(err)
			}
			if sum, err = sum.Join(c); err != nil {
				t.Fatal(err)
			}
		}
		c := sum.(Counter)
		if c.Value() != tc.most {
			t.Errorf("reads %d", c.Value())
		}
		if _, err := c.Add(1, tc.further); !fault.Is(err, fault.InvalidArgument) {
			t.Errorf("it goes further: %v", err)
		}
		for actor := range uint64(3) {
			var err error
			if c, err = c.Add(actor, tc.back); err != nil {
				t.Fatalf("it cannot be brought back: %v", err)
			}
		}
		if got := c.Value(); got != 3*(tc.most+tc.back) {
			t.Errorf("reads %d when it is back", got)
		}
	}
	full := Counter{[]tally{{1, math.MaxUint64, math.MaxUint64}}}
	for _, n := range []int64{1, -1} {
		if _, err := full.Add(1, n); !fault.Is(err, fault.InvalidArgument) {
			t.Errorf("a tally overflows by %d: %v", n, err)
		}
	}
}

func TestExtremesCompareExactly(t *testing.T) {
	inOrder := [][]any{
		{math.Inf(-1), -1e300, math.MinInt64, -2, -1.5, -1, 0, math.SmallestNonzeroFloat64, 0.5, 1, 1 << 53, 1<<53 + 1, float64(1<<53 + 2), math.MaxInt64, uint64(math.MaxInt64) + 1, uint64(math.MaxUint64), math.Inf(1)},
		{"", "A", "Z", "a", "aa", "b", "é", "\xff"},
	}
	for _, values := range inOrder {
		for i := range values {
			for j := range values {
				a, b := value.MustOf(values[i]), value.MustOf(values[j])
				for _, encoded := range []bool{false, true} {
					if encoded {
						a, b = fromWire(wire(a)), fromWire(wire(b))
					}
					most, err1 := Max{a}.Join(Max{b})
					least, err2 := Min{a}.Join(Min{b})
					if err1 != nil || err2 != nil {
						t.Fatalf("%v and %v: %v, %v", values[i], values[j], err1, err2)
					}
					if i > j && (!sameValue(most.Read(), a) || !sameValue(least.Read(), b)) || i < j && (!sameValue(most.Read(), b) || !sameValue(least.Read(), a)) {
						t.Errorf("of %v and %v the greatest is %s, the least %s", values[i], values[j], read(most), read(least))
					}
				}
			}
		}
	}
	one, alsoOne := Max{value.MustOf(1)}, Max{value.MustOf(1.0)}
	a, err1 := one.Join(alsoOne)
	b, err2 := alsoOne.Join(one)
	if err1 != nil || err2 != nil || !sameValue(a.Read(), b.Read()) {
		t.Errorf("1 and 1.0: %v, %v", err1, err2)
	}
	_, err := one.Join(Max{value.MustOf("1")})
	if !fault.Is(err, fault.WrongType) || !strings.Contains(err.Error(), "a number and a text have no order") {
		t.Errorf("a number and a text: %v", err)
	}
	for _, x := range []any{nil, true, []byte("b"), []int{1}, math.NaN(), map[string]int{}, value.Ref("k")} {
		if _, err := (Max{value.MustOf(x)}).Append(nil); x != nil && !fault.Is(err, fault.WrongType) {
			t.Errorf("%v is a max: %v", x, err)
		}
		for _, kind := range []OpKind{Raise, Lower} {
			if _, err := Apply(nil, Op{Kind: kind, Arg: value.MustOf(x)}, By{}); !fault.Is(err, fault.WrongType) {
				t.Errorf("%v to %v: %v", kind, x, err)
			}
		}
	}
}

func TestSets(t *testing.T) {
	x, y, never := value.MustOf("x"), value.MustOf([]any{1, "y"}), value.MustOf(false)
	s, err := Set{}.Insert(1, x)
	if err != nil {
		t.Fatal(err)
	}
	if s, err = s.Insert(1, y); err != nil {
		t.Fatal(err)
	}
	if !s.Has(x) || !s.Has(y) || s.Has(never) || s.Len() != 2 || !s.Clock().Covers(Dot{1, 2}) {
		t.Errorf("%s under %v", read(s), s.Clock())
	}
	removed, err := s.Remove(x)
	if err != nil || removed.Has(x) || !removed.Has(y) || !s.Has(x) {
		t.Errorf("%s without x is %s, %v", read(s), read(removed), err)
	}
	g, err := GrowSet{}.Insert(y)
	if err != nil || !g.Has(y) || g.Has(x) || g.Len() != 1 {
		t.Errorf("%s, %v", read(g), err)
	}
	again, err := g.Insert(fromWire(wire(y))) // the same wire form, though not the same Go value
	if err != nil || again.Len() != 1 {
		t.Errorf("%s, %v", read(again), err)
	}
}

func apply(t *testing.T, s State, actor uint64, words ...string) State {
	t.Helper()
	op, err := ParseOp(words...)
	if err != nil {
		t.Fatal(err)
	}
	s, err = Apply(s, op, By{Actor: actor, Stamp: stampAt(actor)})
	if err != nil {
		t.Fatalf("%s: %v", show(op), err)
	}
	return s
}

func merge(t *testing.T, a, b State) State {
	t.Helper()
	ab, err := a.Join(b)
	if err != nil {
		t.Fatal(err)
	}
	ba, err := b.Join(a)
	if err != nil || !sameValue(ab.Read(), ba.Read()) {
		t.Fatalf("%s and %s, %v", read(ab), read(ba), err)
	}
	return ab
}

func TestMapFields(t *testing.T) {
	m := apply(t, nil, 1, "field", "hits", "add", "5")
	m = apply(t, m, 1, "field", "tags", "insert", "x")
	m = apply(t, m, 1, "field", "deep", "field", "in", "max", "7")
	if got := read(m); got != `{"deep":{"in":7},"hits":5,"tags":["x"]}` {
		t.Errorf("reads %s", got)
	}
	if names := m.(Map).Names(); !slices.Equal(names, []string{"deep", "hits", "tags"}) {
		t.Errorf("fields %v", names)
	}
	if s, ok := m.(Map).Get("tags"); !ok || !s.(Set).Has(value.MustOf("x")) {
		t.Errorf("tags are %v", s)
	}
	if _, ok := m.(Map).Get("none"); ok {
		t.Error("a field that is not there is")
	}
	if !m.(Map).Clock().Covers(Dot{1, 3}) {
		t.Errorf("clock %v", m.(Map).Clock())
	}
	m = apply(t, m, 1, "field", "tags", "remove", "x") // the field stays, empty
	m = apply(t, m, 1, "field", "none", "remove", "x") // none is made
	m = apply(t, m, 1, "remove-field", "hits")
	if got := read(m); got != `{"deep":{"in":7},"tags":[]}` {
		t.Errorf("reads %s", got)
	}
}

// What a concurrent update brings back of a removed field, per type.
func TestMapUpdateWinsOverRemoval(t *testing.T) {
	for _, tc := range []struct {
		name                 string
		before, update, want string
	}{
		{"counter", "field f add 5", "field f add 3", `{"f":3}`},
		{"set", "field f insert x", "field f insert y", `{"f":["y"]}`},
		{"set, by a remove", "field f insert x", "field f remove x", `{"f":[]}`},
		{"map", "field f field a add 1", "field f field b add 1", `{"f":{"b":1}}`},
		{"multivalue", "field f assign-multi x", "field f assign-multi y", `{"f":"y"}`},
		{"growset", "field f grow x", "field f grow y", `{"f":["x","y"]}`},
		{"register", "field f assign x", "field f assign y", `{"f":"y"}`},
		{"max", "field f max 9", "field f max 4", `{"f":9}`},
		{"inner removal", "field f field a add 1", "field f remove-field a", `{"f":{}}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			start := apply(t, nil, 1, strings.Fields(tc.before)...)
			removed := apply(t, start, 1, "remove-field", "f")
			updated := apply(t, start, 2, strings.Fields(tc.update)...)
			if got := read(merge(t, removed, updated)); got != tc.want {
				t.Errorf("reads %s, want %s", got, tc.want)
			}
			if got := read(merge(t, removed, start)); got != `{}` {
				t.Errorf("the removal is undone by what it had seen: %s", got)
			}
		})
	}
}

// A field that was removed and made again counts anew, and nothing that anybody counts meanwhile is lost.
func TestMapFieldLivesTwice(t *testing.T) {
	start := apply(t, nil, 1, "field", "f", "add", "5")
	again := apply(t, apply(t, start, 1, "remove-field", "f"), 1, "field", "f", "add", "1")
	if got := read(again); got != `{"f":1}` {
		t.Errorf("reads %s", got)
	}
	if got := read(merge(t, again, start)); got != `{"f":1}` {
		t.Errorf("the first life is back: %s", got)
	}
	other := apply(t, start, 2, "field", "f", "add", "3")
	if got := read(merge(t, again, other)); got != `{"f":4}` {
		t.Errorf("reads %s, want the 1 and the 3 that were added without knowing of each other", got)
	}
}

func TestMapFieldOfTwoTypes(t *testing.T) {
	start := apply(t, nil, 1, "field", "g", "add", "1")
	counter := apply(t, start, 1, "field", "f", "add", "1")
	set := apply(t, start, 2, "field", "f", "insert", "x")
	text := apply(t, start, 3, "field", "f", "max", "text")
	numeric := apply(t, start, 4, "field", "f", "max", "1")
	all := merge(t, merge(t, counter, set), merge(t, text, numeric))
	if got := read(all); got != `{"f":1,"g":1}` {
		t.Errorf("reads %s", got)
	}
	b, err := all.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	if all, err = Decode(b); err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{"add 1", "insert y", "max u", "max 2"} { // each finds its own
		all = apply(t, all, 5, append([]string{"field", "f"}, strings.Fields(words)...)...)
	}
	_, err = Apply(all, Op{Kind: Field, Field: "f", Inner: &Op{Kind: Lower, Arg: value.MustOf(1)}}, By{})
	if !fault.Is(err, fault.WrongType) || !strings.Contains(err.Error(), `field "f" holds a counter, and min wants a min: use another field, or remove this one first`) {
		t.Errorf("a third type: %v", err)
	}
	if names := all.(Map).Names(); !slices.Equal(names, []string{"f", "g"}) {
		t.Errorf("fields %v", names)
	}
	if got := read(apply(t, all, 5, "remove-field", "f")); got != `{"g":1}` {
		t.Errorf("reads %s: a removal takes all of a name", got)
	}
}

func TestMapCounterOverflow(t *testing.T) {
	m := apply(t, nil, 1, "field", "f", "add", "9223372036854775807")
	if _, err := Apply(m, Op{Kind: Field, Field: "f", Inner: &Op{Kind: Add, Arg: value.MustOf(1)}}, By{Actor: 2}); !fault.Is(err, fault.InvalidArgument) {
		t.Errorf("another actor overflows it: %v", err)
	}
}
