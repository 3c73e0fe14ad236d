package version_test

import (
	"testing"

	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

// FuzzOpen: whatever lies beside a value, Open refuses it or gives a version that can be stored again, and read.
func FuzzOpen(f *testing.F) {
	v := version.None("k")
	for _, m := range []version.Mutation{put(at(1, 1), "a", nil), put(at(2, 2), "b", nil), remove(at(3, 1)), add(at(4, 1), 1, 1)} {
		next, _, err := version.Apply(v, &m)
		if err != nil {
			f.Fatal(err)
		}
		v = next
		w, err := v.Write(0)
		if err != nil {
			f.Fatal(err)
		}
		body, err := w.Value.Wire()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(w.Options.Meta, body, w.Delete)
	}
	f.Fuzz(func(t *testing.T, meta, body []byte, deleted bool) {
		x, err := value.Parse(body)
		if err != nil {
			return
		}
		v, err := version.Open(kvs.Entry{Key: "k", Value: x, Revision: 1, Meta: meta, Deleted: deleted})
		if err != nil {
			return
		}
		_, _ = v.Siblings(), v.Clock()
		w, err := v.Write(1)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := version.Open(kvs.Entry{Key: "k", Value: w.Value, Revision: 1, Meta: w.Options.Meta, Deleted: w.Delete})
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if !same(v, again) {
			t.Fatalf("%+v comes back as %+v", v, again)
		}
	})
}

func FuzzDecodeMutation(f *testing.F) {
	for _, m := range []version.Mutation{assign(at(1, 1), "a"), put(at(2, 2), "b", map[uint64]uint64{1: 2}), remove(at(3, 1)), add(at(4, 1), 1, 1)} {
		b, err := m.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := version.DecodeMutation(b)
		if err != nil {
			return
		}
		if _, _, err := version.Apply(version.None(m.Key), &m); err != nil {
			return
		}
		if _, err := m.Encode(); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
	})
}
