package cache

import (
	"fmt"
	"sync"
	"testing"

	"github.com/squall-faas/squall/cache/session"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
)

// TestVersionHome: of parallel branches, what one has read first all others see, wherever the run's version home is, also
// while the one that has read it is still under way.
func TestVersionHome(t *testing.T) {
	for _, level := range []kvs.Level{kvs.RepeatableRead, kvs.DistributedSession} {
		for _, home := range []string{"a", "b", "c"} {
			t.Run(level.String()+" "+home, func(t *testing.T) {
				n := startNodes(t, Config{}, "a", "b", "c")
				put(t, n.store, "k", 1)
				left := n.run(t, level, home)
				right := left.also()
				s, o := left.begin("a"), right.begin("b")
				wantInt(t, s, "k", 1)
				wantNone(t, o, "missing")
				rev := put(t, n.store, "k", 2)
				put(t, n.store, "missing", 2)
				n.hears(t, "a", "k", rev)
				wantInt(t, o, "k", 1)
				wantNone(t, s, "missing")
				right.finish(o)
				left.finish(s)
				joined, err := session.Join(level, left.carried, right.carried)
				must(t, err)
				if joined.HasRead() || joined.Life == 0 {
					t.Fatalf("%+v travels, and its version home knows it", joined)
				}
				left.carried = joined
				left.on("c", func(s *Session) {
					wantInt(t, s, "k", 1)
					wantNone(t, s, "missing")
					sput(t, s, "k", 5)
					wantInt(t, s, "k", 5)
				})
				left.on("a", func(s *Session) { wantInt(t, s, "k", 5) })
				left.release()
				n.inspect(t)
			})
		}
	}
}

// TestBranchesWrite: branches that write one key beside each other. At rr the run sees the later write from then on, at dsc
// both, as siblings, until it has replaced them.
func TestBranchesWrite(t *testing.T) {
	for _, level := range []kvs.Level{kvs.RepeatableRead, kvs.DistributedSession} {
		t.Run(level.String(), func(t *testing.T) {
			n := startNodes(t, Config{}, "a", "b", "c")
			put(t, n.store, "k", 0)
			r := n.run(t, level, "c")
			r.on("c", func(s *Session) { wantInt(t, s, "k", 0) })
			left, right := r.also(), r.also()
			s, o := left.begin("a"), right.begin("b")
			sput(t, s, "k", 1)
			left.finish(s)
			sput(t, o, "k", 2)
			right.finish(o)
			joined, err := session.Join(level, left.carried, right.carried)
			must(t, err)
			r.carried = joined
			r.on("c", func(s *Session) {
				wantInt(t, s, "k", 2)
				if level == kvs.DistributedSession {
					wantSiblings(t, s, "k", 1, 2)
				}
				sput(t, s, "k", 3)
			})
			r.on("a", func(s *Session) { wantInt(t, s, "k", 3); wantSiblings(t, s, "k", 3) })
			n.store.wantInt(t, "k", 3)
			r.release()
			n.inspect(t)
		})
	}
}

// TestFirstClaimsWin: however many branches read a key that is written all the while, all see one version of it.
func TestFirstClaimsWin(t *testing.T) {
	n := startNodes(t, Config{}, "a", "b", "c")
	stop := make(chan struct{})
	var writer sync.WaitGroup
	put(t, n.store, "k", 0)
	writer.Go(func() {
		for i := 1; ; i++ {
			select {
			case <-stop:
				return
			default:
				put(t, n.store, "k", i)
			}
		}
	})
	for round := range 30 {
		for _, level := range []kvs.Level{kvs.RepeatableRead, kvs.DistributedSession} {
			var wg sync.WaitGroup
			var mu sync.Mutex
			seen := map[kvs.Revision]int{}
			r := n.run(t, level, "a")
			r.cfg.Run += fmt.Sprint(round)
			for i := range 9 {
				wg.Go(func() {
					s := r.begin(n.names[i%3])
					v, err := s.Version(t.Context(), "k")
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					seen[v.Revision]++
					mu.Unlock()
					if _, err := s.Finish(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if len(seen) != 1 {
				t.Fatalf("%v: the branches have seen the revisions %v", level, seen)
			}
			r.release()
		}
	}
	close(stop)
	writer.Wait()
	n.inspect(t)
}

// TestHomeForgets: a version home that has let go of a run, or that is gone, does not begin anew beside what the run has seen.
func TestHomeForgets(t *testing.T) {
	n := startNodes(t, Config{}, "a", "b")
	put(t, n.store, "k", 1)
	r := n.run(t, kvs.RepeatableRead, "a")
	r.on("b", func(s *Session) { wantInt(t, s, "k", 1) })
	n.of["a"].Release(r.cfg.Run)
	s := r.begin("b")
	_, err := s.Get(t.Context(), "other")
	wantCode(t, err, fault.SnapshotLost)
	s.Abort()
	n.mu.Lock()
	n.gone["a"] = true
	n.mu.Unlock()
	s = r.begin("b")
	_, err = s.Get(t.Context(), "k")
	wantCode(t, err, fault.Unavailable)
	s.Abort()
	r.release()
	n.inspect(t)
}

// TestClaim: what the version home answers, claim by claim.
func TestClaim(t *testing.T) {
	c := start(t, newStage(t), 0)
	at := c.Clock().Now().Time
	read := func(r kvs.Revision) session.Read { return session.Read{Revision: r, Time: uint64(r), Node: "x"} }
	ask := func(run string, m Claim) Claimed {
		t.Helper()
		m.Level, m.Now = kvs.DistributedSession, at
		got, err := c.Claim(run, m)
		must(t, err)
		return got
	}
	first := ask("r", Claim{Key: "k", Read: read(5)})
	if first.Verdict != session.Fits || first.Use != nil || first.Life == 0 {
		t.Fatalf("%+v", first)
	}
	again := ask("r", Claim{Key: "k", Read: read(6), Life: first.Life})
	if again.Use == nil || again.Use.Revision != 5 || again.Use.Node != "x" || again.Life != first.Life {
		t.Fatalf("%+v", again)
	}
	if other := ask("other", Claim{Key: "k", Read: read(6)}); other.Use != nil || other.Life == first.Life {
		t.Fatalf("another run: %+v", other)
	}
	if _, err := c.Claim("r", Claim{Key: "k", Level: kvs.DistributedSession, Life: first.Life + 1}); !fault.Is(err, fault.SnapshotLost) {
		t.Fatal(err)
	}
	// It depends on a later version of k than the run has seen.
	if got := ask("r", Claim{Key: "ahead", Read: read(9), Deps: []version.Dep{{Key: "k", Revision: 6, Time: at}}}); got.Verdict != session.Ahead {
		t.Fatalf("%+v", got)
	}
	if got := ask("r", Claim{Key: "fits", Read: read(9), Deps: []version.Dep{{Key: "behind", Revision: 4, Time: at}}}); got.Verdict != session.Fits {
		t.Fatalf("%+v", got)
	}
	if got := ask("r", Claim{Key: "behind", Read: read(3)}); got.Verdict != session.Behind {
		t.Fatalf("%+v", got)
	}
	// Proven not to be there: what it was later is gone.
	if got := ask("r", Claim{Key: "behind", Read: session.Read{Absent: true}, Gone: true}); got.Verdict != session.Fits {
		t.Fatalf("%+v", got)
	}
	// A write of one branch is what others see, and is counted, so that they ask again.
	own := read(7)
	own.Own = true
	if got := ask("r", Claim{Key: "k", Read: own, Over: []hlc.Stamp{}, Whole: true}); got.Writes != 1 {
		t.Fatalf("%+v", got)
	}
	if got := ask("r", Claim{Key: "k", Known: true}); got.Use == nil || got.Use.Revision != 7 || !got.Use.Own || got.Writes != 1 {
		t.Fatalf("%+v", got)
	}
	deps := ask("r", Claim{Key: "next", For: true}).Deps
	for key, r := range map[kvs.Key]kvs.Revision{"k": 7, "fits": 9, "behind": 4} {
		if version.FindDep(deps, key) != r {
			t.Fatalf("%v: %q at %d is missing", deps, key, r)
		}
	}
	c.Release("r")
	c.Release("other")
	if c.PinnedRuns() != 0 {
		t.Fatal("runs are left")
	}
}
