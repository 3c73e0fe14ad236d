package wasm_test

import (
	"encoding/binary"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/squall-faas/squall/executor/runtime"
	"github.com/squall-faas/squall/executor/runtime/runtimetest"
	"github.com/squall-faas/squall/executor/runtime/wasm"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/value"
)

// section is one section of a hand-made module.
func section(id byte, body ...byte) []byte {
	return append(binary.AppendUvarint([]byte{id}, uint64(len(body))), body...)
}

func text(s string) []byte { return append([]byte{byte(len(s))}, s...) }

// handmade is a module that keeps to the ABI, of three functions with the given bodies and pages of memory, less the
// export omitted, with imports before it.
type handmade struct {
	imports []byte // entries, each of type 0: () -> ()
	count   byte   // how many
	omit    string
	pages   byte
	start   bool   // squall_abi_1 runs when the module is instantiated
	abi     []byte // body of squall_abi_1: () -> ()
	alloc   []byte // body of squall_alloc: (i32) -> i32
	invoke  []byte // body of squall_invoke: (i32) -> i64
}

func (h handmade) bytes() []byte {
	code := func(b []byte) []byte { return append([]byte{byte(len(b) + 2), 0}, append(slices.Clone(b), 0x0b)...) }
	if h.alloc == nil {
		h.alloc = []byte{0x41, 8} // i32.const 8
	}
	if h.invoke == nil {
		h.invoke = []byte{0x42, 0} // i64.const 0
	}
	exports := [][]byte{append(text("memory"), 2, 0)}
	for i, name := range []string{"squall_abi_1", "squall_alloc", "squall_invoke"} {
		if name != h.omit {
			exports = append(exports, append(text(name), 0, h.count+byte(i)))
		}
	}
	if h.omit == "memory" {
		exports = exports[1:]
	}
	m := []byte("\x00asm\x01\x00\x00\x00")
	m = append(m, section(1, 3, 0x60, 0, 0, 0x60, 1, 0x7f, 1, 0x7f, 0x60, 1, 0x7f, 1, 0x7e)...)
	if h.count > 0 {
		m = append(m, section(2, append([]byte{h.count}, h.imports...)...)...)
	}
	m = append(m, section(3, 3, 0, 1, 2)...)
	m = append(m, section(5, 1, 0, max(1, h.pages))...)
	m = append(m, section(7, append([]byte{byte(len(exports))}, slices.Concat(exports...)...)...)...)
	if h.start {
		m = append(m, section(8, h.count)...)
	}
	return append(m, section(10, slices.Concat([]byte{3}, code(h.abi), code(h.alloc), code(h.invoke))...)...)
}

func imported(module, name string) []byte {
	return slices.Concat(text(module), text(name), []byte{0, 0})
}

func TestLoadRefuses(t *testing.T) {
	r := newRuntime(t, wasm.Config{})
	whole := suiteModule(t)
	for _, tc := range []struct {
		name   string
		module []byte
		limits runtime.Limits
		code   fault.Code
		says   string
	}{
		{"empty", nil, runtime.Limits{}, fault.InvalidModule, ""},
		{"text", []byte("package main\n"), runtime.Limits{}, fault.InvalidModule, ""},
		{"elf", []byte("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00"), runtime.Limits{}, fault.InvalidModule, ""},
		{"header", whole[:8], runtime.Limits{}, fault.InvalidModule, "memory"},
		{"half", whole[:len(whole)/2], runtime.Limits{}, fault.InvalidModule, ""},
		{"lastByteGone", whole[:len(whole)-1], runtime.Limits{}, fault.InvalidModule, ""},
		{"noMarker", handmade{omit: "squall_abi_1"}.bytes(), runtime.Limits{}, fault.InvalidModule, "squall_abi_1"},
		{"noAlloc", handmade{omit: "squall_alloc"}.bytes(), runtime.Limits{}, fault.InvalidModule, "squall_alloc"},
		{"noInvoke", handmade{omit: "squall_invoke"}.bytes(), runtime.Limits{}, fault.InvalidModule, "squall_invoke"},
		{"noMemory", handmade{omit: "memory"}.bytes(), runtime.Limits{}, fault.InvalidModule, "memory"},
		{"wrongType", handmade{invoke: []byte{0x41, 0}}.bytes(), runtime.Limits{}, fault.InvalidModule, ""},
		{"foreignModule", handmade{count: 2, imports: slices.Concat(imported("env", "system"), imported("env", "fork"))}.bytes(), runtime.Limits{}, fault.InvalidModule, "env.system, env.fork"},
		{"foreignFunction", handmade{count: 1, imports: imported("squall", "reboot")}.bytes(), runtime.Limits{}, fault.InvalidModule, "squall.reboot"},
		{"otherType", handmade{count: 1, imports: imported("squall", "host_read")}.bytes(), runtime.Limits{}, fault.InvalidModule, "squall.host_read as () -> ()"},
		{"itsTick", handmade{count: 1, imports: imported("squall", "tick")}.bytes(), runtime.Limits{}, fault.InvalidModule, "squall.tick"},
		{"tooMuchMemory", handmade{pages: 100}.bytes(), runtime.Limits{Memory: 1 << 20}, fault.OutOfMemory, "6553600 bytes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, err := r.Load(t.Context(), runtime.Spec{Name: "f", Limits: tc.limits}, tc.module)
			if !fault.Is(err, tc.code) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("gave %v, %v; want %s with %q", f, err, tc.code, tc.says)
			}
		})
	}
	if _, err := r.Load(t.Context(), runtime.Spec{Name: "f"}, handmade{}.bytes()); err != nil {
		t.Errorf("the whole hand-made module gives %v", err)
	}
}

// TestHostileGuests: modules that keep to the ABI's types and to nothing else.
func TestHostileGuests(t *testing.T) {
	r := newRuntime(t, wasm.Config{})
	far := []byte{0x42, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f} // i64.const -1
	for _, tc := range []struct {
		name   string
		module handmade
		code   fault.Code
	}{
		{"emptyResult", handmade{}, fault.FunctionPanic},
		{"resultOutside", handmade{invoke: far}, fault.FunctionPanic},
		{"zeroesAsResult", handmade{invoke: []byte{0x42, 1}}, fault.FunctionPanic},
		{"allocNothing", handmade{alloc: []byte{0x41, 0}}, fault.OutOfMemory},
		{"allocOutside", handmade{alloc: []byte{0x41, 0x7f}}, fault.FunctionPanic},
		{"traps", handmade{invoke: []byte{0x00, 0x42, 0}}, fault.FunctionPanic},
		{"loops", handmade{invoke: []byte{0x03, 0x40, 0x0c, 0, 0x0b, 0x42, 0}}, fault.DeadlineExceeded},
		{"loopsInAlloc", handmade{alloc: []byte{0x03, 0x40, 0x0c, 0, 0x0b, 0x41, 8}}, fault.DeadlineExceeded},
		{"loopsInStart", handmade{start: true, abi: []byte{0x03, 0x40, 0x0c, 0, 0x0b}}, fault.DeadlineExceeded},
		{"trapsInStart", handmade{start: true, abi: []byte{0x00}}, fault.FunctionPanic},
		{"recurses", handmade{invoke: []byte{0x41, 0, 0x10, 2}}, fault.FunctionPanic},
		{"growsForEver", handmade{invoke: []byte{0x03, 0x40, 0x41, 1, 0x40, 0, 0x1a, 0x0c, 0, 0x0b, 0x42, 0}}, fault.DeadlineExceeded},
		{"growsAndTraps", handmade{invoke: []byte{0x41, 0xff, 0xff, 0x03, 0x40, 0, 0x1a, 0x00, 0x42, 0}}, fault.OutOfMemory},
		{"sound", handmade{invoke: []byte{0x42, 2}}, ""}, // two zeros at 0: a null
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, err := r.Load(t.Context(), runtime.Spec{Name: "f"}, tc.module.bytes())
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				c, cancel := contextWithin(t, 200*time.Millisecond)
				if tc.code != fault.DeadlineExceeded {
					cancel()
					c, cancel = contextWithin(t, time.Minute)
				}
				v, err := f.Invoke(c, []value.Value{value.MustOf("x")})
				cancel()
				if fault.CodeOf(err) != tc.code {
					t.Errorf("gave %v, %v; want %q", v, err, tc.code)
				}
			}
		})
	}
}

// TestDescribe is for modules that are no Go: see TestGoPackage.
func TestDescribe(t *testing.T) {
	r := newRuntime(t, wasm.Config{})
	c := runtimetest.NewContext(t.Context())
	silent, err := r.Load(t.Context(), runtime.Spec{Name: "f"}, handmade{}.bytes())
	if err != nil {
		t.Fatal(err)
	}
	if in, out, err := silent.(wasm.Describer).Describe(c); in != nil || out != "" || err != nil {
		t.Errorf("a module that does not say gives %v → %q, %v", in, out, err)
	}
}

func TestCacheOnDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "yet", "there")
	module := handmade{invoke: []byte{0x42, 2}}.bytes()
	for range 2 {
		r := newRuntime(t, wasm.Config{CacheDir: dir})
		if _, err := r.Load(t.Context(), runtime.Spec{Name: "f"}, module); err != nil {
			t.Fatal(err)
		}
	}
	files := 0
	if err := filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files++
		}
		return err
	}); err != nil || files == 0 {
		t.Errorf("the cache holds %d files, %v", files, err)
	}
}

func TestCacheNotWritable(t *testing.T) {
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	r := newRuntime(t, wasm.Config{CacheDir: filepath.Join(blocked, "cache"), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if _, err := r.Load(t.Context(), runtime.Spec{Name: "f"}, handmade{}.bytes()); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "not writable") {
		t.Errorf("logged %q", log.String())
	}
}

// TestCacheThatTakesNoMore: a disk that is full, here a directory that is gone, keeps no module from running.
func TestCacheThatTakesNoMore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	var log strings.Builder
	r := newRuntime(t, wasm.Config{CacheDir: dir, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	f, err := r.Load(t.Context(), runtime.Spec{Name: "f"}, handmade{invoke: []byte{0x42, 2}}.bytes())
	if err != nil {
		t.Fatal(err)
	}
	c, cancel := contextWithin(t, time.Minute)
	defer cancel()
	if _, err := f.Invoke(c, nil); fault.Is(err, fault.InvalidModule) {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "was not kept") {
		t.Errorf("logged %q", log.String())
	}
}

func TestClose(t *testing.T) {
	r, err := wasm.New(t.Context(), wasm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	f, err := r.Load(t.Context(), runtime.Spec{Name: "f"}, handmade{invoke: []byte{0x03, 0x40, 0x0c, 0, 0x0b, 0x42, 0}}.bytes())
	if err != nil {
		t.Fatal(err)
	}
	c, cancel := contextWithin(t, time.Minute)
	began := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		close(began)
		if _, err := f.Invoke(c, nil); !fault.Is(err, fault.Cancelled) && !fault.Is(err, fault.Unavailable) {
			t.Errorf("the invocation under way gave %v", err)
		}
	})
	<-began
	wg.Go(func() {
		if err := r.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	cancel()
	wg.Wait()
	if _, err := f.Invoke(runtimetest.NewContext(t.Context()), nil); !fault.Is(err, fault.Unavailable) {
		t.Errorf("afterwards Invoke gives %v", err)
	}
	if _, err := r.Load(t.Context(), runtime.Spec{Name: "f"}, handmade{}.bytes()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("afterwards Load gives %v", err)
	}
	if err := r.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Errorf("close of the function: %v", err)
	}
}

func TestInstancesAreBounded(t *testing.T) {
	r := newRuntime(t, wasm.Config{MaxInstances: 1})
	f, err := r.Load(t.Context(), runtime.Spec{Name: "f"}, handmade{invoke: []byte{0x03, 0x40, 0x0c, 0, 0x0b, 0x42, 0}}.bytes())
	if err != nil {
		t.Fatal(err)
	}
	// Both loop until they are cancelled; the one that is refused cancels the other.
	c, cancel := contextWithin(t, time.Minute)
	defer cancel()
	codes := make(chan fault.Code, 2)
	for range 2 {
		go func() {
			_, err := f.Invoke(c, nil)
			if fault.Is(err, fault.Overloaded) {
				cancel()
			}
			codes <- fault.CodeOf(err)
		}()
	}
	got := []fault.Code{<-codes, <-codes}
	slices.Sort(got)
	if got[0] != fault.Cancelled || got[1] != fault.Overloaded {
		t.Errorf("two invocations at once gave %v", got)
	}
}
