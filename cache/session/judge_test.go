package session_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/cache/session"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
)

// world is a store's history of some keys, written by many at once: each write depends on versions before it, and on what
// those depend on.
type world [][]*version.Version // by key and revision, from 1

func worlds() *rapid.Generator[world] {
	return rapid.Custom(func(t *rapid.T) world {
		const keys = 4
		w := make(world, keys)
		for range rapid.IntRange(1, 24).Draw(t, "writes") {
			k := rapid.IntRange(0, keys-1).Draw(t, "key")
			v := stored(name(k), len(w[k])+1)
			v.Absent = false
			if n := len(w[k]); n > 0 { // it has merged what was there
				v.Deps = w[k][n-1].Deps
			}
			for range rapid.IntRange(0, 2).Draw(t, "deps") {
				other := rapid.IntRange(0, keys-1).Draw(t, "on")
				if other == k || len(w[other]) == 0 {
					continue
				}
				d := w[other][rapid.IntRange(0, len(w[other])-1).Draw(t, "revision")]
				more := []version.Dep{{Key: d.Key, Revision: d.Revision, Time: now.Time}}
				v.Deps = version.JoinDeps(version.JoinDeps(v.Deps, d.Deps), more)
			}
			w[k] = append(w[k], v)
		}
		return w
	})
}

// read draws any version of any key, as old as a cache may have it.
func (w world) read(t *rapid.T) *version.Version {
	k := rapid.IntRange(0, len(w)-1).Draw(t, "read key")
	if len(w[k]) == 0 {
		return version.None(name(k))
	}
	return w[k][rapid.IntRange(0, len(w[k])-1).Draw(t, "read revision")]
}

// TestJudgeIsCausal: whatever a run is offered, what it takes goes together. At sk a key never goes back; at mk neither does
// what something seen before depends on; at dsc all that was seen is one cut, in whichever order.
func TestJudgeIsCausal(t *testing.T) {
	for _, level := range []kvs.Level{kvs.SingleKey, kvs.MultiKey, kvs.DistributedSession} {
		t.Run(level.String(), func(t *testing.T) {
			taken := 0
			rapid.Check(t, func(t *rapid.T) {
				w := worlds().Draw(t, "world")
				s := session.New(level)
				var seen []*version.Version
				last := map[kvs.Key]kvs.Revision{}
				for range rapid.IntRange(1, 20).Draw(t, "reads") {
					v := w.read(t)
					if _, again := last[v.Key]; again && level.Repeatable() {
						continue // it has its version
					}
					if s.Judge(session.SightOf(v)) != session.Fits {
						continue
					}
					if rapid.Bool().Draw(t, "travels") {
						b, err := s.Encode()
						if err != nil {
							t.Fatal(err)
						}
						if s, err = session.Decode(level, b); err != nil {
							t.Fatal(err)
						}
					}
					if v.Revision < last[v.Key] {
						t.Fatalf("%q went back from %d to %d", v.Key, last[v.Key], v.Revision)
					}
					for _, before := range seen {
						if level != kvs.SingleKey && version.FindDep(before.Deps, v.Key) > v.Revision {
							t.Fatalf("%q at %d after %q at %d, which depends on %d of it", v.Key, v.Revision, before.Key, before.Revision, version.FindDep(before.Deps, v.Key))
						}
						if level == kvs.DistributedSession && version.FindDep(v.Deps, before.Key) > before.Revision {
							t.Fatalf("%q at %d depends on %d of %q, of which %d was seen", v.Key, v.Revision, version.FindDep(v.Deps, before.Key), before.Key, before.Revision)
						}
					}
					s.Saw(session.SightOf(v), "n", nil, now.Time)
					seen, last[v.Key], taken = append(seen, v), v.Revision, taken+1
				}
			})
			if taken == 0 {
				t.Fatal("nothing was ever taken")
			}
		})
	}
}

// TestJudgeTakesTheLatest: who is offered the latest version of a key is never told that it is behind.
func TestJudgeTakesTheLatest(t *testing.T) {
	for _, level := range []kvs.Level{kvs.SingleKey, kvs.MultiKey, kvs.DistributedSession} {
		rapid.Check(t, func(t *rapid.T) {
			w := worlds().Draw(t, "world")
			s := session.New(level)
			for range rapid.IntRange(0, 10).Draw(t, "reads") {
				if v := w.read(t); s.Judge(session.SightOf(v)) == session.Fits {
					s.Saw(session.SightOf(v), "n", nil, now.Time)
				}
			}
			for _, all := range w {
				if len(all) == 0 {
					continue
				}
				switch v := all[len(all)-1]; s.Judge(session.SightOf(v)) {
				case session.Behind:
					t.Fatalf("the latest version of %q is behind %+v", v.Key, s)
				case session.Ahead:
					if level != kvs.DistributedSession {
						t.Fatalf("%v: the latest version of %q is ahead", level, v.Key)
					}
				}
			}
		})
	}
}

// TestOwnWritesAreSeen: nothing from before the run's own write to a key is let through after it, nor what was written when
// the run had not seen as much as it depends on.
func TestOwnWritesAreSeen(t *testing.T) {
	for _, level := range []kvs.Level{kvs.SingleKey, kvs.MultiKey} {
		rapid.Check(t, func(t *rapid.T) {
			w := worlds().Draw(t, "world")
			own := w.read(t)
			s := session.New(level)
			s.Wrote(own, "n", nil, now.Time, nil)
			if v := w.read(t); v.Key == own.Key && v.Revision < own.Revision && s.Judge(session.SightOf(v)) == session.Fits {
				t.Fatalf("%q at %d after the run's own write at %d", v.Key, v.Revision, own.Revision)
			}
		})
	}
}

// TestDependencies: a write of the run carries what it has seen, what that depends on, and its own writes; not the key itself.
func TestDependencies(t *testing.T) {
	for _, level := range []kvs.Level{kvs.MultiKey, kvs.DistributedSession} {
		rapid.Check(t, func(t *rapid.T) {
			w := worlds().Draw(t, "world")
			s := session.New(level)
			for range rapid.IntRange(0, 8).Draw(t, "reads") {
				if v := w.read(t); s.Judge(session.SightOf(v)) == session.Fits {
					if rapid.Bool().Draw(t, "own") {
						s.Wrote(v, "n", nil, now.Time, nil)
					} else {
						s.Saw(session.SightOf(v), "n", nil, now.Time)
					}
				}
			}
			deps, _ := s.Dependencies(name(0), now.Time)
			for k, r := range s.Reads() {
				if k != name(0) && version.FindDep(deps, k) < r.Revision {
					t.Fatalf("%q was seen at %d and is not among %v", k, r.Revision, deps)
				}
			}
			for k, d := range s.Deps() {
				if k != name(0) && version.FindDep(deps, k) < d.Revision {
					t.Fatalf("%v is not among %v", d, deps)
				}
			}
			if version.FindDep(deps, name(0)) != 0 {
				t.Fatalf("the write depends on its own key: %v", deps)
			}
		})
	}
}
