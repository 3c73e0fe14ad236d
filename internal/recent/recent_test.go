package recent_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/internal/recent"
)

// TestWindow compares a window with a list of its last entries.
func TestWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 5).Draw(t, "size")
		w := recent.New[int, int](size)
		type pair struct{ k, v int }
		var last []pair
		for i := range rapid.IntRange(0, 40).Draw(t, "steps") {
			k := rapid.IntRange(0, 7).Draw(t, "key")
			w.Add(k, i)
			if at := slices.IndexFunc(last, func(p pair) bool { return p.k == k }); at >= 0 {
				last[at].v = i
			} else if last = append(last, pair{k, i}); len(last) > size {
				last = last[1:]
			}
			for k := range 8 {
				want := slices.IndexFunc(last, func(p pair) bool { return p.k == k })
				got, ok := w.Get(k)
				if ok != (want >= 0) || ok && got != last[want].v {
					t.Fatalf("key %d: %d, %t; last are %v", k, got, ok, last)
				}
			}
			var seen []pair
			w.Newest(func(k, v int) bool { seen = append(seen, pair{k, v}); return true })
			slices.Reverse(seen)
			if !slices.Equal(seen, last) {
				t.Fatalf("newest: %v, want %v", seen, last)
			}
		}
		w.Clear()
		if _, ok := w.Get(0); ok {
			t.Fatal("something is left after Clear")
		}
	})
}
