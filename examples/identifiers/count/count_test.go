package count_test

import (
	"maps"
	"testing"

	"github.com/squall-faas/squall/examples/identifiers/count"
)

func TestCount(t *testing.T) {
	got, err := count.Count(nil, []byte("package p\n\nvar x, y = x, 1 // x\n"))
	if want := map[string]int{"p": 1, "x": 2, "y": 1}; err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
}
