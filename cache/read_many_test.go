package cache

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

func wantMany(t *testing.T, got []value.Value, err error, want ...int) {
	t.Helper()
	if err != nil || len(got) != len(want) {
		t.Fatalf("%v, %v", got, err)
	}
	for i, v := range got {
		if n, err := value.As[int](v); want[i] == 0 != v.IsNull() || want[i] != 0 && (err != nil || n != want[i]) {
			t.Errorf("at %d: %v, %v; want %d", i, n, err, want[i])
		}
	}
}

// TestGetMany reads what is not held with one request, in whatever order, once, and then from memory.
func TestGetMany(t *testing.T) { synctest.Test(t, testGetMany) }

func testGetMany(t *testing.T) {
	s := newStage(t)
	c := startWith(t, Config{Store: s})
	l := c.app(t, "app")
	var keys []kvs.Key
	var want []int
	for i := range 300 {
		keys, want = append(keys, kvs.Key(fmt.Sprint("k", i))), append(want, i)
		if i > 0 {
			put(t, s, keys[i], i)
		}
	}
	wantInt(t, l, keys[7], 7)
	keys, want = append(keys, keys[7], keys[9]), append(want, 7, 9)
	s.gets.Store(0)
	got, err := l.GetMany(t.Context(), keys)
	wantMany(t, got, err, want...)
	if gets, many := s.gets.Load(), s.many.Load(); gets > 0 || many != 2 {
		t.Errorf("%d Gets and %d GetManys of the store for 299 keys", gets, many)
	}
	got, err = l.GetMany(t.Context(), keys[1:])
	wantMany(t, got, err, want[1:]...)
	if gets, many := s.gets.Load(), s.many.Load(); gets > 0 || many != 2 {
		t.Errorf("%d Gets and %d GetManys of the store for what is held", gets, many)
	}
	// What changes is pushed, as for any other key that is held.
	put(t, s, "k5", 55)
	synctest.Wait()
	c.inspectQuiet(t)
	got, err = l.GetMany(t.Context(), []kvs.Key{"k5"})
	wantMany(t, got, err, 55)
}

// TestGetManyLevels: a session at each level gives what its Gets give, and what it has written itself.
func TestGetManyLevels(t *testing.T) { synctest.Test(t, testGetManyLevels) }

func testGetManyLevels(t *testing.T) {
	s := newStage(t)
	c := startWith(t, Config{Store: s})
	for i := range 9 {
		put(t, s, kvs.Key(fmt.Sprint("{k}", i)), i+1)
	}
	keys := []kvs.Key{"{k}3", "{k}none", "{k}1", "{k}3"}
	for _, level := range kvs.Levels() {
		x, err := c.Begin(SessionConfig{Run: "r-" + string(level), App: "app", Level: level})
		must(t, err)
		must(t, x.Put(t.Context(), "{k}1", value.MustOf(20), PutOptions{}))
		got, err := x.GetMany(t.Context(), keys)
		if err != nil {
			t.Errorf("%s: %v", level, err)
			continue
		}
		wantMany(t, got, err, 4, 0, 20, 4)
		x.Abort()
	}
}

// TestGetManyKeepsTo: what a repeatable run has read it reads again, also when the store is away and the node has dropped it.
func TestGetManyKeepsTo(t *testing.T) { synctest.Test(t, testGetManyKeepsTo) }

func testGetManyKeepsTo(t *testing.T) {
	s := newStage(t)
	c := startWith(t, Config{Store: s})
	keys := []kvs.Key{"a", "b", "c", "d", "e"}
	for i, key := range keys {
		put(t, s, key, i+1)
	}
	x, err := c.Begin(SessionConfig{Run: "r", App: "app", Level: kvs.RepeatableRead})
	must(t, err)
	got, err := x.GetMany(t.Context(), keys)
	wantMany(t, got, err, 1, 2, 3, 4, 5)
	for _, key := range keys {
		put(t, s, key, 9)
	}
	must(t, s.Delete(t.Context(), "a", 0))
	synctest.Wait()
	s.refuse.Store(true)
	got, err = x.GetMany(t.Context(), keys)
	wantMany(t, got, err, 1, 2, 3, 4, 5)
	x.Abort()
}

// TestGetManyFails: an error of the store is the caller's, nothing is kept of it, and a key that cannot be one is refused.
func TestGetManyFails(t *testing.T) { synctest.Test(t, testGetManyFails) }

func testGetManyFails(t *testing.T) {
	s := newStage(t)
	c := startWith(t, Config{Store: s})
	l := c.app(t, "app")
	put(t, s, "a", 1)
	put(t, s, "b", 2)
	s.refuse.Store(true)
	_, err := l.GetMany(t.Context(), []kvs.Key{"a", "b"})
	wantCode(t, err, fault.Unavailable)
	s.refuse.Store(false)
	got, err := l.GetMany(t.Context(), []kvs.Key{"a", "b"})
	wantMany(t, got, err, 1, 2)
	_, err = l.GetMany(t.Context(), []kvs.Key{"a", ""})
	wantCode(t, err, fault.InvalidKey)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = l.GetMany(over, []kvs.Key{"c", "d"})
	wantCode(t, err, fault.Cancelled)
	c.inspectQuiet(t)
	must(t, c.Close())
	_, err = l.GetMany(t.Context(), []kvs.Key{"e", "f"})
	wantCode(t, err, fault.Unavailable)
}
