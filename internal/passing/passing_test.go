package passing

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/dag/planner"
	"github.com/squall-faas/squall/fault"
)

// chain is make → Map(use) → join over two executors with known rates: 100 MB/s cards, 1 ms latency, a store of 50 MB/s.
func chain(t testing.TB, items int, bytes int64) *Truth {
	b := dag.New("chain")
	made := b.Call("make", "make", b.Input("x"))
	b.Output("y", b.Call("join", "join", b.Map("use", "use", made)))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	e := planner.Executor{Slots: 2, Out: 100e6, In: 100e6, Warm: map[string]bool{"make": true, "use": true, "join": true}}
	f := e
	e.Name, f.Name = "a", "b"
	l := planner.Link{Bandwidth: 100e6, Latency: time.Millisecond}
	return &Truth{Problem: planner.Problem{
		Graph: g, Inputs: []planner.Input{{Bytes: 0, Stored: true}},
		Work: []planner.Work{{Tasks: 1, Took: 10 * time.Millisecond, Out: bytes}, {Tasks: items, Took: 20 * time.Millisecond}, {Tasks: 1}},
		Fleet: planner.Fleet{
			Executors: []planner.Executor{e, f}, Links: [][]planner.Link{{{}, l}, {l, {}}},
			Store: planner.Store{Write: 50e6, Read: 50e6, WriteLatency: 5 * time.Millisecond, ReadLatency: 5 * time.Millisecond},
			Bus:   planner.Bus{Bandwidth: 10e6, Latency: 2 * time.Millisecond, Most: 64 << 10},
		},
	}}
}

// TestRun holds executions against what can be reckoned by hand.
func TestRun(t *testing.T) {
	const r, d, l, i = planner.Remote, planner.Direct, planner.Local, planner.Inline
	for _, c := range []struct {
		name   string
		items  int
		bytes  int64
		use    []int
		path   planner.Path
		spoil  func(*Truth)
		wantMs float64 // after reading the empty input (5 ms) and make (10 ms), until join is there
	}{
		{"one node", 4, 10e6, []int{4, 0}, l, nil, 40},
		{"on the other", 2, 10e6, []int{0, 2}, d, nil, 1 + 100 + 20 + 1},
		{"spread", 4, 10e6, []int{2, 2}, d, nil, 1 + 50 + 20 + 1},
		{"through the store", 2, 10e6, []int{0, 2}, r, nil, 5 + 200 + 5 + 200 + 20 + 1},
		{"inline", 1, 50e3, []int{0, 1}, i, nil, 2 + 5 + 20 + 1},
		{"queueing", 3, 10e6, []int{0, 3}, d, nil, 1 + 100 + 40 + 1},
		{"cold", 2, 10e6, []int{0, 2}, d, func(t *Truth) { t.Work[1].Cold = 7 * time.Millisecond; delete(t.Fleet.Executors[1].Warm, "use") }, 1 + 100 + 7 + 20 + 1},
		{"a slow link", 2, 10e6, []int{0, 2}, d, func(t *Truth) { t.Fleet.Links[0][1].Bandwidth = 10e6 }, 1 + 1000 + 20 + 1},
		{"a disk", 2, 10e6, []int{2, 0}, l, func(t *Truth) { t.Fleet.Executors[0].Disk = 200e6 }, 100 + 20},
		{"a neighbour", 2, 10e6, []int{0, 2}, l, func(t *Truth) {
			for k := range t.Fleet.Executors {
				t.Fleet.Executors[k].Host, t.Fleet.Executors[k].Memory = "h", 1e9
			}
		}, 10 + 20},
		{"a fast one", 2, 10e6, []int{2, 0}, l, func(t *Truth) { t.Fleet.Executors[0].Speed = 2 }, 10 - 5},
		{"losses", 2, 10e6, []int{0, 2}, d, func(t *Truth) { t.Loss = 0.01 }, 1 + 1e4/(4*1448*1.22/0.002/0.1/1e6) + 20 + 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			truth := chain(t, c.items, c.bytes)
			if c.spoil != nil {
				warm := map[string]bool{"make": true, "use": true, "join": true}
				truth.Fleet.Executors[1].Warm = warm
				c.spoil(truth)
			}
			last := d
			if c.use[1] == 0 {
				last = l
			}
			if c.path == l {
				last = l
			}
			out, err := truth.Run(Assignment{Share: [][]int{{1, 0}, c.use, {1, 0}}, Path: []planner.Path{r, c.path, last}})
			if err != nil {
				t.Fatal(err)
			}
			if got := out.Seconds*1e3 - 15; math.Abs(got-c.wantMs) > 1e-3 {
				t.Errorf("took %.4f ms, want %.4f", got, c.wantMs)
			}
		})
	}
}

// TestBroadcastGoesOnce: four tasks on one executor need the whole value; it travels once. Two nodes that need it there
// share it, too.
func TestBroadcastGoesOnce(t *testing.T) {
	b := dag.New("broadcast")
	data, grid := b.Call("data", "f", b.Input("x")), b.Call("grid", "f", b.Input("z"))
	b.Output("y", b.Call("join", "f", b.Map("train", "f", grid, data), b.Call("look", "f", data)))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	truth := chain(t, 1, 0)
	truth.Graph = g
	truth.Inputs = []planner.Input{{Stored: true}, {Stored: true}}
	truth.Work = []planner.Work{{Tasks: 1, Out: 10e6}, {Tasks: 1}, {Tasks: 4}, {Tasks: 1}, {Tasks: 1}}
	const r, d = planner.Remote, planner.Direct
	out, err := truth.Run(Assignment{
		Share: [][]int{{1, 0}, {1, 0}, {0, 4}, {0, 1}, {0, 1}}, Path: []planner.Path{r, r, d, d, d, d, d},
	})
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(out.Seconds-0.106) > 1e-6 || out.Sent != 10e6 {
		t.Errorf("took %g s, %g bytes were sent: want 106 ms, once 10 MB", out.Seconds, out.Sent)
	}
}

func TestRunRefuses(t *testing.T) {
	truth := chain(t, 2, 1e6)
	const r, d, l, i = planner.Remote, planner.Direct, planner.Local, planner.Inline
	for name, a := range map[string]Assignment{
		"nothing":             {},
		"too few tasks":       {Share: [][]int{{1, 0}, {0, 1}, {1, 0}}, Path: []planner.Path{r, d, d}},
		"local to another":    {Share: [][]int{{1, 0}, {0, 2}, {1, 0}}, Path: []planner.Path{r, l, d}},
		"too large a message": {Share: [][]int{{1, 0}, {0, 2}, {1, 0}}, Path: []planner.Path{r, i, d}},
		"input from nowhere":  {Share: [][]int{{1, 0}, {0, 2}, {1, 0}}, Path: []planner.Path{d, d, d}},
	} {
		if _, err := truth.Run(a); !fault.Is(err, fault.InvalidArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFairShares: no resource carries more than it can, and each flow has a resource that is full on which none of equal
// weight gets more: that is what max-min fair means.
func TestFairShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(t, "resources")
		f := fluid{room: make([]float64, n), weights: make([]float64, n)}
		for range n {
			f.capacity = append(f.capacity, float64(rapid.IntRange(1, 100).Draw(t, "capacity")))
		}
		for range rapid.IntRange(1, 10).Draw(t, "flows") {
			through := rapid.SliceOfNDistinct(rapid.IntRange(0, n-1), 1, n, rapid.ID).Draw(t, "through")
			f.flows = append(f.flows, &flow{through: through, weight: float64(rapid.IntRange(1, 4).Draw(t, "weight"))})
		}
		f.share()
		load := make([]float64, n)
		for _, x := range f.flows {
			for _, r := range x.through {
				load[r] += x.rate
			}
		}
		for r := range load {
			if load[r] > f.capacity[r]*(1+1e-9) {
				t.Fatalf("resource %d of %g carries %g", r, f.capacity[r], load[r])
			}
		}
		for i, x := range f.flows {
			bottleneck := false
			for _, r := range x.through {
				most := true
				for _, y := range f.flows {
					most = most && (!passes(y, r) || y.rate/y.weight <= x.rate/x.weight*(1+1e-9))
				}
				bottleneck = bottleneck || most && load[r] > f.capacity[r]*(1-1e-9)
			}
			if !bottleneck {
				t.Fatalf("flow %d gets %g and could have more", i, x.rate)
			}
		}
	})
}

// TestPredictionsHold: on random single-fan-out DAGs the planner's model is close to what is executed.
func TestPredictionsHold(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		truth := chain(t, 1+rng.IntN(8), int64(math.Exp(rng.Float64()*17)))
		truth.Goal = planner.Objective(rng.IntN(3))
		r, err := planner.Solve(truth.Problem)
		if err != nil {
			t.Fatal(err)
		}
		out, err := truth.Run(Of(r.Best))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := r.Best.Latency.Seconds(), out.Seconds; got > want*1.1+1e-6 || got < want/1.1-1e-6 {
			t.Errorf("predicted %g s, executed %g s: %+v", got, want, r.Best)
		}
	}
}

func BenchmarkRun(b *testing.B) {
	truth := chain(b, 8, 1e6)
	a := Assignment{Share: [][]int{{1, 0}, {4, 4}, {1, 0}}, Path: []planner.Path{planner.Remote, planner.Direct, planner.Direct}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := truth.Run(a); err != nil {
			b.Fatal(err)
		}
	}
}

// TestReal: what is executed in real time, with bytes over shaped connections, takes no less than the simulation says. (That
// it takes not much more is for the benchmark: other work on the machine can make it as long as it likes.)
func TestReal(t *testing.T) {
	const r, d, l = planner.Remote, planner.Direct, planner.Local
	truth := chain(t, 4, 2e6)
	truth.Work[1].Out = 1e6
	delete(truth.Fleet.Executors[0].Warm, "use") // they share one map
	truth.Work[1].Cold = 5 * time.Millisecond
	for _, a := range []Assignment{
		{Share: [][]int{{1, 0}, {2, 2}, {1, 0}}, Path: []planner.Path{r, d, d}},
		{Share: [][]int{{1, 0}, {1, 3}, {0, 1}}, Path: []planner.Path{r, r, r}},
		{Share: [][]int{{1, 0}, {4, 0}, {1, 0}}, Path: []planner.Path{r, l, l}},
	} {
		o, err := truth.Run(a)
		if err != nil {
			t.Fatal(err)
		}
		real, err := truth.Real(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		if real < o.Seconds*0.95 {
			t.Errorf("took %g s, the simulation says %g", real, o.Seconds)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := truth.Real(ctx, Assignment{Share: [][]int{{1, 0}, {2, 2}, {1, 0}}, Path: []planner.Path{r, d, d}}); !fault.Is(err, fault.Cancelled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestLongRunsEnd: late in a run a transfer's rest takes less time than a float can tell; it must end all the same.
func TestLongRunsEnd(t *testing.T) {
	for items := 1; items <= 64; items *= 2 {
		truth := chain(t, items, 256<<20)
		truth.Work[0].Took = 1000 * time.Hour
		truth.Work[1].Out = 300<<20 + 7
		for _, p := range []planner.Path{planner.Direct, planner.Remote} {
			o, err := truth.Run(Assignment{Share: [][]int{{1, 0}, {items / 2, items - items/2}, {1, 0}}, Path: []planner.Path{planner.Remote, p, p}})
			if err != nil || o.Seconds < 3.6e6 {
				t.Fatalf("%v, %v", o, err)
			}
		}
	}
}
