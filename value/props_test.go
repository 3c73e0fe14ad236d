package value

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func mustMove(t *rapid.T, v Value) Value {
	w, err := v.Wire()
	if err != nil {
		t.Fatal(err)
	}
	out, err := Parse(w)
	if err != nil {
		t.Fatal(err)
	}
	again, err := out.Wire()
	if err != nil || !bytes.Equal(w, again) {
		t.Fatalf("%x is written as %x (%v) the second time", w, again, err)
	}
	return out
}

// roundTrip holds that a T comes back as it was: live, encoded, and, for what JSON can say, as JSON.
func roundTrip[T any](gen *rapid.Generator[T], viaJSON bool) func(*testing.T) {
	return func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			want := gen.Draw(t, "x")
			v, err := Of(want)
			if err != nil {
				t.Fatal(err)
			}
			far := mustMove(t, v)
			copies := []Value{v, far, List([]Value{v}).first(t), mustMove(t, List([]Value{far})).first(t)}
			if viaJSON {
				doc, err := v.JSON()
				if err != nil {
					t.Fatal(err)
				}
				back, err := FromJSON(doc)
				if err != nil {
					t.Fatalf("%s: %v", doc, err)
				}
				copies = append(copies, back)
			}
			for i, c := range copies {
				got, err := As[T](c)
				if err != nil {
					t.Fatalf("copy %d: %v", i, err)
				}
				if !alike(reflect.ValueOf(&got).Elem(), reflect.ValueOf(&want).Elem()) {
					t.Fatalf("copy %d: got %#v, want %#v", i, got, want)
				}
			}
		})
	}
}

func (v Value) first(t *rapid.T) Value {
	vs, err := v.Elements()
	if err != nil || len(vs) != 1 {
		t.Fatalf("%d elements, %v", len(vs), err)
	}
	return vs[0]
}

// alike is reflect.DeepEqual, but a nil slice or map is an empty one.
func alike(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Slice:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !alike(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Map:
		if a.Len() != b.Len() {
			return false
		}
		for _, k := range a.MapKeys() {
			if !b.MapIndex(k).IsValid() || !alike(a.MapIndex(k), b.MapIndex(k)) {
				return false
			}
		}
		return true
	case reflect.Struct:
		for i := range a.NumField() {
			if !alike(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

type record struct {
	Name   string             `json:"name"`
	N      int                `json:"n"`
	U      uint64             `json:"u,omitempty"`
	F      float64            `json:"f"`
	Ok     bool               `json:"ok"`
	Vec    []float64          `json:"vec"`
	Small  []int16            `json:"small"`
	Raw    []byte             `json:"raw"`
	Ref    Ref                `json:"ref"`
	ByName map[string][]int32 `json:"by_name"`
	Parts  []part             `json:"parts"`
}

type part struct {
	ID   int32
	Text string
}

func records() *rapid.Generator[record] {
	return rapid.Custom(func(t *rapid.T) record {
		return record{
			Name: rapid.String().Draw(t, "name"), N: rapid.Int().Draw(t, "n"), U: rapid.Uint64().Draw(t, "u"),
			F: rapid.Float64Range(-1e300, 1e300).Draw(t, "f"), Ok: rapid.Bool().Draw(t, "ok"),
			Vec: rapid.SliceOf(rapid.Float64Range(-1, 1)).Draw(t, "vec"), Small: rapid.SliceOf(rapid.Int16()).Draw(t, "small"),
			Raw: rapid.SliceOf(rapid.Byte()).Draw(t, "raw"), Ref: Ref(rapid.String().Draw(t, "ref")),
			ByName: rapid.MapOf(rapid.String(), rapid.SliceOf(rapid.Int32())).Draw(t, "by name"),
			Parts:  rapid.SliceOf(rapid.Make[part]()).Draw(t, "parts"),
		}
	})
}

func TestRoundTrips(t *testing.T) {
	finite := rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64)
	t.Run("int", roundTrip(rapid.Int(), true))
	t.Run("int64", roundTrip(rapid.Int64(), true))
	t.Run("int32", roundTrip(rapid.Int32(), true))
	t.Run("int16", roundTrip(rapid.Int16(), true))
	t.Run("int8", roundTrip(rapid.Int8(), true))
	t.Run("uint", roundTrip(rapid.Uint(), true))
	t.Run("uint64", roundTrip(rapid.Uint64(), true))
	t.Run("uint8", roundTrip(rapid.Uint8(), true))
	t.Run("bool", roundTrip(rapid.Bool(), true))
	t.Run("float64", roundTrip(finite, true))
	t.Run("float32", roundTrip(rapid.Float32Range(-math.MaxFloat32, math.MaxFloat32), true))
	t.Run("string", roundTrip(rapid.String(), true))
	t.Run("any string", roundTrip(rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }), false))
	t.Run("bytes", roundTrip(rapid.SliceOf(rapid.Byte()), true))
	t.Run("ref", roundTrip(rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) Ref { return Ref(b) }), true))
	t.Run("[]float64", roundTrip(rapid.SliceOf(finite), true))
	t.Run("[]float32", roundTrip(rapid.SliceOf(rapid.Float32Range(-1e30, 1e30)), true))
	t.Run("[]int", roundTrip(rapid.SliceOf(rapid.Int()), true))
	t.Run("[]int64", roundTrip(rapid.SliceOf(rapid.Int64()), true))
	t.Run("[]int32", roundTrip(rapid.SliceOf(rapid.Int32()), true))
	t.Run("[]int16", roundTrip(rapid.SliceOf(rapid.Int16()), true))
	t.Run("[]int8", roundTrip(rapid.SliceOf(rapid.Int8()), true))
	t.Run("[]uint", roundTrip(rapid.SliceOf(rapid.Uint()), true))
	t.Run("[]uint64", roundTrip(rapid.SliceOf(rapid.Uint64()), true))
	t.Run("[]uint32", roundTrip(rapid.SliceOf(rapid.Uint32()), true))
	t.Run("[]uint16", roundTrip(rapid.SliceOf(rapid.Uint16()), true))
	t.Run("[]bool", roundTrip(rapid.SliceOf(rapid.Bool()), true))
	t.Run("[]string", roundTrip(rapid.SliceOf(rapid.String()), true))
	t.Run("[][]byte", roundTrip(rapid.SliceOf(rapid.SliceOf(rapid.Byte())), true))
	t.Run("[][]float64", roundTrip(rapid.SliceOf(rapid.SliceOf(finite)), true))
	t.Run("map[string]int", roundTrip(rapid.MapOf(rapid.String(), rapid.Int()), true))
	t.Run("map[int]string", roundTrip(rapid.MapOf(rapid.Int(), rapid.String()), false))
	t.Run("map[string][]float64", roundTrip(rapid.MapOf(rapid.String(), rapid.SliceOf(finite)), true))
	t.Run("struct", roundTrip(records(), true))
	t.Run("pointer", roundTrip(rapid.Ptr(records(), true), true))
	t.Run("[]struct", roundTrip(rapid.SliceOfN(records(), 0, 4), true))
}

// The scalars written here are to be the bytes that the general codec writes.
func TestScalarsAsGeneralCodec(t *testing.T) {
	check := func(t interface{ Fatalf(string, ...any) }, x any) {
		got, ok := appendScalar(nil, x)
		want, err := enc().Marshal(x)
		if !ok || err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%T %v: got %x, want %x (%v)", x, x, got, want, err)
		}
	}
	for _, f := range []float64{
		0, math.Copysign(0, -1), 1, -1, 65504, 65505, 65536, math.Inf(1), math.Inf(-1), math.NaN(), math.SmallestNonzeroFloat64,
		math.SmallestNonzeroFloat32, 0x1p-24, 0x1p-25, 0x1.8p-24, 0x1p-14, 0x1.ffcp-15, 0x1.ffep-15, 100000, 3.4028234663852886e+38, 1.1,
	} {
		check(t, f)
		check(t, float32(f))
	}
	for half := range 1 << 16 { // all of them
		f := fromHalf(uint16(half))
		b := appendFloat(nil, f)
		if f == f && (len(b) != 3 || b[1] != byte(half>>8) || b[2] != byte(half)) {
			t.Fatalf("binary16 %04x, which is %v, is written as %x", half, f, b)
		}
		var want float64
		if err := dec().Unmarshal([]byte{itemFloat16, byte(half >> 8), byte(half)}, &want); err != nil || want != f && f == f {
			t.Fatalf("binary16 %04x is read as %v, the general codec has %v (%v)", half, f, want, err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		check(t, rapid.Int64().Draw(t, "int64"))
		check(t, rapid.Uint64().Draw(t, "uint64"))
		check(t, rapid.Int().Draw(t, "int"))
		check(t, rapid.Int16().Draw(t, "int16"))
		check(t, math.Float64frombits(rapid.Uint64().Draw(t, "bits")))
		check(t, math.Float32frombits(rapid.Uint32().Draw(t, "bits32")))
		check(t, rapid.Bool().Draw(t, "bool"))
	})
}

// scanScalar is to give what the general codec gives, for any target.
func TestScanAsGeneralCodec(t *testing.T) {
	targets := []func() any{
		func() any { return new(int) }, func() any { return new(int64) }, func() any { return new(int32) }, func() any { return new(uint64) },
		func() any { return new(uint32) }, func() any { return new(bool) }, func() any { return new(float64) },
	}
	check := func(t rapid.TB, b []byte) {
		for _, target := range targets {
			got, want := target(), target()
			if scanScalar(b, got) {
				if err := dec().Unmarshal(b, want); err != nil || !reflect.DeepEqual(got, want) {
					t.Fatalf("%x into %T: got %v, want %v (%v)", b, got, reflect.ValueOf(got).Elem(), reflect.ValueOf(want).Elem(), err)
				}
			}
		}
	}
	for _, n := range []uint64{1<<53 - 1, 1 << 53, 1<<53 + 1, 1<<63 - 1, 1 << 63, math.MaxUint64} { // where a float64 rounds
		check(t, appendHead(nil, 0, n))
		check(t, appendHead(nil, 1, n))
	}
	rapid.Check(t, func(t *rapid.T) {
		b := appendHead(nil, rapid.SampledFrom([]byte{0, 1}).Draw(t, "major"), rapid.Uint64().Draw(t, "n"))
		if rapid.Bool().Draw(t, "float") {
			b = appendFloat(nil, rapid.Float64().Draw(t, "f"))
		}
		check(t, b)
	})
}

func TestElementsEqualTheLoop(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		xs := rapid.SliceOf(rapid.Float64()).Draw(t, "xs")
		v := MustOf(xs)
		for _, v := range []Value{v, mustMove(t, v)} {
			vs, err := v.Elements()
			if err != nil || len(vs) != len(xs) {
				t.Fatalf("%d elements of %d: %v", len(vs), len(xs), err)
			}
			for i, e := range vs {
				if got, err := As[float64](e); err != nil || got != xs[i] {
					t.Fatalf("element %d is %v (%v), want %v", i, got, err, xs[i])
				}
			}
			back, err := As[[]float64](mustMove(t, List(vs)))
			if err != nil || !slices.Equal(back, xs) {
				t.Fatalf("put together again: %v (%v)", back, err)
			}
		}
	})
}

// Equal values have equal bytes, however a map came about, and whether a value was live or not.
func TestDeterminism(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.MapOf(rapid.String(), rapid.Int()).Draw(t, "m")
		keys := slices.Collect(maps.Keys(m))
		other := make(map[string]int)
		for _, k := range rapid.Permutation(keys).Draw(t, "order") {
			other[k] = m[k]
		}
		a, err1 := MustOf(m).Wire()
		b, err2 := mustMove(t, MustOf(other)).Wire()
		if err1 != nil || err2 != nil || !bytes.Equal(a, b) {
			t.Fatalf("%x and %x", a, b)
		}
		doc, err := MustOf(m).JSON()
		if err != nil {
			t.Fatal(err)
		}
		j, err := FromJSON(doc)
		if err != nil {
			t.Fatal(err)
		}
		if c, err := j.Wire(); err != nil || !bytes.Equal(a, c) {
			t.Fatalf("%x from Go, %x from JSON (%v)", a, c, err)
		}
	})
}

// JSON of nested anys, with the objects that stand for other things among the keys.
func TestJSONRoundTrip(t *testing.T) {
	key := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{keyBytes, keyRef, keyRef64, keyMap}))
	var node func(depth int) *rapid.Generator[any]
	node = func(depth int) *rapid.Generator[any] {
		leaves := []*rapid.Generator[any]{
			rapid.Just[any](nil), rapid.Bool().AsAny(), rapid.Int64().AsAny(), rapid.Uint64().AsAny(), rapid.String().AsAny(),
			rapid.Float64Range(-1e308, 1e308).AsAny(), rapid.SliceOf(rapid.Byte()).AsAny(), rapid.Map(key, func(s string) any { return Ref(s) }),
		}
		if depth == 0 {
			return rapid.OneOf(leaves...)
		}
		return rapid.OneOf(append(leaves, rapid.SliceOfN(rapid.Deferred(func() *rapid.Generator[any] { return node(depth - 1) }), 0, 4).AsAny(),
			rapid.MapOfN(key, rapid.Deferred(func() *rapid.Generator[any] { return node(depth - 1) }), 0, 3).AsAny())...)
	}
	rapid.Check(t, func(t *rapid.T) {
		v := MustOf(node(4).Draw(t, "x"))
		doc, err := v.JSON()
		if err != nil {
			t.Fatal(err)
		}
		back, err := FromJSON(doc)
		if err != nil {
			t.Fatalf("%s: %v", doc, err)
		}
		a, err1 := v.Wire()
		b, err2 := back.Wire()
		if err1 != nil || err2 != nil || !bytes.Equal(a, b) {
			t.Fatalf("%s: %x became %x", doc, a, b)
		}
	})
}

func TestNeverPanics(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOf(rapid.Byte()).Draw(t, "b")
		v, err := Parse(b)
		if err != nil {
			return
		}
		tryAll(v)
	})
}

// tryAll decodes v into everything; what matters is that it returns.
func tryAll(v Value) (worked int) {
	for _, err := range []error{
		second(As[any](v)), second(As[int](v)), second(As[uint8](v)), second(As[float64](v)), second(As[bool](v)), second(As[string](v)),
		second(As[[]byte](v)), second(As[Ref](v)), second(As[[]float64](v)), second(As[[]int](v)), second(As[[]int16](v)), second(As[[]string](v)),
		second(As[[][]float64](v)), second(As[map[string]any](v)), second(As[[]any](v)), second(As[map[int]string](v)), second(As[[]Value](v)),
		second(As[map[string]Value](v)), second(As[path](v)), second(As[holder](v)), second(As[*record](v)), second(As[[3]float32](v)),
		second(As[[]celsius](v)), second(v.Elements()), second(v.JSON()), second(v.Wire()), second(v.Measure()),
	} {
		if err == nil {
			worked++
		} else {
			_ = fmt.Sprint(err)
		}
	}
	_ = v.Size()
	return worked
}
