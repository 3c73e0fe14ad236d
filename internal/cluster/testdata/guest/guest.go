// Package guest has functions that the cluster's tests run as WebAssembly.
package guest

import (
	"github.com/squall-faas/squall/fn"
)

// Increment adds one.
func Increment(_ fn.Context, x int) (int, error) { return x + 1, nil }

// Spin never returns.
func Spin(_ fn.Context, x int) (int, error) {
	for {
		x = x*31 + 7
		if x == 42 {
			x++
		}
	}
}

// Bump counts under a key.
func Bump(c fn.Context, key string) (int, error) {
	n, _ := fn.Get[int](c, key)
	return n + 1, fn.Put(c, key, n+1)
}
