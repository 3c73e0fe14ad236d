package wasmbin

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/squall-faas/squall/fault"
)

// whole is a module with every section.
func whole() asm {
	return asm{
		types: [][]byte{typ(nil, nil), typ([]byte{byte(I32), byte(F64)}, []byte{byte(I64), byte(V128)})},
		imports: [][]byte{
			cat("env", "log", byte(Function), 1),
			cat("env", "base", byte(Global), I64, 0),
			cat("env", "table", byte(Table), FuncRef, 1, 1, 9),
			cat("env", "memory", byte(Memory), 0, 3),
		},
		funcs:    []fn{{body: cat(0x01)}, {body: cat(0x00)}},
		tables:   [][]byte{cat(ExternRef, 0, 4)},
		memory:   cat(1, 2, u32(300)),
		globals:  [][]byte{cat(I32, 1, i32c(0), opEnd)},
		exports:  [][]byte{exportFunc("log", 0), exportFunc("run", 1), cat("memory", byte(Memory), 1), cat("base", byte(Global), 0)},
		start:    []byte{2},
		elements: [][]byte{cat(0, i32c(0), opEnd, 1, 1)},
		count:    u32(1),
		data:     [][]byte{cat(1, "data")},
		custom:   [][]byte{cat("producers", "x")},
	}
}

func TestInspect(t *testing.T) {
	wasm := whole().bytes()
	m, err := Inspect(wasm)
	if err != nil {
		t.Fatal(err)
	}
	log := Signature{Params: []ValueType{I32, F64}, Results: []ValueType{I64, V128}}
	want := &Module{
		Imports: []Import{
			{Module: "env", Name: "log", Kind: Function, Signature: log},
			{Module: "env", Name: "base", Kind: Global, Type: I64},
			{Module: "env", Name: "table", Kind: Table, Type: FuncRef, Limits: Limits{Min: 1, Max: 9, HasMax: true}},
			{Module: "env", Name: "memory", Kind: Memory, Limits: Limits{Min: 3}},
		},
		Exports: []Export{
			{Name: "log", Kind: Function, Signature: log, Imported: true},
			{Name: "run", Kind: Function, Index: 1},
			{Name: "memory", Kind: Memory, Index: 1},
			{Name: "base", Kind: Global, Imported: true},
		},
		Memory: &Limits{Min: 2, Max: 300, HasMax: true}, Tables: []Limits{{Min: 4}},
		Functions: 2, Globals: 1, HasStart: true, Code: 9, Data: 7, Size: len(wasm),
	}
	if !reflect.DeepEqual(m, want) {
		t.Errorf("got  %+v\nwant %+v", m, want)
	}
	if e, ok := m.Export("run"); !ok || e.Index != 1 {
		t.Errorf("Export(run) = %+v, %v", e, ok)
	}
	if _, ok := m.Export("none"); ok {
		t.Error("it finds an export that is not there")
	}
	if got := log.String(); got != "(i32, f64) -> (i64, v128)" {
		t.Errorf("signature %s", got)
	}
}

// TestInspectGoGuest finds what an executor looks for in a Go reactor.
func TestInspectGoGuest(t *testing.T) {
	m, err := Inspect(guest(t))
	if err != nil {
		t.Fatal(err)
	}
	e, ok := m.Export("sorting")
	if !ok || e.Kind != Function || e.Signature.String() != "(i64, i64) -> (i64)" {
		t.Errorf("sorting is %+v, %v", e, ok)
	}
	if m.Memory == nil || m.Memory.Min == 0 || m.Functions < 500 {
		t.Errorf("memory %v, %d functions", m.Memory, m.Functions)
	}
	if !slices.ContainsFunc(m.Imports, func(i Import) bool { return i.Module == "wasi_snapshot_preview1" }) {
		t.Error("no import of WASI")
	}
}

func TestInspectRefuses(t *testing.T) {
	header := "\x00asm\x01\x00\x00\x00"
	section := func(id byte, body ...any) []byte { return cat([]byte(header), id, appendSized(nil, cat(body...))) }
	twice := func(name string) asm {
		a := whole()
		a.exports = append(a.exports, exportFunc(name, 1))
		return a
	}
	for name, c := range map[string]struct {
		wasm string
		code fault.Code
		says string
	}{
		"nothing":                  {"", fault.InvalidModule, "is empty"},
		"an executable":            {"\x7fELF\x02\x01\x01", fault.InvalidModule, "not a WebAssembly module (it begins with \"\\x7fELF\"): build it with 'GOOS=wasip1"},
		"text":                     {"(module)", fault.InvalidModule, "wat2wasm"},
		"two bytes":                {"\x00a", fault.InvalidModule, "not a WebAssembly module"},
		"half a header":            {"\x00asm\x01", fault.InvalidModule, "truncated after 5 bytes"},
		"version 2":                {"\x00asm\x02\x00\x00\x00", fault.InvalidModule, "version"},
		"component":                {"\x00asm\x0d\x00\x01\x00", fault.InvalidModule, "component"},
		"too long":                 {header + strings.Repeat("\x00", MaxSize), fault.TooLarge, "67108872 bytes and at most 67108864"},
		"section past the end":     {header + "\x01\x05\x00", fault.InvalidModule, "needs 5 bytes and 1 are left"},
		"unknown section":          {header + "\x0e\x00", fault.InvalidModule, "no section with the number 14"},
		"tag section":              {header + "\x0d\x01\x00", fault.InvalidModule, "exception"},
		"sections out of order":    {header + "\x05\x01\x00\x03\x01\x00", fault.InvalidModule, "function section is out of order"},
		"section twice":            {header + "\x05\x01\x00\x05\x01\x00", fault.InvalidModule, "there twice"},
		"empty section":            {header + "\x05\x00", fault.InvalidModule, "ends where"},
		"bytes after a section":    {string(section(secMemory, 0, 9)), fault.InvalidModule, "1 bytes too many"},
		"4 billion types":          {string(section(secType, 0xff, 0xff, 0xff, 0xff, 0x0f)), fault.InvalidModule, "4294967295 types"},
		"90,000 types in 3 bytes":  {string(section(secType, u32(90_000))), fault.InvalidModule, "claims 90000 types with 0 bytes left"},
		"a number of 33 bits":      {string(section(secType, 0xff, 0xff, 0xff, 0xff, 0x1f)), fault.InvalidModule, "32 bits"},
		"an endless number":        {string(section(secType, repeat([]byte{0x80}, 20))), fault.InvalidModule, "32 bits"},
		"300,000 functions":        {string(section(secFunction, u32(300_000), repeat([]byte{0}, 300_000))), fault.InvalidModule, "300000 functions"},
		"recursive types":          {string(section(secType, 1, 0x4e, 0, 0)), fault.InvalidModule, "garbage collection"},
		"typed references":         {string(section(secType, 1, 0x60, 1, 0x63, 0x70, 0)), fault.InvalidModule, "typed function reference"},
		"name that is not UTF-8":   {string(section(secImport, 1, "\xff", "", 3, I32, 0)), fault.InvalidModule, "UTF-8"},
		"import of no type":        {string(section(secImport, 1, "a", "b", 0, 0)), fault.InvalidModule, "names type 0 and there are 0"},
		"import of a tag":          {string(section(secImport, 1, "a", "b", 4, 0, 0)), fault.InvalidModule, "exception"},
		"two memories":             {string(section(secMemory, 2, 0, 1, 0, 1)), fault.InvalidModule, "2 memories"},
		"shared memory":            {string(section(secMemory, 1, 3, 1, 2)), fault.InvalidModule, "threads"},
		"64 bit memory":            {string(section(secMemory, 1, 4, 1)), fault.InvalidModule, "64 bit"},
		"5 GiB of memory":          {string(section(secMemory, 1, 0, u32(80_000))), fault.InvalidModule, "32 bit"},
		"minimum above maximum":    {string(section(secMemory, 1, 1, 2, 1)), fault.InvalidModule, "above its maximum"},
		"table with initial value": {string(section(secTable, 1, 0x40, 0, FuncRef, 0, 1)), fault.InvalidModule, "typed function references"},
		"table of numbers":         {string(section(secTable, 1, I32, 0, 1)), fault.InvalidModule, "funcref or externref"},
		"code without functions":   {string(section(secCode, 1, 2, 0, opEnd)), fault.InvalidModule, "declares 0 functions and has code for 1"},
		"export of no function":    {string(section(secExport, 1, "f", 0, 7)), fault.InvalidModule, "names function 7 and there are 0"},
		"export twice":             {string(twice("run").bytes()), fault.InvalidModule, `two exports are called "run"`},
		"constant that computes":   {string(section(secGlobal, 1, I32, 0, opCall, 0, opEnd)), fault.InvalidModule, "constant expression"},
		"element flags":            {string(section(secElement, 1, 8, 0)), fault.InvalidModule, "flags 0x8"},
		"data flags":               {string(section(secData, 1, 3, 0)), fault.InvalidModule, "flags 0x3"},
		"data past the end":        {string(section(secData, 1, 1, u32(100))), fault.InvalidModule, "needs 100 bytes"},
	} {
		m, err := Inspect([]byte(c.wasm))
		if !fault.Is(err, c.code) || m != nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %s with %q", name, err, c.code, c.says)
		}
		var e *fault.Error
		if !errors.As(err, &e) {
			t.Errorf("%s: %T is no *fault.Error", name, err)
		}
	}
}

// TestTruncatedModules cuts a module after every byte, and flips each: nothing but invalid_module may come of it.
func TestTruncatedModules(t *testing.T) {
	wasm := whole().bytes()
	check := func(b []byte) {
		for _, f := range []func() error{
			func() error { _, err := Inspect(b); return err },
			func() error { _, err := Meter(b, testOptions); return err },
		} {
			if err := f(); err != nil && !fault.Is(err, fault.InvalidModule) && !fault.Is(err, fault.TooLarge) {
				t.Fatalf("%x: %v", b, err)
			}
		}
	}
	for i := range wasm {
		check(wasm[:i])
		for bit := range 8 {
			b := slices.Clone(wasm)
			b[i] ^= 1 << bit
			check(b)
		}
	}
}

// TestNames holds that the trace of a trap names functions as the unmetered module's does.
func TestNames(t *testing.T) {
	names := func(sub ...[]byte) []byte { return cat("name", cat(asBytes(sub)...)) }
	functions := cat(subFunctionNames, appendSized(nil, cat(3, 0, "env.ten", 1, "outer", 2, "inner")))
	locals := cat(2, appendSized(nil, cat(0)))
	module := cat(subModuleName, appendSized(nil, cat("m")))
	a := asm{
		types: [][]byte{unary, nullary}, imports: [][]byte{importTen},
		funcs:   []fn{{typ: 1, body: invoke(2)}, {typ: 1, body: cat(0x00)}},
		exports: [][]byte{exportFunc("f", 1)},
		custom:  [][]byte{cat(".debug_line", "stale"), names(module, functions, locals)},
	}
	out := metered(t, a.bytes(), testOptions)
	if strings.Contains(string(out), "stale") {
		t.Error("debug information that no longer fits is still there")
	}
	m := newEngine(t, wazero.NewRuntimeConfig()).start(t, out)
	_, err := m.ExportedFunction("f").Call(t.Context())
	if err == nil || !strings.Contains(err.Error(), "inner") || !strings.Contains(err.Error(), "outer") {
		t.Errorf("the trap says %v", err)
	}
	for what, section := range map[string][]byte{
		"out of order":     names(cat(subFunctionNames, appendSized(nil, cat(2, 1, "b", 0, "a")))),
		"of no function":   names(cat(subFunctionNames, appendSized(nil, cat(1, 9, "b")))),
		"past the end":     names(cat(subFunctionNames, 99, 0)),
		"twice":            names(functions, functions),
		"4 billion of one": names(cat(subFunctionNames, appendSized(nil, cat(0xff, 0xff, 0xff, 0xff, 0x0f)))),
	} {
		a.custom = [][]byte{section}
		if _, err := newEngine(t, wazero.NewRuntimeConfig()).instantiate(t.Context(), metered(t, a.bytes(), testOptions)); err != nil {
			t.Errorf("names %s: %v", what, err)
		}
	}
}

func asBytes(parts [][]byte) []any {
	out := make([]any, len(parts))
	for i, p := range parts {
		out[i] = p
	}
	return out
}

// TestMeterIsDeterministic holds that the same input gives the same output and is left as it was.
func TestMeterIsDeterministic(t *testing.T) {
	wasm := constructs()["elements, form 6"].bytes()
	before := slices.Clone(wasm)
	if !slices.Equal(metered(t, wasm, testOptions), metered(t, wasm, testOptions)) {
		t.Error("two outputs differ")
	}
	if !slices.Equal(wasm, before) {
		t.Error("the input was written to")
	}
}
