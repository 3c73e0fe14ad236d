package wasmbin

import (
	"slices"

	"github.com/squall-faas/squall/fault"
)

// DefaultEvery is how many units a guest runs between two ticks: about a tenth of a millisecond of a tight loop.
const DefaultEvery = 100_000

// DefaultMaxTable is how many entries all tables of a module may have together: 8 MB of the host's memory.
const DefaultMaxTable = 1 << 20

// Options of Meter.
type Options struct {
	// TickModule and TickName name the host function, of type () -> (), that the module will import and call
	// whenever the counter has run out. It may end the guest by a panic; when it returns, the guest goes on.
	TickModule, TickName string
	// Counter is the name under which the counter, a mutable i32 global, is exported; empty keeps it private. The
	// host may set it to any number of units from 0 to 1<<30 at any time at which the guest does not run: in a tick,
	// or before a call.
	Counter string
	// Every is how many units the guest runs between two ticks; 0 is DefaultEvery. The counter is set to it again
	// before each tick, so that nothing depends on what the host does with it.
	Every uint32
	// MaxPages caps the memory, in pages of PageSize; 0 leaves it as it is.
	MaxPages uint32
	// MaxTable caps the entries of all tables together; 0 is DefaultMaxTable.
	MaxTable uint32
}

// Meter rewrites a module so that it calls the host at bounded intervals, whatever it computes, and so that its
// memory and tables cannot grow past the caps. See the package comment for what is counted. The same input gives the
// same output. The name section keeps the names of functions; all other custom sections are dropped, because the
// debug information in them no longer fits.
//
// It returns invalid_module where the module is not sound, uses what Squall does not run, would compile for minutes,
// imports a memory or a table (whose size the caps would not bind), or already exports Options.Counter; too_large where
// it begins with more memory or larger tables than the caps allow; invalid_argument for Options that make no sense. Safe
// for concurrent use; it neither keeps nor changes wasm. Time and memory are proportional to the module's length: about
// 4 ms for each megabyte.
func Meter(wasm []byte, o Options) ([]byte, error) {
	if o.Every == 0 {
		o.Every = DefaultEvery
	}
	if o.MaxTable == 0 {
		o.MaxTable = DefaultMaxTable
	}
	if o.TickName == "" || o.Every > 1<<30 || o.MaxPages > maxMemoryPages {
		return nil, fault.New(fault.InvalidArgument, "a meter needs the name of a tick function, at most 1<<30 units between ticks and at most %d pages", maxMemoryPages)
	}
	l, err := parse(wasm)
	if err != nil {
		return nil, err
	}
	if err := l.admit(o); err != nil {
		return nil, err
	}
	m := &meter{
		functions: uint32(len(l.functions)),
		imported:  l.imported[Function],
		counter:   l.imported[Global] + uint32(l.Globals),
		refill:    uint32(len(l.functions)) + 1,
	}
	code, err := l.meterCode(m, o)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(wasm)+len(code)-l.Code+1<<10)
	out = append(out, wasm[:8]...)
	for _, id := range order {
		if body := l.meteredSection(id, m, o, code); body != nil {
			out = appendSized(append(out, id), body)
		}
	}
	if names := rewriteNames(l.names, m.shift, m.functions); names != nil {
		out = appendSized(append(out, secCustom), names)
	}
	return out, nil
}

// admit refuses what could not be held to the caps.
func (l *layout) admit(o Options) error {
	for _, i := range l.Imports {
		if i.Kind == Memory || i.Kind == Table {
			return fault.New(fault.InvalidModule, "the WebAssembly module imports its %s %q from %q, and Squall gives it none: link it so that it defines its own (without --import-%s)", i.Kind, i.Name, i.Module, i.Kind)
		}
	}
	if _, taken := l.Export(o.Counter); taken && o.Counter != "" {
		return fault.New(fault.InvalidModule, "the WebAssembly module exports %q, a name that Squall needs: rename it", o.Counter)
	}
	if m := l.Memory; m != nil && o.MaxPages > 0 && m.Min > o.MaxPages {
		return fault.New(fault.TooLarge, "the WebAssembly module begins with %d bytes of memory and its limit is %d: raise the function's memory limit", int64(m.Min)*PageSize, int64(o.MaxPages)*PageSize)
	}
	entries := uint64(0)
	for _, t := range l.Tables {
		entries += uint64(t.Min)
	}
	if entries > uint64(o.MaxTable) {
		return fault.New(fault.TooLarge, "the WebAssembly module has tables of %d entries and at most %d are allowed: link fewer functions that are called indirectly", entries, o.MaxTable)
	}
	return nil
}

// meterCode rewrites the code section and adds the function that refills the counter and ticks.
func (l *layout) meterCode(m *meter, o Options) ([]byte, error) {
	out := make([]byte, 0, l.Code+l.Code/4)
	out = appendU32(out, uint32(len(l.bodies)+1))
	for i, b := range l.bodies {
		body, bad := m.rewrite(b, len(l.signatureOf(m.imported+uint32(i)).Params))
		if bad != nil {
			return nil, refuse("code section, ", bad)
		}
		out = appendSized(out, body)
	}
	refill := []byte{0, opI32Const} // no locals
	refill = appendS32(refill, int32(o.Every))
	refill = appendU32(append(refill, opGlobalSet), m.counter)
	refill = appendU32(append(refill, opCall), m.imported) // the tick: the last of the imports
	return appendSized(out, append(refill, opEnd)), nil
}

// meteredSection gives a section of the metered module; nil leaves it out.
func (l *layout) meteredSection(id byte, m *meter, o Options, code []byte) []byte {
	var r reader
	if l.body[id] != nil {
		r = *l.body[id]
	}
	switch id {
	case secType:
		return extend(&r, 0x60, 0, 0)
	case secImport:
		tick := appendName(appendName(nil, o.TickModule), o.TickName)
		return extend(&r, appendU32(append(tick, byte(Function)), uint32(len(l.types)))...)
	case secFunction:
		return extend(&r, appendU32(nil, uint32(len(l.types)))...)
	case secTable:
		if len(l.Tables) == 0 {
			return nil
		}
		return l.cappedTables(o.MaxTable)
	case secMemory:
		if l.Memory == nil {
			return nil
		}
		return appendLimits([]byte{1}, capped(*l.Memory, o.MaxPages))
	case secGlobal:
		entries, n := r.globals(m.functions, m.shift)
		out := append(appendU32(nil, uint32(n+1)), entries...)
		out = append(out, byte(I32), 1, opI32Const)
		return append(appendS32(out, int32(o.Every)), opEnd)
	case secExport:
		return l.exports(m, o.Counter)
	case secStart:
		if !l.HasStart {
			return nil
		}
		return appendU32(nil, m.shift(r.u32("")))
	case secElement:
		if l.body[id] == nil {
			return nil
		}
		return r.elements(m.functions, m.shift)
	case secCode:
		return code
	}
	return r.b // data, data count
}

// extend appends an entry to a section that begins with the number of its entries.
func extend(r *reader, entry ...byte) []byte {
	n := uint32(0)
	if len(r.b) > 0 {
		n = r.u32("")
	}
	return slices.Concat(appendU32(nil, n+1), r.b[r.pos:], entry)
}

// exports gives the export section of the metered module.
func (l *layout) exports(m *meter, counter string) []byte {
	n := uint32(len(l.Exports))
	if counter != "" {
		n++
	}
	out := appendU32(nil, n)
	for _, e := range l.Exports {
		index := e.Index
		if e.Kind == Function {
			index = m.shift(index)
		}
		out = appendU32(append(appendName(out, e.Name), byte(e.Kind)), index)
	}
	if counter != "" {
		out = appendU32(append(appendName(out, counter), byte(Global)), m.counter)
	}
	return out
}

// cappedTables gives the table section with every table's growth capped. What the tables do not begin with is shared
// between them equally.
func (l *layout) cappedTables(entries uint32) []byte {
	for _, t := range l.Tables {
		entries -= t.Min
	}
	share := entries / uint32(len(l.Tables))
	out := appendU32(nil, uint32(len(l.Tables)))
	for i, t := range l.Tables {
		out = appendLimits(append(out, byte(l.tableTypes[i])), capped(t, max(1, t.Min+share)))
	}
	return out
}

// capped gives limits with a maximum of at most limit; 0 leaves them as they are.
func capped(l Limits, limit uint32) Limits {
	if limit > 0 && (!l.HasMax || l.Max > limit) {
		l.HasMax, l.Max = true, limit
	}
	return l
}

func appendLimits(b []byte, l Limits) []byte {
	if l.HasMax {
		return appendU32(appendU32(append(b, 1), l.Min), l.Max)
	}
	return appendU32(append(b, 0), l.Min)
}
