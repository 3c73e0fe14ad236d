package cache

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

// TestLayout: a short value lies right behind its key, and that behind its item, whatever their lengths, and shares nothing with
// what it was made of; numbers lie where they are read without a copy; and the collector keeps all of it.
func TestLayout(t *testing.T) {
	var items []*item
	for _, n := range []int{0, 1, 7, 63, 64, 1000, together, together + 1} {
		for _, k := range []int{1, 8, 13, kvs.MaxKey} {
			for deps := range 3 {
				key, b, text := strings.Repeat("k", k), bytes.Repeat([]byte{7}, n), strings.Repeat("t", n)
				for _, x := range []value.Value{value.MustOf(b), value.MustOf(text)} {
					v := &version.Version{Key: kvs.Key(key), Value: x, Revision: 1}
					for i := range deps {
						v.Deps = append(v.Deps, version.Dep{Key: kvs.Key(fmt.Sprint(i)), Revision: kvs.Revision(i + 1), Time: uint64(i)})
					}
					it, err := itemOf(v, time.Unix(1, 0))
					must(t, err)
					if len(it.marks) != deps || deps > 0 && (it.marks[deps-1].Hash != it.sight().Marks[deps-1].Hash || it.marks[deps-1].Revision != kvs.Revision(deps)) {
						t.Fatalf("%d dependencies, marks %v", deps, it.marks)
					}
					if unsafe.StringData(string(it.Key)) == unsafe.StringData(key) {
						t.Fatal("the key is not the item's own")
					}
					if p, err := value.As[[]byte](it.Value); x.Kind() == value.Bytes && (err != nil || len(p) != n) {
						t.Fatal(err)
					} else if x.Kind() == value.Bytes && n > 0 && n <= together && uintptr(unsafe.Pointer(&p[0])) != uintptr(unsafe.Pointer(unsafe.StringData(string(it.Key))))+uintptr(k) {
						t.Fatalf("a value of %d bytes does not lie behind its key of %d", n, k)
					}
					items = append(items, it)
				}
				clear(b)
			}
		}
	}
	floats, err := itemOf(&version.Version{Key: "abc", Value: wire(t, []float64{1, 2, 3}), Revision: 1}, time.Unix(1, 0))
	must(t, err)
	one, err := value.As[[]float64](floats.Value)
	must(t, err)
	two, err := value.As[[]float64](floats.Value)
	must(t, err)
	if &one[0] != &two[0] || one[2] != 3 {
		t.Fatalf("numbers are copied: %v", one)
	}
	for range 3 {
		runtime.GC()
	}
	for _, it := range items {
		if strings.Trim(string(it.Key), "k") != "" {
			t.Fatalf("key %q", it.Key)
		}
		if s, err := value.As[string](it.Value); it.Value.Kind() == value.Text && (err != nil || strings.Trim(s, "t") != "") {
			t.Fatalf("%q, %v", s, err)
		}
		if p, err := value.As[[]byte](it.Value); it.Value.Kind() == value.Bytes && it.Value.Size() <= together && (err != nil || bytes.ContainsFunc(p, func(r rune) bool { return r != 7 })) {
			t.Fatal("a value has changed with what it was made of")
		}
	}
}

// wire gives x as it comes from the store.
func wire(t *testing.T, x any) value.Value {
	b, err := value.MustOf(x).Wire()
	must(t, err)
	v, err := value.Parse(b)
	must(t, err)
	return v
}
