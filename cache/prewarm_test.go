package cache

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
)

// records keeps what cachelets leave.
type records struct {
	mu   sync.Mutex
	kept map[string][]byte
}

func (r *records) keep(app string, b []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kept == nil {
		r.kept = make(map[string][]byte)
	}
	r.kept[app] = b
	return nil
}

func (r *records) recall(app string) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.kept[app], nil
}

// TestPrewarm: an application that nobody uses is unloaded, and leaves a record of what it used; when it comes back, here or on
// another node, its hot keys are there before it asks for them.
func TestPrewarm(t *testing.T) { synctest.Test(t, testPrewarm) }

func testPrewarm(t *testing.T) {
	s := newStage(t)
	var kept records
	cfg := Config{Store: s, IdleAfter: time.Minute, Keep: kept.keep, Recall: kept.recall}
	c := startWith(t, cfg)
	const keys = 300
	name := func(i int) kvs.Key { return kvs.Key(fmt.Sprint("k", i)) }
	for i := range keys {
		put(t, s, name(i), i)
	}
	app, busy := c.app(t, "app"), c.app(t, "busy")
	for range 100 { // ristretto and the record hear of one in eight
		for i := range keys {
			wantInt(t, app, name(i), i)
		}
	}
	put(t, s, "busy", 1)
	for range 90 {
		wantInt(t, busy, "busy", 1)
		wantInt(t, busy, "busy", 1)
		for range 20 {
			_, _ = busy.Get(t.Context(), "busy")
		}
		time.Sleep(time.Second)
	}
	synctest.Wait()
	if apps := c.Apps(); len(apps) != 2 || apps[1] != "busy" {
		t.Fatalf("%v are loaded", apps)
	}
	if c.Contains(name(0)) || app.bytes.Load() != 0 {
		t.Fatal("it holds what it held")
	}
	if b, _ := kept.recall("app"); len(b) == 0 {
		t.Fatal("it has left no record")
	}
	c.inspectQuiet(t)

	// Whoever has the old cachelet at hand goes on with the new one.
	s.gets.Store(0)
	wantInt(t, app, name(0), 0)
	if c.Apps()[1] != "app" {
		t.Fatalf("%v are loaded", c.Apps())
	}
	synctest.Wait()
	for i := range keys {
		if !c.Contains(name(i)) {
			t.Fatalf("%q was not read ahead", name(i))
		}
	}
	if gets := s.gets.Load(); gets > 1 {
		t.Fatalf("%d reads one by one", gets)
	}
	c.inspectQuiet(t)

	// Close keeps the records too, and another node has it from there.
	must(t, c.Close())
	other := startWith(t, cfg)
	other.app(t, "app")
	synctest.Wait()
	for i := range keys {
		if !other.Contains(name(i)) {
			t.Fatalf("%q was not read ahead", name(i))
		}
	}
	other.inspectQuiet(t)
}

// TestPrewarmFails: without a record, or the store, an application begins with an empty cachelet, and that is all.
func TestPrewarmFails(t *testing.T) {
	for name, cfg := range map[string]Config{
		"none":   {Recall: func(string) ([]byte, error) { return nil, nil }},
		"away":   {Recall: func(string) ([]byte, error) { return nil, errDown }},
		"broken": {Recall: func(string) ([]byte, error) { return []byte{0xff, 1}, nil }},
		"full":   {Recall: func(string) ([]byte, error) { return nil, nil }, Keep: func(string, []byte) error { return errDown }},
	} {
		s := newStage(t)
		cfg.Store = s
		c := startWith(t, cfg)
		put(t, s, "k", 1)
		l := c.app(t, name)
		for range 100 {
			wantInt(t, l, "k", 1)
		}
		c.inspectQuiet(t)
		must(t, c.Close())
		_, err := c.Cachelet("late")
		wantCode(t, err, fault.Unavailable)
	}
}
