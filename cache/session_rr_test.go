package cache

import (
	"fmt"
	"testing"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// TestRepeatableRead: a run sees one version of a key on all nodes, however often it is overwritten: the one that the node
// which has read it first has pinned; or its own write.
func TestRepeatableRead(t *testing.T) {
	for _, level := range []kvs.Level{kvs.RepeatableRead, kvs.DistributedSession} {
		t.Run(level.String(), func(t *testing.T) {
			n := startNodes(t, Config{}, "a", "b")
			put(t, n.store, "k", 1)
			r := n.run(t, level, "")
			r.on("a", func(s *Session) { wantInt(t, s, "k", 1); wantNone(t, s, "missing") })

			for _, node := range []string{"a", "b"} {
				_, _ = n.of[node].Get(t.Context(), "k")
			}
			put(t, n.store, "k", 2)
			put(t, n.store, "missing", 2)
			rev := put(t, n.store, "k", 3)
			n.hears(t, "a", "k", rev)
			n.hears(t, "b", "k", rev)

			r.on("b", func(s *Session) {
				for range 3 {
					wantInt(t, s, "k", 1)
					wantNone(t, s, "missing")
				}
				if got := n.pinned.Load(); got != 1 {
					t.Fatalf("%d calls to the node that has pinned it", got)
				}
			})
			r.on("b", func(s *Session) { wantInt(t, s, "k", 1) }) // b has it now
			if got := n.pinned.Load(); got != 1 {
				t.Fatalf("%d calls to the node that has pinned it", got)
			}
			n.mu.Lock()
			n.gone["a"] = true
			n.mu.Unlock()
			r.on("b", func(s *Session) {
				wantInt(t, s, "k", 1)
				sput(t, s, "k", 7)
				wantInt(t, s, "k", 7)
			})
			put(t, n.store, "k", 8)
			r.on("a", func(s *Session) { wantInt(t, s, "k", 7) })
			r.release()
			n.inspect(t)
		})
	}
}

// TestSnapshotLost: a version that is pinned nowhere any more is not replaced by another one.
func TestSnapshotLost(t *testing.T) {
	n := startNodes(t, Config{}, "a", "b")
	put(t, n.store, "k", 1)
	r := n.run(t, kvs.RepeatableRead, "")
	r.on("a", func(s *Session) { wantInt(t, s, "k", 1) })
	rev := put(t, n.store, "k", 2)
	n.hears(t, "a", "k", rev)
	n.of["a"].Release(r.cfg.Run)
	for _, node := range []string{"a", "b"} {
		s := r.begin(node)
		_, err := s.Get(t.Context(), "k")
		wantCode(t, err, fault.SnapshotLost)
		s.Abort()
	}
	r.release()
	n.inspect(t)
}

// TestPinsEnd: what an invocation has pinned ends with it where nothing comes after, where it has failed, and where its run
// was released before it was through.
func TestPinsEnd(t *testing.T) {
	n := startNodes(t, Config{}, "a")
	c := n.of["a"]
	put(t, n.store, "k", 1)
	for name, end := range map[string]func(r *run, s *Session){
		"failed":    func(_ *run, s *Session) { s.Abort() },
		"last":      func(r *run, s *Session) { r.finish(s) },
		"released":  func(r *run, s *Session) { r.release(); r.finish(s) },
		"afterward": func(r *run, s *Session) { r.finish(s); r.release(); r.release() },
	} {
		r := n.run(t, kvs.RepeatableRead, "")
		r.cfg.Run, r.cfg.Last = name, name == "last"
		s := r.begin("a")
		wantInt(t, s, "k", 1)
		if c.Stats().Pinned == 0 {
			t.Fatalf("%s: nothing is pinned", name)
		}
		end(r, s)
		if st := c.Stats(); st.Pinned != 0 || st.Runs != 0 {
			t.Fatalf("%s: %d bytes are pinned for %d runs", name, st.Pinned, st.Runs)
		}
		_, err := s.Get(t.Context(), "k")
		wantCode(t, err, fault.Cancelled)
	}
	n.inspect(t)
}

// TestPinnedBytes: a version that a run has pinned and that others have replaced is counted once, outside of what ristretto
// keeps, within the node's bound; pins fill half of it at most.
func TestPinnedBytes(t *testing.T) {
	n := startNodes(t, Config{MaxBytes: MinMaxBytes}, "a")
	c := n.of["a"]
	const size = 50 << 10
	big := func(x byte) value.Value { b := make([]byte, size); b[0] = x; return value.MustOf(b) }
	name := func(i int) kvs.Key { return kvs.Key(fmt.Sprint("k", i)) }
	r, other := n.run(t, kvs.RepeatableRead, ""), n.run(t, kvs.RepeatableRead, "")
	other.cfg.Run = "other"
	s, o := r.begin("a"), other.begin("a")
	pinned := 0
	for ; ; pinned++ {
		_, err := n.store.Put(t.Context(), name(pinned), big(1), kvs.PutOptions{})
		must(t, err)
		if _, err = s.Get(t.Context(), name(pinned)); err != nil {
			wantCode(t, err, fault.SnapshotMemory)
			break
		}
		_, err = o.Get(t.Context(), name(pinned)) // the same version: it is held once
		must(t, err)
		before := c.Stats().Pinned
		rev, err := n.store.Put(t.Context(), name(pinned), big(2), kvs.PutOptions{})
		must(t, err)
		n.hears(t, "a", name(pinned), rev)
		switch st := c.Stats(); {
		case st.Pinned != before:
			t.Fatalf("%d bytes are pinned, %d before they were replaced", st.Pinned, before)
		case st.Pinned != c.pins.outside.Load():
			t.Fatalf("%d bytes of %d are outside of the table", c.pins.outside.Load(), st.Pinned)
		case st.Pinned < int64(pinned+1)*size || st.Pinned > int64(pinned+1)*(size+size/4):
			t.Fatalf("%d bytes for %d pinned versions", st.Pinned, pinned+1)
		case st.Bytes != c.bytes.Load()+st.Pinned || st.Bytes > c.limits.hard:
			t.Fatalf("%d bytes, %d of them in the table, %d pinned, of %d", st.Bytes, c.bytes.Load(), st.Pinned, c.limits.hard)
		}
		c.inspect(t)
	}
	if all := int64(pinned) * size; all > c.limits.hard/2 || all < c.limits.hard/3 {
		t.Fatalf("%d bytes could be pinned of %d", all, c.limits.hard)
	}
	// What is there is not evicted by what comes, and still has its values.
	for i := range 200 {
		_, err := n.store.Put(t.Context(), kvs.Key(fmt.Sprint("flood", i)), big(3), kvs.PutOptions{})
		must(t, err)
		_, err = c.Get(t.Context(), kvs.Key(fmt.Sprint("flood", i)))
		must(t, err)
		if st := c.Stats(); st.Bytes > c.limits.hard {
			t.Fatalf("%d bytes of %d", st.Bytes, c.limits.hard)
		}
	}
	for i := range pinned {
		v, err := s.Get(t.Context(), name(i))
		must(t, err)
		if b, err := value.As[[]byte](v); err != nil || b[0] != 1 {
			t.Fatalf("version %d, %v", b[0], err)
		}
	}
	r.finish(s)
	r.release()
	if c.Stats().Pinned == 0 {
		t.Fatal("the other run's pins are gone")
	}
	other.finish(o)
	other.release()
	n.inspect(t)
}

// TestOperationsCountOnce: an invocation that is executed again, here or elsewhere, counts once, each of its operations for
// itself, whenever they are stored.
func TestOperationsCountOnce(t *testing.T) {
	for _, level := range kvs.Levels() {
		if level == kvs.Transaction { // which is done once as a whole
			continue
		}
		n := startNodes(t, Config{}, "a", "b")
		for i, ack := range []kvs.Ack{kvs.Cached, kvs.Stored} {
			key := kvs.Key(fmt.Sprint("n", i))
			for _, invocation := range []string{"one", "two"} {
				for _, node := range []string{"a", "b", "a"} {
					r := n.run(t, level, "")
					r.cfg.Invocation, r.cfg.Ack = Name(invocation+string(key)), ack
					r.on(node, func(s *Session) {
						for range 2 {
							_, err := s.Update(t.Context(), key, addOp(1), PutOptions{})
							must(t, err)
						}
					})
					r.release()
				}
			}
			for _, c := range n.of {
				must(t, c.Flush(t.Context()))
			}
			n.store.wantInt(t, key, 4)
		}
		n.inspect(t)
	}
}

// TestOpID: the name of an operation is the same wherever it is made, and no other's.
func TestOpID(t *testing.T) {
	seen := map[any]string{}
	for _, invocation := range []string{"a", "b", "a\x00"} {
		for op := range uint32(3) {
			id := OpID(invocation, op)
			if id != OpID(invocation, op) || seen[id] != "" {
				t.Fatalf("%q %d has the name of %s", invocation, op, seen[id])
			}
			seen[id] = fmt.Sprint(invocation, op)
		}
	}
}
