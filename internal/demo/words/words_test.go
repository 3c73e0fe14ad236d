package words_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/squall-faas/squall/internal/demo/words"
)

func TestCount(t *testing.T) {
	for _, c := range []struct {
		source string
		flawed int
		want   map[string]int
	}{
		{"", 0, map[string]int{}},
		{"package p // x\n/* y */ var x, y = x, \"x\"\n", 0, map[string]int{"p": 1, "x": 2, "y": 1}},
		{"var größe = `a", 1, map[string]int{"größe": 1}},
		{"\x00 a \xff b", 1, map[string]int{"a": 1, "b": 1}},
	} {
		got, err := words.Count(nil, []byte(c.source))
		if err != nil || got.Files != 1 || got.Bytes != int64(len(c.source)) || got.Flawed != c.flawed || !maps.Equal(got.Counts, c.want) {
			t.Errorf("%q: %+v, %v; want %v, flawed %d", c.source, got, err, c.want, c.flawed)
		}
	}
}

// TestMerge holds merging in any shape, and counting all files in one call, against counting in one go, and the arguments
// against their copies.
func TestMerge(t *testing.T) {
	var tallies []words.Tally
	var sources [][]byte
	var want words.Tally
	for i := range 9 {
		source := fmt.Appendf(nil, "package p%d; var a%d, b, c%d", i%3, i, i%2)
		want.Add(source)
		sources = append(sources, source)
		one, err := words.Count(nil, source)
		if err != nil {
			t.Fatal(err)
		}
		tallies = append(tallies, one)
	}
	left, right := tallies[0], tallies[8]
	for i := 1; i < 9; i++ {
		before := maps.Clone(left.Counts)
		merged, _ := words.Merge(nil, left, tallies[i])
		if !maps.Equal(left.Counts, before) {
			t.Fatal("Merge wrote to its argument")
		}
		left = merged
		right, _ = words.Merge(nil, tallies[8-i], right)
	}
	all, _ := words.CountAll(nil, sources)
	for _, got := range []words.Tally{left, right, all} {
		if got.Files != want.Files || got.Bytes != want.Bytes || !maps.Equal(got.Counts, want.Counts) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

func TestTop(t *testing.T) {
	counts := map[string]int{}
	for i := range 30 {
		counts[fmt.Sprintf("w%02d", i)] = i / 2
	}
	top, err := words.Top(nil, words.Tally{Counts: counts})
	if err != nil || len(top) != 20 {
		t.Fatalf("%v, %v", top, err)
	}
	if want := []words.Entry{{"w28", 14}, {"w29", 14}, {"w26", 13}}; !slices.Equal(top[:3], want) {
		t.Errorf("the top is %v, want %v first", top, want)
	}
	if top, err = words.Top(nil, words.Tally{}); err != nil || len(top) != 0 {
		t.Errorf("the top of nothing: %v, %v", top, err)
	}
}
