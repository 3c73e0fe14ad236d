// Package wasmbin reads and rewrites WebAssembly modules before an engine sees them.
//
// [Inspect] says what a module imports, exports and asks for, and refuses what is not a sound module. [Meter] returns
// the same module with a counter in it, so that a guest that computes without end can be stopped at its deadline and
// the Go collector is let in meanwhile: compiled WebAssembly has no other point at which either could happen
// (docs/adr/0003-how-a-guest-is-ended.md). Both are pure functions of their input, never panic, and use memory in
// proportion to the input's length.
//
// # The encoding walked
//
// Section names are those of the WebAssembly Core Specification, release 2.0.
//
//	§5.2.2 Integers               reader.go     LEB128, with the bounds the specification sets on its length
//	§5.3   Types                  signature.go  value types, function types; module.go limits, table and memory types
//	§5.4   Instructions           instruction.go  the immediates of every instruction, so that a body can be walked
//	§5.4.9 Expressions            constant.go   constant expressions
//	§5.5   Modules                section.go    the sequence of sections
//	§5.5.4 … §5.5.15              module.go, element.go, data.go  one function for each section
//	§7.4   Custom Sections        names.go      the name section
//
// A module may use release 2.0 whole (sign extension, saturating conversions, bulk memory, reference types, multiple
// values, 128 bit vectors), tail calls and extended constant expressions. Threads, exception handling, typed function
// references, garbage collection, several memories and 64 bit memories are refused by name: wazero 1.12 has the first
// three only as experiments, off by default, and a thread that waits in an atomic instruction could not be stopped.
//
// Where the engine is laxer or odder than the specification, this package is strict, because a byte that the two read
// differently would be a place to hide a loop from the meter. The case in point: wazero takes the one byte after 0xfd
// for the vector instruction, the specification a LEB128 number; only the encodings that both read alike are accepted.
//
// # What is counted
//
// One unit at each loop header and function entry, and one more for every 64 bytes of code that run from there
// before the next such point at most: a loop's own body without the loops inside it, or the part of a function outside
// its loops. Otherwise a loop of a million instructions would count as little as an empty one, and 100,000 of its
// turns would outlast any deadline. Instructions that work on a range (memory.fill, table.copy, …) count by its length.
package wasmbin
