package dag_test

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/value"
)

// forms gives a value as it is on the node that made it, and as it is after the wire.
func forms(t *testing.T, x any) []value.Value {
	t.Helper()
	live := value.MustOf(x)
	wire, err := live.Wire()
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := value.Parse(wire)
	if err != nil {
		t.Fatal(err)
	}
	return []value.Value{live, parsed}
}

func TestConditions(t *testing.T) {
	type inner struct {
		Code uint8 `json:"code"`
	}
	type outer struct {
		Status string  `json:"status"`
		In     *inner  `json:"in"`
		Score  float32 `json:"score"`
	}
	type word string
	full := outer{"ok", &inner{7}, 0.5}
	for _, c := range []struct {
		x    any
		cond dag.Condition
		want bool
	}{
		{"ok", dag.Equals("ok"), true},
		{word("ok"), dag.Equals("ok"), true},
		{"ok", dag.Equals([]byte("ok")), false},
		{"ok", dag.NotEquals("no"), true},
		{"ok", dag.NotEquals("ok"), false},
		{"b", dag.Less("c"), true},
		{"b", dag.AtMost("a"), false},
		{5, dag.Equals(5.0), true},
		{5.5, dag.Greater(5), true},
		{uint64(math.MaxUint64), dag.Greater(int64(math.MaxInt64)), true},
		{uint64(math.MaxUint64), dag.Equals(uint64(math.MaxUint64 - 1)), false},
		{int64(math.MaxInt64), dag.Less(float64(1 << 63)), true}, // as floats they are equal
		{math.Inf(1), dag.Greater(math.MaxFloat64), true},
		{math.NaN(), dag.Equals(math.NaN()), false},
		{math.NaN(), dag.NotEquals(1), true},
		{math.NaN(), dag.Not(dag.Less(1)), true},
		{"5", dag.Equals(5), false},
		{"5", dag.AtLeast(4), false},
		{true, dag.Equals(true), true},
		{false, dag.NotEquals(true), true},
		{nil, dag.Equals(nil), true},
		{nil, dag.Exists(), false},
		{0, dag.Exists(), true},
		{value.Ref("k"), dag.Exists(), true},
		{value.Ref("k"), dag.Equals("k"), false},
		{[]int{1}, dag.Exists(), true},
		{[]int{1}, dag.Equals(1), false},
		{full, dag.Field("status").Equals("ok"), true},
		{&full, dag.Field("in", "code").Equals(7), true},
		{full, dag.Field("in", "code").AtLeast(8), false},
		{full, dag.Field("score").Equals(0.5), true},
		{full, dag.Field("in", "code", "deeper").Exists(), false},
		{outer{}, dag.Field("in", "code").Exists(), false},
		{outer{}, dag.Field("in").Exists(), false},
		{full, dag.Field("none").Equals(nil), false},
		{full, dag.Field("none").NotEquals(1), true},
		{map[string]any{"a": uint64(math.MaxUint64)}, dag.Field("a").Greater(1), true},
		{map[int]string{1: "a"}, dag.Field("1").Exists(), false},
		{full, dag.AllOf(dag.Field("status").Equals("ok"), dag.Field("score").Less(1)), true},
		{full, dag.AllOf(dag.Field("status").Equals("ok"), dag.Field("score").Less(0)), false},
		{full, dag.AnyOf(dag.Field("status").Equals("no"), dag.Not(dag.Field("score").Less(0))), true},
	} {
		b := dag.New("g")
		b.Output("y", b.Call("f", "f", dag.When(b.Input("x"), c.cond)))
		if _, err := b.Build(); err != nil {
			t.Errorf("%v: %v", c.cond, err)
		}
		for i, v := range forms(t, c.x) {
			if got := c.cond.Holds(v); got != c.want {
				t.Errorf("%v of %v (form %d) is %v", c.cond, c.x, i, got)
			}
		}
	}
}

// TestConditionsAreTotal: any condition on any value has an answer, the same for the value live and off the wire; and of
// less, equal and greater at most one holds.
func TestConditionsAreTotal(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		x := drawConstant(rt)
		c := drawCondition(rt, 0)
		live := value.MustOf(x)
		wire, err := live.Wire()
		if err != nil {
			rt.Fatal(err)
		}
		parsed, err := value.Parse(wire)
		if err != nil {
			rt.Fatal(err)
		}
		if c.Holds(live) != c.Holds(parsed) {
			rt.Fatalf("%v of %#v is %v live and %v parsed", c, x, c.Holds(live), c.Holds(parsed))
		}
		not := dag.Not(c)
		if not.Holds(live) == c.Holds(live) {
			rt.Fatalf("%v and its opposite agree", c)
		}
		k := rapid.OneOf(rapid.Int64().AsAny(), rapid.Float64().AsAny(), rapid.String().AsAny()).Draw(rt, "k")
		less, equal, greater := dag.Less(k), dag.Equals(k), dag.Greater(k)
		holds := 0
		for _, c := range []dag.Condition{less, equal, greater} {
			if c.Holds(live) {
				holds++
			}
		}
		if holds > 1 {
			rt.Fatalf("%#v is several of less than, equal to and greater than %v", x, k)
		}
	})
}

func TestRoutesThatAreRefused(t *testing.T) {
	deep := dag.Exists()
	for range dag.MaxConditionDepth + 1 {
		deep = dag.Not(deep)
	}
	wide := make([]dag.Condition, dag.MaxConditionTerms)
	for i := range wide {
		wide[i] = dag.Exists()
	}
	for _, c := range []struct {
		name  string
		build func(b *dag.Builder, x, y dag.Ref) dag.Ref
		want  string
	}{
		{"k over n", func(b *dag.Builder, x, y dag.Ref) dag.Ref { return b.Call("n", "f", dag.KOf(3, x, y)) }, "a join of 3 of 2 can never be met: ask for 1 to 2"},
		{"k of 0", func(b *dag.Builder, x, y dag.Ref) dag.Ref { return b.Call("n", "f", dag.KOf(0, x, y)) }, "a join of 0 of 2"},
		{"a join of nothing", func(b *dag.Builder, x, y dag.Ref) dag.Ref { return b.Call("n", "f", x, y, dag.Any()) }, "a join of nothing"},
		{"a join in a map", func(b *dag.Builder, x, y dag.Ref) dag.Ref { return b.Map("n", "f", x, dag.Any(x, y)) }, "a map has no joins"},
		{"two joins", func(b *dag.Builder, x, y dag.Ref) dag.Ref { return b.Call("n", "f", dag.Any(x, y), dag.Any(x)) }, "two joins"},
		{"one source twice", func(b *dag.Builder, x, y dag.Ref) dag.Ref { return b.Call("n", "f", dag.KOf(2, x, y, x)) }, "its join has x twice"},
		{"another builder's", func(b *dag.Builder, x, y dag.Ref) dag.Ref {
			return b.Call("n", "f", x, y, dag.Any(dag.New("o").Input("z")))
		}, "of another Builder"},
		{"a guard on nothing", func(b *dag.Builder, x, y dag.Ref) dag.Ref {
			return b.Call("n", "f", x, y, dag.OnlyIf(dag.Ref{}, dag.Exists()))
		}, "an empty Ref"},
		{"a condition on nothing", func(b *dag.Builder, x, y dag.Ref) dag.Ref {
			return b.Call("n", "f", y, dag.When(dag.Ref{}, dag.Exists()), x)
		}, "an empty Ref"},
		{"no condition", func(b *dag.Builder, x, y dag.Ref) dag.Ref { return b.Call("n", "f", x, dag.When(y, dag.Condition{})) }, "operator 0 is none"},
		{"a list", func(b *dag.Builder, x, y dag.Ref) dag.Ref {
			return b.Call("n", "f", x, dag.When(y, dag.Equals([]int{1})))
		}, "conditions compare with numbers"},
		{"an order of booleans", func(b *dag.Builder, x, y dag.Ref) dag.Ref { return b.Call("n", "f", x, dag.When(y, dag.Less(true))) }, "less and greater compare with"},
		{"a function", func(b *dag.Builder, x, y dag.Ref) dag.Ref {
			return b.Call("n", "f", x, dag.When(y, dag.Equals(func() {})))
		}, "the condition on argument 2"},
		{"an empty all", func(b *dag.Builder, x, y dag.Ref) dag.Ref { return b.Call("n", "f", x, dag.When(y, dag.AllOf())) }, "all of 0 conditions"},
		{"too deep", func(b *dag.Builder, x, y dag.Ref) dag.Ref { return b.Call("n", "f", x, dag.OnlyIf(y, deep)) }, "the guard on y: a condition nested more than 4 deep"},
		{"too many terms", func(b *dag.Builder, x, y dag.Ref) dag.Ref {
			return b.Call("n", "f", x, dag.When(y, dag.AnyOf(wide...)))
		}, "more than 16 terms"},
		{"a long path", func(b *dag.Builder, x, y dag.Ref) dag.Ref {
			return b.Call("n", "f", x, dag.When(y, dag.Field(strings.Split("a.b.c.d.e.f.g.h.i", ".")...).Exists()))
		}, "a field 9 deep"},
		{"an empty field", func(b *dag.Builder, x, y dag.Ref) dag.Ref {
			return b.Call("n", "f", x, dag.When(y, dag.Field("").Exists()))
		}, `a field named ""`},
		{"a contradiction", func(b *dag.Builder, x, y dag.Ref) dag.Ref {
			return b.Call("n", "f", x, dag.OnlyIf(y, dag.Equals("a")), dag.OnlyIf(y, dag.Equals("b")))
		}, `it can never run: y has to satisfy both equals "a" and equals "b"`},
		{"hedged wrongly", func(b *dag.Builder, x, y dag.Ref) dag.Ref { return b.Call("n", "f", x, y, dag.Hedge(95)) }, "hedging past quantile 95"},
		{"hedged reduce", func(b *dag.Builder, x, y dag.Ref) dag.Ref {
			return b.Call("o", "f", y, b.Reduce("n", "f", x, dag.Hedge(0.9)))
		}, "a reduce is not hedged"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := dag.New("g")
			b.Output("y", c.build(b, b.Input("x"), b.Input("y")))
			if _, err := b.Build(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want …%s…", err, c.want)
			}
		})
	}
	b := dag.New("g")
	b.Output("y", dag.When(b.Call("n", "f", b.Input("x")), dag.Exists()))
	if _, err := b.Build(); err == nil || !strings.Contains(err.Error(), `output "y" has a condition`) {
		t.Errorf("a condition on an output gives %v", err)
	}
}
