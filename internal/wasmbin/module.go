package wasmbin

import "fmt"

// Kind of an import or export (§5.5.5).
type Kind byte

// The kinds.
const (
	Function Kind = 0
	Table    Kind = 1
	Memory   Kind = 2
	Global   Kind = 3
)

// String is the name of the text format.
func (k Kind) String() string {
	if int(k) < 4 {
		return [...]string{"func", "table", "memory", "global"}[k]
	}
	return fmt.Sprintf("kind(%d)", byte(k))
}

// Import is something a module asks its host for.
type Import struct {
	Module, Name string
	Kind         Kind
	Signature    Signature // of a Function
	Type         ValueType // of a Global or a Table
	Mutable      bool      // of a Global
	Limits       Limits    // of a Memory (pages) or a Table (entries)
}

// Export is something a module offers.
type Export struct {
	Name      string
	Kind      Kind
	Index     uint32    // in the index space of its kind, imports first
	Signature Signature // of a Function
	Imported  bool      // what is exported is itself imported
}

// Limits of a memory in pages of PageSize, or of a table in entries.
type Limits struct {
	Min    uint32
	Max    uint32 // meaningful where HasMax
	HasMax bool
}

// Module is what a WebAssembly module declares. It owns its memory and is not written to after Inspect returned it.
type Module struct {
	Imports   []Import
	Exports   []Export
	Memory    *Limits  // the module's own memory; nil where it has none
	Tables    []Limits // the module's own tables
	Functions int      // functions it defines
	Globals   int      // globals it defines
	HasStart  bool     // it runs code when it is instantiated
	Code      int      // bytes of its code section
	Data      int      // bytes of its data section
	Size      int      // bytes of the module
}

// Export finds an export by name.
func (m *Module) Export(name string) (Export, bool) {
	for _, e := range m.Exports {
		if e.Name == name {
			return e, true
		}
	}
	return Export{}, false
}

// buildHint ends the messages about what cannot be a module at all.
const buildHint = "build it with 'GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared' or 'clang --target=wasm32-wasi -mexec-model=reactor'"

// Inspect parses a module and says what it declares. Bytes that are not a sound module give invalid_module, one over
// MaxSize too_large; either says what is wrong and what to do. It looks at every section but at the instructions of
// functions only so far as their sizes: Meter refuses what is wrong with those, and the engine what does not type-check.
// Safe for concurrent use; it keeps no view of wasm.
func Inspect(wasm []byte) (*Module, error) {
	l, err := parse(wasm)
	if err != nil {
		return nil, err
	}
	return &l.Module, nil
}
