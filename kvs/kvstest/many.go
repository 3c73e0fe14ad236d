package kvstest

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// load writes n values in batches.
func load(t testing.TB, s kvs.Store, n int, key func(int) kvs.Key) {
	t.Helper()
	const batch = 5000
	for from := 0; from < n; from += batch {
		var writes []kvs.Write
		for i := from; i < min(from+batch, n); i++ {
			writes = append(writes, kvs.Write{Key: key(i), Value: value.MustOf(i), Expect: kvs.AnyRevision})
		}
		for i, r := range writeMany(t, s, kvs.Fence{}, writes...) {
			if r.Err != nil || r.Revision == 0 {
				t.Fatalf("write of %.40q: revision %d, %v", writes[i].Key, r.Revision, r.Err)
			}
		}
	}
}

func testGetMany(t *testing.T, s kvs.Store) {
	if got := getMany(t, s); len(got) != 0 {
		t.Fatalf("of no keys: %d entries", len(got))
	}
	odd := oddKeys()
	long := kvs.Key(strings.Repeat("\x00", 900))
	put(t, s, "small", 1)
	put(t, s, "large", noise(3<<20, 1))
	put(t, s, "large too", noise(1<<20, 2))
	put(t, s, long, "hashed")
	put(t, s, "deleted", 1)
	remove(t, s, "deleted")
	e := getMany(t, s, "small", "absent", "large", "deleted", long, "large too", "small", odd[7])
	holds(t, e[0].Value, 1)
	holds(t, e[2].Value, noise(3<<20, 1))
	holds(t, e[4].Value, "hashed")
	holds(t, e[5].Value, noise(1<<20, 2))
	holds(t, e[6].Value, 1)
	for _, i := range []int{1, 7} {
		if e[i].Revision != 0 || e[i].Deleted || !e[i].Value.IsNull() {
			t.Errorf("what is not there: %+v", e[i])
		}
	}
	if !e[3].Deleted || e[3].Revision == 0 || !e[3].Value.IsNull() {
		t.Errorf("what was deleted: %+v", e[3])
	}
	for _, i := range []int{0, 2, 4, 5} {
		if g := get(t, s, e[i].Key); g.Revision != e[i].Revision || !g.Written.Equal(e[i].Written) {
			t.Errorf("%.40q: revision %d written %v, a get says %d and %v", e[i].Key, e[i].Revision, e[i].Written, g.Revision, g.Written)
		}
	}
	_, err := s.GetMany(within(t), []kvs.Key{"small", ""})
	fails(t, "of an empty key", err, fault.InvalidKey)

	// More than one answer holds, by count and by bytes.
	const n = 3000
	load(t, s, n, func(i int) kvs.Key { return numbered("many ", i) })
	keys := make([]kvs.Key, 0, n+40)
	for i := range n {
		keys = append(keys, numbered("many ", i))
	}
	for i := range 40 {
		put(t, s, numbered("big ", i), noise(300<<10, uint64(i)))
		keys = append(keys, numbered("big ", i))
	}
	for i, e := range getMany(t, s, keys...) {
		if i < n {
			holds(t, e.Value, i)
		} else {
			holds(t, e.Value, noise(300<<10, uint64(i-n)))
		}
	}
}

// testReadYourWrites reads in every way right after each write: none may be behind.
func testReadYourWrites(t *testing.T, s kvs.Store) {
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			keys := []kvs.Key{numbered("a", w), numbered("b", w), numbered("c", w)}
			for i := range 15 {
				var writes []kvs.Write
				for _, key := range keys {
					writes = append(writes, kvs.Write{Key: key, Value: value.MustOf(i), Expect: kvs.AnyRevision, Delete: i%5 == 4})
				}
				r, err := s.WriteMany(within(t), writes, kvs.Fence{})
				if err != nil {
					t.Error(err)
					return
				}
				many, err := s.GetMany(within(t), keys)
				if err != nil {
					t.Error(err)
					return
				}
				for j, key := range keys {
					e, err := s.Current(within(t), key)
					if err != nil || e.Revision != r[j].Revision || many[j].Revision != e.Revision || e.Deleted != (i%5 == 4) {
						t.Errorf("%q: written at %d (%v), then many reads %d and current %d, deleted %v, %v", key, r[j].Revision, r[j].Err, many[j].Revision, e.Revision, e.Deleted, err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

func testCurrent(t *testing.T, s kvs.Store) {
	if e := current(t, s, "a"); e.Revision != 0 || e.Deleted || e.Key != "a" {
		t.Fatalf("of nothing: %+v", e)
	}
	rev := put(t, s, "a", 1)
	if e := current(t, s, "a"); e.Revision != rev {
		t.Fatalf("revision %d, put was %d", e.Revision, rev)
	}
	put(t, s, "a", noise(1500<<10, 1))
	holds(t, current(t, s, "a").Value, noise(1500<<10, 1))
	remove(t, s, "a")
	if e := current(t, s, "a"); !e.Deleted {
		t.Fatalf("of a deleted key: %+v", e)
	}
	_, err := s.Current(within(t), "")
	fails(t, "of an empty key", err, fault.InvalidKey)

	// While others overwrite the key, it never goes back.
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				if _, err := s.Put(within(t), "hot", value.MustOf(i), kvs.PutOptions{}); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	last := kvs.Revision(0)
	for range 30 {
		e := current(t, s, "hot")
		if e.Revision < last {
			t.Errorf("revision %d after %d", e.Revision, last)
		}
		last = e.Revision
	}
	close(stop)
	wg.Wait()
}

func testListMany(t *testing.T, s kvs.Store) {
	const n = 20_000
	load(t, s, n, func(i int) kvs.Key { return numbered("k", i) })
	all := listAll(t, s, "", 3000, nil)
	if len(all) != n {
		t.Fatalf("%d keys are listed, %d were written", len(all), n)
	}
	for i := range n {
		if !all[numbered("k", i)] {
			t.Fatalf("key %d is not listed", i)
		}
	}
}

func testSlots(t *testing.T, s kvs.Store) {
	seen := map[int]bool{}
	for i := range 1000 {
		slot := s.Slot(numbered("key ", i))
		if slot < 0 || slot >= kvs.Slots || s.Slot(numbered("key ", i)) != slot {
			t.Fatalf("slot %d", slot)
		}
		seen[slot] = true
		if tagged := s.Slot(kvs.Key(fmt.Sprintf("{key %d}:x", i))); tagged != slot {
			t.Fatalf("a key has slot %d, and as a tag slot %d", slot, tagged)
		}
	}
	if len(seen) < 500 {
		t.Fatalf("1,000 keys fall into %d slots", len(seen))
	}
}
