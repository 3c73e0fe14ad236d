package wasmbin

import (
	"context"
	"fmt"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/squall-faas/squall/fault"
)

func addSeeds(f *testing.F) {
	for _, a := range constructs() {
		f.Add(a.bytes())
	}
	for _, a := range endless() {
		f.Add(a.bytes())
	}
	f.Add(whole().bytes())
	f.Add([]byte("\x00asm\x0d\x00\x01\x00"))
}

// FuzzInspect holds that whatever the bytes, Inspect gives a module or invalid_module.
func FuzzInspect(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, wasm []byte) {
		if m, err := Inspect(wasm); (m == nil) != fault.Is(err, fault.InvalidModule) {
			t.Fatalf("%v, %v", m, err)
		}
	})
}

// FuzzMeter holds that what Meter accepts and wazero compiles still compiles when it is metered, and can be inspected.
func FuzzMeter(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, wasm []byte) {
		out, err := Meter(wasm, testOptions)
		if err != nil {
			if !fault.Is(err, fault.InvalidModule) && !fault.Is(err, fault.TooLarge) {
				t.Fatal(err)
			}
			return
		}
		m, err := Inspect(out)
		if err != nil {
			t.Fatalf("what Meter gave: %v", err)
		}
		if m.Memory != nil && (!m.Memory.HasMax || m.Memory.Max > testOptions.MaxPages) {
			t.Fatalf("memory of %+v", *m.Memory)
		}
		if err := compile(t.Context(), wasm); err != nil {
			return
		}
		if err := compile(t.Context(), out); err != nil {
			t.Fatalf("the module compiles and metered it does not: %v", err)
		}
	})
}

// compile validates and lowers a module by the engine's interpreter, which is quick to set up. A panic is an error:
// the engine is not as careful with malformed modules as we are.
func compile(ctx context.Context, wasm []byte) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(allFeatures))
	defer func() { _ = r.Close(ctx) }()
	_, err = r.CompileModule(ctx, wasm)
	return err
}
