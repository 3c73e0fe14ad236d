package wasmbin

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

var testOptions = Options{TickModule: "squall", TickName: "tick", Counter: "squall_units", MaxPages: 4096}

var errStopped = errors.New("stopped by the tick")

// engine runs modules the way an executor does.
type engine struct {
	wazero.Runtime
	ticks int64
	// stopAfter is the number of ticks after which the guest is stopped; 0 lets it run.
	stopAfter int64
	// onTick, where set, is called in every tick.
	onTick func()
}

const allFeatures = api.CoreFeaturesV2 | experimental.CoreFeaturesTailCall | experimental.CoreFeaturesExtendedConst

func newEngine(t testing.TB, config wazero.RuntimeConfig) *engine {
	t.Helper()
	ctx := t.Context()
	e := &engine{Runtime: wazero.NewRuntimeWithConfig(ctx, config.WithCoreFeatures(allFeatures))}
	t.Cleanup(func() { _ = e.Close(context.WithoutCancel(ctx)) })
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, e.Runtime); err != nil {
		t.Fatal(err)
	}
	tick := api.GoModuleFunc(func(context.Context, api.Module, []uint64) {
		if e.ticks++; e.ticks == e.stopAfter {
			panic(errStopped)
		}
		if e.onTick != nil {
			e.onTick()
		}
	})
	_, err := e.NewHostModuleBuilder("squall").NewFunctionBuilder().WithGoModuleFunction(tick, nil, nil).Export("tick").Instantiate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	ten := api.GoFunc(func(_ context.Context, stack []uint64) { stack[0] = 10 })
	_, err = e.NewHostModuleBuilder("env").NewFunctionBuilder().WithGoFunction(ten, nil, []api.ValueType{api.ValueTypeI32}).Export("ten").Instantiate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// start compiles and initialises a module.
func (e *engine) start(t testing.TB, wasm []byte) api.Module {
	t.Helper()
	m, err := e.instantiate(t.Context(), wasm)
	if err != nil {
		t.Fatalf("instantiate: %v", err)
	}
	return m
}

func (e *engine) instantiate(ctx context.Context, wasm []byte) (api.Module, error) {
	config := wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize").WithRandSource(rand.Reader).WithStderr(os.Stderr)
	return e.InstantiateWithConfig(ctx, wasm, config)
}

func call(t testing.TB, m api.Module, name string, args ...uint64) uint64 {
	t.Helper()
	res, err := m.ExportedFunction(name).Call(t.Context(), args...)
	if err != nil {
		t.Fatalf("%s%v: %v", name, args, err)
	}
	if len(res) == 0 {
		return 0
	}
	return res[0]
}

// goGuest builds testdata/guest once for all tests of the process.
var goGuest = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "wasmbin")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	out := filepath.Join(dir, "guest.wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", out, "./testdata/guest")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, errors.New(string(text) + err.Error())
	}
	return os.ReadFile(out)
})

func guest(t testing.TB) []byte {
	t.Helper()
	wasm, err := goGuest()
	if err != nil {
		t.Fatalf("build testdata/guest: %v", err)
	}
	return wasm
}

func metered(t testing.TB, wasm []byte, o Options) []byte {
	t.Helper()
	out, err := Meter(wasm, o)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
