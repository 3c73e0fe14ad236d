package peer

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/squall-faas/squall/cache"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/backbone"
	"github.com/squall-faas/squall/internal/bus"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/internal/xfer"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

// town is some nodes with a cache each, over one store, in a bubble of virtual time.
type town struct {
	t      *testing.T
	memory *backbone.Memory
	secret xfer.Secret
	peers  map[string]*Peers
	caches map[string]*cache.Cache
}

// inTown runs a test in a town of the nodes named, who have heard of each other.
func inTown(t *testing.T, names string, test func(t *testing.T, w *town)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		memory, err := backbone.NewMemory("", bus.Options{})
		if err != nil {
			t.Fatal(err)
		}
		w := &town{t: t, memory: memory, secret: xfer.NewSecret(), peers: map[string]*Peers{}, caches: map[string]*cache.Cache{}}
		defer w.close()
		for _, name := range names {
			w.add(string(name))
		}
		w.beat()
		test(t, w)
	})
}

// add starts a node whose cache answers already.
func (w *town) add(name string) {
	w.t.Helper()
	b := w.memory.Join(name)
	p, err := New(Config{
		Name: name, Namespace: b.Namespace, Bus: b.Bus, Secret: w.secret, Listener: b.Pipes.Listen(name), Dial: b.Pipes.Dial,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.peers[name] = p
	c, err := cache.New(cache.Config{Store: b.User, Node: name, Peers: p})
	if err != nil {
		w.t.Fatal(err)
	}
	w.caches[name] = c
	p.Serve(c)
}

// beat has all nodes hear of all.
func (w *town) beat() {
	w.t.Helper()
	for name, p := range w.peers {
		hb := &wire.Heartbeat{From: wire.Peer{Name: name, Incarnation: 1}, Condition: wire.Up, Port: p.Port()}
		b, err := wire.Encode(hb)
		if err != nil {
			w.t.Fatal(err)
		}
		if err := p.cfg.Bus.Publish(bus.Msg{Subject: p.subjects.Heartbeat(name), Data: b}); err != nil {
			w.t.Fatal(err)
		}
	}
	synctest.Wait()
}

func (w *town) close() {
	for name := range w.peers {
		if err := w.caches[name].Close(); err != nil {
			w.t.Error(err)
		}
		if err := w.peers[name].Close(); err != nil {
			w.t.Error(err)
		}
	}
	if err := w.memory.Close(); err != nil {
		w.t.Error(err)
	}
}

// keyOf finds a key that a node owns.
func (w *town) keyOf(owner string) kvs.Key {
	w.t.Helper()
	for i := range 1000 {
		key := kvs.Key(fmt.Sprint("k", i))
		if owners := w.peers[owner].Owners("", key, 1); len(owners) == 1 && owners[0] == owner {
			return key
		}
	}
	w.t.Fatalf("of 1000 keys %s owns none", owner)
	return ""
}

// put stores so many random bytes.
func (w *town) put(key kvs.Key, size int) []byte {
	w.t.Helper()
	b, rng := make([]byte, size), rand.NewChaCha8([32]byte{1})
	_, _ = rng.Read(b) // it never fails
	user := w.memory.Join("client").User
	if _, err := user.Put(w.t.Context(), key, value.MustOf(b), kvs.PutOptions{}); err != nil {
		w.t.Fatal(err)
	}
	return b
}

func bytesOf(t *testing.T, v *version.Version) []byte {
	t.Helper()
	b, err := value.As[[]byte](v.Value)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// ports are the data ports that a node has taken something from.
func (w *town) ports(node string) []string {
	var out []string
	for _, l := range w.peers[node].Links() {
		if l.Bytes > 0 {
			out = append(out, l.Addr)
		}
	}
	return out
}

const large = 8 << 20

// TestSmallValuesAreInTheAnswer: up to inline bytes, and nobody dials.
func TestSmallValuesAreInTheAnswer(t *testing.T) {
	inTown(t, "ab", func(t *testing.T, w *town) {
		key := w.keyOf("a")
		for _, size := range []int{0, 1000, inline, inline + 1} {
			want := w.put(key, size)
			synctest.Wait() // the owner has heard of it
			v, _, err := w.peers["b"].Fetch(t.Context(), "a", "", key)
			if err != nil || !bytes.Equal(bytesOf(t, v), want) {
				t.Fatalf("%d bytes: %v, %v", size, v, err)
			}
			if ports := w.ports("b"); len(ports) > 0 != (size > inline) {
				t.Errorf("%d bytes come from data ports %v", size, ports)
			}
		}
	})
}

// TestRangesFromAllWhoWereGivenIt: who reads a large value after another has read it takes ranges from the owner and from
// that one; the owner alone will do where the other has gone.
func TestRangesFromAllWhoWereGivenIt(t *testing.T) {
	inTown(t, "abcd", func(t *testing.T, w *town) {
		key := w.keyOf("a")
		want := w.put(key, large)
		for _, reader := range []struct {
			name string
			from []string
			gone string
		}{{name: "b", from: []string{"a"}}, {name: "c", from: []string{"a", "b"}}, {name: "d", from: []string{"a", "c"}, gone: "b"}} {
			if reader.gone != "" {
				if err := w.peers[reader.gone].Close(); err != nil {
					t.Fatal(err)
				}
			}
			got, err := w.caches[reader.name].Get(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := value.As[[]byte](got); err != nil || !bytes.Equal(b, want) {
				t.Fatalf("%s reads %d other bytes, %v", reader.name, len(b), err)
			}
			if from := w.ports(reader.name); !slices.Equal(from, reader.from) {
				t.Errorf("%s was served by %v, want %v", reader.name, from, reader.from)
			}
			if st := w.caches[reader.name].Stats(); st.PeerReads != 1 || st.Reads != 0 {
				t.Errorf("%s has read %d from peers and %d from the store", reader.name, st.PeerReads, st.Reads)
			}
		}
	})
}

// told has a node ask another for a large value, and gives the answer without fetching.
func (w *town) told(from, to string, key kvs.Key) *wire.Told {
	w.t.Helper()
	told, err := w.peers[from].ask(w.t.Context(), to, &wire.Ask{Kind: wire.AskOwned, Key: string(key), Port: w.peers[from].Port()})
	if err != nil {
		w.t.Fatal(err)
	}
	if told.Port != w.peers[to].Port() || told.Size == 0 || len(told.Capability) == 0 {
		w.t.Fatalf("%s points to %q, %d bytes, a capability of %d", to, told.Port, told.Size, len(told.Capability))
	}
	return told
}

// TestCapabilities: a data port gives a value to who has its capability, for a minute. To others it does not even tell what
// it has.
func TestCapabilities(t *testing.T) {
	inTown(t, "ab", func(t *testing.T, w *town) {
		key := w.keyOf("a")
		w.put(key, 2*inline) // one range
		told := w.told("b", "a", key)
		ref := xfer.Ref{Key: string(key), Version: told.Ref}
		fetch := func(ref xfer.Ref, c xfer.Capability) error {
			// Each time over a new connection: a refusal ends with an empty write, which blocks a pipe until somebody reads.
			from, err := xfer.NewClient(xfer.ClientConfig{Dial: w.peers["b"].cfg.Dial})
			if err != nil {
				t.Fatal(err)
			}
			defer from.Close()
			_, err = from.Fetch(t.Context(), []string{told.Port}, ref, c, told.Size)
			return err
		}
		if err := fetch(ref, told.Capability); err != nil {
			t.Fatal(err)
		}
		missing, until := xfer.Ref{Key: "missing", Version: "1"}, time.Now().Add(time.Hour)
		ns := w.memory.Join("client").Namespace
		flipped := slices.Clone(told.Capability)
		flipped[0] ^= 1 // it would last longer
		for _, c := range []struct {
			name       string
			ref        xfer.Ref
			capability xfer.Capability
			code       fault.Code
			says       string
		}{
			{"none", ref, nil, fault.Unauthorized, "bring the one of 40 bytes that came with the reference"},
			{"of another value", xfer.Ref{Key: "other", Version: told.Ref}, told.Capability, fault.Unauthorized, "not for this value"},
			{"of another version", xfer.Ref{Key: string(key), Version: "1.2.3"}, told.Capability, fault.Unauthorized, "not for this value"},
			{"of another secret", ref, xfer.NewSecret().Mint(ns, ref, until), fault.Unauthorized, "not for this value"},
			{"of another namespace", ref, w.secret.Mint("other", ref, until), fault.Unauthorized, "not for this value"},
			{"prolonged", ref, flipped, fault.Unauthorized, "not for this value"},
			{"of another value, for what is not there", missing, told.Capability, fault.Unauthorized, "not for this value"},
			{"for what is not there", missing, w.secret.Mint(ns, missing, until), fault.NotFound, "ask it again"},
		} {
			if err := fetch(c.ref, c.capability); !fault.Is(err, c.code) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("a capability %s gives %v; want %s, %q", c.name, err, c.code, c.says)
			}
		}
		time.Sleep(capabilityFor - time.Second)
		if err := fetch(ref, told.Capability); err != nil {
			t.Errorf("a second before the end: %v", err)
		}
		time.Sleep(time.Second)
		if err := fetch(ref, told.Capability); !fault.Is(err, fault.Unauthorized) || !strings.Contains(err.Error(), "expired") || !strings.Contains(err.Error(), "ask for a new one") {
			t.Errorf("when it has expired: %v", err)
		}
		if err := fetch(ref, w.told("b", "a", key).Capability); err != nil {
			t.Errorf("a new one: %v", err)
		}
	})
}

// TestGivenAreBounded: the last values that were given out can be fetched, for as long as a capability lasts.
func TestGivenAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGiven()
		for i := range mostGiven + 10 {
			g.give("k", fmt.Sprint(i), []byte{byte(i)})
		}
		for i := range mostGiven + 10 {
			b, ok := g.get(xfer.Ref{Key: "k", Version: fmt.Sprint(i)})
			if ok != (i >= 10) || ok && b[0] != byte(i) {
				t.Fatalf("value %d of %d: %v, %v", i, mostGiven+10, b, ok)
			}
		}
		if _, ok := g.get(xfer.Ref{Key: "k"}); ok {
			t.Error("a version that nobody was given is there")
		}
		last := xfer.Ref{Key: "k", Version: fmt.Sprint(mostGiven)}
		time.Sleep(capabilityFor)
		if _, ok := g.get(last); !ok {
			t.Error("it is gone while its capability is good")
		}
		time.Sleep(time.Millisecond)
		if _, ok := g.get(last); ok {
			t.Error("it outlasts its capability")
		}
		g.give("k", last.Version, []byte{1})
		if _, ok := g.get(last); !ok {
			t.Error("it was given again, and is not there")
		}
		kept := 0
		g.values.Newest(func(_ string, b blob) bool { kept += len(b.payload); return true })
		if kept != 1 {
			t.Errorf("%d bytes are kept, of values that nobody may fetch any more", kept-1)
		}
	})
}

// TestOthersAreBounded: an answer names the data ports that were given the same value last, each once, and never that of who
// asks.
func TestOthersAreBounded(t *testing.T) {
	g := newGiven()
	g.give("k", "1", nil)
	for _, step := range []struct{ to, want string }{
		{"a", ""}, {"a", ""}, {"b", "a"}, {"a", "b"}, {"c", "a b"}, {"d", "c a b"}, {"e", "d c a"}, {"c", "e d a"},
		{"", "c e d"}, {"", "c e d"}, {"f", "c e d"}, {"e", "f c d"},
	} {
		if got := strings.Join(g.others("k", "1", step.to), " "); got != step.want {
			t.Fatalf("%q is sent to %q, want %q", step.to, got, step.want)
		}
	}
	if got := g.others("k", "2", "a"); len(got) != 0 {
		t.Errorf("another version is at %v", got)
	}
	g.give("k", "1", nil) // again, to somebody else
	if got := strings.Join(g.others("k", "1", ""), " "); got != "e f c" {
		t.Errorf("given again it is at %q", got)
	}
}

// TestQuestionsAreBounded: who is asked too much, is starting, or is of an earlier version says so, and what to do.
func TestQuestionsAreBounded(t *testing.T) {
	inTown(t, "ab", func(t *testing.T, w *town) {
		key := w.keyOf("a")
		w.put(key, 10)
		a, b := w.peers["a"], w.peers["b"]
		for range mostQuestions {
			a.slots <- struct{}{}
		}
		if _, _, err := b.Fetch(t.Context(), "a", "", key); !fault.Is(err, fault.Overloaded) || !strings.Contains(err.Error(), "ask the store") {
			t.Errorf("with %d questions under way: %v", mostQuestions, err)
		}
		<-a.slots
		for range 3 { // each leaves its place to the next
			if _, _, err := b.Fetch(t.Context(), "a", "", key); err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}
		for range mostQuestions - 1 {
			<-a.slots
		}
		if _, err := b.ask(t.Context(), "a", &wire.Ask{Kind: 99}); !fault.Is(err, fault.Unsupported) || !strings.Contains(err.Error(), "upgrade node a") {
			t.Errorf("question 99: %v", err)
		}
		if err := b.AskStore(t.Context(), "a", xfer.Ref{Key: "held"}); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "make the value anew") {
			t.Errorf("what stores held values is not there yet: %v", err)
		}
		a.Serve(nil)
		if _, _, err := b.Fetch(t.Context(), "a", "", key); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "ask the store") {
			t.Errorf("while it starts: %v", err)
		}
		began := time.Now()
		if _, _, err := b.Fetch(t.Context(), "nobody", "", key); !fault.Is(err, fault.Unreachable) || time.Since(began) > askWait {
			t.Errorf("a node that is not there: %v after %v", err, time.Since(began))
		}
		if len(a.slots) != 0 {
			t.Errorf("%d questions are under way still", len(a.slots))
		}
	})
}
