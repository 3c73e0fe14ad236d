package wasm

import (
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
)

// Describer is implemented by the Callables of this package.
type Describer interface {
	// Describe asks the module for the coarse types of its parameters and its result, as runtime.Spec has them. A
	// module that does not say gives nil and "". It runs the guest, and so takes as long as an invocation and fails
	// like one.
	Describe(c fn.Context) (in []string, out string, err error)
}

var _ Describer = (*function)(nil)

// maxDescription bounds what a module says of itself, in bytes.
const maxDescription = 64 << 10

// Describe implements Describer.
func (f *function) Describe(c fn.Context) (in []string, out string, err error) {
	err = f.with(c, func(inst *instance) error {
		describe := inst.mod.ExportedFunction("squall_describe")
		if describe == nil {
			return nil
		}
		if d := describe.Definition(); signature(d) != describeType {
			return fault.New(fault.InvalidModule, "the module exports squall_describe as %s, and the ABI wants %s", signature(d), describeType)
		}
		inst.inv.Context = c
		defer inst.done()
		if err := describe.CallWithStack(&inst.inv, inst.stack[:]); err != nil {
			return inst.explain(err, "describe")
		}
		n := uint32(inst.stack[0])
		b, ok := inst.mod.Memory().Read(uint32(inst.stack[0]>>32), n)
		if !ok || n > maxDescription {
			return errBadDescription
		}
		names, ok := parseTexts(b)
		if !ok || len(names) == 0 {
			return errBadDescription
		}
		out, in = names[0], names[1:]
		return nil
	})
	return in, out, err
}

const describeType = "() -> (i64)"

var errBadDescription = fault.New(fault.InvalidModule, "squall_describe gave something that is no list of texts: see docs/formats/wasm-abi.md")
