package cache

import (
	"testing"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
)

// deaf are nodes that hear of nothing: what they hold grows old.
func deafNodes(t *testing.T, names ...string) *nodes {
	n := startNodes(t, Config{CheckEvery: time.Hour}, names...)
	n.store.mute()
	return n
}

// causalPut has a run of its own, which has seen keys, write one on a node. It gives what is stored then.
func (n *nodes) causalPut(t *testing.T, level kvs.Level, node string, key kvs.Key, x any, seen ...kvs.Key) *version.Version {
	t.Helper()
	r := n.run(t, level, "")
	r.cfg.Run += string(key)
	r.on(node, func(s *Session) {
		for _, k := range seen {
			_, err := s.Get(t.Context(), k)
			must(t, err)
		}
		sput(t, s, key, x)
	})
	r.release()
	return n.store.inStore(t, key)
}

// TestReadYourWrites: what a run has written on one node it reads on another whose cache is older, at each level that carries
// a session.
func TestReadYourWrites(t *testing.T) {
	for _, level := range []kvs.Level{kvs.RepeatableRead, kvs.SingleKey, kvs.MultiKey, kvs.DistributedSession} {
		n := deafNodes(t, "a", "b")
		put(t, n.store, "k", 0)
		put(t, n.store, "d", 0)
		for _, key := range []kvs.Key{"k", "d"} {
			wantInt(t, n.of["b"], key, 0)
		}
		r := n.run(t, level, "")
		r.on("a", func(s *Session) {
			sput(t, s, "k", 1)
			wantInt(t, s, "k", 1)
			wantInt(t, s, "d", 0) // a causal delete is of what was seen
			must(t, s.Delete(t.Context(), "d"))
			wantNone(t, s, "d")
		})
		wantInt(t, n.of["b"], "k", 0) // its cache is old, for those who have not seen more
		r.on("b", func(s *Session) {
			wantInt(t, s, "k", 1)
			wantNone(t, s, "d")
			sput(t, s, "k", 2)
		})
		r.on("a", func(s *Session) { wantInt(t, s, "k", 2) })
		n.store.wantInt(t, "k", 2)
		r.release()
		n.inspect(t)
	}
}

// TestKeptBackUntilTheEnd: a causal write is nobody's business before its invocation has returned, and nobody's ever where it
// fails.
func TestKeptBackUntilTheEnd(t *testing.T) {
	for _, level := range []kvs.Level{kvs.SingleKey, kvs.MultiKey, kvs.DistributedSession} {
		n := startNodes(t, Config{}, "a", "b")
		put(t, n.store, "k", 0)
		r := n.run(t, level, "")
		s := r.begin("a")
		sput(t, s, "k", 1)
		wantInt(t, s, "k", 1)
		wantInt(t, n.of["a"], "k", 0)
		n.store.wantInt(t, "k", 0)
		s.Abort()
		_, err := s.Finish(t.Context())
		wantCode(t, err, fault.Cancelled)
		n.store.wantInt(t, "k", 0)
		r.release()
		n.inspect(t)
	}
}

// TestSiblings: writes by runs that have not seen each other's stand beside each other, and are replaced by who has.
func TestSiblings(t *testing.T) {
	for _, level := range []kvs.Level{kvs.SingleKey, kvs.MultiKey, kvs.DistributedSession} {
		n := startNodes(t, Config{}, "a", "b")
		one, two := n.run(t, level, ""), n.run(t, level, "")
		two.cfg.Run = "two"
		s, o := one.begin("a"), two.begin("b")
		sput(t, s, "k", 1)
		sput(t, o, "k", 2)
		one.finish(s)
		two.finish(o)
		n.hears(t, "a", "k", n.store.inStore(t, "k").Revision)
		three := n.run(t, level, "")
		three.cfg.Run = "three"
		three.on("a", func(s *Session) {
			wantSiblings(t, s, "k", 1, 2)
			wantInt(t, s, "k", 2)
			sput(t, s, "k", 3)
		})
		four := n.run(t, level, "")
		four.cfg.Run = "four"
		rev := n.store.inStore(t, "k").Revision
		n.hears(t, "b", "k", rev)
		four.on("b", func(s *Session) { wantSiblings(t, s, "k", 3) })
		for _, r := range []*run{one, two, three, four} {
			r.release()
		}
		n.inspect(t)
	}
}

// TestCut: what one node's cache gives is a causal cut: with a version that depends on others come those, or later ones, for
// everybody, also where their own change was never heard of.
func TestCut(t *testing.T) {
	n := deafNodes(t, "a", "b", "c")
	put(t, n.store, "x", 0)
	wantInt(t, n.of["c"], "x", 0)
	n.causalPut(t, kvs.MultiKey, "a", "x", 1)
	y := n.causalPut(t, kvs.MultiKey, "b", "y", 1, "x")
	if version.FindDep(y.Deps, "x") != n.store.inStore(t, "x").Revision {
		t.Fatalf("y depends on %v", y.Deps)
	}
	wantInt(t, n.of["c"], "x", 0)
	wantInt(t, n.of["c"], "y", 1)
	wantInt(t, n.of["c"], "x", 1)
	n.inspect(t)
}

// TestMonotoneOverKeys: at mk a run that has seen a version reads nothing older than what that depends on, on no node.
func TestMonotoneOverKeys(t *testing.T) {
	n := deafNodes(t, "a", "b", "c")
	put(t, n.store, "x", 0)
	for _, node := range []string{"b", "c"} {
		wantInt(t, n.of[node], "x", 0)
	}
	n.causalPut(t, kvs.MultiKey, "a", "x", 1)
	n.causalPut(t, kvs.MultiKey, "a", "y", 1, "x")
	n.causalPut(t, kvs.MultiKey, "a", "z", 1, "y") // and so on x
	for _, first := range []kvs.Key{"y", "z"} {
		r := n.run(t, kvs.MultiKey, "")
		r.cfg.Run += string(first)
		r.on("a", func(s *Session) { wantInt(t, s, first, 1) })
		node := map[kvs.Key]string{"y": "b", "z": "c"}[first]
		wantInt(t, n.of[node], "x", 0)
		r.on(node, func(s *Session) { wantInt(t, s, "x", 1) })
		r.release()
	}
	// At sk keys are apart.
	n.of["b"].outdated("x", 0)
	r := n.run(t, kvs.SingleKey, "")
	r.on("a", func(s *Session) { wantInt(t, s, "y", 1) })
	r.on("b", func(s *Session) { wantInt(t, s, "x", 1) })
	r.release()
	n.inspect(t)
}

// TestDistributedCut: at dsc what a run has seen is one cut, in whichever order. Having seen x it does not see a y that
// depends on a later x: it sees the y before, where that is left, and else begins again.
func TestDistributedCut(t *testing.T) {
	for _, kept := range []bool{true, false} {
		n := startNodes(t, Config{}, "a", "b")
		n.causalPut(t, kvs.DistributedSession, "a", "x", 1)
		n.causalPut(t, kvs.DistributedSession, "a", "y", 1)
		r := n.run(t, kvs.DistributedSession, "")
		r.on("a", func(s *Session) { wantInt(t, s, "x", 1) })
		if kept { // b holds y as it was, and hears of the later one
			wantInt(t, n.of["b"], "y", 1)
		}
		n.causalPut(t, kvs.DistributedSession, "a", "x", 2)
		y := n.causalPut(t, kvs.DistributedSession, "a", "y", 2, "x")
		if kept {
			n.hears(t, "b", "y", y.Revision)
		}
		s := r.begin("b")
		if kept {
			wantInt(t, s, "y", 1)
			wantInt(t, s, "x", 1) // from the node that has pinned it
		} else {
			_, err := s.Get(t.Context(), "y")
			wantCode(t, err, fault.SnapshotLost)
		}
		r.finish(s)
		again := n.run(t, kvs.DistributedSession, "")
		again.cfg.Run = "again"
		again.on("b", func(s *Session) { wantInt(t, s, "y", 2); wantInt(t, s, "x", 2) })
		again.release()
		r.release()
		n.inspect(t)
	}
}

// TestUpstreamSiblings: the siblings that a run has seen on one node it sees on the next, from the cache of the first, also
// when they are stored nowhere any more.
func TestUpstreamSiblings(t *testing.T) {
	n := startNodes(t, Config{}, "a", "b")
	one, two := n.run(t, kvs.DistributedSession, ""), n.run(t, kvs.DistributedSession, "")
	two.cfg.Run = "two"
	s, o := one.begin("a"), two.begin("b")
	sput(t, s, "k", 1)
	sput(t, o, "k", 2)
	one.finish(s)
	two.finish(o)
	n.hears(t, "a", "k", n.store.inStore(t, "k").Revision)
	r := n.run(t, kvs.DistributedSession, "")
	r.cfg.Run = "reader"
	r.on("a", func(s *Session) { wantSiblings(t, s, "k", 1, 2) })
	replaced := n.causalPut(t, kvs.DistributedSession, "a", "k", 3, "k")
	n.hears(t, "b", "k", replaced.Revision)
	before := n.pinned.Load()
	r.on("b", func(s *Session) { wantSiblings(t, s, "k", 1, 2) })
	if got := n.pinned.Load() - before; got != 1 {
		t.Fatalf("%d calls to the node that has pinned it", got)
	}
	for _, r := range []*run{one, two, r} {
		r.release()
	}
	n.inspect(t)
}

// TestStoredAfterItsCauses: of the writes of one invocation each is stored after those before it, on which it depends.
func TestStoredAfterItsCauses(t *testing.T) {
	n := startNodes(t, Config{}, "a")
	var order []kvs.Key
	n.store.set(func() {
		n.store.write = func(writes []kvs.Write, plain func() ([]kvs.Result, error)) ([]kvs.Result, error) {
			for _, w := range writes {
				order = append(order, w.Key)
			}
			return plain()
		}
	})
	r := n.run(t, kvs.MultiKey, "")
	keys := []kvs.Key{"c", "a", "b"}
	r.on("a", func(s *Session) {
		for i, key := range keys {
			sput(t, s, key, i)
		}
	})
	for i, key := range keys {
		v := n.store.inStore(t, key)
		if order[i] != key || len(v.Deps) != i {
			t.Fatalf("stored as %v; %q depends on %v", order, key, v.Deps)
		}
		for _, before := range keys[:i] {
			if version.FindDep(v.Deps, before) != n.store.inStore(t, before).Revision {
				t.Fatalf("%q depends on %v", key, v.Deps)
			}
		}
	}
	r.release()
	n.inspect(t)
}
