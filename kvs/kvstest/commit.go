package kvstest

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

func tagged(name string) kvs.Key { return kvs.Key("{t}" + name) }

func testCommit(t *testing.T, s kvs.Store) {
	one, two := value.MustOf(1), value.MustOf(2)
	try := func(writes []kvs.Write, checks ...kvs.Check) error {
		_, err := s.Commit(within(t), writes, checks, kvs.Fence{})
		return err
	}
	revs := commit(t, s, []kvs.Write{{Key: tagged("a"), Value: one}, {Key: tagged("b"), Value: one}, {Key: tagged("c"), Value: one, Expect: kvs.AnyRevision}},
		[]kvs.Check{{Key: tagged("none")}})
	for i, name := range []string{"a", "b", "c"} {
		if e := get(t, s, tagged(name)); e.Revision != revs[i] {
			t.Fatalf("%s: revision %d, the commit said %d", name, e.Revision, revs[i])
		}
	}
	unchanged := func(what string, err error) {
		t.Helper()
		fails(t, what, err, fault.Conflict)
		for i, name := range []string{"a", "b", "c"} {
			if e := get(t, s, tagged(name)); e.Revision != revs[i] {
				t.Fatalf("%s: %s was written", what, name)
			}
		}
	}
	a := kvs.Write{Key: tagged("a"), Value: two, Expect: revs[0]}
	unchanged("another revision", try([]kvs.Write{a, {Key: tagged("b"), Value: two, Expect: revs[1] - 1}}))
	unchanged("one that is there", try([]kvs.Write{a, {Key: tagged("b"), Value: two}}))
	unchanged("one that is not there", try([]kvs.Write{a, {Key: tagged("d"), Value: two, Expect: 3}}))
	unchanged("a check of another revision", try([]kvs.Write{a}, kvs.Check{Key: tagged("b"), Expect: revs[1] + 5}))
	unchanged("a check that something is not there", try([]kvs.Write{a}, kvs.Check{Key: tagged("b")}))
	unchanged("a check that something is there", try([]kvs.Write{a}, kvs.Check{Key: tagged("d"), Expect: 1}))
	unchanged("a delete at another revision", try([]kvs.Write{a, {Key: tagged("b"), Delete: true, Expect: revs[1] - 1}}))
	unchanged("a delete of what is not there", try([]kvs.Write{a, {Key: tagged("d"), Delete: true, Expect: 1}}))
	unchanged("a large value", try([]kvs.Write{a, {Key: tagged("b"), Value: value.MustOf(noise(2<<20, 1)), Expect: 1}}))
	unchanged("checks alone", try(nil, kvs.Check{Key: tagged("a"), Expect: revs[0]}, kvs.Check{Key: tagged("b"), Expect: revs[1] + 1}))
	if err := try(nil, kvs.Check{Key: tagged("a"), Expect: revs[0]}, kvs.Check{Key: tagged("b"), Expect: revs[1]}, kvs.Check{Key: tagged("d")}); err != nil {
		t.Fatalf("checks that hold: %v", err)
	}
	if err := try(nil); err != nil {
		t.Fatalf("of nothing: %v", err)
	}

	// Deletes, of what is there and of what is not, TTLs, and large values.
	next := commit(t, s, []kvs.Write{{Key: tagged("a"), Delete: true, Expect: revs[0], Options: kvs.PutOptions{Meta: []byte("why")}},
		{Key: tagged("b"), Value: value.MustOf(noise(2<<20, 2)), Expect: revs[1]}, {Key: tagged("d"), Delete: true, Expect: kvs.AnyRevision},
		{Key: tagged("e"), Value: one, Options: kvs.PutOptions{TTL: time.Hour}}, {Key: tagged("c"), Delete: true, Expect: kvs.AnyRevision}},
		[]kvs.Check{{Key: tagged("none")}})
	e := getMany(t, s, tagged("a"), tagged("b"), tagged("c"), tagged("d"), tagged("e"))
	if !e[0].Deleted || e[0].Revision != next[0] || string(e[0].Meta) != "why" || !e[2].Deleted || e[2].Revision != next[4] || e[3].Revision != 0 || next[2] != 0 {
		t.Fatalf("deletes: %+v; revisions %d", e, next)
	}
	holds(t, e[1].Value, noise(2<<20, 2))
	if e[1].Revision != next[1] || e[4].Revision != next[3] || e[4].Expires.IsZero() {
		t.Fatalf("writes: %+v; revisions %d", e, next)
	}
	// A tombstone is nothing: it can be created over, and checked as such.
	commit(t, s, []kvs.Write{{Key: tagged("a"), Value: two}}, []kvs.Check{{Key: tagged("c")}})
	fails(t, "a create over what is there", try([]kvs.Write{{Key: tagged("a"), Value: two}}, kvs.Check{Key: tagged("c")}), fault.Conflict)
	fails(t, "at a tombstone's revision", try([]kvs.Write{{Key: tagged("c"), Value: two, Expect: next[4]}, {Key: tagged("x"), Value: two}}), fault.Conflict)
	gone(t, s, tagged("x"))
}

func testCommitBad(t *testing.T, s kvs.Store) {
	one := value.MustOf(1)
	var many []kvs.Write
	for i := range kvs.MaxBatch + 1 {
		many = append(many, kvs.Write{Key: tagged(fmt.Sprint(i)), Value: one})
	}
	for what, c := range map[string]struct {
		writes []kvs.Write
		checks []kvs.Check
		code   fault.Code
	}{
		"two slots":                 {[]kvs.Write{{Key: "a", Value: one}, {Key: "b", Value: one}}, nil, fault.InvalidArgument},
		"a check of another slot":   {[]kvs.Write{{Key: "{a}1", Value: one}}, []kvs.Check{{Key: "{b}1"}}, fault.InvalidArgument},
		"one key twice":             {[]kvs.Write{{Key: "a", Value: one}, {Key: "a", Value: one}}, nil, fault.InvalidArgument},
		"a key written and checked": {[]kvs.Write{{Key: "a", Value: one}}, []kvs.Check{{Key: "a"}}, fault.InvalidArgument},
		"too many":                  {many, nil, fault.InvalidArgument},
		"an empty key":              {[]kvs.Write{{Value: one}}, nil, fault.InvalidKey},
		"a check of an empty key":   {nil, []kvs.Check{{}}, fault.InvalidKey},
		"a bad TTL":                 {[]kvs.Write{{Key: "a", Value: one, Options: kvs.PutOptions{TTL: -1}}}, nil, fault.InvalidArgument},
	} {
		_, err := s.Commit(within(t), c.writes, c.checks, kvs.Fence{})
		fails(t, what, err, c.code)
	}
	if all := listAll(t, s, "", 10, nil); len(all) != 0 {
		t.Fatalf("written: %v", all)
	}
	// As many as are allowed, with what may cost an engine the most: first with TTLs, then deletes.
	many = many[:kvs.MaxBatch]
	for i := range many {
		many[i].Options.TTL = time.Hour
	}
	revs := commit(t, s, many, nil)
	for i := range many {
		many[i] = kvs.Write{Key: many[i].Key, Delete: true, Expect: revs[i]}
	}
	commit(t, s, many, nil)
	if all := listAll(t, s, "", 1000, nil); len(all) != 0 {
		t.Fatalf("left: %v", all)
	}
	var checks []kvs.Check
	for i := range kvs.MaxBatch - 1 {
		checks = append(checks, kvs.Check{Key: many[i].Key})
	}
	commit(t, s, []kvs.Write{{Key: tagged("after"), Value: one}}, checks)
}

// testTransfers moves money between accounts in Commits while others read all of them and prove, by a Commit of checks,
// that what they read was there at one moment: the sum is always the same.
func testTransfers(t *testing.T, s kvs.Store) {
	const accounts, each, writers, moves = 6, 100, 4, 8
	names := make([]kvs.Key, accounts)
	var opening []kvs.Write
	for i := range names {
		names[i] = kvs.Key(fmt.Sprintf("{bank}%d", i))
		opening = append(opening, kvs.Write{Key: names[i], Value: value.MustOf(each)})
	}
	commit(t, s, opening, nil)
	amount := func(e kvs.Entry) int {
		n, err := value.As[int](e.Value)
		if err != nil {
			t.Error(err)
		}
		return n
	}
	move := func(r *rand.Rand) (done bool, err error) {
		from, to := r.IntN(accounts), r.IntN(accounts-1)
		if to >= from {
			to++
		}
		e, err := s.GetMany(within(t), []kvs.Key{names[from], names[to]})
		if err != nil {
			return false, err
		}
		n := r.IntN(10)
		_, err = s.Commit(within(t), []kvs.Write{{Key: names[from], Value: value.MustOf(amount(e[0]) - n), Expect: e[0].Revision},
			{Key: names[to], Value: value.MustOf(amount(e[1]) + n), Expect: e[1].Revision}}, nil, kvs.Fence{})
		if fault.Is(err, fault.Conflict) {
			return false, nil
		}
		return err == nil, err
	}
	stop := make(chan struct{})
	var wg, readers sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 1))
			for done := 0; done < moves; {
				ok, err := move(r)
				if err != nil {
					t.Error(err)
					return
				}
				if ok {
					done++
				}
			}
		})
	}
	snapshots := 0
	readers.Go(func() {
		for last := false; ; {
			e, err := s.GetMany(within(t), names)
			if err != nil {
				t.Error(err)
				return
			}
			var checks []kvs.Check
			sum := 0
			for i := range e {
				checks = append(checks, kvs.Check{Key: names[i], Expect: e[i].Revision})
				sum += amount(e[i])
			}
			_, err = s.Commit(within(t), nil, checks, kvs.Fence{})
			switch {
			case err == nil:
				if snapshots++; sum != accounts*each {
					t.Errorf("the accounts hold %d, want %d", sum, accounts*each)
				}
			case !fault.Is(err, fault.Conflict):
				t.Error(err)
				return
			}
			if last && err == nil {
				return
			}
			select {
			case <-stop:
				last = true
			default:
			}
		}
	})
	wg.Wait()
	close(stop)
	readers.Wait()
	t.Logf("%d snapshots", snapshots)
}

// testWriteSkew has two of whom one at least must stay on call: each leaves only if he has seen, and checks, that the
// other is there.
func testWriteSkew(t *testing.T, s kvs.Store) {
	for round := range 12 {
		keys := []kvs.Key{kvs.Key(fmt.Sprintf("{%d}a", round)), kvs.Key(fmt.Sprintf("{%d}b", round))}
		commit(t, s, []kvs.Write{{Key: keys[0], Value: value.MustOf(true)}, {Key: keys[1], Value: value.MustOf(true)}}, nil)
		e := getMany(t, s, keys...)
		var wg sync.WaitGroup
		errs := make([]error, 2)
		for i := range keys {
			wg.Go(func() {
				_, errs[i] = s.Commit(within(t), []kvs.Write{{Key: keys[i], Value: value.MustOf(false), Expect: e[i].Revision}},
					[]kvs.Check{{Key: keys[1-i], Expect: e[1-i].Revision}}, kvs.Fence{})
			})
		}
		wg.Wait()
		left := 0
		for i, err := range errs {
			switch {
			case err == nil:
				left++
			case !fault.Is(err, fault.Conflict):
				t.Fatalf("%q: %v", keys[i], err)
			}
		}
		if left != 1 {
			t.Fatalf("round %d: %d left, %v", round, left, errs)
		}
	}
}
