package session

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
)

// TestIndex holds an index against two maps. Few hashes are drawn, so that many keys share one, and no key is taken for another.
func TestIndex(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hashes := rapid.SampledFrom([]int{3, 100, 1000}).Draw(t, "hashes")
		hash := func(k int) uint64 { return uint64(k%hashes) * 0x9e3779b97f4a7c15 }
		var x index
		reads, deps := map[kvs.Key]kvs.Revision{}, map[kvs.Key]kvs.Revision{}
		for range rapid.IntRange(0, 300).Draw(t, "steps") {
			k := rapid.IntRange(0, 200).Draw(t, "key")
			key, r := kvs.Key(fmt.Sprint("k", k)), kvs.Revision(rapid.IntRange(1, 9).Draw(t, "revision"))
			if rapid.Bool().Draw(t, "read") {
				x.put(hash(k), key, Read{Revision: r})
				reads[key] = r
			} else {
				x.grow(1)
				x.depend(hash(k), &version.Dep{Key: key, Revision: r})
				deps[key] = max(deps[key], r)
			}
		}
		copied := x.clone()
		x.put(hash(0), "k0", Read{Revision: 99})
		for k := range 201 {
			key := kvs.Key(fmt.Sprint("k", k))
			got, want := copied.find(hash(k), key), reads[key]
			if (got == nil) != (want == 0) || got != nil && got.Revision != want {
				t.Fatalf("of %q %+v was read, want %d", key, got, want)
			}
			var dep kvs.Revision
			if at := copied.at(hash(k), &key); at != nil && at.dep != 0 {
				dep = copied.deps[at.dep-1].Revision
			}
			if dep != deps[key] {
				t.Fatalf("the dependency on %q is %d, want %d", key, dep, deps[key])
			}
		}
		if copied.used >= len(copied.slots) && copied.used > 0 {
			t.Fatalf("%d of %d slots are used: a search for what is not there would not end", copied.used, len(copied.slots))
		}
	})
}
