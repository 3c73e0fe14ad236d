package reuse

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// drawCurve of up to six corners; concave, or of any rising shape.
func drawCurve(t *rapid.T, concave bool) Curve {
	n := rapid.IntRange(0, 6).Draw(t, "corners")
	bytes, rises := int64(0), make([]float64, n)
	for i := range rises {
		rises[i] = rapid.Float64Range(0, 1).Draw(t, "slope")
	}
	if concave {
		slices.SortFunc(rises, func(a, b float64) int { return int(math.Copysign(1, b-a)) })
	}
	points, hits := []Point{{0, 0}}, 0.0
	for _, r := range rises {
		step := rapid.Int64Range(1, 40).Draw(t, "bytes")
		bytes += step
		hits += r * float64(step) / 300 // at most 0.8
		points = append(points, Point{bytes, hits})
	}
	return NewCurve(1, points)
}

// saves is what a split saves.
func saves(apps []App, split []int64) (sum float64) {
	for i, a := range apps {
		sum += a.Rate * a.Curve.HitRatio(split[i])
	}
	return sum
}

// best tries every split of so many grains.
func best(apps []App, floor, grain, left int64) float64 {
	a := apps[0]
	if len(apps) == 1 {
		return a.Rate * a.Curve.HitRatio(floor+left*grain)
	}
	most := 0.0
	for n := range left + 1 {
		most = max(most, a.Rate*a.Curve.HitRatio(floor+n*grain)+best(apps[1:], floor, grain, left-n))
	}
	return most
}

// longest is what the dearest step that climbing may have had to cut short saves: up to the top of one curve.
func longest(apps []App, floor int64) (most float64) {
	for _, a := range apps {
		most = max(most, a.Rate*(a.Curve.HitRatio(math.MaxInt64)-a.Curve.HitRatio(floor)))
	}
	return most
}

// TestSplitIsBest compares Split with all splits that there are.
func TestSplitIsBest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		concave := rapid.Bool().Draw(t, "concave")
		terms := Terms{
			Budget: rapid.Int64Range(0, 120).Draw(t, "budget"),
			Floor:  rapid.Int64Range(0, 30).Draw(t, "floor"),
			Grain:  rapid.Int64Range(5, 15).Draw(t, "grain"),
		}
		apps := make([]App, rapid.IntRange(1, 4).Draw(t, "apps"))
		for i := range apps {
			apps[i] = App{Curve: drawCurve(t, concave), Rate: rapid.Float64Range(0, 100).Draw(t, "rate")}
		}
		split := Split(apps, terms)
		floor := min(terms.Floor, terms.Budget/int64(len(apps)))
		sum := int64(0)
		for _, b := range split {
			sum += b
			if b < floor || (b-floor)%terms.Grain != 0 {
				t.Fatalf("%v: below the floor of %d, or no multiple of %d above it", split, floor, terms.Grain)
			}
		}
		if sum > terms.Budget || sum+terms.Grain <= terms.Budget {
			t.Fatalf("%v is %d of %d", split, sum, terms.Budget)
		}
		want := best(apps, floor, terms.Grain, (terms.Budget-floor*int64(len(apps)))/terms.Grain)
		got := saves(apps, split)
		if got < want-1e-9 {
			t.Fatalf("%v saves %g, another one %g", split, got, want)
		}
		// The way for many applications: the best for concave curves, and else nearly.
		left := (terms.Budget - floor*int64(len(apps))) / terms.Grain
		climbed := climbAll(apps, floor, terms.Grain, left)
		for i := range climbed {
			left -= climbed[i]
			climbed[i] = floor + climbed[i]*terms.Grain
		}
		got = saves(apps, climbed)
		if left < 0 || concave && got < want-1e-9 || got < want-longest(apps, floor)-1e-9 {
			t.Fatalf("climbing to %v saves %g, another one %g; left are %d", climbed, got, want, left)
		}
	})
}

// TestClimbIsNearlyBest: many applications, with cliffs, against the exact way.
func TestClimbIsNearlyBest(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	sum, least, draws := 0.0, 1.0, 15
	for range draws {
		apps := make([]App, exactApps)
		for i := range apps {
			bytes, hits := []int64{}, []float64{}
			for range 5 {
				bytes = append(bytes, rng.Int64N(100))
				hits = append(hits, rng.Float64())
			}
			slices.Sort(bytes)
			slices.Sort(hits)
			var points []Point
			for j := range bytes {
				points = append(points, Point{bytes[j], hits[j]})
			}
			apps[i] = App{Curve: NewCurve(1, points), Rate: 1 + 9*rng.Float64()}
		}
		climbed := climbAll(apps, 0, 5, 500)
		for i := range climbed {
			climbed[i] *= 5
		}
		part := saves(apps, climbed) / saves(apps, Split(apps, Terms{Budget: 2500, Grain: 5}))
		sum += part
		least = min(least, part)
	}
	t.Logf("%.4f of the best on the average, %.4f at least", sum/float64(draws), least)
	if least < 0.97 || sum > float64(draws)*(1+1e-9) {
		t.Fatalf("seed %d: %.4f of the best on the average, %.4f at least", seed, sum/float64(draws), least)
	}
}

// TestSplitManyApps and a budget of very many grains: within the budget, and each where it should be.
func TestSplitManyApps(t *testing.T) {
	for _, n := range []int{3, exactApps, exactApps + 1, 500} {
		apps := make([]App, n)
		for i := range apps {
			apps[i] = App{Curve: NewCurve(1, []Point{{0, 0}, {int64(i+1) << 10, 0.5}}), Rate: float64(i%7 + 1)}
		}
		floor, sum := int64(4<<10), int64(0)
		split := Split(apps, Terms{Budget: 1 << 30, Floor: floor, Grain: 1 << 10})
		for i, b := range split {
			sum += b
			if b < floor || b < int64(i+1)<<10 {
				t.Errorf("%d of %d has %d bytes, although there is room for all", i, n, b)
			}
		}
		if sum > 1<<30 || sum < 1<<30-1<<22 {
			t.Errorf("%d bytes for %d", sum, n)
		}
	}
}

func TestSplitLooksOverCliffs(t *testing.T) {
	loop := NewCurve(1, []Point{{99, 0}, {100, 1}})  // all or nothing
	slow := NewCurve(1, []Point{{0, 0}, {200, 0.5}}) // a little with each byte
	flat := NewCurve(1, []Point{{0, 0.9}, {1, 0.9}}) // has what it needs
	apps := []App{{Curve: loop, Rate: 1}, {Curve: slow, Rate: 1}, {Curve: flat, Rate: 100}}
	if got := Split(apps, Terms{Budget: 150, Grain: 1}); !slices.Equal(got, []int64{100, 50, 0}) {
		t.Errorf("%v", got)
	}
	// The first bytes are worth more to another one than the loop's are on the average, but then the loop does not fit.
	eager := NewCurve(1, []Point{{0, 0}, {10, 0.11}})
	if got := Split([]App{{Curve: loop, Rate: 1}, {Curve: eager, Rate: 1}}, Terms{Budget: 105, Grain: 1}); !slices.Equal(got, []int64{100, 5}) {
		t.Errorf("%v", got)
	}
	if got := Split(apps, Terms{Budget: 90, Grain: 1}); !slices.Equal(got, []int64{0, 90, 0}) {
		t.Errorf("%v: the loop does not fit, so it gets nothing", got)
	}
	if got := Split(apps, Terms{Budget: 360, Grain: 1}); !slices.Equal(got, []int64{120, 220, 20}) {
		t.Errorf("%v: what nobody needs is for all", got)
	}
	if got := Split(apps, Terms{Budget: 8, Floor: 5, Grain: 1}); got[0]+got[1]+got[2] > 8 || slices.Min(got) != 2 {
		t.Errorf("%v: a budget below the floors is for all", got)
	}
	if got := Split(nil, Terms{Budget: 8}); len(got) != 0 {
		t.Errorf("%v for nobody", got)
	}
	if got := Split(apps, Terms{Budget: -8, Floor: -1}); !slices.Equal(got, []int64{0, 0, 0}) {
		t.Errorf("%v of nothing", got)
	}
}

func TestSplitStaysStill(t *testing.T) {
	line := NewCurve(1, []Point{{0, 0}, {1000, 1}})
	apps := func(rate float64, a, b int64) []App {
		return []App{{Curve: NewCurve(1, []Point{{0, 0}, {520, 0.9}}), Rate: rate, Have: a}, {Curve: line, Rate: 1, Have: b}}
	}
	terms := Terms{Budget: 1000, Floor: 100, Grain: 1, Still: 0.05}
	for name, c := range map[string]struct {
		apps []App
		want []int64
	}{
		"little to move":     {apps(2, 500, 500), []int64{500, 500}},
		"much to move":       {apps(2, 400, 600), []int64{520, 480}},
		"new":                {apps(2, 0, 500), []int64{520, 480}},
		"over the budget":    {apps(2, 505, 505), []int64{520, 480}},
		"below the floor":    {apps(0, 99, 900), []int64{100, 900}},
		"the budget grew":    {apps(2, 450, 480), []int64{520, 480}},
		"a little was freed": {apps(2, 500, 470), []int64{500, 470}},
	} {
		if got := Split(c.apps, terms); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	terms.Gain = 0.06
	if got := Split(apps(2, 460, 540), terms); !slices.Equal(got, []int64{460, 540}) {
		t.Errorf("%v: it moves much for little", got)
	}
	if got := Split(apps(2, 300, 700), terms); !slices.Equal(got, []int64{520, 480}) {
		t.Errorf("%v: it should move for much", got)
	}
}

func BenchmarkSplit(b *testing.B) {
	for _, n := range []int{4, exactApps, 2 * exactApps} {
		b.Run(fmt.Sprint(n, " apps"), func(b *testing.B) { benchmarkSplit(b, n) })
	}
}

func benchmarkSplit(b *testing.B, n int) {
	apps := make([]App, n)
	for i := range apps {
		points := make([]Point, 500)
		for j := range points {
			points[j] = Point{int64(j+1) << 20, 1 - math.Exp(-float64(j)/float64(20+i))}
		}
		apps[i] = App{Curve: NewCurve(1, points), Rate: float64(1 + i%7)}
	}
	for b.Loop() {
		Split(apps, Terms{Budget: 8 << 30, Floor: 4 << 20})
	}
}
