package wasmbin

// Subsections of the name section (§7.4.1).
const (
	subModuleName    = 0
	subFunctionNames = 1
)

// rewriteNames gives the custom section that keeps the names of the module and of its functions, every index put
// through shift, so that the trace of a trap still says where it was. The names of locals, labels and the rest are
// dropped. nil where names is nil, or not sound: a custom section never makes a module invalid.
func rewriteNames(names []byte, shift func(uint32) uint32, functions uint32) []byte {
	if names == nil {
		return nil
	}
	r := &reader{b: names}
	out := appendName(nil, "name")
	last := -1
	for r.more() {
		id := r.u8("")
		body := r.sub(r.u32(""), "a subsection")
		if r.err != nil || int(id) <= last {
			return nil
		}
		last = int(id)
		switch id {
		case subModuleName:
			body.name("the name of the module")
			body.done("")
			if body.err == nil {
				out = appendSized(append(out, id), body.b)
			}
		case subFunctionNames:
			if m := shiftNames(body, shift, functions); m != nil {
				out = appendSized(append(out, id), m)
			}
		}
	}
	return out
}

// shiftNames rewrites a name map.
func shiftNames(r *reader, shift func(uint32) uint32, functions uint32) []byte {
	n := r.count(MaxFunctions+maxImports, 2, "names")
	out := make([]byte, 0, len(r.b)+n/64+8)
	out = appendU32(out, uint32(n))
	next := uint32(0)
	for range n {
		f := r.u32("")
		name := r.name("a name")
		if r.err != nil || f < next || f >= functions {
			return nil
		}
		next = f + 1
		out = appendName(appendU32(out, shift(f)), name)
	}
	if r.done("the names"); r.err != nil {
		return nil
	}
	return out
}
