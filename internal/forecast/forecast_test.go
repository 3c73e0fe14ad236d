package forecast

import (
	"testing"
	"time"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/dag/planner"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/profile"
	"github.com/squall-faas/squall/internal/wire"
)

// taught is a book in which a function was seen on inputs of 1 to runs KiB, taking 1 ms and giving half of its input per KiB.
func taught(version string, runs int) *profile.Book {
	b := &profile.Book{}
	for i := 1; i <= runs; i++ {
		b.Function(version).Observe(profile.Run{At: int64(i), In: int64(i) << 10, Out: int64(i) << 9, Took: time.Duration(i) * time.Millisecond})
	}
	return b
}

func near(got, want, share float64) bool { return got >= want*(1-share) && got <= want*(1+share) }

// TestCall: of a function that nobody has seen the assumption holds, of another what was learnt, each part for itself.
func TestCall(t *testing.T) {
	for _, tc := range []struct {
		name    string
		book    *profile.Book
		version string
	}{
		{"without a book", nil, "f"},
		{"an empty book", &profile.Book{}, "f"},
		{"another version", taught("g", 20), "f"},
	} {
		if x, runs := Call(tc.book, tc.version, 1<<20); runs != 0 || x != Assumed(1<<20) {
			t.Errorf("%s: %+v on %d runs", tc.name, x, runs)
		}
	}

	b := taught("f", 20)
	x, runs := Call(b, "f", 10<<10)
	if runs != 20 || !near(float64(x.Out), 5<<10, .05) || !near(float64(x.Took), 1e7, .05) {
		t.Errorf("learnt: %+v on %d runs", x, runs)
	}
	if x.Cold != Assumed(10<<10).Cold {
		t.Errorf("of cold starts nothing was learnt, and %v is said", x.Cold)
	}
	for i := range 5 {
		b.Function("f").ObserveCold(profile.ColdStart{At: int64(i), Took: 700 * time.Millisecond})
	}
	if x, _ := Call(b, "f", 10<<10); !near(float64(x.Cold), 7e8, .05) {
		t.Errorf("cold starts of 700 ms: %v", x.Cold)
	}
}

// TestAssumed: more input is never less work.
func TestAssumed(t *testing.T) {
	last := Assumed(0)
	if last.Out <= 0 || last.Took <= 0 || last.Cold <= 0 {
		t.Fatalf("of nothing: %+v", last)
	}
	for in := int64(1); in < 1<<40; in *= 2 {
		x := Assumed(in)
		if x.Out < last.Out || x.Took < last.Took {
			t.Errorf("of %d bytes %+v, of half as many %+v", in, x, last)
		}
		last = x
	}
}

// TestExecutor: a backlog is what waits, beyond what runs, spread over the slots.
func TestExecutor(t *testing.T) {
	from := wire.Peer{Name: "a"}
	for _, tc := range []struct {
		beat wire.Heartbeat
		want planner.Executor
	}{
		{wire.Heartbeat{}, planner.Executor{Slots: 1}},
		{wire.Heartbeat{Slots: 4, Busy: 4, Mean: int64(time.Second)}, planner.Executor{Slots: 4}},
		{wire.Heartbeat{Slots: 4, Busy: 4, Queued: 8, Mean: int64(time.Second)}, planner.Executor{Slots: 4, Backlog: 2 * time.Second}},
		{wire.Heartbeat{Slots: 2, Busy: 4, Mean: int64(time.Second)}, planner.Executor{Slots: 2, Backlog: time.Second}}, // nested calls
		{wire.Heartbeat{Slots: 1, Port: "10.0.0.1:77"}, planner.Executor{Slots: 1, Host: "10.0.0.1"}},
		{wire.Heartbeat{Slots: 1, Port: "[fe80::1]:77"}, planner.Executor{Slots: 1, Host: "fe80::1"}},
		{wire.Heartbeat{Slots: 1, Port: "no port"}, planner.Executor{Slots: 1}},
	} {
		tc.beat.From, tc.want.Name = from, "a"
		got := Executor(&tc.beat)
		if got.Name != tc.want.Name || got.Slots != tc.want.Slots || got.Backlog != tc.want.Backlog || got.Host != tc.want.Host {
			t.Errorf("%+v: %+v", tc.beat, got)
		}
	}
}

// TestFleet: a link that was measured is as it was measured, and its two ends' cards are no slower; the other direction and
// all others are assumed; what was said of an executor stays.
func TestFleet(t *testing.T) {
	b := &profile.Book{}
	for i := range 20 {
		l := b.Link(profile.Pair{From: "a", To: "b"})
		for j, bytes := range []int64{100, int64(1+i) << 20} { // 1 GB/s past a millisecond
			l.Observe(profile.Transfer{At: int64(2*i + j), Bytes: bytes, Took: time.Millisecond + time.Duration(bytes)})
		}
	}
	in := []planner.Executor{{Name: "a"}, {Name: "b"}, {Name: "c", Out: 7, In: 8, Memory: 9}}
	f, measured := Fleet(b, in)
	if measured != 1 {
		t.Errorf("%d links were measured", measured)
	}
	if ab := f.Links[0][1]; !near(ab.Bandwidth, 1e9, .1) || !near(float64(ab.Latency), 1e6, .3) {
		t.Errorf("measured: %+v", ab)
	}
	for i := range in {
		for j := range in {
			want := Link
			if i == j {
				want = Loopback
			}
			if got := f.Links[i][j]; (i != 0 || j != 1) && got != want {
				t.Errorf("link %d to %d is %+v", i, j, got)
			}
		}
	}
	fast := f.Links[0][1].Bandwidth
	if f.Executors[0].Out != fast || f.Executors[0].In != NIC || f.Executors[1].In != fast || f.Executors[1].Out != NIC {
		t.Errorf("cards: %+v", f.Executors[:2])
	}
	if c := f.Executors[2]; c.Out != 7 || c.In != 8 || c.Memory != 9 {
		t.Errorf("what was said of it: %+v", c)
	}
	if in[0].Out != 0 {
		t.Error("the caller's executors were changed")
	}
	if f, measured := Fleet(nil, in[:1]); measured != 0 || f.Links[0][0] != Loopback {
		t.Errorf("without a book: %+v", f.Links)
	}
}

// TestMake: sizes go along the edges, each node's function is asked for, and a forecast is known once all of them are.
func TestMake(t *testing.T) {
	b := dag.New("d")
	b.Output("y", b.Call("second", "g", b.Call("first", "f", b.Input("x"))))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	c := Case{
		Graph: g, Versions: []string{"f1", "g1"}, Inputs: []planner.Input{{Bytes: 8 << 10}},
		Executors: []planner.Executor{{Name: "a"}}, Book: taught("f1", 20),
	}
	p, basis, err := Make(c)
	if err != nil {
		t.Fatal(err)
	}
	if basis.Runs[0] != 20 || basis.Runs[1] != 0 || basis.Known() {
		t.Errorf("rests on %v; known %v", basis.Runs, basis.Known())
	}
	if want := Assumed(p.Work[0].Out); !near(float64(p.Work[0].Out), 4<<10, .05) || p.Work[1].Took != want.Took {
		t.Errorf("work: %+v", p.Work)
	}
	c.Book.Merge(taught("g1", Enough-1))
	if _, basis, _ := Make(c); basis.Known() {
		t.Error("known by one run too few")
	}
	c.Book.Merge(taught("g1", Enough))
	if _, basis, _ := Make(c); !basis.Known() {
		t.Errorf("not known by %v", basis.Runs)
	}

	c.Versions = c.Versions[:1]
	if _, _, err := Make(c); !fault.Is(err, fault.InvalidArgument) {
		t.Errorf("a version too few: %v", err)
	}
	c.Versions, c.Inputs = []string{"f1", "g1"}, nil
	if _, _, err := Make(c); !fault.Is(err, fault.InvalidArgument) {
		t.Errorf("an input too few: %v", err)
	}
}
