// Package fn is what the author of a function imports, and nothing else: the [Context] a function sees, the typed
// helpers over it, and the wrappers that make a Go func callable by Squall. It is small, compiles for wasip1/wasm,
// and means the same in every runtime.
//
//	func Count(c fn.Context, text string) (map[string]int, error) { … }
package fn
