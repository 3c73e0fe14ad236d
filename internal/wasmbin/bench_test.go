package wasmbin

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// modes are the ways to end a guest that docs/adr/0003 weighs. "none" cannot.
var modes = []struct {
	name   string
	meter  bool
	config wazero.RuntimeConfig
}{
	{"none", false, wazero.NewRuntimeConfigCompiler()},
	{"meter", true, wazero.NewRuntimeConfigCompiler()},
	{"ctxdone", false, wazero.NewRuntimeConfigCompiler().WithCloseOnContextDone(true)},
}

// BenchmarkOverhead runs kernels in each mode: those of a Go guest, and two that are assembled the way a compiler of
// C writes them. A tick is counted in ticks/op.
func BenchmarkOverhead(b *testing.B) {
	cases := []struct {
		module string
		wasm   []byte
		export string
		args   []uint64
	}{
		{"go", guest(b), "hash", []uint64{42, 1 << 16}},
		{"go", guest(b), "sorting", []uint64{42, 10_000}},
		{"go", guest(b), "maps", []uint64{42, 10_000}},
		{"go", guest(b), "matrix", []uint64{42, 64}},
		{"go", guest(b), "goroutines", []uint64{42, 1000}},
		{"go", guest(b), "recursion", []uint64{42, 20}},
		{"go", guest(b), "loop", []uint64{42, 1_000_000}},
		{"c", loopModule(), "loop", []uint64{1_000_000}},
		{"c", recursionModule(), "tree", []uint64{18}},
	}
	for _, mode := range modes {
		b.Run(mode.name, func(b *testing.B) {
			started := map[string]api.Module{}
			e := newEngine(b, mode.config)
			for _, c := range cases {
				b.Run(c.module+"/"+c.export, func(b *testing.B) {
					wasm := c.wasm
					if mode.meter {
						wasm = metered(b, wasm, testOptions)
					}
					key := c.module
					if key == "c" {
						key = c.export
					}
					if started[key] == nil {
						m, err := e.instantiate(b.Context(), wasm)
						if err != nil {
							b.Fatal(err)
						}
						started[key] = m
					}
					f := started[key].ExportedFunction(c.export)
					stack := make([]uint64, 2)
					before := e.ticks
					for b.Loop() {
						copy(stack, c.args)
						if err := f.CallWithStack(b.Context(), stack); err != nil {
							b.Fatal(err)
						}
					}
					if mode.meter {
						b.ReportMetric(float64(e.ticks-before)/float64(b.N), "ticks/op")
					}
				})
			}
		})
	}
}

// BenchmarkMeter rewrites a Go guest.
func BenchmarkMeter(b *testing.B) {
	wasm := guest(b)
	b.SetBytes(int64(len(wasm)))
	b.ReportAllocs()
	for b.Loop() {
		out, err := Meter(wasm, testOptions)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(len(out))/float64(len(wasm)), "size-ratio")
	}
}

// BenchmarkInspect parses a Go guest.
func BenchmarkInspect(b *testing.B) {
	wasm := guest(b)
	b.SetBytes(int64(len(wasm)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Inspect(wasm); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCompile compiles a Go guest in each mode, without the engine's cache.
func BenchmarkCompile(b *testing.B) {
	for _, mode := range modes {
		b.Run(mode.name, func(b *testing.B) {
			wasm := guest(b)
			if mode.meter {
				wasm = metered(b, wasm, testOptions)
			}
			for b.Loop() {
				r := wazero.NewRuntimeWithConfig(b.Context(), mode.config.WithCoreFeatures(allFeatures))
				if _, err := r.CompileModule(b.Context(), wasm); err != nil {
					b.Fatal(err)
				}
				if err := r.Close(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkTickGap reports how long modules that are made to evade the meter run between two ticks (us/tick), which is
// how late a deadline or the collector may be. A plain loop stands beside them.
func BenchmarkTickGap(b *testing.B) {
	void := typ(nil, nil)
	loop := func(turns int32, inside ...any) asm {
		return asm{
			types: [][]byte{void}, memory: cat(0, u32(4096)),
			funcs: []fn{{
				locals: vec(cat(1, I32), cat(2, I64)),
				body: cat(i32c(turns), set(0), opI64Const, 9, set(1), opI64Const, 3, set(2), opLoop, emptyBlock,
					cat(inside...), get(0), i32c(1), opI32Sub, 0x22, 0, opBrIf, 0, opEnd),
			}},
			exports: [][]byte{exportFunc("f", 0)},
		}
	}
	divide := cat(get(1), get(2), 0x7f, set(1))
	fill := cat(i32c(0), i32c(1), i32c(255<<20), prefixMisc, 11, 0)
	grow := cat(i32c(0), opMemoryGrow, 0, 0x1a)
	miss := i32c(0) // memory is all zeros: each load waits for the one before it and then goes far away
	at := uint32(1)
	for range 100_000 {
		at = at*1664525 + 1013904223
		miss = cat(miss, 0x28, 2, u32(at%(255<<20)))
	}
	miss = append(miss, 0x1a)
	for _, c := range []struct {
		name string
		asm  asm
	}{
		{"loop", loop(100_000_000)},
		{"divisions", loop(200, repeat(divide, 50_000))},
		{"cache misses", loop(20, miss)},
		{"memory.grow", loop(500, repeat(grow, 10_000))},
		{"memory.fill", loop(2, repeat(fill, 20))},
	} {
		b.Run(c.name, func(b *testing.B) {
			e := newEngine(b, wazero.NewRuntimeConfigCompiler())
			m := e.start(b, metered(b, c.asm.bytes(), testOptions))
			before := e.ticks
			for b.Loop() {
				call(b, m, "f")
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(max(1, e.ticks-before)), "us/tick")
		})
	}
}

// BenchmarkCollectorBeside collects garbage while a guest spins beside: unmetered it would never come to an end.
func BenchmarkCollectorBeside(b *testing.B) {
	e := newEngine(b, wazero.NewRuntimeConfigCompiler())
	m := e.start(b, metered(b, guest(b), testOptions))
	var stop atomic.Bool
	spinning, ended := make(chan struct{}), make(chan error)
	once := sync.OnceFunc(func() { close(spinning) })
	e.onTick = func() {
		if once(); stop.Load() {
			panic(errStopped)
		}
	}
	go func() {
		_, err := m.ExportedFunction("spin").Call(b.Context())
		ended <- err
	}()
	<-spinning
	for b.Loop() {
		runtime.GC()
	}
	stop.Store(true)
	if err := <-ended; !errors.Is(err, errStopped) {
		b.Fatal(err)
	}
}

// BenchmarkEffort compiles metered functions that are costly for their length and reports the time of one unit of
// the estimate that refuses them (effort.go).
func BenchmarkEffort(b *testing.B) {
	const blocks, loops, locals = 4000, 1000, 1000
	use := make([]byte, 0, locals*8)
	for i := range uint32(locals) {
		use = append(use, cat(opLocalGet, u32(i), i32c(1), 0x6a, opLocalSet, u32(i))...)
	}
	nested := func(n int, inside []byte) []byte {
		return cat(repeat(cat(opLoop, emptyBlock, i32c(1), opBrIf, 0), n), inside, repeat([]byte{opEnd}, n))
	}
	for _, c := range []struct {
		name string
		body []byte
		outline
	}{
		{"blocks", repeat(cat(i32c(1), opIf, emptyBlock, opEnd), blocks), outline{blocks: blocks}},
		{"ranges", repeat(cat(i32c(0), i32c(1), i32c(9), prefixMisc, 11, 0), blocks/2), outline{ranges: blocks / 2}},
		{"loops", repeat(cat(opLoop, emptyBlock, opEnd), loops), outline{loops: loops}},
		{"nested loops with locals", nested(loops/10, use), outline{loops: loops / 10, locals: locals}},
	} {
		b.Run(c.name, func(b *testing.B) {
			a := asm{types: [][]byte{typ(nil, nil)}, memory: cat(0, 1), funcs: []fn{{body: c.body}}}
			if c.locals > 0 {
				a.funcs[0].locals = vec(cat(u32(uint32(c.locals)), I32))
			}
			wasm := metered(b, a.bytes(), testOptions)
			for b.Loop() {
				r := wazero.NewRuntimeWithConfig(b.Context(), wazero.NewRuntimeConfigCompiler().WithCoreFeatures(allFeatures))
				if _, err := r.CompileModule(b.Context(), wasm); err != nil {
					b.Fatal(err)
				}
				if err := r.Close(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(c.effort()), "ns/unit")
		})
	}
}
