package cache

import (
	"testing"

	"github.com/squall-faas/squall/kvs"
)

// TestCausalDelete: at the causal levels a delete takes away what its run has seen, and nothing else (docs/consistency.md).
func TestCausalDelete(t *testing.T) {
	for _, level := range []kvs.Level{kvs.SingleKey, kvs.MultiKey, kvs.DistributedSession} {
		t.Run(level.String(), func(t *testing.T) {
			n := startNodes(t, Config{}, "a", "b")
			fresh := func(name string) *run {
				r := n.run(t, level, "")
				r.cfg.Run += name
				return r
			}
			settled := func() { // both nodes have heard of what is stored
				for _, node := range []string{"a", "b"} {
					n.hears(t, node, "k", n.store.inStore(t, "k").Revision)
				}
			}
			n.causalPut(t, level, "a", "k", 1)

			blind := fresh("blind")
			s := blind.begin("a")
			must(t, s.Delete(t.Context(), "k"))
			wantNone(t, s, "k") // the invocation sees what it did
			blind.finish(s)
			n.store.wantInt(t, "k", 1) // and has deleted nothing, for it had seen nothing

			reader, writer := fresh("reader"), fresh("writer")
			reader.on("a", func(s *Session) { wantInt(t, s, "k", 1) })
			writer.on("b", func(s *Session) { sput(t, s, "k", 2) }) // without having seen 1
			reader.on("a", func(s *Session) {
				must(t, s.Delete(t.Context(), "k"))
				wantNone(t, s, "k")
			})
			n.store.wantInt(t, "k", 2) // what it had not seen stays, although it is later than the delete's reads
			settled()

			both, late := fresh("both"), fresh("late")
			both.on("b", func(s *Session) { wantSiblings(t, s, "k", 2) })
			late.on("a", func(s *Session) { wantInt(t, s, "k", 2) })
			both.on("b", func(s *Session) { must(t, s.Delete(t.Context(), "k")) })
			if v := n.store.inStore(t, "k"); !v.Absent || v.Clock() == nil {
				t.Fatalf("after all that was there was seen and deleted there is %+v", v)
			}
			late.on("a", func(s *Session) { sput(t, s, "k", 3) }) // by who has seen 2, but not that it was deleted
			n.store.wantInt(t, "k", 3)
			settled()
			last := fresh("last")
			last.on("b", func(s *Session) { wantSiblings(t, s, "k", 3) }) // 2 does not come back with it
			for _, r := range []*run{blind, reader, writer, both, late, last} {
				r.release()
			}
			n.inspect(t)
		})
	}
}

// TestDeleteIsACause: who sees what was written by a run that had deleted a key does not find what was deleted, on no node, also
// where that node has never heard of the delete.
func TestDeleteIsACause(t *testing.T) {
	for _, level := range []kvs.Level{kvs.MultiKey, kvs.DistributedSession} {
		n := deafNodes(t, "a", "b", "c")
		put(t, n.store, "k", 1)
		for _, node := range []string{"b", "c"} {
			wantInt(t, n.of[node], "k", 1)
		}
		deleter := n.run(t, level, "")
		deleter.cfg.Run += "deleter"
		deleter.on("a", func(s *Session) {
			wantInt(t, s, "k", 1)
			must(t, s.Delete(t.Context(), "k"))
			sput(t, s, "y", 1)
		})
		reader := n.run(t, level, "")
		reader.cfg.Run += "reader"
		reader.on("a", func(s *Session) { wantInt(t, s, "y", 1) })
		wantInt(t, n.of["b"], "k", 1) // for those who have not seen y
		reader.on("b", func(s *Session) { wantNone(t, s, "k") })
		wantInt(t, n.of["c"], "k", 1)
		wantInt(t, n.of["c"], "y", 1)
		wantNone(t, n.of["c"], "k") // what c gives is a cut
		deleter.release()
		reader.release()
		n.inspect(t)
	}
}
