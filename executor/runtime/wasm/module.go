package wasm

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero/api"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/wasmbin"
)

// The exports a module must have, and their types. docs/formats/wasm-abi.md says what each is for.
var wantExports = []struct {
	name string
	sig  wasmbin.Signature
}{
	{"squall_abi_1", wasmbin.Signature{}},
	{"squall_alloc", wasmbin.Signature{Params: []wasmbin.ValueType{wasmbin.I32}, Results: []wasmbin.ValueType{wasmbin.I32}}},
	{"squall_invoke", wasmbin.Signature{Params: []wasmbin.ValueType{wasmbin.I32}, Results: []wasmbin.ValueType{wasmbin.I64}}},
}

// admit holds a module to the ABI: everything it imports is offered, with the type it expects, and everything the
// host calls is there. offered are the functions of the host modules, by module and name.
func admit(m *wasmbin.Module, offered map[[2]string]string) error {
	var foreign []string
	for _, i := range m.Imports {
		name := i.Module + "." + i.Name
		switch sig, ok := offered[[2]string{i.Module, i.Name}]; {
		case i.Kind != wasmbin.Function:
			foreign = append(foreign, fmt.Sprintf("%s (a %s)", name, i.Kind))
		case !ok:
			foreign = append(foreign, name)
		case sig != i.Signature.String():
			foreign = append(foreign, fmt.Sprintf("%s as %s, which is %s", name, i.Signature, sig))
		}
	}
	if len(foreign) > 0 {
		const most = 8
		text := strings.Join(foreign[:min(len(foreign), most)], ", ")
		if len(foreign) > most {
			text += fmt.Sprintf(" and %d more", len(foreign)-most)
		}
		return fault.New(fault.InvalidModule, "the module imports what a function may not have: %s; only WASI preview 1 and the operations of module %q are offered", text, hostModule)
	}
	if e, ok := m.Export("memory"); !ok || e.Kind != wasmbin.Memory || m.Memory == nil {
		return fault.New(fault.InvalidModule, "the module does not export its memory under the name memory: link it as a reactor")
	}
	if e, ok := m.Export("_start"); ok && e.Kind == wasmbin.Function {
		if _, reactor := m.Export("squall_abi_1"); !reactor {
			return fault.New(fault.InvalidModule, "the module is a command (it exports _start), and Squall runs reactors: build it with -buildmode=c-shared, and call fn.Serve in an init function")
		}
	}
	for _, w := range wantExports {
		e, ok := m.Export(w.name)
		switch {
		case !ok || e.Kind != wasmbin.Function:
			return fault.New(fault.InvalidModule, "the module does not export %s: import the fn package and call fn.Serve in an init function, or see docs/formats/wasm-abi.md for other languages", w.name)
		case e.Signature.String() != w.sig.String():
			return fault.New(fault.InvalidModule, "the module exports %s as %s, and the ABI wants %s", w.name, e.Signature, w.sig)
		}
	}
	return nil
}

// signature writes a host function's type as wasmbin does.
func signature(d api.FunctionDefinition) string {
	types := func(ts []api.ValueType) []wasmbin.ValueType {
		out := make([]wasmbin.ValueType, len(ts))
		for i, t := range ts {
			out[i] = wasmbin.ValueType(t)
		}
		return slices.Clip(out)
	}
	return wasmbin.Signature{Params: types(d.ParamTypes()), Results: types(d.ResultTypes())}.String()
}
