package wasm_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/squall-faas/squall/executor/runtime"
	"github.com/squall-faas/squall/executor/runtime/runtimetest"
	"github.com/squall-faas/squall/executor/runtime/wasm"
	"github.com/squall-faas/squall/fault"
)

// null is a hand-made module whose function gives null, and takes pages of memory.
func null(pages byte) []byte {
	return handmade{invoke: []byte{0x42, 2}, pages: pages}.bytes()
}

func loadModule(t *testing.T, r *wasm.Runtime, module []byte) runtime.Callable {
	t.Helper()
	f, err := r.Load(t.Context(), runtime.Spec{Name: "f"}, module)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func wantIdle(t *testing.T, r *wasm.Runtime, n int, bytes uint64) {
	t.Helper()
	if gotN, gotBytes := r.Idle(); gotN != n || gotBytes != bytes {
		t.Errorf("%d instances of %d bytes are idle, want %d of %d", gotN, gotBytes, n, bytes)
	}
}

func TestIdleInstancesAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := wasm.New(t.Context(), wasm.Config{IdleTime: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		f := loadModule(t, r, null(1))
		c := runtimetest.NewContext(t.Context())
		for range 3 {
			if _, err := f.Invoke(c, nil); err != nil {
				t.Fatal(err)
			}
		}
		wantIdle(t, r, 1, 64<<10)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		wantIdle(t, r, 0, 0)
		if _, err := f.Invoke(c, nil); err != nil {
			t.Error(err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		wantIdle(t, r, 0, 0)
	})
}

func TestIdleInstancesAreBounded(t *testing.T) {
	r := newRuntime(t, wasm.Config{MaxIdle: 2, MaxIdleBytes: 64 << 20})
	c := runtimetest.NewContext(t.Context())
	for pages := range byte(5) { // five functions: the longest idle goes first
		if _, err := loadModule(t, r, null(1+pages)).Invoke(c, nil); err != nil {
			t.Fatal(err)
		}
	}
	wantIdle(t, r, 2, (4+5)*64<<10)

	tight := newRuntime(t, wasm.Config{MaxIdleBytes: 4 << 20})
	for range 2 {
		if _, err := loadModule(t, tight, null(17)).Invoke(c, nil); err != nil { // over a quarter of the bound
			t.Fatal(err)
		}
	}
	wantIdle(t, tight, 0, 0)

	none := newRuntime(t, wasm.Config{MaxIdle: -1})
	f := loadModule(t, none, null(1))
	for range 2 {
		if _, err := f.Invoke(c, nil); err != nil {
			t.Fatal(err)
		}
	}
	wantIdle(t, none, 0, 0)
}

func TestClosedFunction(t *testing.T) {
	r := newRuntime(t, wasm.Config{})
	f, other := loadModule(t, r, null(1)), loadModule(t, r, null(1)) // the same code, loaded twice
	c := runtimetest.NewContext(t.Context())
	for range 2 {
		if _, err := f.Invoke(c, nil); err != nil {
			t.Fatal(err)
		}
	}
	wantIdle(t, r, 1, 64<<10)
	for range 2 {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	wantIdle(t, r, 0, 0)
	if _, err := f.Invoke(c, nil); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a closed function gives %v", err)
	}
	if _, err := other.Invoke(c, nil); err != nil {
		t.Errorf("the same code loaded apart gives %v", err)
	}
}
