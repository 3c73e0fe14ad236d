package value

import (
	"bytes"
	"encoding/json"
	"testing"
)

func FuzzParse(f *testing.F) {
	for _, x := range []any{nil, 1, -1.5, true, "text", []byte("b"), Ref("k"), []float64{1}, []int{}, point{1, 2, "l"}, map[string]any{"a": []any{nil}}, List([]Value{MustOf([]int16{1})})} {
		w, err := MustOf(x).Wire()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(w)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := Parse(bytes.Clone(b))
		if err != nil {
			return
		}
		tryAll(v)
		w, err := v.Wire()
		if err != nil {
			t.Fatalf("%x was read and cannot be written: %v", b, err)
		}
		again, err := Parse(w)
		if err != nil {
			t.Fatal(err)
		}
		sameWire(t, v, again)
		if vs, err := v.Elements(); err == nil && !v.IsNull() {
			list, err := As[[]Value](List(vs))
			if err != nil || len(list) != len(vs) {
				t.Fatalf("%d elements, %d in their list: %v", len(vs), len(list), err)
			}
		}
		if x, err := As[any](v); err == nil {
			if _, err := Of(x); err != nil {
				t.Fatalf("%#v was decoded and cannot be a value: %v", x, err)
			}
		}
		if doc, err := v.JSON(); err == nil && !json.Valid(doc) {
			t.Fatalf("not JSON: %s", doc)
		}
	})
}

func FuzzFromJSON(f *testing.F) {
	for _, s := range []string{`null`, `-1`, `1.5e3`, `"a\u00e9\n"`, `[1,[true,{}]]`, `{"b":1,"a":{"$ref":"k"}}`, `{"$bytes":"aGk="}`, `{"$map":{"$ref":1}}`, `{"$ref64":"/w=="}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := FromJSON(b)
		if err != nil {
			return
		}
		if !json.Valid(b) {
			t.Fatalf("%q is not JSON and was read", b)
		}
		var x any
		if err := v.Into(&x); err != nil {
			t.Fatalf("%q gave a value that cannot be decoded: %v", b, err)
		}
		doc, err := v.JSON()
		if err != nil {
			t.Fatalf("%q cannot be written: %v", b, err)
		}
		back, err := FromJSON(doc)
		if err != nil {
			t.Fatalf("%q was written as %q: %v", b, doc, err)
		}
		sameWire(t, v, back)
	})
}
