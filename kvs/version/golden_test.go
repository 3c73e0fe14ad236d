package version_test

import (
	"testing"
	"time"

	"github.com/squall-faas/squall/internal/golden"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
)

// TestGoldenMeta: what lies beside values in stores that exist is read and written as it was.
func TestGoldenMeta(t *testing.T) {
	causal := put(at(5, 3), "c", map[uint64]uint64{1: 2})
	causal.Deps = []version.Dep{{Key: "a", Revision: 4, Time: 2}, {Key: "b", Revision: 5, Time: 3}}
	causal.After = 9
	for name, ms := range map[string][]version.Mutation{
		"register":   {assign(at(1, 1), "a")},
		"removed":    {assign(at(1, 1), "a"), remove(at(2, 1))},
		"multivalue": {put(at(1, 1), "a", nil), put(at(2, 2), "b", nil)},
		"causal":     {put(at(1, 1), "a", nil), causal},
		"counter":    {add(at(4, 1), 1, 5), add(at(5, 2), 2, 2)},
	} {
		v := version.None("k")
		for _, m := range ms {
			next, _, err := version.Apply(v, &m)
			if err != nil {
				t.Fatal(err)
			}
			v = next
		}
		w, err := v.Write(0)
		if err != nil {
			t.Fatal(err)
		}
		back, err := version.Open(kvs.Entry{Key: "k", Value: w.Value, Revision: 1, Meta: golden.Check(t, "meta-"+name, w.Options.Meta), Deleted: w.Delete})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		again, err := back.Write(1)
		if err != nil || string(again.Options.Meta) != string(w.Options.Meta) {
			t.Errorf("%s is read as %+v and written as %x, %v", name, back, again.Options.Meta, err)
		}
	}
}

// TestGoldenMutation: writes that records of runs hold are read and written as they were.
func TestGoldenMutation(t *testing.T) {
	full := put(at(2, 2), "b", map[uint64]uint64{1: 2})
	full.TTL, full.After, full.Wins = time.Minute, 7, true
	full.Deps = []version.Dep{{Key: "a", Revision: 4, Time: 2}}
	for name, m := range map[string]version.Mutation{
		"assign": assign(at(1, 1), "a"), "put": full, "remove": remove(at(3, 1)), "add": add(at(4, 1), 1, 1),
	} {
		b, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := version.DecodeMutation(golden.Check(t, "mutation-"+name, b))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if again, err := back.Encode(); err != nil || string(again) != string(b) {
			t.Errorf("%s is read as %+v and written as %x, %v", name, back, again, err)
		}
	}
}
