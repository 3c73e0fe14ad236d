package wasmbin

import "github.com/squall-faas/squall/fault"

// layout is a Module with what the meter needs besides.
type layout struct {
	Module
	*sections
	types      []Signature
	functions  []uint32  // type of each function, imports first
	imported   [4]uint32 // how many of each Kind are imported
	tableTypes []ValueType
	bodies     []*reader // one for each function defined: its locals and instructions
}

// signatureOf gives the type of a function that exists.
func (l *layout) signatureOf(function uint32) Signature { return l.types[l.functions[function]] }

func parse(wasm []byte) (*layout, error) {
	if err := checkHeader(wasm); err != nil {
		return nil, err
	}
	s, bad := split(wasm)
	if bad != nil {
		return nil, refuse("", bad)
	}
	l := &layout{sections: s}
	l.Size = len(wasm)
	for _, id := range order {
		r := s.body[id]
		if r == nil {
			continue
		}
		start := *r // parsers move their own copy: the meter reads some sections again
		l.section(id, &start)
		start.done("the " + sectionNames[id] + " section")
		if start.err != nil {
			return nil, refuse(sectionNames[id]+" section, ", start.err)
		}
	}
	if defined := len(l.functions) - int(l.imported[Function]); defined != len(l.bodies) {
		return nil, fault.New(fault.InvalidModule, "the WebAssembly module is malformed: it declares %d functions and has code for %d; build it again", defined, len(l.bodies))
	}
	return l, nil
}

// checkHeader looks at the preamble (§5.5.16), where the usual mistakes show.
func checkHeader(wasm []byte) error {
	switch {
	case len(wasm) > MaxSize:
		return fault.New(fault.TooLarge, "the WebAssembly module has %d bytes and at most %d are allowed: strip it (-ldflags='-s -w')", len(wasm), MaxSize)
	case len(wasm) == 0:
		return fault.New(fault.InvalidModule, "the WebAssembly module is empty: %s", buildHint)
	case len(wasm) < 4 || string(wasm[:4]) != "\x00asm":
		if wasm[0] == '(' || wasm[0] == ';' {
			return fault.New(fault.InvalidModule, "this is WebAssembly text, not a module: assemble it first (wat2wasm)")
		}
		return fault.New(fault.InvalidModule, "this is not a WebAssembly module (it begins with %q): %s", wasm[:min(len(wasm), 4)], buildHint)
	case len(wasm) < 8:
		return fault.New(fault.InvalidModule, "the WebAssembly module is truncated after %d bytes: %s", len(wasm), buildHint)
	case string(wasm[4:8]) == "\x01\x00\x00\x00":
		return nil
	case wasm[6] == 1:
		return fault.New(fault.InvalidModule, "this is a WebAssembly component, and Squall runs core modules: %s", buildHint)
	}
	return fault.New(fault.InvalidModule, "the WebAssembly module has version %#x and Squall runs version 1: %s", wasm[4:8], buildHint)
}

func refuse(where string, bad *malformed) error {
	return fault.New(fault.InvalidModule, "the WebAssembly module cannot be used: %s%w; %s", where, bad, buildHint)
}

func (l *layout) section(id byte, r *reader) {
	switch id {
	case secType:
		l.readTypes(r)
	case secImport:
		l.readImports(r)
	case secFunction:
		l.readFunctions(r)
	case secTable:
		l.readTables(r)
	case secMemory:
		l.readMemories(r)
	case secGlobal:
		_, l.Globals = r.globals(uint32(len(l.functions)), nil)
	case secExport:
		l.readExports(r)
	case secStart:
		l.HasStart = true
		l.functionIndex(r, "the start section")
	case secElement:
		r.elements(uint32(len(l.functions)), nil)
	case secDataCount:
		r.u32("the number of data segments")
	case secCode:
		l.Code = len(r.b)
		l.readBodies(r)
	case secData:
		l.Data = len(r.b)
		r.data(uint32(len(l.functions)))
	}
}

// functionIndex reads the index of a function that exists.
func (l *layout) functionIndex(r *reader, what string) uint32 {
	at := r.pos
	f := r.u32(what)
	if r.err == nil && uint64(f) >= uint64(len(l.functions)) {
		r.failAt(at, "%s names function %d and there are %d", what, f, len(l.functions))
	}
	return f
}

// typeIndex reads the index of a function type that exists.
func (l *layout) typeIndex(r *reader, what string) uint32 {
	at := r.pos
	t := r.u32(what)
	if r.err == nil && uint64(t) >= uint64(len(l.types)) {
		r.failAt(at, "%s names type %d and there are %d", what, t, len(l.types))
	}
	return t
}
