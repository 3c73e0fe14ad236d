package wasmbin

import (
	"fmt"
	"testing"

	"github.com/tetratelabs/wazero"
)

var (
	i32s      = func(n int) []byte { return repeat([]byte{byte(I32)}, n) }
	unary     = typ(i32s(1), i32s(1)) // (i32) -> (i32)
	nullary   = typ(nil, i32s(1))     // () -> (i32)
	importTen = cat("env", "ten", byte(Function), 1)
)

// constructs are modules with an export f of type (i32) -> (i32), each about one construct. All import ten first, of
// type 1, so that functions have indices from 1, and have unary as type 0 and nullary as type 1.
func constructs() map[string]asm {
	base := func(a asm, body ...any) asm {
		a.types = append([][]byte{unary, nullary}, a.types...)
		a.imports = append([][]byte{importTen}, a.imports...)
		a.funcs = append([]fn{{typ: 0, body: cat(body...)}}, a.funcs...)
		a.exports = append([][]byte{exportFunc("f", 1)}, a.exports...)
		return a
	}
	withLocals := func(a asm, groups ...[]byte) asm {
		a.funcs[0].locals = vec(groups...)
		return a
	}
	constant := func(c int32) fn { return fn{typ: 1, body: i32c(c)} }
	callIndirect := func(table int) []byte { return cat(get(0), opCallIndirect, 1, table) }
	funcTable := cat(FuncRef, 0, 8)
	three := []fn{constant(11), constant(12), constant(13)} // functions 2, 3 and 4
	offset := cat(i32c(1), opEnd)
	refs := cat(3, opRefFunc, 2, opEnd, opRefFunc, 3, opEnd, opRefFunc, 4, opEnd)
	indices := cat(3, 2, 3, 4)
	tableInit := cat(i32c(1), i32c(0), i32c(3), prefixMisc, 12, 0, 0)
	elements := func(segment []byte) asm {
		return asm{tables: [][]byte{funcTable}, elements: [][]byte{segment}, funcs: three}
	}
	memory := cat(0, 1)

	return map[string]asm{
		"call an import and a function": base(asm{funcs: []fn{constant(5)}}, invoke(0), invoke(2), 0x6a, get(0), 0x6a),
		"br_table": base(asm{},
			opBlock, emptyBlock, opBlock, emptyBlock, opBlock, emptyBlock,
			get(0), opBrTable, 2, 0, 1, 2, opEnd,
			i32c(100), opReturn, opEnd, i32c(200), opReturn, opEnd, i32c(300)),
		"loop by br_table": base(asm{},
			opLoop, emptyBlock, opBlock, emptyBlock,
			get(0), i32c(1), 0x6a, 0x22, 0, i32c(50), 0x4e, opBrTable, 1, 1, 0, // again below 50
			opEnd, opEnd, get(0)),
		"loop with parameters and results": withLocals(base(asm{types: [][]byte{typ(i32s(2), i32s(2))}},
			i32c(0), get(0), // sum, n
			opLoop, 2,
			set(1), get(1), 0x6a, get(1), i32c(1), opI32Sub, 0x22, 1, get(1), i32c(0), 0x4a, opBrIf, 0,
			opEnd, 0x1a), cat(1, I32)),
		"block with two results": base(asm{types: [][]byte{typ(nil, i32s(2))}},
			opBlock, 2, get(0), i32c(3), opEnd, 0x6c),
		"if and else": base(asm{},
			get(0), opIf, I32, i32c(1), opElse, get(0), 0x45, opIf, I32, i32c(2), opElse, i32c(3), opEnd, opEnd),
		"code after a branch": base(asm{},
			opBlock, emptyBlock, opBr, 0, 0x6a, 0x1a, opLoop, emptyBlock, opBr, 0, opEnd, opEnd, get(0)),
		"loop that is entered twice": withLocals(base(asm{},
			opLoop, emptyBlock,
			i32c(3), set(1),
			opLoop, emptyBlock, get(2), i32c(1), 0x6a, set(2), get(1), i32c(1), opI32Sub, 0x22, 1, opBrIf, 0, opEnd,
			get(0), i32c(1), opI32Sub, 0x22, 0, i32c(0), 0x4a, opBrIf, 0,
			opEnd, get(2)), cat(2, I32)),
		"return_call": base(asm{funcs: []fn{{typ: 0, body: cat(
			get(0), i32c(1000), 0x4e, opIf, emptyBlock, get(0), opReturn, opEnd,
			get(0), i32c(7), 0x6a, opReturnCall, 2)}}},
			get(0), opReturnCall, 2),
		"return_call_indirect": base(elements(cat(0, offset, indices)), get(0), opReturnCallIndirect, 1, 0),

		"elements, form 0": base(elements(cat(0, offset, indices)), callIndirect(0)),
		"elements, form 1": base(elements(cat(1, 0, indices)), tableInit, callIndirect(0)),
		"elements, form 2": base(elements(cat(2, 0, offset, 0, indices)), callIndirect(0)),
		"elements, form 3": base(elements(cat(3, 0, indices)), get(0), opRefFunc, 3, 0x26, 0, callIndirect(0)),
		"elements, form 4": base(elements(cat(4, offset, refs)), callIndirect(0)),
		"elements, form 5": base(elements(cat(5, FuncRef, refs)), tableInit, callIndirect(0)),
		"elements, form 6": base(elements(cat(6, 0, offset, FuncRef, refs)), callIndirect(0)),
		"elements, form 7": base(elements(cat(7, FuncRef, refs)), get(0), opRefFunc, 4, 0x26, 0, callIndirect(0)),
		"elements that are imported or null": base(asm{
			tables:   [][]byte{funcTable},
			elements: [][]byte{cat(4, offset, cat(2, opRefFunc, 0, opEnd, opRefNull, FuncRef, opEnd))},
		}, callIndirect(0)),
		"table.set, get, grow, size, fill, copy": base(asm{
			tables: [][]byte{funcTable, cat(FuncRef, 0, 1)}, elements: [][]byte{cat(3, 0, indices)}, funcs: three},
			opRefFunc, 3, get(0), prefixMisc, 15, 1, 0x1a, // grow table 1 by the argument
			i32c(0), opRefFunc, 4, i32c(1), prefixMisc, 17, 1, // fill its first entry
			i32c(2), i32c(0), i32c(1), prefixMisc, 14, 0, 1, // copy that to 2 of table 0
			i32c(2), 0x25, 0, 0xd1, // is it null
			prefixMisc, 16, 1, 0x6a, i32c(2), opCallIndirect, 1, 0, 0x6a),
		"global of a function": base(asm{
			tables:   [][]byte{funcTable},
			globals:  [][]byte{cat(FuncRef, 1, opRefFunc, 3, opEnd), cat(I32, 0, i32c(-5), opEnd)},
			elements: [][]byte{cat(3, 0, indices)}, funcs: three},
			get(0), opGlobalGet, 0, 0x26, 0, callIndirect(0), opGlobalGet, 1, 0x6a),
		"extended constant expression": base(asm{
			globals: [][]byte{cat(I32, 1, i32c(6), i32c(7), 0x6c, opEnd)}}, opGlobalGet, 0, get(0), 0x6a),
		"start function": base(asm{
			globals: [][]byte{cat(I32, 1, i32c(0), opEnd)},
			types:   [][]byte{typ(nil, nil)}, start: []byte{2},
			funcs: []fn{{typ: 2, body: cat(i32c(77), opGlobalSet, 0)}}},
			opGlobalGet, 0, get(0), 0x6a),

		"memory.fill, copy, init, data.drop": base(asm{memory: memory, count: u32(1), data: [][]byte{cat(1, "abc")}},
			i32c(8), get(0), i32c(100), prefixMisc, 11, 0,
			i32c(200), i32c(8), i32c(50), prefixMisc, 10, 0, 0,
			i32c(204), i32c(0), i32c(3), prefixMisc, 8, 0, 0, prefixMisc, 9, 0,
			i32c(203), 0x28, 0, 0),
		"memory.size, grow, active data": base(asm{memory: memory, data: [][]byte{cat(0, i32c(16), opEnd, "wxyz")}},
			get(0), opMemoryGrow, 0, 0x3f, 0, 0x6a, i32c(16), 0x28, 2, 0, 0x6a),
		"a length in a function with locals": withLocals(base(asm{memory: memory},
			i32c(5), set(1), i32c(0), get(0), get(1), prefixMisc, 11, 0, i32c(4), 0x2d, 0, 0, get(1), 0x6a), cat(1, I32), cat(3, F64)),
		"sign extension and saturation": base(asm{},
			get(0), 0xc0, get(0), 0xb2, prefixMisc, 0, 0x6a),
		"select": base(asm{}, i32c(4), i32c(9), get(0), 0x1c, 1, I32, i32c(1), i32c(2), get(0), 0x1b, 0x6a),
		"floats and long constants": base(asm{},
			opI64Const, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f, 0xa7,
			opF64Const, 3, 3, 3, 3, 3, 3, 8, 64, prefixMisc, 2, 0x6a, opF32Const, 3, 3, 72, 65, prefixMisc, 0, 0x6a, get(0), 0x6a),
		"vectors": base(asm{memory: memory},
			i32c(0), get(0), prefixVector, 0x11, // i32x4.splat
			prefixVector, vecConst, repeat([]byte{3}, 16), prefixVector, 0xae, 1, // i32x4.add
			prefixVector, 0x0b, 4, 0, // v128.store
			i32c(0), prefixVector, 0x0a, 3, 0, // v128.load64_splat
			prefixVector, vecConst, repeat([]byte{opLoop, 9}, 8),
			prefixVector, 0x0d, repeat([]byte{17, 2}, 8), // i8x16.shuffle
			i32c(1), 0x1a,
			prefixVector, 0x1b, 2), // i32x4.extract_lane
		"vector lanes": base(asm{memory: memory},
			i32c(4), get(0), prefixVector, 0x0f, prefixVector, 0x58, 0, 0, 3, // v128.store8_lane
			i32c(4), prefixVector, vecConst, repeat([]byte{1}, 16), prefixVector, 0x55, 0, 0, 1, prefixVector, 0x1b, 0),
	}
}

// TestConstructs holds that a metered module does what the unmetered one does, with a tick at every point where one
// may come.
func TestConstructs(t *testing.T) {
	plain, ticking := newEngine(t, wazero.NewRuntimeConfig()), newEngine(t, wazero.NewRuntimeConfig())
	o := testOptions
	o.Every = 1
	for name, a := range constructs() {
		t.Run(name, func(t *testing.T) {
			wasm := a.bytes()
			want, got := plain.start(t, wasm), ticking.start(t, metered(t, wasm, o))
			worked := false
			for arg := range uint64(5) {
				w, errWant := want.ExportedFunction("f").Call(t.Context(), arg)
				g, errGot := got.ExportedFunction("f").Call(t.Context(), arg)
				if (errWant == nil) != (errGot == nil) || fmt.Sprint(w) != fmt.Sprint(g) {
					t.Errorf("f(%d) = %v, %v; metered %v, %v", arg, w, errWant, g, errGot)
				}
				worked = worked || errWant == nil
			}
			if !worked {
				t.Error("f fails with every argument, also unmetered")
			}
		})
	}
	if ticking.ticks == 0 {
		t.Error("nothing ticked")
	}
}
