package value

import (
	"bytes"
	"encoding/hex"
	"math"
	"math/big"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/squall-faas/squall/fault"
)

type celsius float64

type point struct {
	X, Y  float64
	Label string `json:"label,omitempty"`
}

type path struct {
	Points []point            `cbor:"points"`
	Raw    []float64          `json:"raw"`
	Tags   map[string]int     `json:"tags"`
	When   time.Time          `json:"when"`
	Next   *path              `json:"next,omitempty"`
	Any    any                `json:"any"`
	Secret chan int           `json:"-"`
	ID     uuid.UUID          `json:"id"`
	Ints   map[int]celsius    `json:"ints"`
	hidden int                //nolint:unused // it shows that hidden fields are no obstacle
	Bytes  [3]byte            `json:"bytes"`
	Nested map[string][]int16 `json:"nested"`
}

type holder struct {
	V    Value            `json:"v"`
	Vs   []Value          `json:"vs"`
	R    Ref              `json:"r"`
	Rs   []Ref            `json:"rs"`
	ByID map[string]Ref   `json:"byID"`
	VP   *Value           `json:"vp"`
	VM   map[string]Value `json:"vm"`
	Any  any              `json:"any"`
}

// moved gives v as another node would have it.
func moved(t testing.TB, v Value) Value {
	t.Helper()
	w, err := v.Wire()
	if err != nil {
		t.Fatalf("wire of %v: %v", v, err)
	}
	out, err := Parse(w)
	if err != nil {
		t.Fatalf("parse %x: %v", w, err)
	}
	return out
}

func as[T any](t testing.TB, v Value) T {
	t.Helper()
	x, err := As[T](v)
	if err != nil {
		t.Fatalf("as %s: %v", reflect.TypeFor[T](), err)
	}
	return x
}

func sameWire(t testing.TB, a, b Value) {
	t.Helper()
	x, err := a.Wire()
	if err != nil {
		t.Fatal(err)
	}
	y, err := b.Wire()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(x, y) {
		t.Fatalf("wire forms differ:\n%x\n%x", x, y)
	}
}

// both runs check on v live, encoded beside its live value, and moved.
func both(t *testing.T, v Value, check func(t *testing.T, v Value)) {
	t.Run("live", func(t *testing.T) { check(t, v) })
	t.Run("measured", func(t *testing.T) {
		m, err := v.Measure()
		if err != nil {
			t.Fatal(err)
		}
		check(t, m)
	})
	t.Run("moved", func(t *testing.T) { check(t, moved(t, v)) })
	t.Run("moved twice", func(t *testing.T) { sameWire(t, v, moved(t, moved(t, v))) })
}

func same[T any](name string, x any, want T) func(*testing.T) {
	return func(t *testing.T) {
		t.Run(name, func(t *testing.T) {
			both(t, MustOf(x), func(t *testing.T, v Value) {
				if got := as[T](t, v); !reflect.DeepEqual(got, want) {
					t.Errorf("got %#v, want %#v", got, want)
				}
			})
		})
	}
}

func TestAs(t *testing.T) {
	when := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	id := uuid.MustParse("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
	p := point{1, 2.5, "p"}
	long := path{
		Points: []point{p}, Raw: []float64{1, math.Inf(1)}, Tags: map[string]int{"a": 1, "bb": -2}, When: when,
		Next: &path{Points: []point{}, Raw: []float64{}, Tags: map[string]int{}, Ints: map[int]celsius{}, Nested: map[string][]int16{}},
		Any:  "x", ID: id, Ints: map[int]celsius{-3: 1.5}, Bytes: [3]byte{1, 2, 3}, Nested: map[string][]int16{"n": {1, 2}},
	}
	for _, run := range []func(*testing.T){
		same("int", 42, 42),
		same("int as int8", 42, int8(42)),
		same("int as float", 42, 42.0),
		same("int as float32", -42, float32(-42)),
		same("min int64", int64(math.MinInt64), int64(math.MinInt64)),
		same("max uint64", uint64(math.MaxUint64), uint64(math.MaxUint64)),
		same("max uint64 as float", uint64(math.MaxUint64), float64(math.MaxUint64)),
		same("uint8 as int", uint8(200), 200),
		same("float", 0.1, 0.1),
		same("float32 as float", float32(0.5), 0.5),
		same("float as float32", 0.5, float32(0.5)),
		same("named float", celsius(36.6), celsius(36.6)),
		same("named float as float", celsius(36.6), 36.6),
		same("bool", true, true),
		same("duration", time.Second, time.Second),
		same("duration as int", time.Second, int(time.Second)),
		same("time", when, when),
		same("time from text", when.Format(time.RFC3339Nano), when),
		same("uuid", id, id),
		same("uuid as bytes", id[:], id),
		same("addr", netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.1")),
		same("big", new(big.Int).Lsh(big.NewInt(1), 70), new(big.Int).Lsh(big.NewInt(1), 70)),
		same("int as big", 7, *big.NewInt(7)),
		same("text", "héllo", "héllo"),
		same("text that is not UTF-8", "\xff", "\xff"),
		same("text as bytes", "abc", []byte("abc")),
		same("text as named", "abc", strings.Clone("abc")),
		same("text as pointer", "abc", new("abc")),
		same("empty text", "", ""),
		same("empty text as bytes", "", []byte{}),
		same("bytes", []byte{0, 255}, []byte{0, 255}),
		same("bytes as array", []byte{1, 2, 3}, [3]byte{1, 2, 3}),
		same("array as bytes", [3]byte{1, 2, 3}, [3]byte{1, 2, 3}),
		same("ref", Ref("k"), Ref("k")),
		same("ref as pointer", Ref("k"), new(Ref("k"))),
		same("ref as any", Ref("k"), any(Ref("k"))),
		same("nil as slice", nil, []int(nil)),
		same("nil as bytes", nil, []byte(nil)),
		same("nil as map", nil, map[string]int(nil)),
		same("nil as pointer", nil, (*int)(nil)),
		same("nil as any", nil, any(nil)),
		same("nil as nothing", nil, struct{}{}),
		same("nil pointer", (*point)(nil), (*point)(nil)),
		same("pointer", &p, &p),
		same("pointer as struct", &p, p),
		same("struct as pointer", p, &p),
		same("struct", long, long),
		same("struct as map", point{X: 1, Y: 2}, map[string]float64{"X": 1, "Y": 2}),
		same("map as struct", map[string]any{"X": 1, "label": "l"}, point{X: 1, Label: "l"}),
		same("int keys", map[int64]string{-1: "m", 1: "p"}, map[int64]string{-1: "m", 1: "p"}),
		same("texts", []string{"a", ""}, []string{"a", ""}),
		same("no texts", []string{}, []string{}),
		same("array", [2]int{1, 2}, []int{1, 2}),
		same("slice as array", []int{1, 2}, [2]int{1, 2}),
		same("vectors", [][]float64{{1, 2}, {}}, [][]float64{{1, 2}, {}}),
		same("structs", []point{p, p}, []point{p, p}),
		same("anys", []any{"a", true, nil}, []any{"a", true, nil}),
		same("list", List([]Value{MustOf(1), MustOf(2)}), []int{1, 2}),
		same("list as floats", List([]Value{MustOf(1), MustOf(2.5)}), []float64{1, 2.5}),
		same("list as any", List([]Value{MustOf("a"), {}, MustOf([]byte{1})}), any([]any{"a", nil, []byte{1}})),
		same("list as anys", List([]Value{MustOf("a"), MustOf(Ref("r"))}), []any{"a", Ref("r")}),
		same("list of vectors", List([]Value{MustOf([]float64{1, 2}), MustOf([]float64{})}), [][]float64{{1, 2}, {}}),
		same("list of vectors as arrays", List([]Value{MustOf([]int{1, 2}), MustOf([]int{3, 4})}), [][2]int{{1, 2}, {3, 4}}),
		same("list of refs", List([]Value{MustOf(Ref("a"))}), []Ref{"a"}),
		same("empty list", List(nil), []int{}),
		same("list of texts as bytes", List([]Value{MustOf([]byte("a"))}), [][]byte{[]byte("a")}),
	} {
		run(t)
	}
}

func TestAsAny(t *testing.T) {
	for _, c := range []struct {
		x, want any
	}{
		{1, int64(1)},
		{-1, int64(-1)},
		{uint64(math.MaxUint64), uint64(math.MaxUint64)},
		{1.5, 1.5},
		{true, true},
		{"s", "s"},
		{[]byte("b"), []byte("b")},
		{[]string{"a"}, []any{"a"}},
		{[]float64{1, 2}, []float64{1, 2}},
		{[]int{1}, []int64{1}},
		{[]float64{}, []any{}},
		{point{1, 2, ""}, map[string]any{"X": 1.0, "Y": 2.0}},
		{map[string]any{"a": map[string]any{"b": []any{1, nil}}}, map[string]any{"a": map[string]any{"b": []any{int64(1), nil}}}},
		{map[int]string{1: "a"}, map[any]any{int64(1): "a"}},
		{map[string]Ref{"a": "k"}, map[string]any{"a": Ref("k")}},
		{time.Unix(1, 0).UTC(), time.Unix(1, 0).UTC()},
		{map[string]Value{"v": MustOf([]int32{1})}, map[string]any{"v": []int32{1}}},
	} {
		if got := as[any](t, moved(t, MustOf(c.x))); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%#v became %#v, want %#v", c.x, got, c.want)
		}
	}
	if got := as[any](t, MustOf(point{1, 2, ""})); got != (point{1, 2, ""}) {
		t.Errorf("a live value changed: %#v", got)
	}
}

func TestNested(t *testing.T) {
	h := holder{
		V: MustOf([]float64{1, 2}), Vs: []Value{MustOf(1), {}, MustOf("t"), MustOf([]byte("b")), MustOf(Ref("r"))},
		R: "k", Rs: []Ref{"a", "\xff"}, ByID: map[string]Ref{"x": "y"}, VM: map[string]Value{"n": {}, "p": MustOf(point{1, 2, ""})},
		Any: map[int]any{1: Ref("in any")},
	}
	got := as[holder](t, moved(t, MustOf(h)))
	sameWire(t, List(h.Vs), List(got.Vs))
	sameWire(t, h.VM["p"], got.VM["p"])
	if got.R != h.R || !reflect.DeepEqual(got.Rs, h.Rs) || !reflect.DeepEqual(got.ByID, h.ByID) {
		t.Errorf("references changed: %+v", got)
	}
	if got.VP != nil || !got.VM["n"].IsNull() || !got.Vs[1].IsNull() || got.Vs[4].Kind() != Reference {
		t.Errorf("nulls or kinds changed: %+v", got)
	}
	if want := map[any]any{int64(1): Ref("in any")}; !reflect.DeepEqual(got.Any, want) {
		t.Errorf("any holds %#v, want %#v", got.Any, want)
	}

	kept := as[map[string]Value](t, moved(t, MustOf(map[string]Value{"v": h.V})))
	sameWire(t, h.V, kept["v"])

	// A typed array in a Value fits a field of numbers, and no field of bytes.
	type numeric struct{ V []float64 }
	if n := as[numeric](t, moved(t, MustOf(h))); !reflect.DeepEqual(n.V, []float64{1, 2}) {
		t.Errorf("got %v", n.V)
	}
	if _, err := As[struct{ V []byte }](moved(t, MustOf(h))); !fault.Is(err, fault.WrongType) {
		t.Errorf("floats became bytes: %v", err)
	}
	if _, err := As[struct{ R string }](moved(t, MustOf(h))); !fault.Is(err, fault.WrongType) {
		t.Errorf("a reference became text: %v", err)
	}
}

func TestWrongType(t *testing.T) {
	for name, err := range map[string]error{
		"text as int":          second(As[int](MustOf("1"))),
		"float as int":         second(As[int](MustOf(1.5))),
		"int as text":          second(As[string](MustOf(1))),
		"int as bool":          second(As[bool](MustOf(1))),
		"bytes as text":        second(As[string](MustOf([]byte("a")))),
		"negative as uint":     second(As[uint](MustOf(-1))),
		"too large":            second(As[int8](MustOf(128))),
		"null as int":          second(As[int](Value{})),
		"null as struct":       second(As[point](Value{})),
		"list as int":          second(As[int](MustOf([]int{1}))),
		"list of texts as int": second(As[[]int](List([]Value{MustOf("a")}))),
		"list as map":          second(As[map[string]any](MustOf([]int{1}))),
		"map as list":          second(As[[]any](MustOf(map[string]int{}))),
		"ref as text":          second(As[string](MustOf(Ref("a")))),
		"ref as bytes":         second(As[[]byte](moved(t, MustOf(Ref("a"))))),
		"bytes as longer":      second(As[[4]byte](MustOf([]byte{1}))),
		"into no pointer":      MustOf(1).Into(3),
		"into nil":             MustOf(1).Into((*int)(nil)),
		"into nil any":         MustOf(1).Into((*any)(nil)),
		"into nothing":         MustOf(1).Into(nil),
		"floats as ints":       second(As[[]int](MustOf([]float64{1.5}))),
		"floats as texts":      second(As[[]string](MustOf([]float64{1.5}))),
		"narrow":               second(As[[]int8](MustOf([]int{128}))),
		"func in any":          second(MustOf([]any{func() {}}).Wire()),
	} {
		if !fault.Is(err, fault.WrongType) {
			t.Errorf("%s: got %v, want wrong_type", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestNilContainers(t *testing.T) {
	v := moved(t, MustOf([]float64(nil)))
	if v.IsNull() || as[[]float64](t, v) == nil || len(as[[]string](t, v)) != 0 {
		t.Error("a nil slice is to be an empty list")
	}
	if m := as[map[string]int](t, moved(t, MustOf(map[string]int(nil)))); m == nil || len(m) != 0 {
		t.Error("a nil map is to be an empty map")
	}
	if as[[]int](t, MustOf([]int(nil))) != nil {
		t.Error("a live nil slice is to be handed over")
	}
	got := as[path](t, moved(t, MustOf(path{})))
	if got.Raw == nil || got.Tags == nil || got.Next != nil {
		t.Errorf("nil fields: %+v", got)
	}
}

func TestElements(t *testing.T) {
	for name, x := range map[string]any{
		"ints": []int{1, -2, 300}, "floats": []float64{1, 2.5}, "int16": []int16{-1, 500}, "texts": []string{"a", ""},
		"structs": []point{{1, 2, ""}, {}}, "arrays": [2]int{4, 5}, "bytes": [][]byte{{1}, {}}, "anys": []any{1, nil, "s", Ref("r"), []int{1}},
		"list": List([]Value{MustOf(1), MustOf("a"), {}}), "empty": []int{}, "named": []celsius{1.5}, "refs": []Ref{"a"},
		"uuids": []uuid.UUID{{1}, {2}},
	} {
		t.Run(name, func(t *testing.T) {
			live, err := MustOf(x).Elements()
			if err != nil {
				t.Fatal(err)
			}
			far, err := moved(t, MustOf(x)).Elements()
			if err != nil {
				t.Fatal(err)
			}
			if len(live) != len(far) {
				t.Fatalf("%d elements live, %d moved", len(live), len(far))
			}
			for i := range live {
				a, err1 := live[i].JSON()
				b, err2 := far[i].JSON()
				if err1 != nil || err2 != nil || !bytes.Equal(a, b) {
					t.Errorf("element %d is %s live, %s moved", i, a, b)
				}
			}
		})
	}
	for _, x := range []any{1, "text", []byte("bytes"), map[string]int{}, point{}, uuid.UUID{}, Ref("r")} {
		if _, err := MustOf(x).Elements(); !fault.Is(err, fault.WrongType) {
			t.Errorf("elements of %#v: %v", x, err)
		}
		if _, err := moved(t, MustOf(x)).Elements(); !fault.Is(err, fault.WrongType) {
			t.Errorf("elements of moved %#v: %v", x, err)
		}
	}
	if vs, err := (Value{}).Elements(); vs != nil || err != nil {
		t.Error("null is the empty list")
	}
}

func TestPayloadsDoNotAliasTheirNeighbours(t *testing.T) {
	buf := []byte{1, 2, 3, 4}
	v, err := FromPayload(Bytes, buf[:2])
	if err != nil {
		t.Fatal(err)
	}
	_ = append(as[[]byte](t, v), 9)
	_ = append(as[[]byte](t, MustOf(buf[:2])), 9)
	if buf[2] != 3 {
		t.Error("appending to an argument wrote over what follows it")
	}
}

func TestUnknownKindAndEmpty(t *testing.T) {
	if _, err := Parse(nil); !fault.Is(err, fault.InvalidArgument) {
		t.Errorf("empty: %v", err)
	}
	if _, err := Parse([]byte{9}); !fault.Is(err, fault.Unsupported) {
		t.Errorf("kind 9: %v", err)
	}
	if Kind(9).String() != "unknown kind" {
		t.Error("a name for an unknown kind")
	}
	for k := range 5 {
		v, err := Parse([]byte{byte(k)})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = As[any](v)
		_, _ = v.JSON()
		_, _ = v.Elements()
	}
}

func TestSize(t *testing.T) {
	for _, x := range []any{
		[]float64{1, 2, 3}, make([]int32, 1000), "text", []byte("bytes"), Ref("key"), nil, strings.Split(strings.Repeat("word ", 500), " "),
		map[string]int{"a": 1}, []point{{1, 2, "l"}}, List([]Value{MustOf("aaaa"), MustOf(1)}), 7, true, &point{}, [4]byte{},
	} {
		v := MustOf(x)
		m, err := v.Measure()
		if err != nil {
			t.Fatal(err)
		}
		_, payload, err := v.Payload()
		if err != nil {
			t.Fatal(err)
		}
		if m.Size() != len(payload) {
			t.Errorf("%#v: measured %d, is %d", x, m.Size(), len(payload))
		}
		if est := v.Size(); est < len(payload)/4 || est > 4*len(payload)+64 {
			t.Errorf("%T: estimated %d, is %d", x, est, len(payload))
		}
	}
}

// The bytes on the wire and in the store, which no release may change.
func TestWireBytes(t *testing.T) {
	for _, c := range []struct {
		x    any
		want string
	}{
		{nil, "00"},
		{[]byte{1, 2}, "010102"},
		{"aé", "0261c3a9"},
		{Ref("k"), "046b"},
		{42, "03182a"},
		{-1, "0320"},
		{1.0, "03f93c00"},
		{0.1, "03fb3fb999999999999a"},
		{true, "03f5"},
		{[]float64{1}, "03d85648000000000000f03f"},
		{[]string{"b", "a"}, "0382616261" + "61"},
		{map[string]int{"bb": 1, "a": 2, "c": 3}, "03a361610261630362626201"},
		{point{1, 2, ""}, "03a26158f93c006159f94000"},
		{[]Ref{"k"}, "0381da0053514c416b"},
		{List([]Value{{}, MustOf([]byte{1}), MustOf("t"), MustOf(Ref("k")), MustOf(1)}), "0385f641016174da0053514c416b01"},
		{time.Unix(0, 0).UTC(), "03c074313937302d30312d30315430303a30303a30305a"},
		{uuid.UUID{1}, "0101000000000000000000000000000000"},
	} {
		w, err := MustOf(c.x).Wire()
		if got := hex.EncodeToString(w); err != nil || got != c.want {
			t.Errorf("%#v: got %s (%v), want %s", c.x, got, err, c.want)
		}
	}
}

func TestNullInAList(t *testing.T) {
	both(t, List([]Value{MustOf(1), {}}), func(t *testing.T, v Value) {
		if got := as[[]int](t, v); !reflect.DeepEqual(got, []int{1, 0}) {
			t.Error(got)
		}
	})
}

// An estimate must end, and soon, whatever the value.
func TestSizeOfCycle(t *testing.T) {
	var xs []any
	for range 8 {
		xs = append(xs, &xs)
	}
	if n := MustOf(xs).Size(); n <= 0 {
		t.Error(n)
	}
}
