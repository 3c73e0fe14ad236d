package session_test

import (
	"bytes"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/cache/session"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

var levels = []kvs.Level{kvs.RepeatableRead, kvs.SingleKey, kvs.MultiKey, kvs.DistributedSession, kvs.Transaction}

// now is a time that everything here is within version.Horizon of.
var now = hlc.At(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), 0)

func name(i int) kvs.Key { return kvs.Key(fmt.Sprint("k", i)) }

// stored is a version of a key in the one history that each key has: its revision says all of it.
func stored(key kvs.Key, r int) *version.Version {
	return &version.Version{
		Key: key, Revision: kvs.Revision(r), Absent: r%7 == 6,
		Stamp: hlc.Stamp{Time: now.Time - 1000 + uint64(10*r), Node: uint64(r % 3)},
	}
}

// states draws what a run of a level may have seen and done.
func states(level kvs.Level) *rapid.Generator[*session.State] {
	return rapid.Custom(func(t *rapid.T) *session.State {
		s := session.New(level)
		small := rapid.IntRange(0, 20)
		for range rapid.IntRange(0, 5).Draw(t, "reads") {
			v := stored(name(rapid.IntRange(0, 3).Draw(t, "key")), small.Draw(t, "revision"))
			for i := range rapid.IntRange(0, 2).Draw(t, "deps") {
				r := small.Draw(t, "dep")
				v.Deps = append(v.Deps, version.Dep{Key: name(10 + i), Revision: kvs.Revision(r), Time: now.Time + uint64(r)})
			}
			var clock lattice.VectorClock
			if level.Causal() {
				clock = lattice.VectorClock{uint64(small.Draw(t, "actor")): 1 + uint64(small.Draw(t, "counter"))}
			}
			node := fmt.Sprint("n", v.Revision%2)
			if rapid.Bool().Draw(t, "own") {
				s.Wrote(v, node, nil, now.Time, clock)
			} else {
				s.Saw(session.SightOf(v), node, nil, now.Time)
				if level.Causal() {
					r, _ := s.Read(v.Key)
					r.Context = clock
					s.Adopt(v.Key, r)
				}
			}
		}
		s.After, s.Met = uint64(small.Draw(t, "after")), uint64(small.Draw(t, "met"))
		if level == kvs.Transaction {
			s.Writes = make(map[kvs.Key]session.Write)
			for range rapid.IntRange(0, 3).Draw(t, "writes") {
				at := now.Time + uint64(small.Draw(t, "time"))
				w := session.Write{Time: at}
				kind := rapid.SampledFrom([]string{"put", "delete", "operate", "delete and operate"}).Draw(t, "kind")
				if kind == "put" {
					w.Value = value.MustOf(fmt.Sprint(at))
				}
				w.Delete = strings.HasPrefix(kind, "delete")
				if strings.HasSuffix(kind, "operate") {
					op, err := lattice.AppendOp(nil, lattice.Op{Kind: lattice.Add, Arg: value.MustOf(int(at))})
					if err != nil {
						t.Fatal(err)
					}
					w.Ops = []session.Op{{Time: at, Op: op}}
				}
				s.Writes[name(rapid.IntRange(0, 3).Draw(t, "written"))] = w
			}
		}
		return s
	})
}

func encoded(t *rapid.T, s *session.State) []byte {
	b, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// join fails where the levels say so, else it gives the bytes of what comes out.
func join(t *rapid.T, level kvs.Level, parts ...*session.State) (*session.State, []byte) {
	s, err := session.Join(level, parts...)
	if err != nil {
		want := fault.SnapshotLost
		if level == kvs.Transaction {
			want = fault.TxnConflict
		}
		if !fault.Is(err, want) || !level.Repeatable() && level != kvs.Transaction {
			t.Fatalf("%v: %v", level, err)
		}
		return nil, nil
	}
	return s, encoded(t, s)
}

// TestJoinLaws: in which order the branches of a run are joined makes no difference, nor that one is joined twice. Whether
// they go together at all is told alike from either side.
func TestJoinLaws(t *testing.T) {
	for _, level := range levels {
		t.Run(level.String(), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				gen := states(level)
				a, b, c := gen.Draw(t, "a"), gen.Draw(t, "b"), gen.Draw(t, "c")
				before := [][]byte{encoded(t, a), encoded(t, b), encoded(t, c)}

				ab, abBytes := join(t, level, a, b)
				ba, baBytes := join(t, level, b, a)
				if (ab == nil) != (ba == nil) || !bytes.Equal(abBytes, baBytes) {
					t.Fatalf("a with b is\n%+v, b with a\n%+v", ab, ba)
				}
				if aa, got := join(t, level, a, a); !bytes.Equal(got, before[0]) {
					t.Fatalf("%+v with itself is %+v", a, aa)
				}
				if bc, _ := join(t, level, b, c); ab != nil && bc != nil {
					left, l := join(t, level, ab, c)
					right, r := join(t, level, a, bc)
					if left != nil && right != nil && !bytes.Equal(l, r) {
						t.Fatalf("joined from the left\n%+v, from the right\n%+v", left, right)
					}
				}
				for i, s := range []*session.State{a, b, c} {
					if !bytes.Equal(encoded(t, s), before[i]) {
						t.Fatalf("part %d was changed: %+v", i, s)
					}
				}
			})
		})
	}
}

// TestJoinKeeps: what comes out has seen at least what each part has.
func TestJoinKeeps(t *testing.T) {
	for _, level := range levels {
		rapid.Check(t, func(t *rapid.T) {
			gen := states(level)
			parts := []*session.State{gen.Draw(t, "a"), nil, gen.Draw(t, "b")}
			got, _ := join(t, level, parts...)
			if got == nil {
				return
			}
			for _, p := range parts {
				if p == nil {
					continue
				}
				if got.After < p.After || got.Met < p.Met {
					t.Fatalf("%+v is behind %+v", got, p)
				}
				for k, r := range p.Reads() {
					g, ok := got.Read(k)
					behind := g.Revision < r.Revision
					if level.Repeatable() || level == kvs.Transaction { // an own write stays what it sees
						behind = !g.Own && (r.Own || behind)
					}
					if !ok || behind {
						t.Fatalf("%v: of %q %+v is left of %+v", level, k, g, r)
					}
					have, _ := g.Replaces()
					for actor, counter := range r.Context {
						if level.Causal() && have[actor] < counter {
							t.Fatalf("%+v forgets the context of %+v", g, r)
						}
					}
				}
				have := maps.Collect(got.Deps())
				for k, d := range p.Deps() {
					if have[k] == nil || have[k].Revision < d.Revision {
						t.Fatalf("the dependency on %q is %+v of %+v", k, have[k], d)
					}
				}
				for k, w := range p.Writes {
					g := got.Writes[k]
					replaced := len(w.Ops) > 0 && !w.Delete && (len(g.Ops) == 0 || g.Delete)
					if g.Time < w.Time && !replaced {
						t.Fatalf("the write to %q is %+v of %+v", k, g, w)
					}
				}
			}
		})
	}
}

func TestJoinOfNothing(t *testing.T) {
	for _, level := range levels {
		got, err := session.Join(level, nil, nil)
		if err != nil || got.Level != level || got.Latest() != 0 {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	// What two version homes remember of one run is not one memory.
	if _, err := session.Join(kvs.RepeatableRead, &session.State{Level: kvs.RepeatableRead, Life: 1}, &session.State{Level: kvs.RepeatableRead, Life: 2}); !fault.Is(err, fault.SnapshotLost) {
		t.Fatal(err)
	}
}

// TestRoundTrip: what arrives on the next node is what was sent.
func TestRoundTrip(t *testing.T) {
	for _, level := range levels {
		rapid.Check(t, func(t *rapid.T) {
			s := states(level).Draw(t, "s")
			s.Life = rapid.Uint64().Draw(t, "life")
			b := encoded(t, s)
			got, err := session.Decode(level, b)
			if err != nil {
				t.Fatal(err)
			}
			if got.Life != s.Life || got.Met != s.Met || got.After != s.After || got.Latest() != s.Latest() || got.Size() != s.Size() || !bytes.Equal(encoded(t, got), b) {
				t.Fatalf("%+v comes back as %+v", s, got)
			}
			for k, r := range s.Reads() {
				if g, _ := got.Read(k); !g.Same(r) || g.Seen != r.Seen || g.Node != r.Node || g.Stored != r.Stored {
					t.Fatalf("of %q %+v comes back as %+v", k, r, g)
				}
			}
			if clone := s.Clone(); !bytes.Equal(encoded(t, clone), b) {
				t.Fatalf("the copy of %+v is %+v", s, clone)
			}
			if len(b) > 0 {
				if _, err := session.Decode(kvs.LWW, b); !fault.Is(err, fault.Unsupported) {
					t.Fatalf("a session of level %v in a run of lww: %v", level, err)
				}
			}
		})
	}
}
