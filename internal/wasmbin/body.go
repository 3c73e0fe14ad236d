package wasmbin

// unitBytes is how much code a unit stands for, see the package comment.
const unitBytes = 64

// editKind says what is done to a body at one place.
type editKind byte

const (
	editIndex editKind = iota // replace a function index
	editCheck                 // count, and tick where the counter has run out
	editRange                 // the same, by the number on top of the stack
)

// edit is one change of a body: the bytes from at to upto are replaced.
type edit struct {
	kind     editKind
	at, upto int
	index    uint32 // editIndex: the new one
	code     int    // editCheck: bytes of code that may run from here before the next check
	dropped  bool   // editCheck: it is not needed
	shift    byte   // editRange: how far the number is shifted to give units
}

// block is an open block of a body. Code inside it counts for the check of owner, an index into edits.
type block struct {
	op    byte
	owner int
}

// meter rewrites function bodies one after the other; its buffers are kept between them.
type meter struct {
	functions uint32 // that exist before the rewriting
	imported  uint32 // functions that were imported before
	counter   uint32 // index of the counter's global
	refill    uint32 // index of the function to call when it has run out
	locals    int    // of all functions so far
	effort    int    // of all functions so far

	edits  []edit
	blocks []block
	out    []byte
}

// shift gives the new index of a function: one import more stands before those that the module defines.
func (m *meter) shift(f uint32) uint32 {
	if f >= m.imported {
		return f + 1
	}
	return f
}

// rewrite gives the metered body of a function with params parameters. The result is valid until the next call.
func (m *meter) rewrite(body *reader, params int) ([]byte, *malformed) {
	r := *body
	groups := r.count(maxLocals, 2, "groups of locals")
	first := r.pos
	scratch := params + m.readLocals(&r, groups) // the index of one local more
	start := r.pos
	shape := m.walk(&r)
	shape.locals = scratch
	if m.effort += shape.effort(); m.effort > maxEffort {
		r.failAt(0, "its functions have so many blocks and loops that compiling them would take minutes: split the largest ones")
	}
	if r.err != nil {
		return nil, r.err
	}

	out := m.out[:0]
	if shape.ranges > 0 { // it needs a local to keep the length in
		out = appendU32(out, uint32(groups+1))
		out = append(out, r.b[first:start]...)
		out = append(out, 1, byte(I32))
	} else {
		out = append(out, r.b[:start]...)
	}
	copied := start
	for _, e := range m.edits {
		out = append(out, r.b[copied:e.at]...)
		copied = e.upto
		switch e.kind {
		case editIndex:
			out = appendU32(out, e.index)
		case editCheck:
			if !e.dropped {
				out = m.appendCheck(out, units(e.code))
			}
		case editRange:
			out = m.appendRangeCheck(out, uint32(scratch), e.shift)
		}
	}
	m.out = append(out, r.b[copied:]...)
	return m.out, nil
}

func units(code int) int32 { return int32(1 + code/unitBytes) }

// readLocals reads the locals of a function (§5.5.13) and gives their number.
func (m *meter) readLocals(r *reader, groups int) (total int) {
	for range groups {
		at := r.pos
		n := r.u32("the number of locals")
		r.valueType("a local")
		if r.err == nil && (n > maxLocals || total+int(n) > maxLocals) {
			r.failAt(at, "a function has more than %d locals", maxLocals)
		}
		if r.err != nil {
			return 0
		}
		total += int(n)
	}
	if m.locals += total; m.locals > maxTotalLocals {
		r.fail("its functions have more than %d locals", maxTotalLocals)
	}
	return total
}

// walk goes through the instructions of a function and collects the edits, in order of their places. The first is
// the check at the entry. It gives what compiling them depends on, but for the locals.
func (m *meter) walk(r *reader) (shape outline) {
	m.edits = append(m.edits[:0], edit{kind: editCheck, at: r.pos, upto: r.pos})
	m.blocks = append(m.blocks[:0], block{op: opBlock})
	// While control has not had a chance to go anywhere else, a loop that is met is always entered.
	straight, through := true, false
	for len(m.blocks) > 0 {
		at := r.pos
		owner := m.blocks[len(m.blocks)-1].owner
		in := r.next()
		if r.err != nil {
			return shape
		}
		m.edits[owner].code += r.pos - at
		switch in.op {
		case opBlock:
			shape.blocks++
			m.open(r, opBlock, owner)
		case opIf:
			shape.blocks++
			m.open(r, opIf, owner)
			straight = false
		case opLoop:
			shape.loops++
			m.open(r, opLoop, len(m.edits))
			m.edits = append(m.edits, edit{kind: editCheck, at: r.pos, upto: r.pos})
			through = through || straight
		case opElse:
			if m.blocks[len(m.blocks)-1].op != opIf {
				r.failAt(at, "an else stands outside of an if")
				return shape
			}
			m.blocks[len(m.blocks)-1].op = opElse
		case opEnd:
			m.blocks = m.blocks[:len(m.blocks)-1]
		case opCall, opReturnCall, opRefFunc:
			straight = straight && in.op == opRefFunc
			if in.index >= m.functions {
				r.failAt(at, "an instruction names function %d and there are %d", in.index, m.functions)
				return shape
			}
			if in.index >= m.imported {
				m.edits = append(m.edits, edit{kind: editIndex, at: at + 1, upto: r.pos, index: m.shift(in.index)})
			}
		case opBr, opBrIf, opBrTable, opReturn, opCallIndirect, opReturnCallIndirect:
			straight = false
		}
		if in.ranged > 0 {
			shape.ranges++
			m.edits = append(m.edits, edit{kind: editRange, at: at, upto: at, shift: in.ranged})
		}
	}
	r.done("a function")
	// A function that always enters a loop, as those that the Go compiler makes do, is counted there already. Not
	// where much code lies outside its loops: nothing else would count that.
	m.edits[0].dropped = through && m.edits[0].code < unitBytes
	return shape
}

func (m *meter) open(r *reader, op byte, owner int) {
	if len(m.blocks) >= maxNesting {
		r.fail("more than %d blocks are nested", maxNesting)
		return
	}
	m.blocks = append(m.blocks, block{op: op, owner: owner})
}

// appendCheck appends
//
//	global.set counter (i32.sub (global.get counter) (i32.const n))
//	if (i32.lt_s (global.get counter) (i32.const 0)) call refill end
//
// A signed comparison, not one with zero: a counter that passes zero by more than one, or that the host left below
// zero, still ticks.
func (m *meter) appendCheck(out []byte, n int32) []byte {
	out = appendU32(append(out, opGlobalGet), m.counter)
	out = appendS32(append(out, opI32Const), n)
	return m.appendSubtract(out)
}

// appendRangeCheck appends the same with the number on top of the stack, shifted to the right, for n; the number
// stays there.
func (m *meter) appendRangeCheck(out []byte, scratch uint32, shift byte) []byte {
	out = appendU32(append(out, opLocalSet), scratch)
	out = appendU32(append(out, opGlobalGet), m.counter)
	out = appendU32(append(out, opLocalGet), scratch)
	out = append(out, opI32Const, shift, opI32ShrU)
	out = m.appendSubtract(out)
	return appendU32(append(out, opLocalGet), scratch)
}

func (m *meter) appendSubtract(out []byte) []byte {
	out = appendU32(append(out, opI32Sub, opGlobalSet), m.counter)
	out = appendU32(append(out, opGlobalGet), m.counter)
	out = append(out, opI32Const, 0, opI32LtS, opIf, emptyBlock)
	out = appendU32(append(out, opCall), m.refill)
	return append(out, opEnd)
}
