package version_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

var start = time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)

// at is the stamp of a node so many milliseconds after the start.
func at(ms int, node uint64) hlc.Stamp {
	return hlc.At(start.Add(time.Duration(ms)*time.Millisecond), node)
}

func assign(s hlc.Stamp, x any) version.Mutation {
	return version.Mutation{Kind: version.Assign, Key: "k", Value: value.MustOf(x), Stamp: s}
}

func remove(s hlc.Stamp) version.Mutation {
	return version.Mutation{Kind: version.Remove, Key: "k", Stamp: s}
}

func put(s hlc.Stamp, x any, context lattice.VectorClock) version.Mutation {
	return version.Mutation{Kind: version.Put, Key: "k", Value: value.MustOf(x), Stamp: s, Context: context}
}

func add(s hlc.Stamp, n int, id byte) version.Mutation {
	return version.Mutation{Kind: version.Update, Key: "k", Op: lattice.Op{Kind: lattice.Add, Arg: value.MustOf(n)}, ID: lattice.OpID{id}, Stamp: s}
}

// stored is what becomes of v when the store takes it at a revision and gives it back.
func stored(t fataler, v *version.Version, rev kvs.Revision) *version.Version {
	t.Helper()
	w, err := v.Write(kvs.AnyRevision)
	if err != nil {
		t.Fatalf("write %+v: %v", v, err)
	}
	if w, _, err = w.Check(); err != nil {
		t.Fatalf("%+v is not fit to be stored: %v", v, err)
	}
	out, err := version.Open(kvs.Entry{Key: w.Key, Value: w.Value, Revision: rev, Meta: w.Options.Meta, Deleted: w.Delete})
	if err != nil {
		t.Fatalf("open what was written of %+v: %v", v, err)
	}
	return out
}

type fataler interface {
	Helper()
	Fatalf(string, ...any)
}

// after carries out mutations one after the other, each of which is stored.
func after(t fataler, v *version.Version, ms ...version.Mutation) *version.Version {
	t.Helper()
	for i := range ms {
		next, _, err := version.Apply(v, &ms[i])
		if err != nil {
			t.Fatalf("mutation %d: %v", i, err)
		}
		v = stored(t, next, v.Revision+1)
	}
	return v
}

// reads are the values as a reader sees them, in an order of their own.
func reads(v *version.Version) []string {
	out := []string{}
	for _, x := range v.Siblings() {
		b, err := x.JSON()
		if err != nil {
			b = []byte(err.Error())
		}
		out = append(out, string(b))
	}
	slices.Sort(out)
	return out
}

func want(t *testing.T, v *version.Version, values ...string) {
	t.Helper()
	slices.Sort(values)
	if got := reads(v); !slices.Equal(got, values) {
		t.Fatalf("it reads %v, want %v: %+v", got, values, v)
	}
}

func TestLastWriterWins(t *testing.T) {
	v := after(t, version.None("k"), assign(at(5, 1), "five"), assign(at(3, 2), "three"))
	want(t, v, `"five"`)
	v = after(t, v, remove(at(4, 2)))
	want(t, v, `"five"`)
	v = after(t, v, remove(at(6, 2)))
	want(t, v)
	v = after(t, v, assign(at(6, 1), "late")) // the same time, a lower node
	want(t, v)
	v = after(t, v, assign(at(7, 1), "seven"))
	want(t, v, `"seven"`)
}

// A linearizable write is the last one, whatever its clock says, and an ordinary write after it has to beat it.
func TestWinsWhateverTheClockSays(t *testing.T) {
	v := after(t, version.None("k"), assign(at(9, 1), "ahead"))
	m := assign(at(5, 2), "strong")
	m.Wins = true
	v = after(t, v, m)
	want(t, v, `"strong"`)
	v = after(t, v, assign(at(9, 1), "ahead"))
	want(t, v, `"strong"`)
}

func TestSiblings(t *testing.T) {
	v := after(t, version.None("k"), put(at(1, 1), "a", nil), put(at(2, 2), "b", nil))
	want(t, v, `"a"`, `"b"`)
	if first, err := value.As[string](v.Siblings()[0]); err != nil || first != "b" {
		t.Fatalf("the first sibling is %q, %v: want the one with the highest stamp", first, err)
	}
	seen := v.Clock()
	v = after(t, v, put(at(3, 3), "c", nil)) // concurrent with who has seen the two
	merged := put(at(4, 1), "ab", seen)
	v = after(t, v, merged)
	want(t, v, `"ab"`, `"c"`)
	again := after(t, v, merged)
	want(t, again, `"ab"`, `"c"`)
	drop := version.Mutation{Kind: version.Drop, Key: "k", Stamp: at(5, 1), Context: v.Clock()}
	v = after(t, v, put(at(5, 2), "d", nil), drop)
	want(t, v, `"d"`)
}

// A plain value is a sibling too, and who has not seen it does not replace it.
func TestCausalOverPlain(t *testing.T) {
	v := after(t, version.None("k"), assign(at(1, 1), "plain"))
	blind := after(t, v, put(at(2, 2), "blind", nil))
	want(t, blind, `"plain"`, `"blind"`)
	want(t, after(t, v, put(at(2, 2), "seen", v.Clock())), `"seen"`)
	// The next plain value is another event, though it is of the same node and microsecond.
	for logical := range uint64(8) {
		s := at(1, 1)
		s.Time += logical
		other := after(t, version.None("k"), assign(s, "other"))
		got := reads(after(t, other, put(at(9, 2), "mine", v.Clock())))
		if kept := slices.Contains(got, `"other"`); kept != (logical > 0) {
			t.Fatalf("%d stamps later: %v", logical, got)
		}
	}
}

// What causal writers have seen is remembered through a plain write and a delete: nothing new is taken for something seen.
func TestClockOutlivesPlainWrites(t *testing.T) {
	for name, m := range map[string]version.Mutation{"assign": assign(at(5, 3), "plain"), "remove": remove(at(5, 3))} {
		v := after(t, version.None("k"), put(at(1, 1), "a", nil), put(at(2, 1), "b", nil))
		old := v.Clock() // of somebody who has seen both, and will write later
		v = after(t, v, m, put(at(3, 1), "new", nil), put(at(6, 2), "mine", old))
		if got := reads(v); !slices.Contains(got, `"new"`) || !slices.Contains(got, `"mine"`) {
			t.Fatalf("after %s: %v", name, got)
		}
	}
}

func TestTooManySiblings(t *testing.T) {
	v := version.None("k")
	for i := range version.MaxSiblings {
		v = after(t, v, put(at(i, uint64(i)), i, nil))
	}
	m := put(at(1000, 1), "one more", nil)
	_, _, err := version.Apply(v, &m)
	if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "fn.Siblings") {
		t.Fatal(err)
	}
	m.Context = v.Clock()
	want(t, after(t, v, m), `"one more"`)
}

func TestCountsOnce(t *testing.T) {
	v := after(t, version.None("k"), add(at(1, 1), 3, 1), add(at(2, 2), 4, 2), add(at(3, 1), 3, 1), add(at(4, 2), 4, 2))
	want(t, v, "7")
}

func TestTypesDoNotMix(t *testing.T) {
	plain := after(t, version.None("k"), assign(at(1, 1), 5))
	counter := after(t, version.None("k"), add(at(1, 1), 5, 1))
	set := version.Mutation{Kind: version.Update, Key: "k", Op: lattice.Op{Kind: lattice.Insert, Arg: value.MustOf(1)}, Stamp: at(2, 1)}
	for name, tc := range map[string]struct {
		v *version.Version
		m version.Mutation
	}{
		"add to a plain value":  {plain, add(at(2, 1), 1, 2)},
		"put over a counter":    {counter, put(at(2, 1), "x", nil)},
		"insert into a counter": {counter, set},
	} {
		if _, _, err := version.Apply(tc.v, &tc.m); !fault.Is(err, fault.WrongType) {
			t.Errorf("%s: %v", name, err)
		}
	}
	want(t, after(t, counter, remove(at(2, 1)), add(at(3, 1), 1, 3)), "1")
	want(t, after(t, counter, assign(at(2, 1), "plain")), `"plain"`)
	m := version.Mutation{Kind: 99, Key: "k", Stamp: at(9, 1)}
	if _, _, err := version.Apply(plain, &m); !fault.Is(err, fault.Unsupported) {
		t.Error(err)
	}
}

func TestExpiry(t *testing.T) {
	m := assign(at(0, 1), "short")
	m.TTL = time.Second
	v := after(t, version.None("k"), m)
	if !v.Expires.Equal(start.Add(time.Second)) || v.Expired(start.Add(time.Second-1)) || !v.Expired(start.Add(time.Second)) {
		t.Fatalf("expires %v", v.Expires)
	}
	want(t, after(t, v, put(at(999, 2), "both", nil)), `"short"`, `"both"`)
	want(t, after(t, v, put(at(1000, 2), "alone", nil)), `"alone"`)
	if v := after(t, v, assign(at(500, 2), "long")); !v.Expires.IsZero() {
		t.Fatalf("a put without a TTL expires %v", v.Expires)
	}

	// A counter's life is not changed by updates, however many there are.
	n := add(at(0, 1), 1, 0)
	n.TTL = 10 * time.Second
	c := after(t, version.None("k"), n)
	for i := range 50 {
		c = after(t, c, add(at(100*(i+1), 1), 1, byte(i+1)))
	}
	if !c.Expires.Equal(start.Add(10 * time.Second)) {
		t.Fatalf("expires %v after the first write", c.Expires.Sub(start))
	}
	want(t, after(t, c, add(at(10_000, 1), 1, 99)), "1")
}

func TestDependenciesAreBounded(t *testing.T) {
	long := strings.Repeat("k", 900)
	v := version.None("k")
	for i := range 300 {
		m := put(at(i, 1), i, v.Clock())
		m.Deps = []version.Dep{{Key: kvs.Key(fmt.Sprint(long, i)), Revision: 1, Time: at(i, 1).Time}}
		v = after(t, v, m)
	}
	if n := len(v.Deps); n == 0 || n > version.MaxDeps || v.After < at(299-version.MaxDeps, 1).Time {
		t.Fatalf("%d dependencies, after %d", n, v.After)
	}
	m := put(at(300+int(version.Horizon.Milliseconds()), 1), "later", v.Clock())
	if v = after(t, v, m); len(v.Deps) != 0 {
		t.Fatalf("%d dependencies past the horizon", len(v.Deps))
	}
}

func TestOpenPlainEntries(t *testing.T) {
	v, err := version.Open(kvs.Entry{Key: "k", Value: value.MustOf(1), Revision: 7, Written: start})
	if err != nil || v.Absent || v.Revision != 7 || v.Stamp != at(0, 0) {
		t.Fatalf("%+v, %v", v, err)
	}
	if v, err = version.Open(kvs.Entry{Key: "k"}); err != nil || !v.Absent {
		t.Fatalf("%+v, %v", v, err)
	}
	if _, err = version.Open(kvs.Entry{Key: "k", Revision: 1, Meta: []byte{9}}); !fault.Is(err, fault.Unsupported) {
		t.Fatal(err)
	}
	_, err = version.Open(kvs.Entry{Key: "k", Revision: 1, Meta: []byte{1, 0xff}})
	if !fault.Is(err, fault.Unavailable) || !fault.From(err).Final {
		t.Fatal(err)
	}
}

// The value of a register, and of a sole sibling, is in the entry as it is.
func TestStoredStaysReadable(t *testing.T) {
	for _, m := range []version.Mutation{assign(at(1, 1), "plain"), put(at(1, 1), "plain", nil)} {
		v, _, err := version.Apply(version.None("k"), &m)
		if err != nil {
			t.Fatal(err)
		}
		w, err := v.Write(0)
		if s, err2 := value.As[string](w.Value); err != nil || err2 != nil || s != "plain" {
			t.Fatalf("%q, %v, %v", s, err, err2)
		}
	}
}

// history draws what a key has been through: contexts are clocks of versions that there were.
type history struct {
	versions []*version.Version
	made     int
}

func (h *history) last() *version.Version { return h.versions[len(h.versions)-1] }

func drawHistory(t *rapid.T, causal bool) *history {
	h := &history{versions: []*version.Version{version.None("k")}}
	for range rapid.IntRange(0, 12).Draw(t, "steps") {
		m := h.draw(t, causal)
		if next, _, err := version.Apply(h.last(), &m); err == nil {
			h.versions = append(h.versions, stored(t, next, kvs.Revision(len(h.versions))))
		}
	}
	return h
}

func (h *history) draw(t *rapid.T, causal bool) version.Mutation {
	h.made++
	// Some stamps are of one moment: they differ in their logical part, as those of one clock do.
	s := at(rapid.IntRange(0, 40).Draw(t, "ms"), rapid.Uint64Range(1, 3).Draw(t, "node"))
	s.Time += uint64(h.made)
	kinds := []version.Kind{version.Put, version.Put, version.Drop}
	if !causal {
		kinds = []version.Kind{version.Assign, version.Remove, version.Put, version.Drop, version.Update}
	}
	m := version.Mutation{Kind: rapid.SampledFrom(kinds).Draw(t, "kind"), Key: "k", Stamp: s}
	if rapid.Bool().Draw(t, "TTL") && !causal {
		m.TTL = time.Duration(rapid.IntRange(1, 3).Draw(t, "seconds")) * time.Second
	}
	switch m.Kind {
	case version.Assign, version.Put:
		m.Value = value.MustOf(fmt.Sprint("value ", h.made))
	case version.Update:
		m.Op, m.ID = lattice.Op{Kind: lattice.Add, Arg: value.MustOf(h.made)}, lattice.OpID{byte(h.made)}
	}
	if m.Kind == version.Put || m.Kind == version.Drop {
		m.Context = rapid.SampledFrom(h.versions).Draw(t, "seen").Clock()
		for i := range rapid.IntRange(0, 3).Draw(t, "deps") {
			m.Deps = append(m.Deps, version.Dep{Key: kvs.Key(fmt.Sprint("dep ", i)), Revision: kvs.Revision(h.made), Time: s.Time})
		}
	}
	return m
}

// same compares what can be compared of two versions of one key.
func same(v, w *version.Version) bool {
	a, err := v.Write(0)
	b, err2 := w.Write(0)
	if err != nil || err2 != nil {
		return false
	}
	x, err := a.Value.Wire()
	y, err2 := b.Value.Wire()
	return err == nil && err2 == nil && a.Delete == b.Delete && a.Options.TTL == b.Options.TTL &&
		reflect.DeepEqual(a.Options.Meta, b.Options.Meta) && string(x) == string(y)
}

func TestApplyTwiceIsApplyOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := drawHistory(t, false)
		m := h.draw(t, false)
		once, _, err := version.Apply(h.last(), &m)
		if err != nil {
			t.Skip(err)
		}
		twice, changed, err := version.Apply(once, &m)
		if err != nil || !same(once, twice) {
			t.Fatalf("once %+v, twice %+v (changed %t), %v", once, twice, changed, err)
		}
		if changed && m.Kind != version.Drop {
			t.Fatalf("the second time of a write of kind %d made a difference", m.Kind)
		}
	})
}

func TestWriteThenOpen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := drawHistory(t, false).last()
		if got := stored(t, v, v.Revision); !same(v, got) || !slices.Equal(reads(v), reads(got)) || !got.Same(v) || got.After != v.After || len(got.Deps) != len(v.Deps) || !got.Expires.Equal(v.Expires) {
			t.Fatalf("%+v comes back as %+v", v, got)
		}
	})
}

// Which of two concurrent causal writes is stored first makes no difference to what is kept.
func TestOrderOfConcurrentPuts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := drawHistory(t, true)
		a, b := h.draw(t, true), h.draw(t, true)
		ab := after(t, h.last(), a, b)
		ba := after(t, h.last(), b, a)
		if !slices.Equal(reads(ab), reads(ba)) {
			t.Fatalf("%v the one way round, %v the other", reads(ab), reads(ba))
		}
	})
}

// A causal write that nobody has replaced knowingly is there.
func TestNoConcurrentWriteIsLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := &history{versions: []*version.Version{version.None("k")}}
		alive := map[string]lattice.VectorClock{} // value → the clock of the first version that had it
		for range rapid.IntRange(1, 15).Draw(t, "steps") {
			m := h.draw(t, true)
			next, _, err := version.Apply(h.last(), &m)
			if err != nil {
				t.Fatal(err)
			}
			// A context covers a value if it is the clock of a version that had it, or of a later one.
			for x, first := range alive {
				if o := m.Context.Compare(first); o == lattice.After || o == lattice.Equal {
					delete(alive, x)
				}
			}
			h.versions = append(h.versions, stored(t, next, h.last().Revision+1))
			if m.Kind == version.Put {
				b, _ := m.Value.JSON()
				alive[string(b)] = h.last().Clock()
			}
			got := reads(h.last())
			for x := range alive {
				if !slices.Contains(got, x) {
					t.Fatalf("%s is lost: %v", x, got)
				}
			}
			if len(got) != len(alive) {
				t.Fatalf("%v, want %v", got, alive)
			}
		}
	})
}

// Last writer wins whatever the order of arrival, as long as no TTL ends in between.
func TestPlainWritesConverge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := &history{versions: []*version.Version{version.None("k")}}
		var ms []version.Mutation
		for range rapid.IntRange(1, 6).Draw(t, "writes") {
			m := h.draw(t, false)
			m.TTL = 0
			if m.Kind == version.Assign || m.Kind == version.Remove {
				ms = append(ms, m)
			}
		}
		v := after(t, version.None("k"), ms...)
		w := after(t, version.None("k"), rapid.Permutation(ms).Draw(t, "order")...)
		if !slices.Equal(reads(v), reads(w)) || v.Stamp != w.Stamp {
			t.Fatalf("%+v the one way round, %+v the other", v, w)
		}
	})
}

func TestMutationEncodes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := drawHistory(t, false)
		m := h.draw(t, false)
		b, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := version.DecodeMutation(b)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := got.Encode(); err != nil || string(again) != string(b) {
			t.Fatalf("%x comes back as %x, %v", b, again, err)
		}
		x, _, err := version.Apply(h.last(), &m)
		y, _, err2 := version.Apply(h.last(), &got)
		if fault.CodeOf(err) != fault.CodeOf(err2) || err == nil && !same(x, y) {
			t.Fatalf("%+v (%v), decoded %+v (%v)", x, err, y, err2)
		}
	})
}

func TestDeps(t *testing.T) {
	draw := func(t *rapid.T, label string) []version.Dep {
		out := []version.Dep{}
		for i := range 6 {
			if rapid.Bool().Draw(t, label) {
				out = append(out, version.Dep{Key: kvs.Key(fmt.Sprint(i)), Revision: kvs.Revision(rapid.IntRange(1, 5).Draw(t, "revision")), Time: rapid.Uint64Range(1, 20).Draw(t, "time")})
			}
		}
		return out
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw(t, "a"), draw(t, "b")
		joined := version.JoinDeps(a, b)
		for i := range 6 {
			key := kvs.Key(fmt.Sprint(i))
			if got, want := version.FindDep(joined, key), max(version.FindDep(a, key), version.FindDep(b, key)); got != want {
				t.Fatalf("%s: %d, want %d of %v and %v", key, got, want, a, b)
			}
		}
		horizon, most := rapid.Uint64Range(0, 20).Draw(t, "horizon"), rapid.IntRange(0, 6).Draw(t, "most")
		before := slices.Clone(joined)
		kept, dropped := version.PruneDeps(joined, horizon, most)
		if !slices.Equal(joined, before) {
			t.Fatal("PruneDeps wrote to its argument")
		}
		if len(kept) > most || !slices.IsSortedFunc(kept, func(a, b version.Dep) int { return strings.Compare(string(a.Key), string(b.Key)) }) {
			t.Fatalf("kept %v", kept)
		}
		for _, d := range joined {
			if version.FindDep(kept, d.Key) == 0 && d.Time >= horizon && d.Time > dropped {
				t.Fatalf("%v is forgotten: kept %v, after %d", d, kept, dropped)
			}
		}
	})
}
