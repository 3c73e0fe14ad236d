package wasmbin

// data checks the data section (§5.5.14): its segments name no function, so it is kept as it is.
func (r *reader) data(functions uint32) (segments int) {
	segments = r.count(maxSegments, 2, "data segments")
	for range segments {
		at := r.pos
		switch flags := r.u32("the flags of a data segment"); {
		case r.err != nil:
		case flags == 0:
			r.constant(functions, nil)
		case flags == 1:
		case flags == 2:
			r.zero("the memory of a data segment")
			r.constant(functions, nil)
		default:
			r.failAt(at, "a data segment has no flags %#x", flags)
		}
		r.take(r.u32("the length of a data segment"), "a data segment")
		if r.err != nil {
			return segments
		}
	}
	r.done("the data section")
	return segments
}
