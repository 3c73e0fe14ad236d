package wasmbin

import (
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/squall-faas/squall/fault"
)

// growModule has exports that grow its memory and its two tables.
func growModule(memory, table0, table1 []byte) []byte {
	grow := func(body ...any) fn { return fn{body: cat(body...)} }
	return asm{
		types: [][]byte{unary},
		funcs: []fn{
			grow(get(0), opMemoryGrow, 0),
			grow(opRefNull, FuncRef, get(0), prefixMisc, 15, 0),
			grow(opRefNull, ExternRef, get(0), prefixMisc, 15, 1),
		},
		tables:  [][]byte{cat(FuncRef, table0), cat(ExternRef, table1)},
		memory:  memory,
		exports: [][]byte{exportFunc("memory", 0), exportFunc("table0", 1), exportFunc("table1", 2)},
	}.bytes()
}

// TestGrowthIsCapped grows memory and tables up to their caps and one further.
func TestGrowthIsCapped(t *testing.T) {
	o := testOptions
	o.MaxPages, o.MaxTable = 10, 100
	const refused = 0xffffffff
	for _, c := range []struct {
		name                   string
		memory, table0, table1 []byte
		pages, room0, room1    uint64 // how far each may grow from its minimum
	}{
		{"no maxima", cat(0, 2), cat(0, 10), cat(0, 20), 8, 35, 35},
		{"maxima above the caps", cat(1, 2, 99), cat(1, 10, 127), cat(1, 20, 127), 8, 35, 35},
		{"maxima below the caps", cat(1, 2, 5), cat(1, 10, 12), cat(1, 20, 20), 3, 2, 0},
		{"begins at the caps", cat(0, 10), cat(0, 50), cat(0, 50), 0, 0, 0},
	} {
		m := newEngine(t, wazero.NewRuntimeConfig()).start(t, metered(t, growModule(c.memory, c.table0, c.table1), o))
		for what, room := range map[string]uint64{"memory": c.pages, "table0": c.room0, "table1": c.room1} {
			if got := call(t, m, what, room); got == refused {
				t.Errorf("%s: %s could not grow by %d", c.name, what, room)
			}
			if got := call(t, m, what, 1); got != refused {
				t.Errorf("%s: %s grew by more than %d", c.name, what, room)
			}
		}
	}
}

// TestMeterRefuses holds what Meter refuses beyond Inspect.
func TestMeterRefuses(t *testing.T) {
	body := func(parts ...any) []byte {
		return asm{types: [][]byte{typ(nil, nil)}, funcs: []fn{{body: cat(parts...)}}, memory: cat(0, 1)}.bytes()
	}
	for name, c := range map[string]struct {
		wasm []byte
		code fault.Code
		says string
	}{
		"memory over the cap":      {growModule(cat(0, u32(4097)), cat(0, 1), cat(0, 1)), fault.TooLarge, "begins with 268500992 bytes of memory and its limit is 268435456"},
		"tables over the cap":      {growModule(cat(0, 1), cat(0, u32(1<<20)), cat(0, 1)), fault.TooLarge, "tables of 1048577 entries and at most 1048576"},
		"imported memory":          {asm{imports: [][]byte{cat("env", "memory", 2, 0, 1)}}.bytes(), fault.InvalidModule, `imports its memory "memory" from "env"`},
		"imported table":           {asm{imports: [][]byte{cat("env", "t", 1, FuncRef, 0, 1)}}.bytes(), fault.InvalidModule, `imports its table "t" from "env"`},
		"the counter's name":       {asm{memory: cat(0, 1), exports: [][]byte{cat("squall_units", 2, 0)}}.bytes(), fault.InvalidModule, `exports "squall_units"`},
		"atomics":                  {body(prefixAtomic, 3, 0), fault.InvalidModule, "threads"},
		"throw":                    {body(0x08, 0), fault.InvalidModule, "exception handling"},
		"try_table":                {body(0x1f, emptyBlock, 0, opEnd), fault.InvalidModule, "exception handling"},
		"call_ref":                 {body(0x14, 0), fault.InvalidModule, "typed function references"},
		"struct.new":               {body(0xfb, 0, 0), fault.InvalidModule, "garbage collection"},
		"relaxed vectors":          {body(prefixVector, 0x80, 2), fault.InvalidModule, "relaxed SIMD"},
		"long vector opcode":       {body(prefixVector, 0x8c, 0, opLoop, emptyBlock), fault.InvalidModule, "vector instruction"},
		"unknown 0xfc":             {body(prefixMisc, 18), fault.InvalidModule, "0xfc 18"},
		"unknown opcode":           {body(0xff), fault.InvalidModule, "does not have"},
		"call of no function":      {body(opCall, 9), fault.InvalidModule, "names function 9 and there are 1"},
		"second memory":            {body(i32c(0), 0x28, 0x42, 0, 0), fault.InvalidModule, "several memories"},
		"memory.size of memory 1":  {body(0x3f, 1), fault.InvalidModule, "must be 0"},
		"else without if":          {body(opBlock, emptyBlock, opElse, opEnd), fault.InvalidModule, "else"},
		"code after the end":       {body(opEnd, 1), fault.InvalidModule, "too many"},
		"open block at the end":    {body(opBlock, emptyBlock), fault.InvalidModule, "ends where an instruction should stand"},
		"truncated instruction":    {asm{types: [][]byte{typ(nil, nil)}, funcs: []fn{{body: cat(prefixVector, vecConst)}}}.bytes(), fault.InvalidModule, "16 bytes"},
		"too many branch targets":  {body(opBrTable, u32(70_000)), fault.InvalidModule, "branch targets"},
		"negative block type":      {body(opBlock, 0x41), fault.InvalidModule, "type"},
		"too deeply nested":        {body(repeat(cat(opBlock, emptyBlock), maxNesting+1)), fault.InvalidModule, "nested"},
		"too many loops":           {body(repeat(cat(opLoop, emptyBlock, opEnd), 10_000)), fault.InvalidModule, "split the largest"},
		"loops with many locals":   {asm{types: [][]byte{typ(nil, nil)}, funcs: []fn{{locals: vec(cat(u32(5000), I32)), body: repeat(cat(opLoop, emptyBlock, opEnd), 1000)}}}.bytes(), fault.InvalidModule, "split the largest"},
		"too many locals":          {asm{types: [][]byte{typ(nil, nil)}, funcs: []fn{{locals: vec(cat(u32(50_001), I32))}}}.bytes(), fault.InvalidModule, "locals"},
		"too many locals together": {asm{types: [][]byte{typ(nil, nil)}, funcs: repeatFn(fn{locals: vec(cat(u32(50_000), I32))}, 105)}.bytes(), fault.InvalidModule, "locals"},
		"what Inspect refuses":     {[]byte("(module)"), fault.InvalidModule, "text"},
	} {
		out, err := Meter(c.wasm, testOptions)
		if !fault.Is(err, c.code) || out != nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %s with %q", name, err, c.code, c.says)
		}
	}
}

func repeatFn(f fn, n int) []fn {
	out := make([]fn, n)
	for i := range out {
		out[i] = f
	}
	return out
}

// TestMeterOptions refuses options that make no sense, and takes the least there can be.
func TestMeterOptions(t *testing.T) {
	for _, o := range []Options{
		{},
		{TickName: "tick", Every: 1<<30 + 1},
		{TickName: "tick", MaxPages: 1<<16 + 1},
	} {
		if _, err := Meter(loopModule(), o); !fault.Is(err, fault.InvalidArgument) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	out := metered(t, loopModule(), Options{TickModule: "squall", TickName: "tick"})
	m, err := Inspect(out)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Exports) != 1 || m.Globals != 1 {
		t.Errorf("without a name for the counter: %d exports and %d globals", len(m.Exports), m.Globals)
	}
	if empty := metered(t, asm{}.bytes(), testOptions); newEngine(t, wazero.NewRuntimeConfig()).start(t, empty) == nil {
		t.Error("an empty module does not survive")
	}
}
