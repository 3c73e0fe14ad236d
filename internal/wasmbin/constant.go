package wasmbin

// constant reads a constant expression (§5.4.9) and gives its bytes with every function index put through shift; nil
// leaves them as they are. The bytes are a view of the input where nothing changed.
func (r *reader) constant(functions uint32, shift func(uint32) uint32) []byte {
	start := r.pos
	var out []byte
	copied := start
	for r.err == nil {
		at := r.pos
		switch op := r.u8("a constant expression"); op {
		case opEnd:
			if out == nil {
				return r.b[start:r.pos]
			}
			return append(out, r.b[copied:r.pos]...)
		case opI32Const:
			r.signed(32, "a constant")
		case opI64Const:
			r.signed(64, "a constant")
		case opF32Const:
			r.take(4, "a constant")
		case opF64Const:
			r.take(8, "a constant")
		case opGlobalGet:
			r.u32("the number of a global")
		case opRefNull:
			r.refType("ref.null")
		case opRefFunc:
			f := r.u32("the number of a function")
			if r.err == nil && f >= functions {
				r.failAt(at, "ref.func names function %d and there are %d", f, functions)
			}
			if r.err == nil && shift != nil && shift(f) != f {
				out = append(out, r.b[copied:at]...)
				out = appendU32(append(out, opRefFunc), shift(f))
				copied = r.pos
			}
		case 0x6a, 0x6b, 0x6c, 0x7c, 0x7d, 0x7e: // i32 and i64 add, sub, mul of extended constant expressions
		case prefixVector:
			if c := r.u8("a vector constant"); r.err == nil && c != vecConst {
				r.failAt(at, "vector instruction %#x does not stand in a constant expression", c)
			}
			r.take(16, "a vector constant")
		default:
			r.failAt(at, "instruction %#x does not stand in a constant expression", op)
		}
	}
	return nil
}
