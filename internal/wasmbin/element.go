package wasmbin

// elements reads the element section (§5.5.12) and gives it with every function index put through shift. All eight
// forms: bit 0 of the flags says passive or declarative, bit 1 an explicit table (or declarative), bit 2 expressions
// in place of function indices.
func (r *reader) elements(functions uint32, shift func(uint32) uint32) []byte {
	n := r.count(maxSegments, 2, "element segments")
	out := appendU32(nil, uint32(n))
	total := 0
	for range n {
		at := r.pos
		flags := r.u32("the flags of an element segment")
		if r.err == nil && flags > 7 {
			r.failAt(at, "an element segment has no flags %#x", flags)
		}
		out = appendU32(out, flags)
		passive, explicit, expressions := flags&1 != 0, flags&2 != 0, flags&4 != 0
		if !passive {
			if explicit {
				out = appendU32(out, r.u32("the table of an element segment"))
			}
			out = append(out, r.constant(functions, shift)...)
		}
		if passive || explicit {
			if expressions {
				out = append(out, byte(r.refType("the type of an element segment")))
			} else {
				r.zero("the kind of an element segment")
				out = append(out, 0)
			}
		}
		entries := r.count(maxElements, 1, "elements")
		if total += entries; r.err == nil && total > maxElements {
			r.failAt(at, "it has more than %d elements", maxElements)
		}
		out = appendU32(out, uint32(entries))
		for i := 0; i < entries && r.err == nil; i++ {
			if expressions {
				out = append(out, r.constant(functions, shift)...)
				continue
			}
			f := r.u32("an element")
			if r.err == nil && f >= functions {
				r.fail("an element names function %d and there are %d", f, functions)
			}
			if shift != nil {
				f = shift(f)
			}
			out = appendU32(out, f)
		}
		if r.err != nil {
			return nil
		}
	}
	r.done("the element section")
	return out
}
