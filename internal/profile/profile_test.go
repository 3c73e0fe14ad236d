package profile

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// learn feeds n runs of a true function with noise of a tenth, the same for a seed.
func learn(f *Function, n int, seed uint64, out, took func(in float64) float64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	for i := range n {
		in := math.Exp(rng.Float64()*math.Log(1<<28-1<<10)) + 1<<10
		noise := 1 + (rng.Float64()-0.5)/5
		f.Observe(Run{At: int64(i), In: int64(in), Out: int64(out(in)), Took: time.Duration(took(in) * noise)})
	}
}

func within(t *testing.T, what string, got, want, factor float64) {
	t.Helper()
	if got < want/factor || got > want*factor {
		t.Errorf("%s: %g, want %g within a factor of %g", what, got, want, factor)
	}
}

func TestPredict(t *testing.T) {
	for _, c := range []struct {
		name      string
		out, took func(float64) float64
	}{
		{"proportional", func(x float64) float64 { return x / 3 }, func(x float64) float64 { return 2 * x }},
		{"fixed cost", func(float64) float64 { return 24 }, func(x float64) float64 { return 5e6 + x }},
		{"power", func(x float64) float64 { return math.Sqrt(x) }, func(x float64) float64 { return math.Pow(x, 1.5) / 100 }},
		{"constant", func(float64) float64 { return 0 }, func(float64) float64 { return 1e6 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			var f Function
			learn(&f, 200, 1, c.out, c.took)
			for _, in := range []float64{4 << 10, 1 << 20, 100 << 20} {
				p := f.Predict(int64(in))
				within(t, "run time", p.Took.Value+1, c.took(in)+1, 1.15)
				within(t, "output", p.Out.Value+1, c.out(in)+1, 1.1)
				if p.Took.N != MaxRuns || p.Took.Low > c.took(in) || p.Took.High < c.took(in) || p.Took.High > 2*p.Took.Low {
					t.Errorf("run time of %g bytes is %g, predicted as %+v", in, c.took(in), p.Took)
				}
			}
		})
	}
}

// TestOutlier poisons a profile: one run of an hour among short ones, at the worst place, the end of the line.
func TestOutlier(t *testing.T) {
	took := func(x float64) float64 { return 1e6 + 2*x }
	for _, in := range []int64{0, 1 << 20, 256 << 20, 1 << 40} {
		var f, clean Function
		for i := range 12 {
			r := Run{At: int64(i), In: int64(i+1) << 20, Out: int64(i+1) << 19, Took: time.Duration(took(float64(int64(i+1) << 20)))}
			f.Observe(r)
			clean.Observe(r)
		}
		f.Observe(Run{At: 99, In: in, Out: 1 << 40, Took: time.Hour})
		for _, x := range []int64{1 << 20, 6 << 20, 12 << 20} {
			got, want := f.Predict(x), clean.Predict(x)
			within(t, "run time", got.Took.Value, want.Took.Value, 1.05)
			within(t, "output", got.Out.Value, want.Out.Value, 1.05)
			if got.Took.High > 3*want.Took.Value {
				t.Errorf("outlier at %d: run time of %d bytes %+v", in, x, got.Took)
			}
		}
	}
}

// TestConfidence: little knowledge and sizes far from what was seen give wide intervals.
func TestConfidence(t *testing.T) {
	var f Function
	if p := f.Predict(100); p != (Prediction{}) {
		t.Fatalf("of nothing: %+v", p)
	}
	width := func(in int64) float64 { e := f.Predict(in).Took; return e.High / e.Low }
	f.Observe(Run{In: 1000, Out: 10, Took: time.Millisecond})
	one := width(1000)
	if e := f.Predict(10_000).Took; e.Low > 1e6 || e.High < 1e7 || e.N != 1 {
		t.Errorf("ten times the only size known: %+v: constant and proportional are both possible", e)
	}
	for i := range int64(40) {
		f.Observe(Run{At: i, In: 1000 + 10*i, Out: 10, Took: time.Millisecond})
	}
	if many, far := width(1000), width(1_000_000); many > one/2 || far < 3*many {
		t.Errorf("width of the interval: one run %.3g, many %.3g, far from all %.3g", one, many, far)
	}
	for _, bad := range []Run{{In: -1}, {Out: -1}, {Took: -1}} {
		if f.Observe(bad) {
			t.Errorf("%+v was taken", bad)
		}
	}
}

// TestColdApart: cold starts change no run time, and one odd one changes no cold start.
func TestColdApart(t *testing.T) {
	var f Function
	for i := range int64(10) {
		f.Observe(Run{At: i, In: 1 << 10, Took: time.Millisecond})
		f.ObserveCold(ColdStart{At: i, Took: 80 * time.Millisecond})
	}
	f.ObserveCold(ColdStart{At: 11, Took: time.Minute})
	p := f.Predict(1 << 10)
	within(t, "run", p.Took.Value, 1e6, 1.01)
	within(t, "cold start", p.Cold.Value, 80e6, 1.01)
	if p.Cold.N != 11 || f.ObserveCold(ColdStart{Took: -1}) {
		t.Errorf("%+v", p.Cold)
	}
}

// TestSizesStay: a thousand small runs do not make the profile forget large ones.
func TestSizesStay(t *testing.T) {
	var f Function
	for i := range int64(5) {
		f.Observe(Run{At: i, In: 64 << 20, Took: time.Second})
	}
	for i := range int64(1000) {
		f.Observe(Run{At: 10 + i, In: 1 << 10, Took: time.Millisecond})
	}
	p := f.Predict(64 << 20)
	within(t, "run of 64 MiB", p.Took.Value, 1e9, 1.1)
	if f.Runs() != MaxRuns {
		t.Errorf("%d runs are kept", f.Runs())
	}
}

// TestSlow: the learnt quantile is that of the true distribution, at each size.
func TestSlow(t *testing.T) {
	var f Function
	rng := rand.New(rand.NewPCG(7, 7))
	n := int64(0)
	more := func(runs int) {
		for range runs {
			in := int64(1<<10) << rng.IntN(12)
			took := float64(in) * 10 * (1 + rng.Float64()) // uniform between 10 and 20 ns a byte
			f.Observe(Run{At: n, In: in, Took: time.Duration(took)})
			n++
		}
	}
	more(20)
	if _, ok := f.Slow(1<<20, 0.99); ok {
		t.Error("the 99th percentile of 20 runs")
	}
	more(4000)
	for _, q := range []float64{0.5, 0.95, 0.99} {
		got, ok := f.Slow(1<<20, q)
		if !ok {
			t.Fatal("not known")
		}
		within(t, "quantile", float64(got), (1<<20)*10*(1+q), 1.15)
	}
	for _, q := range []float64{0, 1, -1, math.NaN()} {
		if _, ok := f.Slow(1, q); ok && q == q {
			t.Errorf("quantile %g", q)
		}
	}
}

// TestLink: bandwidth and latency from transfers of all sizes; one outlier moves neither, and three slow transfers in a
// row are the new truth.
func TestLink(t *testing.T) {
	var l Link
	if e := l.Estimate(); e != (LinkEstimate{}) {
		t.Fatalf("of nothing: %+v", e)
	}
	at := int64(0)
	send := func(bytes int64, bandwidth float64, latency time.Duration) {
		at += 1000
		l.Observe(Transfer{At: at, Bytes: bytes, Took: latency + time.Duration(float64(bytes)/bandwidth*1e9)})
	}
	for range 10 {
		send(4<<20, 100e6, 2*time.Millisecond)
		send(100, 100e6, 2*time.Millisecond)
		send(256<<10, 100e6, 2*time.Millisecond)
	}
	check := func(what string, bandwidth, latency float64) {
		t.Helper()
		e := l.Estimate()
		within(t, what+": bandwidth", e.Bandwidth.Value, bandwidth, 1.05)
		within(t, what+": latency", e.Latency.Value, latency, 1.05)
		if e.Bandwidth.N == 0 || e.Bandwidth.Low > e.Bandwidth.Value || e.Bandwidth.High < e.Bandwidth.Value {
			t.Errorf("%s: %+v", what, e)
		}
	}
	check("steady", 100e6, 2e6)
	send(4<<20, 1e6, 2*time.Millisecond)
	check("one outlier", 100e6, 2e6)
	send(4<<20, 100e6, 2*time.Millisecond)
	for range 3 {
		send(4<<20, 10e6, 2*time.Millisecond)
	}
	check("slowed down", 10e6, 2e6)
	if l.Observe(Transfer{Bytes: -1, Took: 1}) || l.Observe(Transfer{Bytes: 1}) {
		t.Error("a transfer that cannot have been was taken")
	}
}

// draw makes a book of random observations.
func draw(t *rapid.T) *Book {
	var b Book
	for range rapid.IntRange(0, 100).Draw(t, "observations") {
		at, n := rapid.Int64Range(0, 50).Draw(t, "at"), rapid.Int64Range(0, 1<<40).Draw(t, "n")
		took := time.Duration(rapid.Int64Range(1, 1<<40).Draw(t, "took"))
		f := b.Function(rapid.SampledFrom([]string{"f@1", "g@2"}).Draw(t, "function"))
		f.Observe(Run{at, n, n / 2, took})
		f.ObserveCold(ColdStart{at, took})
		b.Link(Pair{"a", rapid.SampledFrom([]string{"b", "store"}).Draw(t, "to")}).Observe(Transfer{at, n, took})
	}
	return &b
}

func clone(t *rapid.T, b *Book) *Book {
	c, err := Decode(b.Encode())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestMerge: profiles of several executors give the same in any order; what is known does not count twice but in the
// quantiles.
func TestMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw(t), draw(t)
		ab, ba := clone(t, a), clone(t, b)
		ab.Merge(b)
		ba.Merge(a)
		if string(ab.Encode()) != string(ba.Encode()) {
			t.Fatal("a with b differs from b with a")
		}
		same := clone(t, a)
		same.Merge(a)
		for _, v := range a.Versions() {
			if got, want := same.Known(v).Predict(1000), a.Known(v).Predict(1000); got != want {
				t.Fatalf("merged with itself: %+v, before %+v", got, want)
			}
		}
		for _, p := range a.Links() {
			if got, want := same.Link(p).Estimate(), a.Link(p).Estimate(); got != want {
				t.Fatalf("merged with itself: %+v, before %+v", got, want)
			}
		}
	})
}

// TestBookIsBounded: the versions observed last stay.
func TestBookIsBounded(t *testing.T) {
	var b Book
	name := func(i int) string { return string(rune('a'+i%26)) + time.Duration(i).String() }
	for i := range MaxFunctions + 10 {
		b.Function(name(i)).Observe(Run{At: int64(i) + 1})
	}
	if len(b.Versions()) != MaxFunctions || b.Known(name(0)) != nil || b.Known(name(MaxFunctions+9)) == nil {
		t.Errorf("%d functions", len(b.Versions()))
	}
}

func BenchmarkPredictAfterObserve(b *testing.B) {
	var f Function
	learn(&f, 100, 1, func(x float64) float64 { return x }, func(x float64) float64 { return x })
	for b.Loop() {
		f.since = 1
		f.Predict(1 << 20)
	}
}
