package kvstest_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/kvstest"
	"github.com/squall-faas/squall/value"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// run follows one key through n puts a millisecond apart, and gives the revisions that were pushed, the first put's
// being 1.
func run(t *testing.T, n int, seed uint64, f kvstest.Faults) (got []int, fired map[string]int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := kvs.NewMemory()
		defer m.Close()
		s := kvstest.FaultyFeeds(m, seed, f)
		feed, err := s.Follow(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := feed.Add("k"); err != nil {
			t.Fatal(err)
		}
		for range n {
			if _, err := s.Put(t.Context(), "k", value.MustOf(1), kvs.PutOptions{}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond) // virtual
		}
		time.Sleep(time.Minute) // virtual: whatever is held back comes
		feed.Close()
		for p := range feed.Changes() {
			got = append(got, int(p.Revision))
		}
		fired = s.Fired()
	})
	return got, fired
}

func TestFaultyFeeds(t *testing.T) {
	const n = 400
	whole, fired := run(t, n, 1, kvstest.Faults{})
	if len(whole) != n || !slices.IsSorted(whole) || len(fired) != 0 {
		t.Fatalf("without faults: %d pushes, faults %v", len(whole), fired)
	}
	distinct := func(revs []int) int {
		s := slices.Clone(revs)
		slices.Sort(s)
		return len(slices.Compact(s))
	}
	lossy, fired := run(t, n, 1, kvstest.Faults{Lose: 0.2})
	if len(lossy) != n-fired["lose"] || fired["lose"] < n/10 || !slices.IsSorted(lossy) {
		t.Fatalf("losing: %d pushes, faults %v", len(lossy), fired)
	}
	twice, fired := run(t, n, 1, kvstest.Faults{Duplicate: 0.2})
	if len(twice) != n+fired["duplicate"] || fired["duplicate"] < n/10 || distinct(twice) != n {
		t.Fatalf("duplicating: %d pushes, faults %v", len(twice), fired)
	}
	for name, f := range map[string]kvstest.Faults{"delay": {Delay: 0.2}, "reorder": {Reorder: 0.2}} {
		mixed, fired := run(t, n, 1, f)
		if len(mixed) != n || distinct(mixed) != n || fired[name] < n/10 || slices.IsSorted(mixed) {
			t.Fatalf("%s: %d pushes, in order %v, faults %v", name, len(mixed), slices.IsSorted(mixed), fired)
		}
	}
	all := kvstest.Faults{Lose: 0.1, Duplicate: 0.1, Delay: 0.1, Reorder: 0.1}
	a, _ := run(t, n, 7, all)
	b, _ := run(t, n, 7, all)
	c, _ := run(t, n, 8, all)
	if !slices.Equal(a, b) || slices.Equal(a, c) {
		t.Fatal("the seed does not decide")
	}
}

func TestOutage(t *testing.T) {
	ctx := t.Context()
	o := kvstest.Outage(kvs.NewMemory())
	defer o.Close()
	feed, err := o.Follow(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Close()
	w := []kvs.Write{{Key: "a", Value: value.MustOf(1), Expect: kvs.AnyRevision}}
	reads := map[string]func() error{
		"get":      func() error { _, err := o.Get(ctx, "a"); return err },
		"get many": func() error { _, err := o.GetMany(ctx, []kvs.Key{"a"}); return err },
		"current":  func() error { _, err := o.Current(ctx, "a"); return err },
		"list":     func() error { _, err := o.List(ctx, "", "", 10); return err },
		"news":     func() error { _, _, err := o.News(ctx, []kvs.Held{{Key: "a"}}, kvs.Mark{}); return err },
		"watch":    func() error { _, err := o.Watch(ctx, ""); return err },
		"follow":   func() error { _, err := o.Follow(ctx); return err },
		"add":      func() error { return feed.Add("b") },
	}
	writes := map[string]func() error{
		"put":             func() error { _, err := o.Put(ctx, "a", w[0].Value, kvs.PutOptions{}); return err },
		"compare and set": func() error { _, err := o.CompareAndSet(ctx, "a", w[0].Value, rev(t, o), kvs.PutOptions{}); return err },
		"delete":          func() error { return o.Delete(ctx, "a", 0) },
		"write many":      func() error { _, err := o.WriteMany(ctx, w, kvs.Fence{}); return err },
		"commit":          func() error { _, err := o.Commit(ctx, w, nil, kvs.Fence{}); return err },
		"fence":           func() error { _, err := o.Fence(ctx, "w"); return err },
	}
	if err := writes["put"](); err != nil {
		t.Fatal(err)
	}
	if err := feed.Add("a"); err != nil {
		t.Fatal(err)
	}
	before := rev(t, o)
	o.Down(true)
	for _, calls := range []map[string]func() error{reads, writes} {
		for name, call := range calls {
			if name == "compare and set" {
				continue // it reads first
			}
			if err := call(); !fault.Is(err, fault.Unavailable) {
				t.Errorf("%s while it is off: %v", name, err)
			}
		}
	}
	o.Down(false)
	if rev(t, o) != before {
		t.Fatal("something was stored while it was off")
	}
	o.LoseAnswers(true)
	for _, name := range []string{"put", "compare and set", "write many", "commit", "delete"} {
		before := rev(t, o)
		if err := writes[name](); !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s without an answer: %v", name, err)
		}
		if rev(t, o) == before {
			t.Errorf("%s without an answer was not stored", name)
		}
	}
	o.LoseAnswers(false)
	if o.Lost() != 5 {
		t.Errorf("%d answers were lost, want 5", o.Lost())
	}
	if err := writes["put"](); err != nil {
		t.Fatal(err)
	}
	for p := range feed.Changes() {
		if p.Revision == rev(t, o) {
			break
		}
	}
}

func rev(t *testing.T, s kvs.Store) kvs.Revision {
	t.Helper()
	e, err := s.GetMany(t.Context(), []kvs.Key{"a"})
	if err != nil {
		return 0
	}
	return e[0].Revision
}

// The wrappers pass the suite where they do nothing.
func TestWrappersAreStores(t *testing.T) {
	kvstest.Run(t, func(t *testing.T) kvs.Store {
		m := kvs.NewMemory()
		t.Cleanup(func() { _ = m.Close() }) // never fails
		return kvstest.Outage(m)
	})
}
