package wasmbin

import (
	"errors"
	"testing"

	"github.com/tetratelabs/wazero"
)

// kernels of testdata/guest with the sizes at which the tests run them.
var kernels = map[string]uint64{
	"sorting": 2000, "maps": 3000, "goroutines": 500, "panics": 500, "closures": 1000, "floats": 2000, "recursion": 16,
	"collector": 2000, "hash": 10_000, "matrix": 24, "loop": 100_000,
}

// TestGoGuestBehavesTheSame runs every kernel unmetered and metered, the latter with a tick after every 1, 97 and
// 100,000 units, and compares.
func TestGoGuestBehavesTheSame(t *testing.T) {
	plain := guest(t)
	want := map[string]uint64{}
	m := newEngine(t, wazero.NewRuntimeConfig()).start(t, plain)
	for name, n := range kernels {
		want[name] = call(t, m, name, 42, n)
	}
	for _, every := range []uint32{1, 97, DefaultEvery} {
		o := testOptions
		o.Every = every
		e := newEngine(t, wazero.NewRuntimeConfig())
		m := e.start(t, metered(t, plain, o))
		for name, n := range kernels {
			before := e.ticks
			if got := call(t, m, name, 42, n); got != want[name] {
				t.Errorf("%s(42, %d) with a tick every %d units gives %d, unmetered %d", name, n, every, got, want[name])
			}
			if every < 100 && e.ticks == before {
				t.Errorf("%s did not tick once with a tick every %d units", name, every)
			}
		}
	}
}

// TestGoGuestIsStopped ends a goroutine that spins, in the first call and again in the same instance.
func TestGoGuestIsStopped(t *testing.T) {
	e := newEngine(t, wazero.NewRuntimeConfig())
	m := e.start(t, metered(t, guest(t), testOptions))
	for range 2 {
		e.stopAfter = e.ticks + 10
		if _, err := m.ExportedFunction("spin").Call(t.Context()); !errors.Is(err, errStopped) {
			t.Fatalf("spin ended with %v", err)
		}
	}
}
