//go:build amd64 || arm64

package prefetch

import "unsafe"

// Lines has the n cache lines from p's on fetched, n at least 1, and does not wait for them. It touches no memory: p may point
// anywhere, and what lies there may be gone.
//
//go:noescape
func Lines(p unsafe.Pointer, n int)
