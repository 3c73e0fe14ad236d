package wasmbin

import (
	"fmt"
	"strings"
)

// ValueType is the type of a parameter, result, local or global, by its encoding (§5.3.4).
type ValueType byte

// The value types.
const (
	I32       ValueType = 0x7f
	I64       ValueType = 0x7e
	F32       ValueType = 0x7d
	F64       ValueType = 0x7c
	V128      ValueType = 0x7b
	FuncRef   ValueType = 0x70
	ExternRef ValueType = 0x6f
)

var valueTypeNames = map[ValueType]string{
	I32: "i32", I64: "i64", F32: "f32", F64: "f64", V128: "v128", FuncRef: "funcref", ExternRef: "externref",
}

// String is the name of the text format.
func (t ValueType) String() string {
	if s, ok := valueTypeNames[t]; ok {
		return s
	}
	return fmt.Sprintf("type(%#x)", byte(t))
}

// Signature is the type of a function.
type Signature struct {
	Params, Results []ValueType
}

// String is as in "(i32, i32) -> (i64)".
func (s Signature) String() string { return join(s.Params) + " -> " + join(s.Results) }

func join(types []ValueType) string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = t.String()
	}
	return "(" + strings.Join(names, ", ") + ")"
}

func (r *reader) valueType(what string) ValueType {
	t := ValueType(r.u8(what))
	if r.err != nil {
		return 0
	}
	switch t {
	case I32, I64, F32, F64, V128, FuncRef, ExternRef:
		return t
	case 0x63, 0x64:
		r.failAt(r.pos-1, "%s is a typed function reference, which Squall does not run", what)
	case 0x69:
		r.failAt(r.pos-1, "%s is an exception reference: exception handling is not something Squall runs", what)
	default:
		r.failAt(r.pos-1, "%s has no known value type (%#x)", what, byte(t))
	}
	return 0
}

func (r *reader) refType(what string) ValueType {
	t := r.valueType(what)
	if r.err == nil && t != FuncRef && t != ExternRef {
		r.failAt(r.pos-1, "%s must be funcref or externref and is %s", what, t)
	}
	return t
}

func (r *reader) valueTypes(limit int, what string) []ValueType {
	n := r.count(limit, 1, what)
	if n == 0 {
		return nil
	}
	types := make([]ValueType, n)
	for i := range types {
		types[i] = r.valueType(what)
	}
	return types
}

// signature reads a function type (§5.3.6).
func (r *reader) signature() Signature {
	switch form := r.u8("a function type"); {
	case r.err != nil:
	case form == 0x60:
	case form == 0x4e || form == 0x4f || form == 0x50 || form == 0x5e || form == 0x5f:
		r.failAt(r.pos-1, "it uses the garbage collection proposal, which Squall does not run")
	default:
		r.failAt(r.pos-1, "a function type begins with 0x60, not %#x", form)
	}
	var s Signature
	s.Params = r.valueTypes(maxParams, "parameters")
	s.Results = r.valueTypes(maxResults, "results")
	return s
}
