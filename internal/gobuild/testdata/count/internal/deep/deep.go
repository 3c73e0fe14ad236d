// Package deep may be imported only from below package count.
package deep

import (
	"strings"

	"github.com/squall-faas/squall/fn"
)

// Lower is used by package count.
func Lower(s string) string { return strings.ToLower(s) }

// Deep is a function in an internal package.
func Deep(_ fn.Context, s string) (string, error) { return Lower(s), nil }
