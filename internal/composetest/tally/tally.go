// Package tally holds the functions that the test registers; they are built to WebAssembly.
package tally

import (
	"cmp"
	"maps"
	"slices"

	"github.com/squall-faas/squall/fn"
)

// Count adds one to the counter under key and gives n back.
func Count(c fn.Context, key string, n int) (int, error) {
	if _, err := fn.Add(c, key, 1); err != nil {
		return 0, err
	}
	return n, nil
}

// Double doubles.
func Double(_ fn.Context, n int) (int, error) { return 2 * n, nil }

// Increment adds one, as that of examples/hello.
func Increment(_ fn.Context, x int) (int, error) { return x + 1, nil }

// Square squares, likewise.
func Square(_ fn.Context, x int) (int, error) { return x * x, nil }

// Merge adds two counts up, as that of examples/identifiers.
func Merge(_ fn.Context, a, b map[string]int) (map[string]int, error) {
	sum := maps.Clone(a)
	for word, n := range b {
		sum[word] += n
	}
	return sum, nil
}

// Top lists the five most frequent words, likewise.
func Top(_ fn.Context, counts map[string]int) ([]string, error) {
	words := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	return words[:min(5, len(words))], nil
}
