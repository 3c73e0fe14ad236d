// Package gobuild turns one func of an ordinary Go package into a WebAssembly reactor.
//
// The package is not changed and need not know of it: the func is found by parsing, and the main package that serves
// it (fn.Serve) exists only in an overlay of the go command, next to the package's own files, so that the imports and
// internal packages of the package's module are as legal as they are for the package itself.
//
//	source ──parse──▶ Signature ──▶ generated main ──go build -overlay──▶ module
//
// The go command's own build cache makes a second build cheap. The same sources give the same bytes, wherever they lie.
package gobuild
