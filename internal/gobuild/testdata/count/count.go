// Package count is a function in an ordinary package, which uses an internal package of its own.
package count

import (
	"strings"

	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/internal/gobuild/testdata/count/internal/deep"
)

// Words maps words to how often they occur.
type Words map[string]int

// Count counts words.
func Count(_ fn.Context, text string, least int) (Words, error) {
	out := Words{}
	for word := range strings.FieldsSeq(text) {
		if len(word) >= least {
			out[deep.Lower(word)]++
		}
	}
	return out, nil
}
