package kvstest

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

func news(t testing.TB, s kvs.Store, held []kvs.Held, since kvs.Mark) (map[kvs.Key]kvs.Entry, kvs.Mark) {
	t.Helper()
	begin := time.Now()
	newer, next, err := s.News(within(t), held, since)
	if err != nil {
		t.Fatalf("news: %v", err)
	}
	if next.At.Before(begin) || next.At.After(time.Now()) {
		t.Fatalf("the mark is of %v, the call began %v", next.At, begin)
	}
	byKey := map[kvs.Key]kvs.Entry{}
	for _, e := range newer {
		if _, twice := byKey[e.Key]; twice {
			t.Fatalf("news of %.40q twice", e.Key)
		}
		byKey[e.Key] = e
	}
	return byKey, next
}

func testNews(t *testing.T, s kvs.Store) {
	if n, _ := news(t, s, nil, kvs.Mark{}); len(n) != 0 {
		t.Fatalf("news of nothing: %v", n)
	}
	const n = 2200
	load(t, s, n, func(i int) kvs.Key { return numbered("k", i) })
	put(t, s, "large", noise(2<<20, 1))
	keys := []kvs.Key{"large", "absent"}
	for i := range n {
		keys = append(keys, numbered("k", i))
	}
	var held []kvs.Held
	for _, e := range getMany(t, s, keys...) {
		held = append(held, kvs.Held{Key: e.Key, Revision: e.Revision})
	}
	got, mark := news(t, s, held, kvs.Mark{})
	if len(got) != 0 {
		t.Fatalf("news of what is held: %d", len(got))
	}
	put(t, s, "k7", "seven")
	put(t, s, "large", noise(2<<20, 2))
	put(t, s, "absent", "here")
	put(t, s, "not held", 1)
	remove(t, s, "k8")
	for what, since := range map[string]kvs.Mark{"since the mark": mark, "since ever": {}} {
		got, _ := news(t, s, held, since)
		if len(got) != 4 {
			t.Fatalf("%s: %d are news, want 4", what, len(got))
		}
		holds(t, got["k7"].Value, "seven")
		holds(t, got["large"].Value, noise(2<<20, 2))
		holds(t, got["absent"].Value, "here")
		if e := got["k8"]; !e.Deleted || e.Revision != getMany(t, s, "k8")[0].Revision {
			t.Fatalf("%s: news of a deleted key: %+v", what, e)
		}
	}
	got, mark = news(t, s, held, mark)
	for i, h := range held {
		if e, ok := got[h.Key]; ok {
			held[i].Revision = e.Revision
		}
	}
	if got, _ := news(t, s, held, mark); len(got) != 0 {
		t.Fatalf("old news: %d", len(got))
	}
	for i := range held {
		if held[i].Key == "k8" {
			held[i].Revision = 0
		}
	}
	if got, _ := news(t, s, held, kvs.Mark{}); len(got) != 0 {
		t.Fatalf("news that what is held as deleted is not there: %v", got)
	}
	if got, _ := news(t, s, held, mark); len(got) != 0 {
		t.Fatalf("news that what is not held is not there: %v", got)
	}
	_, _, err := s.News(within(t), []kvs.Held{{Key: ""}}, kvs.Mark{})
	fails(t, "of an empty key", err, fault.InvalidKey)
	// A mark that is not one counts for none.
	if got, _ := news(t, s, held[2:12], kvs.Mark{At: time.Now(), Seqs: []uint64{1, 2, 3, 4, 5, 6, 7}}); len(got) != 0 {
		t.Fatalf("by a mark that is none: %d are news, want none", len(got))
	}
}

// testNewsOfExpiry: without a mark, what has expired is news.
func testNewsOfExpiry(t *testing.T, s kvs.Store) {
	rev := putFor(t, s, "goes", 1, time.Second)
	stays := put(t, s, "stays", 1)
	until(t, "it expires", func() bool { return getMany(t, s, "goes")[0].Revision == 0 })
	got, _ := news(t, s, []kvs.Held{{Key: "goes", Revision: rev}, {Key: "stays", Revision: stays}}, kvs.Mark{})
	if e := got["goes"]; len(got) != 1 || !e.Deleted || e.Revision != rev {
		t.Fatalf("news: %+v", got)
	}
}

// testNewsModel does random things, and asks for news now and then: they are exactly what differs from what is held,
// whatever mark is given of those that may be.
func testNewsModel(t *testing.T, s kvs.Store) {
	round := 0
	rapid.Check(t, func(r *rapid.T) {
		round++
		keys := make([]kvs.Key, 8)
		for i := range keys {
			keys[i] = kvs.Key(fmt.Sprintf("%d %d", round, i))
		}
		there := map[kvs.Key]kvs.Revision{}
		held := map[kvs.Key]kvs.Revision{}
		marks := []kvs.Mark{{}}
		for range rapid.IntRange(5, 25).Draw(r, "steps") {
			key := rapid.SampledFrom(keys).Draw(r, "key")
			switch rapid.IntRange(0, 5).Draw(r, "step") {
			case 0, 1:
				there[key] = put(t, s, key, 1)
			case 2:
				remove(t, s, key)
				there[key] = 0
			case 3:
				w := kvs.Write{Key: key, Value: value.MustOf(2), Expect: there[key]}
				there[key] = writeMany(t, s, kvs.Fence{}, w, kvs.Write{Key: "beside", Value: value.MustOf(2), Expect: kvs.AnyRevision})[0].Revision
			case 4: // take what is there for some keys
				for _, key := range rapid.SliceOfDistinct(rapid.SampledFrom(keys), rapid.ID).Draw(r, "held") {
					held[key] = there[key]
				}
				marks = []kvs.Mark{{}} // others were not asked about these
			case 5:
				var all []kvs.Held
				for key, rev := range held {
					all = append(all, kvs.Held{Key: key, Revision: rev})
				}
				got, next := news(t, s, all, rapid.SampledFrom(marks).Draw(r, "mark"))
				for key, rev := range held {
					e, isNew := got[key]
					if isNew != (rev != there[key]) || isNew && e.Deleted != (there[key] == 0) || isNew && !e.Deleted && e.Revision != there[key] {
						r.Fatalf("%q is held at %d and is at %d; news: %v, %+v", key, rev, there[key], isNew, e)
					}
					held[key] = there[key]
				}
				if len(got) > len(held) {
					r.Fatalf("news of %d keys, held are %d", len(got), len(held))
				}
				marks = append(marks, next)
			}
		}
	})
}
