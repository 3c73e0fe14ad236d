package session_test

import (
	"bytes"
	"testing"

	"github.com/squall-faas/squall/cache/session"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
)

// FuzzDecode: whatever arrives, Decode refuses it, or gives a session that works and travels on.
func FuzzDecode(f *testing.F) {
	for _, level := range levels {
		b, err := full(level).Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(level), b)
	}
	f.Fuzz(func(t *testing.T, level uint8, b []byte) {
		s, err := session.Decode(kvs.Level(level), b)
		if err != nil {
			return
		}
		first, err := s.Encode()
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := session.Decode(s.Level, first)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if second, err := again.Encode(); err != nil || !bytes.Equal(first, second) {
			t.Fatalf("%x comes back as %x, %v", first, second, err)
		}
		_, _ = s.Latest(), s.Size()
		if deps, _ := s.Dependencies("a", now.Time); len(deps) > version.MaxDeps {
			t.Fatalf("%d dependencies", len(deps))
		}
		for key := range s.Reads() {
			s.Judge(session.SightOf(stored(key, 5)))
			s.SawAll(key)
		}
		if _, err := session.Join(s.Level, again, again.Clone()); err != nil && !s.Level.Repeatable() && s.Level != kvs.Transaction {
			t.Fatalf("%v does not go with itself: %v", again, err)
		}
	})
}
