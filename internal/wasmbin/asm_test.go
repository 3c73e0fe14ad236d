package wasmbin

// A small assembler, so that each test shows the module it is about. Every function is built of byte slices that cat
// joins; the numbers are opcodes of §5.4, with their names beside them where the package has none.

func cat(parts ...any) []byte {
	var out []byte
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			out = append(out, byte(p))
		case byte:
			out = append(out, p)
		case ValueType:
			out = append(out, byte(p))
		case string:
			out = appendName(out, p)
		case []byte:
			out = append(out, p...)
		default:
			panic(p)
		}
	}
	return out
}

func vec(entries ...[]byte) []byte {
	out := appendU32(nil, uint32(len(entries)))
	for _, e := range entries {
		out = append(out, e...)
	}
	return out
}

func u32(x uint32) []byte  { return appendU32(nil, x) }
func i32c(x int32) []byte  { return appendS32([]byte{opI32Const}, x) }
func get(local int) []byte { return cat(opLocalGet, local) }
func set(local int) []byte { return cat(opLocalSet, local) }
func invoke(f int) []byte  { return cat(opCall, f) }
func repeat(b []byte, n int) (out []byte) {
	for range n {
		out = append(out, b...)
	}
	return out
}

// fn is a function of an assembled module.
type fn struct {
	typ    int
	locals []byte // groups, as in vec(cat(2, I32))
	body   []byte // without the last end
}

// asm is a module; nil sections are left out. A section that a field does not cover goes into raw.
type asm struct {
	types    [][]byte
	imports  [][]byte
	funcs    []fn
	tables   [][]byte
	memory   []byte // limits
	globals  [][]byte
	exports  [][]byte
	start    []byte
	elements [][]byte
	count    []byte // data count
	data     [][]byte
	custom   [][]byte
}

func typ(params, results []byte) []byte { return cat(0x60, vecOf(params), vecOf(results)) }

func vecOf(b []byte) []byte { return cat(u32(uint32(len(b))), b) }

func exportFunc(name string, index int) []byte { return cat(name, byte(Function), index) }

func (a asm) bytes() []byte {
	out := []byte("\x00asm\x01\x00\x00\x00")
	section := func(id byte, body []byte) { out = appendSized(append(out, id), body) }
	list := func(id byte, entries [][]byte) {
		if entries != nil {
			section(id, vec(entries...))
		}
	}
	list(secType, a.types)
	list(secImport, a.imports)
	var declared, bodies [][]byte
	for _, f := range a.funcs {
		declared = append(declared, u32(uint32(f.typ)))
		locals := f.locals
		if locals == nil {
			locals = []byte{0}
		}
		bodies = append(bodies, appendSized(nil, cat(locals, f.body, opEnd)))
	}
	list(secFunction, declared)
	list(secTable, a.tables)
	if a.memory != nil {
		section(secMemory, cat(1, a.memory))
	}
	list(secGlobal, a.globals)
	list(secExport, a.exports)
	if a.start != nil {
		section(secStart, a.start)
	}
	list(secElement, a.elements)
	if a.count != nil {
		section(secDataCount, a.count)
	}
	list(secCode, bodies)
	list(secData, a.data)
	for _, c := range a.custom {
		section(secCustom, c)
	}
	return out
}

// loopModule has one function of n (i64) -> i64 that goes round a tight loop n times, as a compiler of C would write it.
func loopModule() []byte {
	return asm{
		types: [][]byte{typ([]byte{byte(I64)}, []byte{byte(I64)})},
		funcs: []fn{{
			locals: vec(cat(1, I64)),
			body: cat(
				opLoop, emptyBlock,
				get(1), opI64Const, 0x0d, 0x7e, opI64Const, 0x0b, 0x7c, get(0), 0x85, set(1), // x = (x*13 + 11) ^ n
				get(0), opI64Const, 1, 0x7d, 0x22, 0, opI64Const, 0, 0x52, opBrIf, 0, // if --n != 0 continue
				opEnd,
				get(1)),
		}},
		exports: [][]byte{exportFunc("loop", 0)},
	}.bytes()
}

// recursionModule has one function of n (i32) that calls itself twice with n-1 unless n is 0, and has no loop.
func recursionModule() []byte {
	return asm{
		types: [][]byte{typ([]byte{byte(I32)}, nil)},
		funcs: []fn{{body: cat(
			get(0), opIf, emptyBlock,
			get(0), i32c(1), opI32Sub, invoke(0),
			get(0), i32c(1), opI32Sub, invoke(0),
			opEnd)}},
		exports: [][]byte{exportFunc("tree", 0)},
	}.bytes()
}
