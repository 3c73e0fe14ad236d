package session_test

import (
	"bytes"
	"testing"

	"github.com/squall-faas/squall/cache/session"
	"github.com/squall-faas/squall/internal/golden"
	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

// full is a session of a level in which everything is set.
func full(level kvs.Level) *session.State {
	s := session.New(level)
	s.Saw(session.SightOf(stored("a", 1)), "n1", nil, now.Time)
	s.Wrote(stored("b", 2), "n2", nil, now.Time, lattice.VectorClock{1: 2})
	s.WroteOver(stored("b", 3), "n1", now.Time, nil, []hlc.Stamp{{Time: 1, Node: 2}})
	s.After, s.Life, s.Met = 1, 2, 3
	s.Depends(&version.Dep{Key: "c", Revision: 4, Time: now.Time})
	s.Writes = map[kvs.Key]session.Write{
		"d": {Value: value.MustOf("x"), Time: 1}, "e": {Delete: true, Time: 2}, "f": {Ops: []session.Op{{Time: 3, Op: []byte{1}}}, Time: 3},
	}
	return s
}

// TestGolden: sessions travel between nodes of two releases.
func TestGolden(t *testing.T) {
	for _, level := range levels {
		b, err := full(level).Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := session.Decode(level, golden.Check(t, level.String(), b))
		if err != nil {
			t.Errorf("%v: %v", level, err)
			continue
		}
		if again, err := back.Encode(); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%v is read as %+v and written as %x, %v", level, back, again, err)
		}
	}
}
