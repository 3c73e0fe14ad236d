package cache

import (
	"testing"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
)

// TestCommitAnswerLost: a transaction whose answer was lost is committed once, whether it had been stored at once, late or
// never; where another write came first, nothing of it is written.
func TestCommitAnswerLost(t *testing.T) {
	type plain = func() ([]kvs.Revision, error)
	for name, c := range map[string]struct {
		stored, late bool // the first attempt, at once, or when the second is under way
		other        bool // another write comes between
		want         int
		code         fault.Code
	}{
		"stored":            {stored: true, want: 1},
		"late":              {late: true, want: 1},
		"never":             {want: 1},
		"never, overtaken":  {other: true, want: 10, code: fault.TxnConflict},
		"stored, then more": {stored: true, other: true, want: 11},
	} {
		t.Run(name, func(t *testing.T) {
			n := startNodes(t, Config{}, "a", "b")
			s := n.store
			_, err := increment(t.Context(), n.of["b"], "{t}n", kvs.Stored)
			must(t, err)
			var first plain
			tries := 0
			s.set(func() {
				s.commit = func(p plain) ([]kvs.Revision, error) {
					switch tries++; tries {
					case 1:
						first = p
						if c.stored {
							_, err := p()
							must(t, err)
						}
						if c.other {
							for range 10 {
								_, err := increment(t.Context(), n.of["b"], "{t}n", kvs.Stored)
								must(t, err)
							}
						}
						return nil, errDown
					case 2:
						if c.late {
							_, err := first()
							must(t, err)
						}
					}
					return p()
				}
			})
			r := n.run(t, kvs.Transaction, "")
			r.on("a", func(s *Session) {
				_, err := s.Get(t.Context(), "{t}n")
				must(t, err)
				_, err = s.Update(t.Context(), "{t}n", addOp(1), PutOptions{})
				must(t, err)
			})
			if err := n.of["a"].CommitTransaction(t.Context(), r.cfg.Run, r.carried, false); c.code == "" {
				must(t, err)
			} else {
				wantCode(t, err, c.code)
			}
			s.wantInt(t, "{t}n", c.want+1)
			r.release()
			n.inspect(t)
		})
	}
}
