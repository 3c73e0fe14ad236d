package wasmbin

// readTypes reads the type section (§5.5.4).
func (l *layout) readTypes(r *reader) {
	n := r.count(maxTypes, 3, "types")
	l.types = make([]Signature, 0, n)
	total := 0
	for range n {
		at := r.pos
		s := r.signature()
		if total += len(s.Params) + len(s.Results); total > maxTypeValues {
			r.failAt(at, "its types have more than %d parameters and results", maxTypeValues)
		}
		if r.err != nil {
			return
		}
		l.types = append(l.types, s)
	}
}

// readImports reads the import section (§5.5.5).
func (l *layout) readImports(r *reader) {
	n := r.count(maxImports, 4, "imports")
	l.Imports = make([]Import, 0, n)
	for range n {
		imp := Import{Module: r.name("the module of an import"), Name: r.name("the name of an import")}
		at := r.pos
		imp.Kind = Kind(r.u8("the kind of an import"))
		switch {
		case r.err != nil:
		case imp.Kind == Function:
			t := l.typeIndex(r, "an import")
			if r.err == nil {
				imp.Signature = l.types[t]
				l.functions = append(l.functions, t)
			}
		case imp.Kind == Table:
			imp.Type, imp.Limits = r.table()
		case imp.Kind == Memory:
			imp.Limits = r.memory()
		case imp.Kind == Global:
			imp.Type, imp.Mutable = r.globalType()
		case imp.Kind == 4:
			r.failAt(at, "it imports an exception tag: exception handling is not something Squall runs")
		default:
			r.failAt(at, "an import has no kind %d", byte(imp.Kind))
		}
		if r.err != nil {
			return
		}
		l.imported[imp.Kind]++
		l.Imports = append(l.Imports, imp)
	}
}

// readFunctions reads the function section (§5.5.6).
func (l *layout) readFunctions(r *reader) {
	l.Functions = r.count(MaxFunctions, 1, "functions")
	for i := 0; i < l.Functions && r.err == nil; i++ {
		l.functions = append(l.functions, l.typeIndex(r, "a function"))
	}
}

// readTables reads the table section (§5.5.7).
func (l *layout) readTables(r *reader) {
	for range r.count(maxTables, 3, "tables") {
		t, limits := r.table()
		if r.err != nil {
			return
		}
		l.Tables = append(l.Tables, limits)
		l.tableTypes = append(l.tableTypes, t)
	}
}

func (r *reader) table() (ValueType, Limits) {
	if r.more() && r.b[r.pos] == 0x40 {
		r.fail("a table has an initial value, which belongs to typed function references; Squall does not run them")
	}
	return r.refType("a table"), r.limits("a table")
}

// readMemories reads the memory section (§5.5.8).
func (l *layout) readMemories(r *reader) {
	at := r.pos
	n := r.count(maxImports, 2, "memories")
	for i := 0; i < n && r.err == nil; i++ {
		m := r.memory()
		l.Memory = &m
	}
	if r.err == nil && n > 1 {
		r.failAt(at, "it has %d memories and Squall runs modules with one", n)
	}
}

func (r *reader) memory() Limits {
	at := r.pos
	m := r.limits("a memory")
	if r.err == nil && (m.Min > maxMemoryPages || m.Max > maxMemoryPages) {
		r.failAt(at, "a memory of %d to %d pages is more than 32 bit addresses reach", m.Min, m.Max)
	}
	return m
}

// limits reads the limits of a memory or a table (§5.3.7).
func (r *reader) limits(what string) (l Limits) {
	at := r.pos
	switch flags := r.u8("the limits of " + what); {
	case r.err != nil:
		return Limits{}
	case flags > 7:
		r.failAt(at, "the limits of %s have no flags %#x", what, flags)
	case flags&4 != 0:
		r.failAt(at, "%s has 64 bit addresses, and Squall runs modules with 32 bit ones", what)
	case flags&2 != 0:
		r.failAt(at, "%s is shared between threads, which Squall does not run: compile without -pthread", what)
	default:
		l.HasMax = flags&1 != 0
	}
	l.Min = r.u32("the minimum of " + what)
	if l.HasMax {
		l.Max = r.u32("the maximum of " + what)
		if r.err == nil && l.Max < l.Min {
			r.failAt(at, "%s has a minimum of %d above its maximum of %d", what, l.Min, l.Max)
		}
	}
	return l
}

func (r *reader) globalType() (t ValueType, mutable bool) {
	t = r.valueType("a global")
	m := r.u8("the mutability of a global")
	if r.err == nil && m > 1 {
		r.failAt(r.pos-1, "a global has no mutability %#x", m)
	}
	return t, m == 1
}

// globals reads the global section (§5.5.9) and gives its entries, without their number, with every function index
// put through shift.
func (r *reader) globals(functions uint32, shift func(uint32) uint32) (entries []byte, n int) {
	n = r.count(maxGlobals, 4, "globals")
	for range n {
		at := r.pos
		r.globalType()
		if r.err == nil {
			entries = append(entries, r.b[at:r.pos]...)
		}
		entries = append(entries, r.constant(functions, shift)...)
		if r.err != nil {
			return nil, n
		}
	}
	return entries, n
}

// readExports reads the export section (§5.5.10).
func (l *layout) readExports(r *reader) {
	n := r.count(maxExports, 3, "exports")
	l.Exports = make([]Export, 0, n)
	seen := make(map[string]bool, n)
	for range n {
		at := r.pos
		e := Export{Name: r.name("the name of an export")}
		e.Kind = Kind(r.u8("the kind of an export"))
		switch {
		case r.err != nil:
		case e.Kind == Function:
			e.Index = l.functionIndex(r, "an export")
			if r.err == nil {
				e.Signature = l.signatureOf(e.Index)
			}
		case e.Kind > Global:
			r.failAt(at, "export %q has no known kind (%d)", e.Name, byte(e.Kind))
		default:
			e.Index = r.u32("an export")
		}
		if r.err == nil && seen[e.Name] {
			r.failAt(at, "two exports are called %q", e.Name)
		}
		if r.err != nil {
			return
		}
		seen[e.Name] = true
		e.Imported = e.Index < l.imported[e.Kind]
		l.Exports = append(l.Exports, e)
	}
}

// readBodies cuts the code section (§5.5.13) into functions.
func (l *layout) readBodies(r *reader) {
	n := r.count(MaxFunctions, 3, "function bodies")
	l.bodies = make([]*reader, 0, n)
	for range n {
		at := r.pos
		size := r.u32("the size of a function")
		if r.err == nil && size > maxFunctionSize {
			r.failAt(at, "a function has %d bytes and at most %d are allowed: split it", size, maxFunctionSize)
		}
		body := r.sub(size, "a function")
		if r.err != nil {
			return
		}
		l.bodies = append(l.bodies, body)
	}
}
