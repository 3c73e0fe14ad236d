package layout

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// TestUnwatched: a fleet of which nobody knows yet how it goes gets more parity the larger it is.
func TestUnwatched(t *testing.T) {
	for _, c := range []struct {
		lenders int
		want    Code
	}{{12, Code{10, 2}}, {29, Code{10, 2}}, {30, Code{10, 3}}, {60, Code{10, 3}}, {100, Code{10, 4}}, {400, Code{10, 4}}} {
		var b Bursts
		if got := Choose(100<<20, Fleet{Lenders: c.lenders, Hosts: c.lenders, Bursts: b.Rates(epoch, c.lenders)}); got != c.want {
			t.Errorf("%d lenders: %v, not %v", c.lenders, got, c.want)
		}
	}
}

// TestBursts follows fleets of 100 on 50 hosts for two weeks.
func TestBursts(t *testing.T) {
	host := func(i int) string { return fmt.Sprint(i / 2) }
	for _, c := range []struct {
		name string
		each time.Duration
		lose []int // lenders that go, a second one after the other
		want Code
	}{
		{"nothing goes", 0, nil, Code{10, 2}},
		{"one goes each minute", time.Minute, []int{3}, Code{10, 2}},
		{"hosts go", time.Hour, []int{4, 5}, Code{10, 2}},
		{"two of two hosts go", time.Hour, []int{5, 6}, Code{10, 2}},
		{"ten go each hour", time.Hour, []int{0, 2, 4, 6, 8, 10, 12, 14, 16, 18}, Code{10, 5}},
		{"four go each hour", time.Hour, []int{0, 2, 4, 6}, Code{10, 4}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b Bursts
			b.Watch(epoch)
			now := epoch
			for ; c.each > 0 && now.Before(epoch.Add(14*24*time.Hour)); now = now.Add(c.each) {
				for i, l := range c.lose {
					b.Lost(now.Add(time.Duration(i)*time.Second), host(l), 100)
				}
			}
			rates := b.Rates(epoch.Add(14*24*time.Hour+time.Hour), 100)
			if got := Choose(100<<20, Fleet{Lenders: 100, Hosts: 50, Bursts: rates}); got != c.want {
				t.Errorf("%v, not %v; %v an hour", got, c.want, rates)
			}
		})
	}
}

// TestCutOff: who is cut off sees everybody go, and learns nothing by that; and what was seen once is forgotten.
func TestCutOff(t *testing.T) {
	var b Bursts
	b.Watch(epoch)
	for i := range 60 {
		b.Lost(epoch.Add(time.Second), fmt.Sprint(i), 100)
	}
	if rates := b.Rates(epoch.Add(time.Hour), 100); len(rates) != 1 || rates[0].Lenders != 10 {
		t.Error(rates)
	}
	for i := range 20 {
		b.Lost(epoch.Add(2*time.Hour), fmt.Sprint(i), 100)
	}
	soon, late := b.Rates(epoch.Add(3*time.Hour), 100)[1], b.Rates(epoch.Add(100*24*time.Hour), 100)[1]
	if soon.Lenders != 20 || late.Hourly > soon.Hourly/1000 {
		t.Error(soon, late)
	}
}

// TestLosses holds the chance against drawing.
func TestLosses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lenders := rapid.IntRange(8, 40).Draw(t, "lenders")
		burst := rapid.IntRange(0, lenders).Draw(t, "burst")
		c := Code{rapid.IntRange(1, 5).Draw(t, "data"), rapid.IntRange(0, 3).Draw(t, "parity")}
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		const draws = 2000
		lost := 0
		for range draws {
			gone := 0
			for _, l := range rng.Perm(lenders)[:c.Width()] {
				if l < burst {
					gone++
				}
			}
			if gone > c.Parity {
				lost++
			}
		}
		got, want := losses(c, lenders, []Burst{{burst, 1}}), float64(lost)/draws
		if math.Abs(got-want) > 5*math.Sqrt(0.25/draws) {
			t.Fatalf("%v on %d lenders of which %d go: lost with %v, drawn %v", c, lenders, burst, got, want)
		}
	})
}
