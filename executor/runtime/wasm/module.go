package wasm

import (
	"slices"

	"github.com/tetratelabs/wazero/api"

	"github.com/squall-faas/squall/internal/wasmbin"
)

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
