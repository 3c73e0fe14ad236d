package value

import (
	"fmt"
	"testing"
)

func BenchmarkAsLive(b *testing.B) {
	b.Run("int", func(b *testing.B) {
		b.ReportAllocs()
		v := MustOf(1 << 20)
		n := 0
		for b.Loop() {
			x, _ := As[int](v)
			n += x
		}
	})
	b.Run("struct", func(b *testing.B) {
		b.ReportAllocs()
		v := MustOf(point{1, 2, "l"})
		for b.Loop() {
			_, _ = As[point](v)
		}
	})
}

// BenchmarkHop is what a value costs between two native functions on one node.
func BenchmarkHop(b *testing.B) {
	b.Run("int", func(b *testing.B) {
		b.ReportAllocs()
		n := 1 << 20
		for b.Loop() {
			v, _ := Of(n)
			x, _ := As[int](v)
			n = x + 1
		}
	})
	b.Run("struct", func(b *testing.B) {
		b.ReportAllocs()
		p := point{1, 2, "l"}
		for b.Loop() {
			v, _ := Of(p)
			p, _ = As[point](v)
		}
	})
}

func BenchmarkCodec(b *testing.B) {
	r := record{Name: "name", N: 1, F: 1.5, Vec: []float64{1, 2, 3}, Raw: []byte("raw"), Ref: "k", ByName: map[string][]int32{"a": {1}}, Parts: []part{{1, "a"}, {2, "b"}}}
	codec[int](b, "int", 1<<20)
	codec[float64](b, "float64", 1.1)
	codec[string](b, "string", "a short text")
	codec[[]byte](b, "bytes 1 MiB", make([]byte, 1<<20))
	codec[[]float64](b, "floats 1 MiB", make([]float64, 1<<17))
	codec[[]int](b, "ints 8", []int{1, 2, 3, 4, 5, 6, 7, 8})
	codec[record](b, "struct", r)
	codec[map[string]any](b, "map", map[string]any{"a": 1, "b": "c", "d": []any{1.5, true}})
}

func codec[T any](b *testing.B, name string, x T) {
	v := MustOf(x)
	wire, err := v.Wire()
	if err != nil {
		b.Fatal(err)
	}
	b.Run("encode "+name, func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(wire)))
		buf := make([]byte, 0, len(wire)+64)
		for b.Loop() {
			_, _ = v.Append(buf)
		}
	})
	b.Run("decode "+name, func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(wire)))
		for b.Loop() {
			v, _ := Parse(wire)
			_, _ = As[T](v)
		}
	})
}

func BenchmarkUnalignedFloats(b *testing.B) {
	wire, err := MustOf(make([]float64, 1<<17)).Wire()
	if err != nil {
		b.Fatal(err)
	}
	v, err := Parse(append(make([]byte, 1, len(wire)+1), wire...)[1:])
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(wire)))
	for b.Loop() {
		_, _ = As[[]float64](v)
	}
}

func BenchmarkElements(b *testing.B) {
	for _, n := range []int{10, 10000} {
		texts := make([]string, n)
		for i := range texts {
			texts[i] = fmt.Sprint("key ", i)
		}
		for name, x := range map[string]any{"texts": texts, "floats": make([]float64, n)} {
			v := moved(b, MustOf(x))
			b.Run(fmt.Sprintf("%s %d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					_, _ = v.Elements()
				}
			})
		}
	}
}

func BenchmarkJSON(b *testing.B) {
	doc := []byte(`{"name":"cat.jpg","sizes":[[640,480],[1024,768]],"tags":{"cat":0.98,"sofa":0.4},"ok":true,"ref":{"$ref":"photos/1"}}`)
	v, err := FromJSON(doc)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(doc)))
		for b.Loop() {
			_, _ = FromJSON(doc)
		}
	})
	b.Run("write", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(doc)))
		for b.Loop() {
			_, _ = v.JSON()
		}
	})
}
