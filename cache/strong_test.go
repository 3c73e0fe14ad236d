package cache

import (
	"context"
	"testing"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

// TestStrongWritesAreNotUndone: a linearizable write whose answer was lost takes effect once: when another write may have come
// after it, it is not written again, whether it had been stored at once, late, or never. When nobody wrote, it is stored.
func TestStrongWritesAreNotUndone(t *testing.T) {
	type plain = func() ([]kvs.Result, error)
	stored := func(_ *testing.T, p plain) { _, _ = p() }
	lost := func(*testing.T, plain) {}
	later := func(t *testing.T, s *stage) { put(t, s.Memory, "k", 9) }
	deleted := func(t *testing.T, s *stage) { must(t, s.Delete(t.Context(), "k", 0)) }
	createdAndDeleted := func(t *testing.T, s *stage) { later(t, s); deleted(t, s) }
	nobody := func(*testing.T, *stage) {}
	for _, c := range []struct {
		name  string
		first func(*testing.T, plain)
		other func(*testing.T, *stage)
		// late has the first attempt arrive when the second one is under way, and the other write after it.
		late   bool
		absent bool // the key is not there before
		known  bool // what became of the write, which is then there
		want   int  // -1: nothing is there
	}{
		{name: "stored, overwritten", first: stored, other: later, want: 9},
		{name: "stored, deleted", first: stored, other: deleted, want: -1},
		{name: "stored, nobody wrote", first: stored, other: nobody, known: true, want: 1},
		{name: "not stored, overwritten", first: lost, other: later, want: 9},
		{name: "not stored, deleted", first: lost, other: deleted, want: -1},
		{name: "not stored, nobody wrote", first: lost, other: nobody, known: true, want: 1},
		{name: "late, overwritten", first: lost, other: later, late: true, want: 9},
		{name: "late, nobody wrote", first: lost, other: nobody, late: true, known: true, want: 1},
		{name: "created, overwritten", first: stored, other: later, absent: true, want: 9},
		{name: "created, deleted", first: stored, other: deleted, absent: true, want: -1},
		{name: "not created, created", first: lost, other: later, absent: true, want: 9},
		{name: "not created, created, deleted", first: lost, other: createdAndDeleted, absent: true, want: -1},
		{name: "not created, nobody wrote", first: lost, other: nobody, absent: true, known: true, want: 1},
		{name: "created late, overwritten", first: lost, other: later, absent: true, late: true, want: 9},
	} {
		for _, cached := range []bool{false, true} { // by the time it is tried again, the cache may have heard, or not
			t.Run(c.name, func(t *testing.T) {
				s := newStage(t)
				node := start(t, s, 0)
				if !c.absent {
					put(t, s, "k", 0)
					wantInt(t, node, "k", 0)
				}
				if !cached {
					s.mute()
				}
				var tries int
				var first plain
				s.set(func() {
					s.write = func(_ []kvs.Write, p func() ([]kvs.Result, error)) ([]kvs.Result, error) {
						tries++
						switch {
						case tries == 1:
							first = p
							c.first(t, p)
							if !c.late {
								c.other(t, s)
							}
							return nil, errDown
						case tries == 2 && c.late:
							_, err := first()
							must(t, err)
							c.other(t, s)
						}
						return p()
					}
				})
				got, err := node.Main().Write(context.Background(), version.Mutation{Kind: version.Assign, Key: "k", Value: value.MustOf(1), Wins: true}, kvs.Stored)
				if c.known {
					must(t, err)
					if v := s.inStore(t, "k"); got.Revision != v.Revision || tries > 2 {
						t.Fatalf("answered revision %d of %d, after %d tries", got.Revision, v.Revision, tries)
					}
				} else {
					wantCode(t, err, fault.Unavailable)
				}
				if c.want < 0 {
					if v := s.inStore(t, "k"); !v.Absent {
						t.Fatalf("the write came after the delete: the store has %v", v.Value)
					}
				} else {
					s.wantInt(t, "k", c.want)
				}
				node.inspectQuiet(t)
			})
		}
	}
}

// TestLostAnswerAmongOthers: what is written while an answer is lost waits for its turn, and is applied once and in order.
func TestLostAnswerAmongOthers(t *testing.T) {
	for _, late := range []bool{false, true} {
		s := newStage(t)
		c := start(t, s, 0)
		var first func() ([]kvs.Result, error)
		under, tries := make(chan struct{}), 0
		s.set(func() {
			s.write = func(_ []kvs.Write, plain func() ([]kvs.Result, error)) ([]kvs.Result, error) {
				switch tries++; tries {
				case 1:
					first = plain
					close(under)
					until(t, "more is written", func() bool { return c.Stats().Dirty > 2*writeBytes })
					return nil, errDown
				case 2:
					if late {
						_, err := first()
						must(t, err)
					}
				}
				return plain()
			}
		})
		done := make(chan error, 1)
		go func() {
			_, err := c.Main().Write(context.Background(), version.Mutation{Kind: version.Assign, Key: "k", Value: value.MustOf(1), Wins: true}, kvs.Stored)
			done <- err
		}()
		<-under
		cached(t, c, "k", 2)
		_, err := increment(t.Context(), c, "n", kvs.Cached)
		must(t, err)
		_, err = increment(t.Context(), c, "n", kvs.Cached)
		must(t, err)
		must(t, <-done)
		must(t, c.Flush(t.Context()))
		s.wantInt(t, "k", 2)
		s.wantInt(t, "n", 2)
		c.inspectQuiet(t)
	}
}
