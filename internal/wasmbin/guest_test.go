package wasmbin

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/tetratelabs/wazero"
)

// kernels of testdata/guest with the sizes at which the tests run them.
var kernels = map[string]uint64{
	"sorting": 2000, "maps": 3000, "goroutines": 500, "panics": 500, "closures": 1000, "floats": 2000, "recursion": 16,
	"collector": 500, "hash": 10_000, "matrix": 24, "loop": 100_000,
}

// TestGoGuest runs every kernel unmetered, and metered with a tick at every check, and compares; then it ends a guest
// that spins, twice.
func TestGoGuest(t *testing.T) {
	plain := newEngine(t, wazero.NewRuntimeConfig()).start(t, guest(t))
	o := testOptions
	o.Every = 1
	e := newEngine(t, wazero.NewRuntimeConfig())
	ticking := e.start(t, metered(t, guest(t), o))
	for _, name := range slices.Sorted(maps.Keys(kernels)) {
		n, before := kernels[name], e.ticks
		if got, want := call(t, ticking, name, 42, n), call(t, plain, name, 42, n); got != want {
			t.Errorf("%s(42, %d) gives %d metered and %d unmetered", name, n, got, want)
		}
		if e.ticks == before {
			t.Errorf("%s did not tick", name)
		}
	}
	for range 2 {
		e.stopAfter = e.ticks + 1000
		if _, err := ticking.ExportedFunction("spin").Call(t.Context()); !errors.Is(err, errStopped) {
			t.Fatalf("spin ended with %v", err)
		}
	}
}
