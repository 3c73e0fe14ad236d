package kvstest

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

func meta(b []byte) kvs.PutOptions { return kvs.PutOptions{Meta: b} }

func testMeta(t *testing.T, s kvs.Store) {
	most := noise(kvs.MaxMeta, 1)
	ch := watch(t, s, "")
	has := func(what string, e kvs.Entry, want []byte) {
		t.Helper()
		if !bytes.Equal(e.Meta, want) {
			t.Fatalf("%s: %d bytes of meta data, want %d", what, len(e.Meta), len(want))
		}
	}
	everywhere := func(what string, key kvs.Key, want []byte) {
		t.Helper()
		has(what+", get", get(t, s, key), want)
		has(what+", get many", getMany(t, s, key)[0], want)
		has(what+", current", current(t, s, key), want)
		has(what+", watch", next(t, ch), want)
	}
	rev, err := s.Put(within(t), "a", value.MustOf(1), meta([]byte("one")))
	if err != nil {
		t.Fatal(err)
	}
	everywhere("put", "a", []byte("one"))
	if rev, err = s.CompareAndSet(within(t), "a", value.MustOf(2), rev, meta(most)); err != nil {
		t.Fatal(err)
	}
	everywhere("compare-and-set", "a", most)
	writeMany(t, s, kvs.Fence{}, kvs.Write{Key: "a", Value: value.MustOf(3), Options: meta([]byte("two")), Expect: rev}, kvs.Write{Key: "b", Value: value.MustOf(3), Expect: 0})
	for range 2 {
		if e := next(t, ch); e.Key == "a" {
			has("watch of a batch", e, []byte("two"))
		}
	}
	commit(t, s, []kvs.Write{{Key: "a", Value: value.MustOf(4), Options: meta([]byte("three")), Expect: kvs.AnyRevision}}, nil)
	everywhere("commit", "a", []byte("three"))
	put(t, s, "a", 5)
	everywhere("put without", "a", nil)
	if _, err := s.Put(within(t), "a", value.MustOf(noise(2<<20, 1)), meta(most)); err != nil {
		t.Fatal(err)
	}
	everywhere("put of a large value", "a", most)
	if _, err := s.Put(within(t), "a", value.MustOf(noise(512<<10, 1)), meta(most)); err != nil {
		t.Fatal(err)
	}
	everywhere("put of a value at the limit of one message", "a", most)

	// A tombstone remembers what the deleter says.
	r := writeMany(t, s, kvs.Fence{}, kvs.Write{Key: "a", Delete: true, Options: meta(most), Expect: kvs.AnyRevision})
	gone(t, s, "a")
	for what, e := range map[string]kvs.Entry{"get many": getMany(t, s, "a")[0], "current": current(t, s, "a"), "watch": next(t, ch)} {
		if !e.Deleted || e.Revision != r[0].Revision || !e.Value.IsNull() {
			t.Fatalf("%s of a tombstone at %d: revision %d, deleted %v", what, r[0].Revision, e.Revision, e.Deleted)
		}
		has(what, e, most)
	}
}

func testMetaTooLarge(t *testing.T, s kvs.Store) {
	rev := put(t, s, "a", 1)
	over := meta(make([]byte, kvs.MaxMeta+1))
	_, err := s.Put(within(t), "a", value.MustOf(2), over)
	fails(t, "put", err, fault.TooLarge)
	_, err = s.CompareAndSet(within(t), "a", value.MustOf(2), rev, over)
	fails(t, "compare-and-set", err, fault.TooLarge)
	_, err = s.Commit(within(t), []kvs.Write{{Key: "a", Value: value.MustOf(2), Options: over, Expect: rev}}, nil, kvs.Fence{})
	fails(t, "commit", err, fault.TooLarge)
	r := writeMany(t, s, kvs.Fence{}, kvs.Write{Key: "a", Value: value.MustOf(2), Options: over, Expect: rev},
		kvs.Write{Key: "b", Delete: true, Options: over, Expect: kvs.AnyRevision}, kvs.Write{Key: "c", Value: value.MustOf(2), Expect: 0})
	fails(t, "write of a batch", r[0].Err, fault.TooLarge)
	fails(t, "delete of a batch", r[1].Err, fault.TooLarge)
	if r[2].Err != nil {
		t.Fatalf("another write of the batch: %v", r[2].Err)
	}
	holds(t, get(t, s, "a").Value, 1)
}

// ways are the calls that write a value.
var ways = map[string]func(t testing.TB, s kvs.Store, key kvs.Key, x any, ttl time.Duration) kvs.Revision{
	"put": putFor,
	"set": func(t testing.TB, s kvs.Store, key kvs.Key, x any, ttl time.Duration) kvs.Revision {
		t.Helper()
		for {
			e := getMany(t, s, key)[0]
			if e.Deleted {
				e.Revision = 0
			}
			rev, err := s.CompareAndSet(within(t), key, value.MustOf(x), e.Revision, kvs.PutOptions{TTL: ttl})
			if err == nil {
				return rev
			}
			fails(t, "compare-and-set of what may expire", err, fault.Conflict)
		}
	},
	"batch": func(t testing.TB, s kvs.Store, key kvs.Key, x any, ttl time.Duration) kvs.Revision {
		t.Helper()
		return writeMany(t, s, kvs.Fence{}, kvs.Write{Key: key, Value: value.MustOf(x), Options: kvs.PutOptions{TTL: ttl}, Expect: kvs.AnyRevision},
			kvs.Write{Key: "beside " + key, Value: value.MustOf(x), Expect: kvs.AnyRevision})[0].Revision
	},
	"commit": func(t testing.TB, s kvs.Store, key kvs.Key, x any, ttl time.Duration) kvs.Revision {
		t.Helper()
		return commit(t, s, []kvs.Write{{Key: key, Value: value.MustOf(x), Options: kvs.PutOptions{TTL: ttl}, Expect: kvs.AnyRevision},
			{Key: "{" + key + "} beside", Value: value.MustOf(x), Expect: kvs.AnyRevision}}, nil)[0]
	},
}

// testTTLEverywhere: a TTL, another and none behave the same whatever call writes them over whatever other.
func testTTLEverywhere(t *testing.T, s kvs.Store) {
	name := func(first, second, what string) kvs.Key { return kvs.Key(first + "-" + second + "-" + what) }
	// One after another, so that the clock of those that must not expire runs longest.
	for a, first := range ways {
		for b, second := range ways {
			first(t, s, name(a, b, "cleared"), 1, time.Second)
			second(t, s, name(a, b, "cleared"), 2, 0)
			first(t, s, name(a, b, "longer"), 1, time.Second)
			second(t, s, name(a, b, "longer"), 2, time.Hour)
			first(t, s, name(a, b, "set"), 1, 0)
			second(t, s, name(a, b, "set"), 2, time.Second)
			first(t, s, name(a, b, "shorter"), 1, time.Hour)
			second(t, s, name(a, b, "shorter"), 2, time.Second)
		}
	}
	var kept, expiring []kvs.Key
	for a := range ways {
		for b := range ways {
			kept = append(kept, name(a, b, "cleared"), name(a, b, "longer"))
			expiring = append(expiring, name(a, b, "set"), name(a, b, "shorter"))
		}
	}
	until(t, "what has a short TTL expires", func() bool {
		for _, e := range getMany(t, s, expiring...) {
			if e.Revision != 0 {
				return false
			}
		}
		return true
	})
	for i, e := range getMany(t, s, kept...) {
		if e.Revision == 0 || e.Deleted {
			t.Errorf("%s is gone", kept[i])
			continue
		}
		holds(t, e.Value, 2)
		if longer := strings.HasSuffix(string(kept[i]), "longer"); longer == e.Expires.IsZero() {
			t.Errorf("%s expires at %v", kept[i], e.Expires)
		}
	}
}

func testExpires(t *testing.T, s kvs.Store) {
	f := follow(t, s, "put", "set", "batch", "commit")
	ch := watch(t, s, "")
	seen := map[kvs.Key]bool{}
	for name, write := range ways {
		write(t, s, kvs.Key(name), 1, 90*time.Minute)
		for what, e := range map[string]kvs.Entry{"get": get(t, s, kvs.Key(name)), "get many": getMany(t, s, kvs.Key(name))[0], "feed": pushed(t, f).Entry} {
			if e.Expires.Sub(e.Written) != 90*time.Minute {
				t.Errorf("%s, %s: written %v, expires %v", name, what, e.Written, e.Expires)
			}
		}
		for !seen[kvs.Key(name)] {
			e := next(t, ch)
			if seen[e.Key] = true; ways[string(e.Key)] != nil && e.Expires.Sub(e.Written) != 90*time.Minute {
				t.Errorf("%s, watch: written %v, expires %v", name, e.Written, e.Expires)
			}
		}
	}
	put(t, s, "put", 2)
	if e := get(t, s, "put"); !e.Expires.IsZero() {
		t.Errorf("without a TTL: expires %v", e.Expires)
	}
}

func getMany(t testing.TB, s kvs.Store, keys ...kvs.Key) []kvs.Entry {
	t.Helper()
	entries, err := s.GetMany(within(t), keys)
	if err != nil {
		t.Fatalf("get many: %v", err)
	}
	if len(entries) != len(keys) {
		t.Fatalf("get many: %d entries of %d keys", len(entries), len(keys))
	}
	for i, e := range entries {
		if e.Key != keys[i] {
			t.Fatalf("get many: entry %d is of %.40q, want %.40q", i, e.Key, keys[i])
		}
	}
	return entries
}

func current(t testing.TB, s kvs.Store, key kvs.Key) kvs.Entry {
	t.Helper()
	e, err := s.Current(within(t), key)
	if err != nil {
		t.Fatalf("current %.40q: %v", key, err)
	}
	return e
}

func writeMany(t testing.TB, s kvs.Store, f kvs.Fence, writes ...kvs.Write) []kvs.Result {
	t.Helper()
	r, err := s.WriteMany(within(t), writes, f)
	if err != nil {
		t.Fatalf("write many: %v", err)
	}
	if len(r) != len(writes) {
		t.Fatalf("write many: %d results of %d writes", len(r), len(writes))
	}
	return r
}

func commit(t testing.TB, s kvs.Store, writes []kvs.Write, checks []kvs.Check) []kvs.Revision {
	t.Helper()
	revs, err := s.Commit(within(t), writes, checks, kvs.Fence{})
	if err != nil {
		t.Fatalf("commit: %v", err)
	}
	if len(revs) != len(writes) {
		t.Fatalf("commit: %d revisions of %d writes", len(revs), len(writes))
	}
	return revs
}

func numbered(prefix string, i int) kvs.Key { return kvs.Key(fmt.Sprint(prefix, i)) }
