package peer

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/squall-faas/squall/internal/wire"
)

// noon is the time of tests that need no other.
var noon = time.Unix(1_700_000_000, 0)

// up is the heartbeat of an executor's first life.
func up(name string, apps ...string) *wire.Heartbeat {
	return &wire.Heartbeat{From: wire.Peer{Name: name, Incarnation: 1}, Condition: wire.Up, Port: "port of " + name, Apps: apps}
}

// fleetOf is what self knows once it has heard the nodes, in that order.
func fleetOf(self string, names ...string) *fleet {
	f := newFleet(self)
	for _, name := range names {
		f.heard(up(name), noon)
	}
	return f
}

func someNodes(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("executor-%d", i+1)
	}
	return names
}

func someKeys(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("user/%d", i)
	}
	return keys
}

// TestOwnersAgree: every node ranks the nodes for a key alike, in whatever order it has heard of them, and the first n are
// the beginning of the first n+1.
func TestOwnersAgree(t *testing.T) {
	names, rng := someNodes(12), rand.New(rand.NewPCG(1, 2))
	first := fleetOf(names[0], names...)
	for i := range 20 {
		rng.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		other := fleetOf(names[i%len(names)], names...)
		for _, key := range someKeys(100) {
			want := first.owners("app", key, 12, noon)
			if got := other.owners("app", key, 12, noon); !slices.Equal(got, want) {
				t.Fatalf("key %s is owned by %v, and by %v where they are heard as %v", key, want, got, names)
			}
			for n := range 12 {
				if got := other.owners("app", key, n, noon); !slices.Equal(got, want[:n]) {
					t.Fatalf("the first %d owners of %s are %v, of %v", n, key, got, want)
				}
			}
		}
	}
	if got := first.owners("app", "k", 100, noon); len(got) != 12 {
		t.Errorf("of 12 nodes %d are owners", len(got))
	}
}

// TestOwnersOfLostNodes: with a node that is silent, drains or has ended, its keys go to the next in their order, and no
// other key moves; they come back with it.
func TestOwnersOfLostNodes(t *testing.T) {
	names := someNodes(8)
	const lost = "executor-3"
	for how, lose := range map[string]func(f *fleet, hb *wire.Heartbeat, now time.Time){
		"silent":   func(*fleet, *wire.Heartbeat, time.Time) {},
		"draining": func(f *fleet, hb *wire.Heartbeat, now time.Time) { hb.Condition = wire.Draining; f.heard(hb, now) },
	} {
		t.Run(how, func(t *testing.T) {
			f := fleetOf(names[0], names...)
			keys, before := someKeys(2000), map[string][]string{}
			for _, key := range keys {
				before[key] = f.owners("", key, len(names), noon)
			}
			if got := f.owners("", keys[0], len(names), noon.Add(forgetAfter)); !slices.Equal(got, before[keys[0]]) {
				t.Fatalf("after %v the owners are %v, want %v", forgetAfter, got, before[keys[0]])
			}
			later := noon.Add(forgetAfter + 1)
			for _, name := range names {
				if name != lost {
					f.heard(up(name), later)
				}
			}
			lose(f, up(lost), later)
			moved := 0
			for _, key := range keys {
				want := slices.DeleteFunc(slices.Clone(before[key]), func(name string) bool { return name == lost })
				if got := f.owners("", key, len(names), later); !slices.Equal(got, want) {
					t.Fatalf("key %s was owned by %v, and is by %v without %s", key, before[key], got, lost)
				}
				if before[key][0] == lost {
					moved++
				}
			}
			if moved == 0 {
				t.Errorf("%s owned nothing", lost)
			}
			f.heard(up(lost), later)
			for _, key := range keys {
				if got := f.owners("", key, len(names), later); !slices.Equal(got, before[key]) {
					t.Fatalf("key %s is owned by %v with %s back, want %v", key, got, lost, before[key])
				}
			}
		})
	}
}

// TestOwnersAreEven: names that differ in a digit, and keys too, share the keys evenly; so do those that are next in line,
// which a lost node's keys go to.
func TestOwnersAreEven(t *testing.T) {
	const nodes, keys = 10, 20_000
	f := fleetOf("executor-1", someNodes(nodes)...)
	owned, inherited := map[string]int{}, map[string]int{}
	for _, key := range someKeys(keys) {
		o := f.owners("", key, 2, noon)
		owned[o[0]]++
		if o[0] == "executor-1" {
			inherited[o[1]]++
		}
	}
	for name, n := range owned {
		if n < keys/nodes*9/10 || n > keys/nodes*11/10 {
			t.Errorf("%s owns %d of %d keys", name, n, keys)
		}
	}
	if len(owned) != nodes || len(inherited) != nodes-1 {
		t.Fatalf("%d nodes own keys, and %d would without executor-1", len(owned), len(inherited))
	}
	for name, n := range inherited {
		if share := owned["executor-1"] / (nodes - 1); n < share*7/10 || n > share*13/10 {
			t.Errorf("%s would take over %d of the %d keys of executor-1", name, n, owned["executor-1"])
		}
	}
}

// TestOwnersByApplication: keys are read through nodes where the application is, and this one; through any where it is
// nowhere else.
func TestOwnersByApplication(t *testing.T) {
	f := newFleet("a")
	for _, hb := range []*wire.Heartbeat{up("a"), up("b", "shop"), up("c", "shop", "mail"), up("d", "mail"), up("e")} {
		f.heard(hb, noon)
	}
	for app, want := range map[string][]string{
		"shop": {"a", "b", "c"}, "mail": {"a", "c", "d"}, "none": {"a", "b", "c", "d", "e"}, "": {"a", "b", "c", "d", "e"},
	} {
		for _, key := range someKeys(50) {
			got := f.owners(app, key, 9, noon)
			if slices.Sort(got); !slices.Equal(got, want) {
				t.Fatalf("key %s of %q is read through %v, want %v", key, app, got, want)
			}
		}
	}
	if got := newFleet("a").owners("", "k", 3, noon); len(got) != 0 {
		t.Errorf("with nobody there, %v", got)
	}
}

// TestPorts: a node's data port is that of its latest life, and unknown once it is silent.
func TestPorts(t *testing.T) {
	f := newFleet("a")
	second := up("b")
	second.From.Incarnation, second.Port = 2, "new port of b"
	f.heard(up("b"), noon)
	f.heard(second, noon.Add(time.Second))
	f.heard(up("b"), noon.Add(3*time.Second)) // late, and of the life before
	for after, want := range map[time.Duration]string{
		time.Second: "new port of b", time.Second + forgetAfter: "new port of b", time.Second + forgetAfter + 1: "",
	} {
		if got := f.portOf("b", noon.Add(after)); got != want {
			t.Errorf("after %v the port is %q, want %q", after, got, want)
		}
	}
	if got := f.portOf("nobody", noon); got != "" {
		t.Errorf("a node that nobody has heard of has the port %q", got)
	}
}
