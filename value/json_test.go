package value

import (
	"encoding/json"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/squall-faas/squall/fault"
)

func TestJSON(t *testing.T) {
	for _, c := range []struct {
		x    any
		want string
	}{
		{nil, `null`},
		{true, `true`},
		{42, `42`},
		{-42, `-42`},
		{uint64(math.MaxUint64), `18446744073709551615`},
		{int64(math.MinInt64), `-9223372036854775808`},
		{1.0, `1.0`},
		{math.Copysign(0, -1), `-0.0`},
		{0.1, `0.1`},
		{1e21, `1e+21`},
		{1e-9, `1e-09`},
		{"a\"b\\c\n\x01é<", `"a\"b\\c\n\u0001é<"`},
		{"\xff", `{"$bytes":"/w=="}`},
		{[]byte("hi"), `{"$bytes":"aGk="}`},
		{Ref("k"), `{"$ref":"k"}`},
		{Ref("\xff"), `{"$ref64":"/w=="}`},
		{[]int{1, -2}, `[1,-2]`},
		{[]uint64{math.MaxUint64}, `[18446744073709551615]`},
		{[]float64{1, 0.5}, `[1.0,0.5]`},
		{[]float64{}, `[]`},
		{map[string]any{"b": 1, "aa": []any{nil, Ref("r"), []byte{1}}}, `{"aa":[null,{"$ref":"r"},{"$bytes":"AQ=="}],"b":1}`},
		{map[int]bool{10: true, -1: false}, `{"-1":false,"10":true}`},
		{point{1, 2.5, "l"}, `{"X":1.0,"Y":2.5,"label":"l"}`},
		{map[string]string{"$ref": "not one"}, `{"$map":{"$ref":"not one"}}`},
		{map[string]any{"$map": 1, "x": 2}, `{"$map":{"$map":1,"x":2}}`},
		{map[string]any{"$ref": "a", "x": 2}, `{"$ref":"a","x":2}`},
		{List([]Value{MustOf([]int{1}), {}, MustOf("s")}), `[[1],null,"s"]`},
	} {
		v := MustOf(c.x)
		got, err := v.JSON()
		if err != nil || string(got) != c.want {
			t.Errorf("%#v: got %s (%v), want %s", c.x, got, err, c.want)
			continue
		}
		back, err := FromJSON(got)
		if err != nil {
			t.Errorf("%s: %v", got, err)
			continue
		}
		if again, err := back.JSON(); err != nil || string(again) != c.want {
			t.Errorf("%s came back as %s (%v)", got, again, err)
		}
	}
	for _, c := range []struct {
		x    any
		want string
	}{ // one way only
		{time.Unix(0, 5).UTC(), `"1970-01-01T00:00:00.000000005Z"`},
		{new(big.Int).Lsh(big.NewInt(1), 70), `1180591620717411303424`},
		{new(big.Int).Lsh(big.NewInt(-1), 70), `-1180591620717411303424`},
		{new(big.Int).Lsh(big.NewInt(-1), 64), `-18446744073709551616`},
		{float32(0.5), `0.5`},
	} {
		if got, err := MustOf(c.x).JSON(); err != nil || string(got) != c.want {
			t.Errorf("%#v: got %s (%v), want %s", c.x, got, err, c.want)
		}
	}
}

func TestFromJSON(t *testing.T) {
	for _, c := range []struct {
		in   string
		want any
	}{
		{` "text" `, "text"},
		{`"\u00e9\ud83d\ude00\""`, "é😀\""},
		{`1`, 1},
		{`-0`, 0},
		{`18446744073709551615`, uint64(math.MaxUint64)},
		{`18446744073709551616`, 18446744073709551616.0},
		{`1.0`, 1.0},
		{`1e2`, 100.0},
		{`null`, nil},
		{`{"$bytes":"aGk="}`, []byte("hi")},
		{`{"\u0024bytes":"aGk="}`, []byte("hi")},
		{`{"$ref":"k"}`, Ref("k")},
		{`{"$ref64":"/w=="}`, Ref("\xff")},
		{`{ }`, map[string]any{}},
		{`[ ]`, []any{}},
		{`{"b":{"c":[1,2.5]},"aa":false,"":null}`, map[string]any{"b": map[string]any{"c": []any{1, 2.5}}, "aa": false, "": nil}},
		{`{"$map":{"$map":{"$map":{}}}}`, map[string]any{"$map": map[string]any{}}},
		{`[{"$ref":"a"},{"$ref":"b"}]`, []Ref{"a", "b"}},
	} {
		v, err := FromJSON([]byte(c.in))
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		sameWire(t, v, MustOf(c.want))
	}
	for _, in := range []string{
		``, ` `, `{`, `[1,]`, `{"a":1,}`, `01`, `nul`, `1 2`, "\"\xff\"", `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `1e999`, `-1e999`,
		`{"$bytes":1}`, `{"$bytes":"***"}`, `{"$ref":{}}`, `{"$ref64":"/w"}`, `{"$map":1}`, `{"$map":{},"a":1}`, `{"a":1,"$map":{}}`,
		strings.Repeat("[", 65) + strings.Repeat("]", 65), strings.Repeat("[", 1<<20), strings.Repeat(`{"$map":`, 65) + "{}" + strings.Repeat("}", 65),
	} {
		if v, err := FromJSON([]byte(in)); !fault.Is(err, fault.InvalidArgument) {
			t.Errorf("%.40q: got %v, %v", in, v, err)
		}
	}
	deep := strings.Repeat("[", 64) + strings.Repeat("]", 64)
	v, err := FromJSON([]byte(deep))
	if err != nil {
		t.Fatal(err)
	}
	as[any](t, v)
	as[[]any](t, v)
	if got, err := v.JSON(); err != nil || string(got) != deep {
		t.Errorf("64 levels: %v", err)
	}
}

func TestNoJSON(t *testing.T) {
	for name, x := range map[string]any{
		"NaN": math.NaN(), "Inf": math.Inf(-1), "NaN inside": map[string]any{"a": []any{math.NaN()}}, "NaN in an array": []float64{math.NaN()},
		"bool key": map[any]any{true: 1}, "same keys": map[any]any{1: 1, "1": 2}, "key that is not UTF-8": map[string]int{"\xff": 1},
	} {
		if got, err := MustOf(x).JSON(); !fault.Is(err, fault.WrongType) {
			t.Errorf("%s: got %s, %v", name, got, err)
		}
	}
}

func TestValueInsideJSON(t *testing.T) {
	type doc struct {
		Args []Value `json:"args"`
	}
	in := `{"args":[1,"a",null,{"$ref":"k"},[1.0]]}`
	var d doc
	if err := json.Unmarshal([]byte(in), &d); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(d)
	if err != nil || string(out) != in {
		t.Errorf("got %s, %v", out, err)
	}
}
