package wasmbin

// Opcodes that this package names (§5.4). All others are only stepped over.
const (
	opBlock              = 0x02
	opLoop               = 0x03
	opIf                 = 0x04
	opElse               = 0x05
	opEnd                = 0x0b
	opBr                 = 0x0c
	opBrIf               = 0x0d
	opBrTable            = 0x0e
	opReturn             = 0x0f
	opCall               = 0x10
	opReturnCall         = 0x12
	opCallIndirect       = 0x11
	opReturnCallIndirect = 0x13
	opLocalGet           = 0x20
	opLocalSet           = 0x21
	opGlobalGet          = 0x23
	opGlobalSet          = 0x24
	opMemoryGrow         = 0x40
	opI32Const           = 0x41
	opI64Const           = 0x42
	opF32Const           = 0x43
	opF64Const           = 0x44
	opI32LtS             = 0x48
	opI32Sub             = 0x6b
	opI32ShrU            = 0x76
	opRefNull            = 0xd0
	opRefFunc            = 0xd2
	prefixMisc           = 0xfc
	prefixVector         = 0xfd
	prefixAtomic         = 0xfe
	vecConst             = 0x0c
	emptyBlock           = 0x40
)

// shape says which immediates follow an opcode.
type shape byte

const (
	shapeUnknown  shape = iota
	shapePlain          // none
	shapeBlock          // a block type
	shapeIndex          // one index
	shapeFunction       // one function index
	shapeIndirect       // a type index and a table index
	shapeTable          // a vector of labels and one more
	shapeSelect         // a vector of one value type
	shapeMemory         // alignment and offset
	shapeZero           // a memory, which must be the only one
	shapeI32
	shapeI64
	shapeF32
	shapeF64
	shapeRefType
	shapeMisc
	shapeVector
)

var shapes = func() (t [256]shape) {
	fill := func(s shape, from, to int) {
		for i := from; i <= to; i++ {
			t[i] = s
		}
	}
	fill(shapePlain, 0x00, 0x01) // unreachable, nop
	fill(shapeBlock, opBlock, opIf)
	fill(shapePlain, opElse, opElse)
	fill(shapePlain, opEnd, opEnd)
	fill(shapeIndex, opBr, opBrIf)
	fill(shapeTable, opBrTable, opBrTable)
	fill(shapePlain, opReturn, opReturn)
	fill(shapeFunction, opCall, opCall)
	fill(shapeIndirect, opCallIndirect, opCallIndirect)
	fill(shapeFunction, opReturnCall, opReturnCall)
	fill(shapeIndirect, opReturnCallIndirect, opReturnCallIndirect)
	fill(shapePlain, 0x1a, 0x1b) // drop, select
	fill(shapeSelect, 0x1c, 0x1c)
	fill(shapeIndex, opLocalGet, 0x26) // local.get … table.set
	fill(shapeMemory, 0x28, 0x3e)      // i32.load … i64.store32
	fill(shapeZero, 0x3f, opMemoryGrow)
	t[opI32Const], t[opI64Const], t[opF32Const], t[opF64Const] = shapeI32, shapeI64, shapeF32, shapeF64
	fill(shapePlain, 0x45, 0xc4) // i32.eqz … i64.extend32_s
	t[opRefNull], t[0xd1], t[opRefFunc] = shapeRefType, shapePlain, shapeFunction
	t[prefixMisc], t[prefixVector] = shapeMisc, shapeVector
	return t
}()

// instruction is one decoded instruction, as far as anybody here looks into it.
type instruction struct {
	op byte
	// index is the function of a shapeFunction.
	index uint32
	// ranged is set for an instruction whose cost grows with the i32 on top of the stack: by how many bits that
	// number is shifted to the right to give the units it counts.
	ranged byte
}

// next reads one instruction of a body.
func (r *reader) next() (in instruction) {
	at := r.pos
	in.op = r.u8("an instruction")
	switch shapes[in.op] {
	case shapePlain:
	case shapeBlock:
		r.blockType()
	case shapeIndex:
		r.u32("an index")
	case shapeFunction:
		in.index = r.u32("the number of a function")
	case shapeIndirect:
		r.u32("the type of a call")
		r.u32("the table of a call")
	case shapeTable:
		n := r.count(maxBranches, 1, "branch targets")
		for i := 0; i <= n && r.err == nil; i++ {
			r.u32("a branch target")
		}
	case shapeSelect:
		if n := r.u8("the types of select"); r.err == nil && n != 1 {
			r.failAt(at, "select takes one type")
		}
		r.valueType("select")
	case shapeMemory:
		r.memoryArgument()
	case shapeZero:
		r.zero("the memory of an instruction")
	case shapeI32:
		r.signed(32, "a constant")
	case shapeI64:
		r.signed(64, "a constant")
	case shapeF32:
		r.take(4, "a constant")
	case shapeF64:
		r.take(8, "a constant")
	case shapeRefType:
		r.refType("ref.null")
	case shapeMisc:
		in.ranged = r.misc(at)
	case shapeVector:
		r.vector(at)
	case shapeUnknown:
		if r.err == nil {
			r.failAt(at, "it uses %s, which Squall does not run", proposal(in.op))
		}
	}
	return in
}

// proposal names what an instruction that we do not run belongs to.
func proposal(op byte) string {
	switch op {
	case 0x06, 0x07, 0x08, 0x09, 0x0a, 0x18, 0x19, 0x1f:
		return "exception handling (compile without exceptions)"
	case 0x14, 0x15, 0xd4, 0xd5, 0xd6:
		return "typed function references"
	case 0xd3, 0xfb:
		return "garbage collection"
	case prefixAtomic:
		return "threads (compile without -pthread and without atomics)"
	}
	return "an instruction that release 2.0 of WebAssembly does not have"
}

// blockType reads the type of a block: empty, one value, or the index of a function type (§5.4.1).
func (r *reader) blockType() {
	at := r.pos
	if r.pos < len(r.b) {
		if c := r.b[r.pos]; c == emptyBlock || c >= 0x63 && c < 0x80 { // a negative number of one byte: a value type
			r.pos++
			if c != emptyBlock {
				r.pos--
				r.valueType("a block")
			}
			return
		}
	}
	if t := r.signed(33, "the type of a block"); r.err == nil && t < 0 {
		r.failAt(at, "a block has no type %d", t)
	}
}

func (r *reader) memoryArgument() {
	at := r.pos
	align := r.u32("an alignment")
	if r.err == nil && align >= 32 { // bit 6 would announce the index of one of several memories
		r.failAt(at, "an alignment of 2^%d is no alignment; several memories are not supported", align)
	}
	r.u32("an offset")
}

// misc reads what follows 0xfc (§5.4.5 to §5.4.7): saturating conversions, bulk memory and table instructions. The
// shifts it gives make a unit of 256 bytes of memory, or of 32 entries of a table.
func (r *reader) misc(at int) (ranged byte) {
	const bytes, entries = 8, 5
	switch op := r.u32("an instruction"); {
	case r.err != nil:
	case op <= 7: // iNN.trunc_sat_fNN_x
	case op == 8: // memory.init
		r.u32("a data segment")
		r.zero("the memory of memory.init")
		return bytes
	case op == 9: // data.drop
		r.u32("a data segment")
	case op == 10: // memory.copy
		r.zero("a memory of memory.copy")
		r.zero("a memory of memory.copy")
		return bytes
	case op == 11: // memory.fill
		r.zero("the memory of memory.fill")
		return bytes
	case op == 12 || op == 14: // table.init, table.copy
		r.u32("an index")
		r.u32("an index")
		return entries
	case op == 13 || op == 16: // elem.drop, table.size
		r.u32("an index")
	case op == 15 || op == 17: // table.grow, table.fill
		r.u32("a table")
		return entries
	default:
		r.failAt(at, "it uses an instruction (0xfc %d) that release 2.0 of WebAssembly does not have", op)
	}
	return 0
}

// vector reads what follows 0xfd (§5.4.8). The number must be in its shortest form, see the package comment.
func (r *reader) vector(at int) {
	op := r.u8("a vector instruction")
	if op >= 0x80 {
		if c := r.u8("a vector instruction"); r.err == nil && c != 1 {
			r.failAt(at, "it uses a vector instruction that release 2.0 of WebAssembly does not have (relaxed SIMD is not supported)")
		}
	}
	switch {
	case op <= 0x0b || op == 0x5c || op == 0x5d: // loads and stores
		r.memoryArgument()
	case op == vecConst || op == 0x0d: // v128.const, i8x16.shuffle
		r.take(16, "a vector instruction")
	case op >= 0x15 && op <= 0x22: // extract and replace lane
		r.u8("a lane")
	case op >= 0x54 && op <= 0x5b: // load and store lane
		r.memoryArgument()
		r.u8("a lane")
	}
}
