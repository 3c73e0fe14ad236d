package wasm_test

import (
	"testing"

	"github.com/squall-faas/squall/executor/runtime"
	"github.com/squall-faas/squall/executor/runtime/runtimetest"
	"github.com/squall-faas/squall/executor/runtime/wasm"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/value"
)

type point struct {
	X, Y float64
	Name string
	Tags []string
}

// BenchmarkHop is a call of a Go guest and back: the argument is encoded and the result parsed, as between two nodes
// of a DAG of which one is WebAssembly.
func BenchmarkHop(b *testing.B) {
	f := loadSuite(b, newRuntime(b, wasm.Config{}))
	wire := func(x any) value.Value { // as it comes from another node: encoded
		w, err := value.MustOf(x).Wire()
		if err != nil {
			b.Fatal(err)
		}
		v, err := value.Parse(w)
		if err != nil {
			b.Fatal(err)
		}
		return v
	}
	for _, bc := range []struct {
		name, function string
		args           []value.Value
	}{
		{"scalars", "add", []value.Value{value.MustOf(20), value.MustOf(22)}},
		{"text", "upper", []value.Value{value.MustOf("hello")}},
		{"bytes64", "echo", []value.Value{value.MustOf(make([]byte, 64))}},
		{"bytes64K", "echo", []value.Value{value.MustOf(make([]byte, 64<<10))}},
		{"bytes1M", "echo", []value.Value{value.MustOf(make([]byte, 1<<20))}},
		{"struct", "move", []value.Value{value.MustOf(point{1, 2, "p", []string{"a", "b"}}), value.MustOf(0.5)}},
		{"structWire", "move", []value.Value{wire(point{1, 2, "p", []string{"a", "b"}}), wire(0.5)}},
		{"get", "lookup", []value.Value{value.MustOf("k")}},
	} {
		b.Run(bc.name, func(b *testing.B) {
			c := runtimetest.NewContext(b.Context())
			if err := c.PutValue("k", wire(7), fn.PutOptions{}); err != nil {
				b.Fatal(err)
			}
			g := named{f, value.MustOf(bc.function)}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := g.Invoke(c, bc.args); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkInstantiate is the first call on a new instance: nothing is kept idle.
func BenchmarkInstantiate(b *testing.B) {
	f := loadSuite(b, newRuntime(b, wasm.Config{MaxIdle: -1}))
	g := named{f, value.MustOf("add")}
	c := runtimetest.NewContext(b.Context())
	args := []value.Value{value.MustOf(1), value.MustOf(2)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := g.Invoke(c, args); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLoad is what a module costs before its first call: compiled, or read from the cache on disk.
func BenchmarkLoad(b *testing.B) {
	module := suiteModule(b)
	load := func(b *testing.B, cfg wasm.Config) {
		r, err := wasm.New(b.Context(), cfg)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.Load(b.Context(), runtime.Spec{Name: "suite"}, module); err != nil {
			b.Fatal(err)
		}
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("compiled", func(b *testing.B) {
		for b.Loop() {
			load(b, wasm.Config{})
		}
	})
	b.Run("cached", func(b *testing.B) {
		cfg := wasm.Config{CacheDir: b.TempDir()}
		load(b, cfg)
		for b.Loop() {
			load(b, cfg)
		}
	})
}
