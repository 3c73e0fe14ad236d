package lattice

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/fault"
)

func opID(n uint64) (id OpID) {
	binary.BigEndian.PutUint64(id[:], n*0x9e3779b97f4a7c15) // so that the order of ids is not that of their ages
	binary.BigEndian.PutUint64(id[8:], n)
	return id
}

func TestWindowRemembersTheLatest(t *testing.T) {
	var w Window
	for n := range uint64(MaxWindow + 300) {
		if w.Has(opID(n)) {
			t.Fatalf("%d was there before it came", n)
		}
		before := slices.Clone(w.marks)
		next := w.With(opID(n))
		if !slices.Equal(before, w.marks) {
			t.Fatal("With wrote to the window that was there")
		}
		w = next.With(opID(n)) // twice is once
		for _, old := range []uint64{n, n - min(n, MaxWindow-1)} {
			if !w.Has(opID(old)) {
				t.Fatalf("%d is forgotten at %d", old, n)
			}
		}
		if n >= MaxWindow && w.Has(opID(n-MaxWindow)) {
			t.Fatalf("%d is remembered at %d", n-MaxWindow, n)
		}
	}
	b := w.Append(nil)
	if w.Len() != MaxWindow || len(b) > MaxWindow*17+32 || w.Size() > 32*MaxWindow {
		t.Errorf("%d ids in %d bytes", w.Len(), len(b))
	}
	back, err := DecodeWindow(b)
	if err != nil || !slices.Equal(back.marks, w.marks) {
		t.Errorf("a full window does not come back: %v", err)
	}
}

// Replicas add and join, within the bound and far over it; joins are those of a lattice.
func TestWindowIsALattice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		r := rand.New(rand.NewPCG(seed, 0))
		bulk := rapid.SampledFrom([]int{1, 5, 400}).Draw(t, "ids a step")
		var ws [3]Window
		n := uint64(0)
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			i, j := r.IntN(3), r.IntN(3)
			if r.IntN(3) == 0 {
				ws[i] = ws[i].Join(ws[j])
				continue
			}
			// As many With as bulk says, in one go: With itself has its own test, and copies each time.
			var many Window
			latest := uint64(0)
			for _, m := range ws[i].marks {
				latest = max(latest, m.age)
			}
			for k := range bulk {
				n++
				many.marks = append(many.marks, mark{opID(n), latest + 1 + uint64(k)})
			}
			slices.SortFunc(many.marks, func(a, b mark) int { return a.order(b.id) })
			before := ws[i]
			ws[i] = ws[i].Join(many)
			if !equalWindows(ws[i], before.Join(ws[i])) {
				t.Fatal("adding is not inflationary")
			}
			if !ws[i].Has(opID(n)) {
				t.Fatal("the latest is lost")
			}
		}
		a, b, c := ws[0], ws[1], ws[2]
		ab := a.Join(b)
		if !equalWindows(ab, b.Join(a)) || !equalWindows(ab.Join(c), a.Join(b.Join(c))) || !equalWindows(a, a.Join(a)) || !equalWindows(ab, ab.Join(b)) {
			t.Fatalf("seed %d: no lattice", seed)
		}
		for _, w := range []Window{a, b, c, ab} {
			enc := w.Append(nil)
			back, err := DecodeWindow(enc)
			if err != nil || !equalWindows(w, back) || w.Len() > MaxWindow {
				t.Fatalf("%d ids come back as %d, %v", w.Len(), back.Len(), err)
			}
		}
		if got := (Window{}).Join(a); !equalWindows(got, a) {
			t.Fatal("the zero window is not the least")
		}
	})
}

func equalWindows(a, b Window) bool { return slices.Equal(a.marks, b.marks) }

func TestWindowWithIsJoinOfTheNext(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w, model Window
		for range rapid.IntRange(0, 20).Draw(t, "ids") {
			id := opID(rapid.Uint64Range(0, 9).Draw(t, "id"))
			w = w.With(id)
			if !model.Has(id) {
				model = model.Join(Window{[]mark{{id, uint64(model.Len()) + 1}}})
			}
			if !equalWindows(w, model) {
				t.Fatalf("%v, want %v", w, model)
			}
		}
	})
}

func TestDecodeWindowRefuses(t *testing.T) {
	good := Window{}.With(opID(1)).With(opID(2)).Append(nil)
	for i := range good {
		if _, err := DecodeWindow(good[:i]); !fault.Is(err, fault.InvalidArgument) {
			t.Errorf("cut to %d bytes: %v", i, err)
		}
	}
	id1, id2 := opID(1), opID(2)
	two := slices.Concat([]byte{1, 0x82, 0x58, 32}, id1[:], id2[:])
	twins := slices.Concat([]byte{1, 0x82, 0x58, 32}, id1[:], id1[:])
	for name, b := range map[string][]byte{
		"later":    {2},
		"trailing": append(slices.Clone(good), 0),
		"age 0":    append(slices.Clone(two), 0x82, 0, 1),
		"twice":    append(slices.Clone(twins), 0x82, 1, 1),
		"fewer":    append(slices.Clone(two), 0x81, 1),
		"overflow": append(slices.Clone(two), 0x82, 1, 0x1b, 255, 255, 255, 255, 255, 255, 255, 255),
		"order":    append(slices.Clone(two), 0x82, 1, 0), // of the same age, and the second id is the lower one
	} {
		_, err := DecodeWindow(b)
		if name == "later" != fault.Is(err, fault.Unsupported) || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
