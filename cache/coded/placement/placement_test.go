package placement

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/cache/coded/layout"
	"github.com/squall-faas/squall/fault"
)

func fleets() *rapid.Generator[[]Lender] {
	return rapid.Custom(func(t *rapid.T) []Lender {
		hosts := rapid.IntRange(1, 12).Draw(t, "hosts")
		return rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) Lender {
			return Lender{
				Name: fmt.Sprintf("l%d", rapid.IntRange(0, 99).Draw(t, "name")),
				Host: fmt.Sprintf("h%d", rapid.IntRange(1, hosts).Draw(t, "host")),
				Lent: rapid.Int64Range(1<<20, 1<<30).Draw(t, "lent"),
			}
		}), 1, 30, func(l Lender) string { return l.Name }).Draw(t, "lenders")
	})
}

func shape(t interface{ Fatal(...any) }, size int64, c layout.Code) layout.Shape {
	s, err := layout.Cut(size, c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestPlace: every column has a lender; lenders and hosts have no more than the fleet forces on them.
func TestPlace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fleet := fleets().Draw(t, "fleet")
		code := layout.Code{Data: rapid.IntRange(1, 12).Draw(t, "data"), Parity: rapid.IntRange(0, 4).Draw(t, "parity")}
		got, err := Place(rapid.String().Draw(t, "key"), fleet, shape(t, 1000, code))
		if err != nil {
			t.Fatal(err)
		}
		lenders, hosts := map[string]int{}, map[string]int{}
		size := map[string]int{}
		for _, l := range fleet {
			size[l.Host]++
		}
		for _, name := range got {
			i := slices.IndexFunc(fleet, func(l Lender) bool { return l.Name == name })
			if i < 0 {
				t.Fatalf("%q is no lender", name)
			}
			lenders[name]++
			hosts[fleet[i].Host]++
		}
		if most := (code.Width() + len(fleet) - 1) / len(fleet); slices.Max(values(lenders)) > most {
			t.Fatalf("%v: a lender has more than %d", lenders, most)
		}
		if len(fleet) < code.Width() {
			return
		}
		// The least cap on hosts under which all columns find a place.
		limit := max(code.Parity, 1)
		for ; ; limit++ {
			room := 0
			for _, n := range size {
				room += min(n, limit)
			}
			if room >= code.Width() {
				break
			}
		}
		if slices.Max(values(hosts)) > limit {
			t.Fatalf("%v: a host has more than %d", hosts, limit)
		}
	})
}

func values(m map[string]int) (out []int) {
	for _, n := range m {
		out = append(out, n)
	}
	return out
}

// TestStable: a lender that goes changes no other's place in the ranking, and so moves only its own columns, one each.
func TestStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fleet := fleets().Draw(t, "fleet")
		key := rapid.String().Draw(t, "key")
		gone := rapid.IntRange(0, len(fleet)-1).Draw(t, "gone")
		without := slices.Delete(slices.Clone(fleet), gone, gone+1)
		before := slices.DeleteFunc(Rank(key, fleet), func(l Lender) bool { return l.Name == fleet[gone].Name })
		if after := Rank(key, without); !slices.Equal(before, after) {
			t.Fatalf("%v became %v", before, after)
		}
	})
}

// TestReplaceKeepsWhatIsHeld: only the columns without a lender get one, and no lender that has one already where others are
// free.
func TestReplaceKeepsWhatIsHeld(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fleet := fleets().Draw(t, "fleet")
		s := shape(t, 1000, layout.Code{Data: 4, Parity: 2})
		held, err := Place("key", fleet, s)
		if err != nil {
			t.Fatal(err)
		}
		lost := slices.Clone(held)
		for i := range lost {
			if rapid.Bool().Draw(t, "lost") {
				lost[i] = ""
			}
		}
		got, err := Replace("key", fleet, s, lost)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for i := range got {
			if lost[i] != "" && got[i] != lost[i] || got[i] == "" {
				t.Fatalf("%v became %v", lost, got)
			}
			if len(fleet) >= s.Width() && seen[got[i]] {
				t.Fatalf("%v: two columns on one of %d lenders", got, len(fleet))
			}
			seen[got[i]] = true
		}
	})
}

// TestWeights: lenders get columns by what they lend.
func TestWeights(t *testing.T) {
	fleet := []Lender{{"a", "a", 100 << 20}, {"b", "b", 200 << 20}, {"c", "c", 700 << 20}}
	first := map[string]int{}
	const keys = 20_000
	for i := range keys {
		first[Rank(fmt.Sprint("key", i), fleet)[0].Name]++
	}
	for _, l := range fleet {
		want := float64(l.Lent) / (1000 << 20)
		if got := float64(first[l.Name]) / keys; math.Abs(got-want) > 0.02 {
			t.Errorf("%s is first for %.3f of the keys, lends %.3f", l.Name, got, want)
		}
	}
}

// TestTooSmall: an object goes to no lender that it would fill.
func TestTooSmall(t *testing.T) {
	s := shape(t, 100<<20, layout.Code{Data: 4, Parity: 2})
	if _, err := Place("k", []Lender{{"a", "a", 40 << 20}}, s); !fault.Is(err, fault.NoExecutor) {
		t.Fatal(err)
	}
	got, err := Place("k", []Lender{{"a", "a", 40 << 20}, {"b", "b", 60 << 20}}, s)
	if err != nil || slices.Contains(got, "a") {
		t.Fatal(got, err)
	}
	if _, err := Place("k", nil, s); !fault.Is(err, fault.NoExecutor) {
		t.Fatal(err)
	}
}
