package lattice

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/hlc"
	"github.com/squall-faas/squall/value"
)

func stampAt(n uint64) hlc.Stamp { return hlc.Stamp{Time: n, Node: 1} }

func dotsOf(m MultiValue) []Dot {
	var out []Dot
	for _, s := range m.Siblings {
		out = append(out, s.Dot)
	}
	return out
}

func TestAssignReplacesWhatContextCovers(t *testing.T) {
	v := value.MustOf("v")
	two := MultiValue{}.Assign(1, nil, stampAt(1), v).Assign(2, nil, stampAt(2), v)
	for _, tc := range []struct {
		name    string
		actor   uint64
		context VectorClock
		dots    []Dot
		clock   VectorClock
	}{
		{"blind", 3, nil, []Dot{{1, 1}, {2, 1}, {3, 1}}, VectorClock{1: 1, 2: 1, 3: 1}},
		{"blind, by who wrote before", 1, nil, []Dot{{1, 1}, {1, 2}, {2, 1}}, VectorClock{1: 2, 2: 1}},
		{"one was read", 1, VectorClock{2: 1}, []Dot{{1, 1}, {1, 2}}, VectorClock{1: 2, 2: 1}},
		{"all were read", 1, two.Clock, []Dot{{1, 2}}, VectorClock{1: 2, 2: 1}},
		{"read elsewhere, where more was known", 3, VectorClock{1: 1, 4: 7}, []Dot{{2, 1}, {3, 1}}, VectorClock{1: 1, 2: 1, 3: 1, 4: 7}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := two.Assign(tc.actor, tc.context, stampAt(9), v)
			if !slices.Equal(dotsOf(got), tc.dots) || !maps.Equal(got.Clock, tc.clock) {
				t.Errorf("siblings %v under %v, want %v under %v", dotsOf(got), got.Clock, tc.dots, tc.clock)
			}
		})
	}
}

// Sessions read at one replica and write at another. A value is gone exactly where a write is known that had read it.
func TestSiblingsAreTheWritesThatNobodyReplaced(t *testing.T) {
	type replica struct {
		m     MultiValue
		known map[int]bool
	}
	type write struct {
		v        value.Value
		replaces map[int]bool
	}
	rapid.Check(t, func(t *rapid.T) {
		replicas := make([]replica, 3)
		for i := range replicas {
			replicas[i].known = map[int]bool{}
		}
		seen := []replica{{known: map[int]bool{}}} // contexts of sessions, and messages
		var writes []write
		for range rapid.IntRange(5, 40).Draw(t, "steps") {
			i := rapid.IntRange(0, 2).Draw(t, "replica")
			r := &replicas[i]
			from := rapid.SampledFrom(seen).Draw(t, "from")
			if rapid.Bool().Draw(t, "write") {
				// An actor's own last write is in what a session at that replica has read.
				writes = append(writes, write{value.MustOf(len(writes)), from.known})
				r.m = r.m.Assign(uint64(i+1), from.m.Clock, stampAt(uint64(len(writes))), writes[len(writes)-1].v)
				maps.Copy(r.known, from.known)
				r.known[len(writes)-1] = true
			} else {
				joined, err := r.m.Join(from.m)
				if err != nil {
					t.Fatal(err)
				}
				r.m = joined.(MultiValue)
				maps.Copy(r.known, from.known)
			}
			seen = append(seen, replica{r.m, maps.Clone(r.known)})
			var want, got []int
			for w := range r.known {
				replaced := false
				for by := range r.known {
					replaced = replaced || writes[by].replaces[w]
				}
				if !replaced {
					want = append(want, w)
				}
			}
			for _, s := range r.m.Siblings {
				n, err := value.As[int](s.Value)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, n)
			}
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(want, got) {
				t.Fatalf("replica %d has siblings %v, want %v", i, got, want)
			}
			head, err := r.m.AppendHead(nil)
			if err != nil {
				t.Fatal(err)
			}
			bare, err := DecodeHead(head)
			if err != nil || bare.Clock.Compare(r.m.Clock) != Equal || !slices.Equal(dotsOf(bare), dotsOf(r.m)) {
				t.Fatalf("the head came back as %v, %v", bare, err)
			}
			for k := range bare.Siblings { // values from where they were kept apart
				if bare.Siblings[k].Stamp != r.m.Siblings[k].Stamp {
					t.Fatalf("the stamp of %v is %v", bare.Siblings[k].Dot, bare.Siblings[k].Stamp)
				}
				bare.Siblings[k].Value = r.m.Siblings[k].Value
			}
			if !same(t, bare, r.m) {
				t.Fatal("a multivalue put together again is another")
			}
		}
	})
}

// Another package may put siblings together in any order, but not such as could not be read again.
func TestMultiValueIsCheckedWhenWritten(t *testing.T) {
	a := Sibling{Dot: Dot{1, 1}, Stamp: stampAt(1), Value: value.MustOf("a")}
	b := Sibling{Dot: Dot{2, 1}, Stamp: stampAt(2), Value: value.MustOf("b")}
	clock := VectorClock{1: 1, 2: 1, 3: 0}
	ordered, err := MultiValue{clock, []Sibling{a, b}}.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	swapped, err := MultiValue{clock, []Sibling{b, a}}.Append(nil)
	if err != nil || !bytes.Equal(ordered, swapped) {
		t.Errorf("%x and %x, %v", ordered, swapped, err)
	}
	for _, m := range []MultiValue{{nil, []Sibling{a}}, {clock, []Sibling{a, a}}, {clock, []Sibling{{Dot: Dot{1, 0}}}}, {clock, []Sibling{{Dot: Dot{2, 2}}}}} {
		if _, err := m.Append(nil); !fault.Is(err, fault.InvalidArgument) {
			t.Errorf("%v is written: %v", m, err)
		}
		if _, err := m.AppendHead(nil); !fault.Is(err, fault.InvalidArgument) {
			t.Errorf("the head of %v is written: %v", m, err)
		}
	}
	// One dot with two values: only an actor that breaks the rules makes it. The replicas agree all the same.
	x, y := MultiValue{clock, []Sibling{a}}, MultiValue{clock, []Sibling{{Dot: a.Dot, Stamp: a.Stamp, Value: b.Value}}}
	xy, err1 := x.Join(y)
	yx, err2 := y.Join(x)
	if err1 != nil || err2 != nil || !sameValue(xy.Read(), yx.Read()) {
		t.Errorf("%v %v, %v %v", xy, yx, err1, err2)
	}
}
