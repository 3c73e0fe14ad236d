package wasm_test

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/squall-faas/squall/executor/runtime"
	"github.com/squall-faas/squall/executor/runtime/runtimetest"
	"github.com/squall-faas/squall/executor/runtime/wasm"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/internal/gobuild"
	"github.com/squall-faas/squall/value"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// suite is the module with all functions of the conformance suite. It is built once.
var suite = sync.OnceValues(func() ([]byte, error) {
	wasm, _, err := gobuild.Build(context.Background(), "../runtimetest/testdata/suite", "", gobuild.Options{})
	return wasm, err
})

func suiteModule(t testing.TB) []byte {
	t.Helper()
	b, err := suite()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// named calls one function of the suite's module.
type named struct {
	runtime.Callable
	name value.Value
}

func (n named) Invoke(c fn.Context, args []value.Value) (value.Value, error) {
	return n.Callable.Invoke(c, append([]value.Value{n.name}, args...))
}

func newRuntime(t testing.TB, cfg wasm.Config) *wasm.Runtime {
	t.Helper()
	r, err := wasm.New(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return r
}

// contextWithin is a Context that ends after d, or when it is cancelled.
func contextWithin(t testing.TB, d time.Duration) (*runtimetest.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	return runtimetest.NewContext(ctx), cancel
}

func loadSuite(t testing.TB, r *wasm.Runtime) runtime.Callable {
	t.Helper()
	f, err := r.Load(t.Context(), runtime.Spec{Name: "suite"}, suiteModule(t))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestConformance(t *testing.T) {
	module := suiteModule(t)
	r := newRuntime(t, wasm.Config{})
	loaded := make(map[runtime.Limits]runtime.Callable)
	runtimetest.Run(t, runtimetest.Harness{
		Kind: runtime.Wasm,
		Load: func(t *testing.T, name string, limits runtime.Limits) runtime.Callable {
			f, ok := loaded[limits]
			if !ok {
				var err error
				if f, err = r.Load(t.Context(), runtime.Spec{Name: "suite", Limits: limits}, module); err != nil {
					t.Fatal(err)
				}
				loaded[limits] = f
			}
			return named{f, value.MustOf(name)}
		},
	})
}

// TestGoPackage: what gobuild makes of a func is what runs, and what its source says is what the module says.
func TestGoPackage(t *testing.T) {
	module, sig, err := gobuild.Build(t.Context(), "../../../internal/gobuild/testdata/count", "Count", gobuild.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f, err := newRuntime(t, wasm.Config{}).Load(t.Context(), runtime.Spec{Name: "count", In: sig.In, Out: sig.Out}, module)
	if err != nil {
		t.Fatal(err)
	}
	c := runtimetest.NewContext(t.Context())
	in, out, err := f.(wasm.Describer).Describe(c)
	if err != nil || !slices.Equal(in, sig.In) || out != sig.Out {
		t.Errorf("the module says %v → %s, %v; the source %v → %s", in, out, err, sig.In, sig.Out)
	}
	v, err := f.Invoke(c, []value.Value{value.MustOf("a Bee, a bee and a sea"), value.MustOf(3)})
	if err != nil {
		t.Fatal(err)
	}
	got, err := value.As[map[string]int](v)
	if err != nil || !maps.Equal(got, map[string]int{"bee,": 1, "bee": 1, "and": 1, "sea": 1}) {
		t.Errorf("counted %v, %v", got, err)
	}
}
