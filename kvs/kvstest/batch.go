package kvstest

import (
	"fmt"
	"sync"
	"testing"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// testWriteManyMixed has every kind of write, right and wrong, in one batch; once for every way in which the batch may be
// composed, as those that succeed must not depend on those that fail.
func testWriteManyMixed(t *testing.T, s kvs.Store) {
	const anyRev = kvs.AnyRevision
	one := value.MustOf("new")
	for _, only := range []string{"all", "good", "bad"} {
		key := func(name string) kvs.Key { return kvs.Key(only + " " + name) }
		rev := map[string]kvs.Revision{}
		for _, name := range []string{"set", "set old", "create over", "delete", "delete old", "delete any", "put over", "put at deleted", "create deleted", "delete gone", "delete gone any", "large", "future", "delete none"} {
			rev[name] = put(t, s, key(name), "old")
		}
		for _, name := range []string{"set old", "delete old"} {
			put(t, s, key(name), "newer")
		}
		for _, name := range []string{"put at deleted", "create deleted", "delete gone", "delete gone any"} {
			remove(t, s, key(name))
		}
		tomb := getMany(t, s, key("put at deleted"))[0].Revision
		cases := []struct {
			name string
			w    kvs.Write
			code fault.Code
			left any // "" is nothing
		}{
			{"put", kvs.Write{Value: one, Expect: anyRev}, "", "new"},
			{"put over", kvs.Write{Value: one, Expect: anyRev}, "", "new"},
			{"create", kvs.Write{Value: one}, "", "new"},
			{"create over", kvs.Write{Value: one}, fault.Conflict, "old"},
			{"create deleted", kvs.Write{Value: one}, "", "new"},
			{"set", kvs.Write{Value: one, Expect: rev["set"]}, "", "new"},
			{"set old", kvs.Write{Value: one, Expect: rev["set old"]}, fault.Conflict, "newer"},
			{"set absent", kvs.Write{Value: one, Expect: 7}, fault.Conflict, ""},
			{"future", kvs.Write{Value: one, Expect: rev["future"] + 1<<40}, fault.Conflict, "old"},
			{"put at deleted", kvs.Write{Value: one, Expect: tomb}, fault.Conflict, ""},
			{"delete", kvs.Write{Delete: true, Expect: rev["delete"]}, "", ""},
			{"delete old", kvs.Write{Delete: true, Expect: rev["delete old"]}, fault.Conflict, "newer"},
			{"delete any", kvs.Write{Delete: true, Expect: anyRev}, "", ""},
			{"delete gone", kvs.Write{Delete: true, Expect: rev["delete gone"]}, fault.Conflict, ""},
			{"delete gone any", kvs.Write{Delete: true, Expect: anyRev}, "", ""},
			{"delete absent", kvs.Write{Delete: true, Expect: anyRev}, "", ""},
			{"delete if none", kvs.Write{Delete: true}, "", ""},
			{"delete none", kvs.Write{Delete: true}, fault.Conflict, "old"},
			{"large", kvs.Write{Value: value.MustOf(noise(2<<20, 1)), Expect: rev["large"]}, "", noise(2<<20, 1)},
			{"large absent", kvs.Write{Value: value.MustOf(noise(2<<20, 2)), Expect: 7}, fault.Conflict, ""},
			{"bad ttl", kvs.Write{Value: one, Options: kvs.PutOptions{TTL: -1}, Expect: anyRev}, fault.InvalidArgument, ""},
		}
		var writes []kvs.Write
		var kept []int
		for i, c := range cases {
			if only == "all" || (c.code == "") == (only == "good") {
				c.w.Key = key(c.name)
				writes, kept = append(writes, c.w), append(kept, i)
			}
		}
		if only == "all" {
			writes = append(writes, kvs.Write{Key: "", Value: one})
		}
		results := writeMany(t, s, kvs.Fence{}, writes...)
		if only == "all" {
			fails(t, "an empty key", results[len(kept)].Err, fault.InvalidKey)
		}
		for n, i := range kept {
			c, r := cases[i], results[n]
			if fault.CodeOf(r.Err) != c.code {
				t.Errorf("%s %s: error %v, want %q", only, c.name, r.Err, c.code)
			}
			e := getMany(t, s, key(c.name))[0]
			if c.left == "" {
				if e.Revision != 0 && !e.Deleted {
					t.Errorf("%s %s: it is there", only, c.name)
				}
			} else {
				holds(t, e.Value, c.left)
			}
			nothing := c.w.Delete && c.left == "" && c.name != "delete" && c.name != "delete any"
			if r.Err == nil && !nothing && r.Revision != e.Revision || nothing && r.Revision != 0 || r.Err != nil && r.Revision != 0 {
				t.Errorf("%s %s: result %d, %v; what is there has %d", only, c.name, r.Revision, r.Err, e.Revision)
			}
		}
	}
}

func testWriteManyBad(t *testing.T, s kvs.Store) {
	if r := writeMany(t, s, kvs.Fence{}); len(r) != 0 {
		t.Fatalf("of nothing: %d results", len(r))
	}
	w := kvs.Write{Key: "a", Value: value.MustOf(1), Expect: kvs.AnyRevision}
	_, err := s.WriteMany(within(t), []kvs.Write{w, {Key: "b", Value: w.Value}, w}, kvs.Fence{})
	fails(t, "one key twice", err, fault.InvalidArgument)
	gone(t, s, "a")
	gone(t, s, "b")
}

// testWriteManyMany is more than a batch of any engine holds, by count and by bytes.
func testWriteManyMany(t *testing.T, s kvs.Store) {
	const n = 2500
	key := func(i int) kvs.Key { return numbered("key ", i) }
	revs := make([]kvs.Revision, n)
	for round := range 3 {
		var writes []kvs.Write
		for i := range n {
			writes = append(writes, kvs.Write{Key: key(i), Value: value.MustOf(round*n + i), Expect: revs[i], Delete: round == 2 && i%3 == 0})
		}
		for i, r := range writeMany(t, s, kvs.Fence{}, writes...) {
			if r.Err != nil || r.Revision <= revs[i] {
				t.Fatalf("round %d, write %d: revision %d after %d, %v", round, i, r.Revision, revs[i], r.Err)
			}
			revs[i] = r.Revision
		}
		for i := 0; i < n; i += 97 {
			e := getMany(t, s, key(i))[0]
			if e.Revision != revs[i] || e.Deleted != (round == 2 && i%3 == 0) {
				t.Fatalf("round %d, key %d: revision %d, deleted %v; written at %d", round, i, e.Revision, e.Deleted, revs[i])
			}
			if !e.Deleted {
				holds(t, e.Value, round*n+i)
			}
		}
	}
	if all := listAll(t, s, "", 1000, nil); len(all) != n-(n+2)/3 {
		t.Fatalf("%d keys are listed, want %d", len(all), n-(n+2)/3)
	}
	var writes []kvs.Write
	for i := range 40 {
		writes = append(writes, kvs.Write{Key: numbered("big ", i), Value: value.MustOf(noise(400<<10, uint64(i))), Expect: kvs.AnyRevision})
	}
	for i, r := range writeMany(t, s, kvs.Fence{}, writes...) {
		if r.Err != nil {
			t.Fatalf("large write %d: %v", i, r.Err)
		}
		holds(t, get(t, s, writes[i].Key).Value, noise(400<<10, uint64(i)))
	}
}

// testWriteManyRace has several writers count in batches over the same keys: what was acknowledged is counted, no more.
func testWriteManyRace(t *testing.T, s kvs.Store) {
	const writers, keys, rounds = 4, 12, 12
	var names []kvs.Key
	for i := range keys {
		names = append(names, numbered("counter ", i))
	}
	var mu sync.Mutex // guards want
	want := make([]int, keys)
	lost := 0
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range rounds {
				have, err := s.GetMany(within(t), names)
				if err != nil {
					t.Error(err)
					return
				}
				var writes []kvs.Write
				for i, e := range have {
					n := 0
					if e.Revision != 0 {
						if n, err = value.As[int](e.Value); err != nil {
							t.Error(err)
							return
						}
					}
					writes = append(writes, kvs.Write{Key: names[i], Value: value.MustOf(n + 1), Expect: e.Revision})
				}
				r, err := s.WriteMany(within(t), writes, kvs.Fence{})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				for i, r := range r {
					switch {
					case r.Err == nil:
						want[i]++
					case fault.Is(r.Err, fault.Conflict):
						lost++
					default:
						t.Error(r.Err)
					}
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for i, e := range getMany(t, s, names...) {
		holds(t, e.Value, want[i])
	}
	if lost == 0 {
		t.Log("no two writers met: this run shows little")
	}
}

func testFence(t *testing.T, s kvs.Store) {
	for _, bad := range []string{"", "a.b", "a b", "*"} {
		if _, err := s.Fence(within(t), bad); !fault.Is(err, fault.InvalidName) {
			t.Errorf("writer %q: %v", bad, err)
		}
	}
	raise := func(writer string) kvs.Fence {
		t.Helper()
		f, err := s.Fence(within(t), writer)
		if err != nil {
			t.Fatalf("fence: %v", err)
		}
		return f
	}
	n := 0
	batch := func(f kvs.Fence) error {
		n++
		var writes []kvs.Write
		for i := range 9 {
			writes = append(writes, kvs.Write{Key: kvs.Key(fmt.Sprintf("key %d %d", n, i)), Value: value.MustOf(n)})
		}
		_, err := s.WriteMany(within(t), writes, f)
		return err
	}
	single := func(f kvs.Fence) error {
		n++
		_, err := s.WriteMany(within(t), []kvs.Write{{Key: numbered("single ", n), Value: value.MustOf(n), Expect: kvs.AnyRevision}}, f)
		return err
	}
	together := func(f kvs.Fence) error {
		n++
		_, err := s.Commit(within(t), []kvs.Write{{Key: kvs.Key(fmt.Sprintf("{%d}a", n)), Value: value.MustOf(n)}, {Key: kvs.Key(fmt.Sprintf("{%d}b", n)), Value: value.MustOf(n)}}, nil, f)
		return err
	}
	checks := func(f kvs.Fence) error {
		_, err := s.Commit(within(t), nil, []kvs.Check{{Key: "nothing is there"}}, f)
		return err
	}
	all := map[string]func(kvs.Fence) error{"batch": batch, "single write": single, "commit": together, "commit of checks": checks}
	passes := func(what string, f kvs.Fence) {
		t.Helper()
		for name, write := range all {
			if err := write(f); err != nil {
				t.Fatalf("%s, %s: %v", what, name, err)
			}
		}
	}
	refused := func(what string, f kvs.Fence) {
		t.Helper()
		before := len(listAll(t, s, "", 1000, nil))
		for name, write := range all {
			fails(t, what+", "+name, write(f), fault.Fenced)
		}
		if after := len(listAll(t, s, "", 1000, nil)); after != before {
			t.Fatalf("%s: %d keys were written", what, after-before)
		}
	}
	first := raise("node-1")
	other := raise("node-2")
	passes("the first", first)
	passes("another writer's", other)
	second := raise("node-1")
	refused("one that was raised over", first)
	passes("the second", second)
	passes("another writer's, still", other)
	passes("none", kvs.Fence{})
	for range 3 {
		third := raise("node-1")
		refused("the second", second)
		passes("the third", third)
		second = third
	}
	// A conflict of one write is no fencing.
	put(t, s, "there", 1)
	r := writeMany(t, s, second, kvs.Write{Key: "there", Value: value.MustOf(2)}, kvs.Write{Key: "not there", Value: value.MustOf(2)})
	fails(t, "a conflict under a fence", r[0].Err, fault.Conflict)
	if r[1].Err != nil {
		t.Fatal(r[1].Err)
	}
	_, err := s.Commit(within(t), []kvs.Write{{Key: "there", Value: value.MustOf(2)}}, nil, second)
	fails(t, "a conflict under a fence", err, fault.Conflict)
}

// testFenceRace raises a fence while its holder writes: nothing of the old holder is stored after that.
func testFenceRace(t *testing.T, s kvs.Store) {
	keys := make([]kvs.Key, 16)
	for i := range keys {
		keys[i] = numbered("key ", i)
	}
	f, err := s.Fence(within(t), "w")
	if err != nil {
		t.Fatal(err)
	}
	for epoch := range 5 {
		begun, raised, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			after := 0
			for i := range 10_000 {
				var writes []kvs.Write
				for _, key := range keys {
					writes = append(writes, kvs.Write{Key: key, Value: value.MustOf(epoch), Expect: kvs.AnyRevision})
				}
				_, err := s.WriteMany(within(t), writes, f)
				if i == 0 {
					close(begun)
				}
				if err != nil {
					if !fault.Is(err, fault.Fenced) {
						t.Error(err)
					}
					return
				}
				select {
				case <-raised:
					if after++; after == 3 { // one may have been under way
						t.Error("writes pass after the fence was raised")
						return
					}
				default:
				}
			}
		}()
		<-begun
		next, err := s.Fence(within(t), "w")
		if err != nil {
			t.Fatal(err)
		}
		before := getMany(t, s, keys...)
		close(raised)
		<-done
		for i, e := range getMany(t, s, keys...) {
			if e.Revision != before[i].Revision {
				t.Fatalf("epoch %d: %q was written at %d after the fence was raised (%d)", epoch, e.Key, e.Revision, before[i].Revision)
			}
		}
		f = next
	}
	// Of several who raise it at once one at least holds it, and no two.
	fences := make([]kvs.Fence, 6)
	var wg sync.WaitGroup
	for i := range fences {
		wg.Go(func() {
			var err error
			if fences[i], err = s.Fence(within(t), "w"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	holders := 0
	for _, f := range fences {
		var writes []kvs.Write
		for _, key := range keys {
			writes = append(writes, kvs.Write{Key: key, Value: value.MustOf(-1), Expect: kvs.AnyRevision})
		}
		if _, err := s.WriteMany(within(t), writes, f); err == nil {
			holders++
		} else if !fault.Is(err, fault.Fenced) {
			t.Error(err)
		}
	}
	if holders != 1 {
		t.Errorf("%d of %d hold the fence", holders, len(fences))
	}
}
