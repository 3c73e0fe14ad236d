// Package value holds the immutable values that functions take, return and store.
//
// A Value has a [Kind] and its encoded payload, the live Go value it was made from, or both: bytes and strings are
// their own payload. A live value is encoded only when it has to leave the process, so a hop between two native
// functions on one node hands over a pointer and touches no codec.
//
//	kind       payload                                  made from
//	Null       nothing                                  nil, a nil pointer, struct{}, a function that returns nothing
//	Bytes      the bytes, untouched                     []byte
//	Text       the string, untouched                    string
//	CBOR       RFC 8949 core deterministic encoding;    numbers, bools, structs, maps, slices
//	           numeric slices as RFC 8746 typed arrays
//	Reference  a key                                    Ref
//
// # Rules
//
// Values are immutable by contract: whoever makes one from a slice, map or pointer gives up writing to it, and
// whoever gets one by As or Into must not write to it, because others may hold the same memory. The build tag
// squalldebug checks this: it hashes each value when it is made and panics where a changed one is handed over.
//
// A nil slice or map is an empty list or map, not null: as itself while it is live, and as an empty one, not nil, once
// it has been encoded. Lists, empty ones too, are values like any other. Null decodes into a pointer, slice, map or
// interface as nil.
//
// The fields of a struct go by their cbor tag, or else their json tag, or else their Go name, all as fxamacker/cbor
// does it: omitempty and "-" work, and reading ignores case. Fields of the types Value, []Value, Ref, []Ref and
// map[string]Ref keep what they hold. A Go any gets an int64, a uint64 above it (inside a struct a *big.Int), float64,
// string, []byte, bool, []any, map[string]any, map[any]any where a key is no text, Ref, time.Time, or a slice of
// numbers. Null leaves a zero field or element.
//
// A text payload is what the Go string held, which is UTF-8 unless its author chose otherwise.
//
// All methods are safe for concurrent use. Decoding never panics and, whatever the payload says of itself, builds no
// more than a small multiple of the payload's size; nesting is limited to 64 levels in what is encoded.
package value
