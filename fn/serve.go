//go:build !wasip1

package fn

// Serve makes i the function that this WebAssembly module is; call it once, from an init function of the module's
// main package. The main function is never called. Outside wasip1 it does nothing, so that one source serves both.
//
//	func init() { fn.Serve(fn.Native(count)) }
//	func main() {}
func Serve(i Impl) {}
