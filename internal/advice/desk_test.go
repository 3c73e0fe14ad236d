package advice

import (
	"fmt"
	"testing"
	"time"
)

var epoch = time.Unix(1_700_000_000, 0)

// TestDeskAges: advice is followed, then followed and asked for anew, once, then dropped.
func TestDeskAges(t *testing.T) {
	d := NewDesk()
	k := Key{Spec: "spec", Sizes: Sizes(0).Add(3, false)}
	look := func(after time.Duration, has, wants bool) {
		t.Helper()
		a, ask := d.Look(epoch.Add(after), k)
		if (a != nil) != has || ask != wants {
			t.Errorf("after %v: %v, ask %v", after, a, ask)
		}
	}
	look(0, false, true)
	if !d.Ask(Question{Key: k, First: "a"}) {
		t.Fatal("not asked")
	}
	look(0, false, false)
	q, ok := d.Next()
	if _, more := d.Next(); !ok || more || q.First != "a" {
		t.Fatalf("%+v, %v, %v", q, ok, more)
	}
	if rest := d.Made(epoch, k, &Advice{}, Given, 10*time.Millisecond); rest != 190*time.Millisecond {
		t.Errorf("planning rests %v", rest)
	}
	look(0, true, false)
	look(Fresh-1, true, false)
	look(Fresh, true, true)
	d.Ask(Question{Key: k})
	look(Fresh, true, false)
	look(Stale-1, true, false)
	look(Stale, false, false)
	d.Made(epoch.Add(Stale), k, nil, Useless, 0)
	look(Stale, false, false)
	look(Stale+Fresh, false, true)
	if s := d.Stats(); s.Asked != 2 || s.Verdicts != [len(Verdicts)]uint64{Given: 1, Useless: 1} || s.Planning != 10*time.Millisecond {
		t.Errorf("%+v", s)
	}
}

// TestDeskIsBounded: neither questions nor advice pile up.
func TestDeskIsBounded(t *testing.T) {
	d := NewDesk()
	for i := range 3 * MaxKept {
		k := Key{Spec: fmt.Sprint(i)}
		asked := d.Ask(Question{Key: k})
		if asked != (i < MaxAsked) {
			t.Fatalf("question %d: asked %v", i, asked)
		}
		d.Made(epoch, k, &Advice{}, Given, 0)
	}
	if d.kept.Len() != MaxKept || d.Stats().Left != 3*MaxKept-MaxAsked {
		t.Errorf("%d kept, %+v", d.kept.Len(), d.Stats())
	}
	if a, _ := d.Look(epoch, Key{Spec: fmt.Sprint(3*MaxKept - 1)}); a == nil {
		t.Error("the newest is not kept")
	}
}

func TestSizesTellApart(t *testing.T) {
	seen := map[Sizes]string{}
	for _, first := range []int{0, 1, 10, 27} {
		for _, second := range []int{0, 1, 10, 27} {
			for _, stored := range []bool{false, true} {
				name := fmt.Sprint(first, second, stored)
				s := Sizes(0).Add(first, stored).Add(second, false)
				if other, ok := seen[s]; ok {
					t.Errorf("%s and %s look alike", name, other)
				}
				seen[s] = name
			}
		}
	}
}

// BenchmarkLook is what a run that is placed pays.
func BenchmarkLook(b *testing.B) {
	d := NewDesk()
	for i := range 100 {
		d.Made(epoch, Key{Spec: fmt.Sprintf("%032x", i)}, &Advice{}, Given, 0)
	}
	k := Key{Spec: fmt.Sprintf("%032x", 50)}
	b.ReportAllocs()
	for b.Loop() {
		if a, _ := d.Look(epoch, k); a == nil {
			b.Fatal("gone")
		}
	}
}
