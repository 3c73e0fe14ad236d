package wasm

import (
	"testing"

	"github.com/squall-faas/squall/internal/wasmbin"
)

// TestOffered holds the imports that a module is admitted with against what the engine provides.
func TestOffered(t *testing.T) {
	r, err := New(t.Context(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	n := 0
	for _, module := range []string{hostModule, "wasi_snapshot_preview1"} {
		for name, d := range r.engine.Module(module).ExportedFunctionDefinitions() {
			sig, ok := wasmbin.Offered(module, name)
			if name == tickName && module == hostModule { // the meter's own
				if ok {
					t.Errorf("%s.%s may be imported", module, name)
				}
				continue
			}
			if n++; !ok || sig != signature(d) {
				t.Errorf("%s.%s is %s, and modules are admitted with %q", module, name, signature(d), sig)
			}
		}
	}
	if n != wasmbin.OfferedCount() {
		t.Errorf("%d functions are offered, and %d provided", wasmbin.OfferedCount(), n)
	}
}
