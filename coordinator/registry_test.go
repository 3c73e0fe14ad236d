package coordinator

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/executor/runtime"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

// watched is a Store whose watches a test can end, as the loss of the store would.
type watched struct {
	kvs.Store
	mu  sync.Mutex // guards cut
	cut []context.CancelFunc
}

func (s *watched) Watch(ctx context.Context, prefix kvs.Key) (<-chan kvs.Entry, error) {
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = append(s.cut, cancel)
	return s.Store.Watch(ctx, prefix)
}

func (s *watched) cutAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.cut {
		c()
	}
	s.cut = nil
}

// loaded gives a registry that follows a store until the test ends.
func loaded(t *testing.T, store kvs.Store) *registry {
	t.Helper()
	r := newRegistry(store)
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	t.Cleanup(func() { cancel(); work.Wait() })
	if err := r.load(ctx, work.Go); err != nil {
		t.Fatal(err)
	}
	return r
}

func put(t *testing.T, r *registry, name, version string) {
	t.Helper()
	f := runtime.Spec{Name: name, Version: version, Kind: runtime.Native, In: []string{"int"}}
	if err := r.put(t.Context(), wire.FunctionKey(name), &wire.Function{Spec: f}); err != nil {
		t.Fatal(err)
	}
}

func putGraph(t *testing.T, r *registry, g *dag.Graph) {
	t.Helper()
	if err := r.put(t.Context(), wire.GraphKey(g.Name), &wire.Graph{Graph: dag.Encode(g), Version: dag.Hash(g)}); err != nil {
		t.Fatal(err)
	}
}

func pinOf(t *testing.T, r *registry, k pinKey) *pin {
	t.Helper()
	p, err := r.pin(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestPins: a pin names the versions of its time, its spec is stored, and a registration makes a new one while runs
// keep theirs.
func TestPins(t *testing.T) {
	store := kvs.NewMemory()
	r := loaded(t, store)
	put(t, r, "f", "1")
	put(t, r, "g", "1")
	chain := graphOf(t, func(b *dag.Builder) { b.Output("y", b.Call("b", "g", b.Call("a", "f", b.Input("x")))) })
	putGraph(t, r, chain)
	k := pinKey{target: wire.TargetDAG, name: "g"}
	if r.pinned(k) != nil {
		t.Error("pinned before anybody asked")
	}
	first := pinOf(t, r, k)
	if r.pinned(k) != first {
		t.Error("the pin is not kept")
	}
	put(t, r, "other", "1")
	if again := pinOf(t, r, k); again.hash != first.hash {
		t.Error("another function's registration changes the pin")
	}
	put(t, r, "g", "2")
	if r.pinned(k) != nil {
		t.Error("the old pin is still handed out")
	}
	second := pinOf(t, r, k)
	if second.hash == first.hash || second.functions[1].Version != "2" || first.functions[1].Version != "1" {
		t.Errorf("versions %v and %v under %s and %s", first.functions, second.functions, first.hash, second.hash)
	}
	for _, p := range []*pin{first, second} { // runs of both can be taken over
		e, err := store.Get(t.Context(), kvs.Key(wire.SpecKey(p.hash)))
		if err != nil {
			t.Fatal(err)
		}
		back, err := decodePin(p.hash, p.name, e.Value)
		if err != nil || len(back.functions) != 2 || back.functions[1].Version != p.functions[1].Version || dag.Hash(back.graph) != dag.Hash(chain) {
			t.Errorf("stored pin %+v, %v", back, err)
		}
	}
	for _, tc := range []struct {
		k    pinKey
		code fault.Code
	}{
		{pinKey{target: wire.TargetDAG, name: "nosuch"}, fault.UnknownDAG},
		{pinKey{target: wire.TargetFunction, name: "nosuch", arity: 1}, fault.UnknownFunction},
		{pinKey{target: wire.TargetFunction, name: "f", arity: 2}, fault.WrongArity},
	} {
		if _, err := r.pin(t.Context(), tc.k); !fault.Is(err, tc.code) {
			t.Errorf("%+v: %v, want %s", tc.k, err, tc.code)
		}
	}
	if err := r.remove(t.Context(), wire.FunctionKey("f"), unknownFunction("", "f")); err != nil {
		t.Fatal(err)
	}
	if _, err := r.pin(t.Context(), k); !fault.Is(err, fault.UnknownFunction) {
		t.Errorf("a DAG whose function was removed: %v", err)
	}
	if err := r.remove(t.Context(), wire.FunctionKey("f"), unknownFunction("", "f")); !fault.Is(err, fault.UnknownFunction) {
		t.Errorf("removed twice: %v", err)
	}
}

// TestRegistriesAgree has two coordinators over one store: what one registers and removes the other knows, also what
// was there before it, and what happened while its watch was lost.
func TestRegistriesAgree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &watched{Store: kvs.NewMemory()}
		a := loaded(t, store)
		put(t, a, "f", "1")
		b := loaded(t, store)
		expect := func(what string, want map[string]string) {
			t.Helper()
			synctest.Wait()
			for _, r := range []*registry{a, b} {
				list := r.listFunctions()
				if len(list) != len(want) {
					t.Fatalf("%s: %v, want %v", what, list, want)
				}
				for _, f := range list {
					if want[f.Name] != f.Version {
						t.Fatalf("%s: %v, want %v", what, list, want)
					}
				}
			}
		}
		expect("what was there before", map[string]string{"f": "1"})
		put(t, b, "f", "2")
		put(t, a, "g", "1")
		expect("registered by each", map[string]string{"f": "2", "g": "1"})
		k := pinKey{target: wire.TargetFunction, name: "f", arity: 1}
		if v := pinOf(t, a, k).functions[0].Version; v != "2" {
			t.Errorf("pinned to version %s", v)
		}
		if err := a.remove(t.Context(), wire.FunctionKey("g"), nil); err != nil {
			t.Fatal(err)
		}
		expect("removed by one", map[string]string{"f": "2"})

		store.cutAll()
		synctest.Wait()
		late := newRegistry(store.Store) // another coordinator, whose changes nobody hears of now
		if err := late.put(t.Context(), wire.FunctionKey("h"), &wire.Function{Spec: runtime.Spec{Name: "h", Version: "1"}}); err != nil {
			t.Fatal(err)
		}
		if err := late.remove(t.Context(), wire.FunctionKey("f"), nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * rewatch)
		expect("after the watch was lost", map[string]string{"h": "1"})
		put(t, a, "h", "2")
		expect("and begun anew", map[string]string{"h": "2"})
	})
}

// TestLateChange has a registry hear of an earlier version after it has registered a later one: the later stays.
func TestLateChange(t *testing.T) {
	r := newRegistry(kvs.NewMemory())
	entry := func(version string, rev kvs.Revision) kvs.Entry {
		v := value.MustOf(wire.MustEncode(&wire.Function{Spec: runtime.Spec{Name: "f", Version: version}}))
		return kvs.Entry{Key: kvs.Key(wire.FunctionKey("f")), Value: v, Revision: rev}
	}
	deleted := func(rev kvs.Revision) kvs.Entry {
		return kvs.Entry{Key: kvs.Key(wire.FunctionKey("f")), Revision: rev, Deleted: true}
	}
	for _, step := range []struct {
		e    kvs.Entry
		want string
	}{
		{entry("1", 3), "1"}, {entry("2", 5), "2"}, {entry("1", 3), "2"}, {deleted(4), "2"}, {entry("2", 5), "2"},
		{deleted(5), ""}, {entry("2", 5), ""}, {entry("3", 7), "3"}, {deleted(6), "3"},
	} {
		if err := r.take(step.e); err != nil {
			t.Fatal(err)
		}
		if got := r.functions["f"].Version; got != step.want {
			t.Fatalf("after revision %d: version %q, want %q", step.e.Revision, got, step.want)
		}
	}
}

// TestIncarnations of a coordinator grow from start to start, whatever the clock says.
func TestIncarnations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := kvs.NewMemory()
		first, err := incarnation(t.Context(), store, "c")
		if err != nil {
			t.Fatal(err)
		}
		if first != uint64(time.Now().UnixNano()) {
			t.Errorf("the first is %d", first)
		}
		if _, err := store.Put(t.Context(), kvs.Key(wire.IncarnationKey("c")), value.MustOf(int64(first)+int64(time.Hour)), kvs.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		if next, err := incarnation(t.Context(), store, "c"); err != nil || next != first+uint64(time.Hour)+1 {
			t.Errorf("after one whose clock was an hour ahead: %d, %v", next, err)
		}
		if other, err := incarnation(t.Context(), store, "d"); err != nil || other != first {
			t.Errorf("another's: %d, %v", other, err)
		}
	})
}
