package dag

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/fault"
)

// TestOddEvents: events that make no sense, in any number and order, neither panic nor get more than one reply, after
// which there is silence; and no invocation goes out twice.
func TestOddEvents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		y := drawSymbolic(t, false)
		number := rapid.IntRange(-2, 8)
		site := rapid.Map(rapid.IntRange(-1, 3), func(i int) Site { return Site(i) })
		sites := rapid.SliceOfN(site, len(y.g.Nodes), len(y.g.Nodes))
		r := NewRun(y.g, RunConfig{
			Self:     site.Draw(t, "self"),
			Plan:     Plan{Home: rapid.OneOf(sites, rapid.SliceOfN(site, 0, 3)).Draw(t, "homes"), Collector: site.Draw(t, "collector")},
			Deadline: time.Unix(1, 0),
		})
		replies, sent := 0, map[Invocation]uint32{}
		event := func(t *rapid.T) {
			ev := Event{
				Kind:       EventKind(rapid.IntRange(0, int(Flowing)+1).Draw(t, "kind")),
				Source:     Source(number.Draw(t, "source")),
				Invocation: Invocation{Node: number.Draw(t, "node"), Item: number.Draw(t, "item"), Try: number.Draw(t, "try")},
				Site:       site.Draw(t, "site"),
				Timer:      Timer{Node: number.Draw(t, "timer"), Item: number.Draw(t, "item"), Try: number.Draw(t, "try")},
				Value:      valueOf(rapid.SampledFrom([]string{"v", "[a b c]", "[]", "null", "@k", "[@a @b]"}).Draw(t, "value")),
			}
			if rapid.Bool().Draw(t, "error") {
				ev.Err = fault.New(fault.Internal, "odd")
			}
			switch ev.Kind {
			case Arrived: // One that makes sense, for others to build on.
				if rapid.Bool().Draw(t, "input") && len(y.inputs) > 0 {
					ev.Source = Source(rapid.IntRange(0, len(y.inputs)-1).Draw(t, "which"))
					ev.Value = y.inputs[ev.Source]
				}
			case Flowing:
				ev.Nodes = []int{number.Draw(t, "consumer")}
			case Offered:
				ev.Offers = []Offer{{Site: site.Draw(t, "offer"), Items: number.Draw(t, "items")}, {Site: r.cfg.Self, Items: 1}}
			case Replanned:
				ev.Plan = Plan{
					Epoch:     uint32(rapid.IntRange(0, 20).Draw(t, "epoch")),
					Home:      rapid.OneOf(sites, rapid.SliceOfN(site, 0, 3)).Draw(t, "homes"),
					Collector: site.Draw(t, "collector"),
					Done:      rapid.SliceOfN(rapid.Bool(), 0, len(y.g.Nodes)+2).Draw(t, "done"),
				}
				ev.Lost = []Site{site.Draw(t, "lost")}
				ev.Resend = []Send{{Source: Source(number.Draw(t, "source")), To: site.Draw(t, "to")}}
				ev.Known = []Source{Source(number.Draw(t, "known"))}
			case Cancelled, NodeFailed: // These end the run, so not too many of them.
				if rapid.IntRange(0, 9).Draw(t, "go on") > 0 {
					return
				}
			}
			ended := r.Ended()
			for _, c := range r.Step(time.Unix(0, 0), ev, nil) {
				if ended {
					t.Fatalf("a command after the end: %+v", c)
				}
				if c.Kind == Reply {
					replies++
				}
				if c.Kind == Invoke || c.Kind == Delegate {
					if epoch, twice := sent[c.Invocation]; twice && epoch == r.Plan().Epoch {
						t.Fatalf("%+v goes out twice", c.Invocation)
					}
					sent[c.Invocation] = r.Plan().Epoch
				}
			}
			if replies > 1 {
				t.Fatalf("%d replies", replies)
			}
			for _, s := range r.Held() {
				if _, ok := r.Value(s); !ok && (r.routing == nil || !r.routing.absent[s].is) {
					t.Fatalf("source %d is held and has no value", s)
				}
			}
			if _, ok := r.Value(ev.Source + 100); ok {
				t.Fatal("a source that does not exist has a value")
			}
		}
		t.Repeat(map[string]func(*rapid.T){"event": event})
	})
}

func TestPauseGrowsToItsCap(t *testing.T) {
	for _, c := range []struct {
		retry  Retry
		try    int
		hint   time.Duration
		middle time.Duration
	}{
		{Retry{}, 1, 0, 100 * time.Millisecond},
		{Retry{}, 4, 0, 800 * time.Millisecond},
		{Retry{}, 1000, 0, 30 * time.Second},
		{Retry{Backoff: time.Second, Cap: 3 * time.Second}, 2, 0, 2 * time.Second},
		{Retry{Backoff: time.Second, Cap: 3 * time.Second}, 3, 0, 3 * time.Second},
		{Retry{Backoff: time.Minute, Cap: time.Second}, 1, 0, time.Second},
		{Retry{Backoff: time.Millisecond, Cap: time.Second}, 1, 500 * time.Millisecond, 500 * time.Millisecond},
		{Retry{Backoff: time.Millisecond, Cap: time.Second}, 1, time.Hour, time.Second},
		{Retry{Backoff: 1 << 62, Cap: 1<<63 - 1}, 9, 0, 1<<63 - 1},
	} {
		seen := map[time.Duration]bool{}
		for item := range 1000 {
			inv := Invocation{Item: item, Try: c.try}
			d := c.retry.pause(1, inv, c.hint)
			seen[d] = true
			longest := c.retry.Cap
			if longest == 0 {
				longest = 30 * time.Second
			}
			if f := float64(d) / float64(c.middle); f < 0.799 || f > 1.201 || d > longest {
				t.Fatalf("%+v try %d: paused %v, want %v within a fifth and at most %v", c.retry, c.try, d, c.middle, longest)
			}
			if d != c.retry.pause(1, inv, c.hint) {
				t.Fatal("the same invocation and seed gave two pauses")
			}
		}
		if len(seen) < 900 {
			t.Errorf("%+v: only %d different pauses of 1000", c.retry, len(seen))
		}
	}
}

func TestInputSends(t *testing.T) {
	g := graphOf(t, "input x\ninput y\ncall a f x\ncall b f x y\ncall c f a x\noutput c c\noutput y y")
	p := Plan{Home: []Site{1, 1, 2}, Collector: 0}
	want := []Send{{0, 1}, {0, 2}, {1, 1}, {1, 0}}
	if got := p.InputSends(g); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	// A recovery that finds nothing held anywhere sends the same.
	if got := Recover(g, p, nil, nil, nil).Inputs; len(got) != len(want) {
		t.Errorf("a recovery sends %v, want as many as %v", got, want)
	}
}

func TestPlanCheck(t *testing.T) {
	g := graphOf(t, "input x\ncall a f x\ncall b f a\noutput y b")
	for _, c := range []struct {
		plan Plan
		ok   bool
	}{
		{Plan{Home: []Site{0, 1}, Collector: 1}, true},
		{Plan{Home: []Site{0, 1}, Done: []bool{true, false}}, true},
		{Plan{Home: []Site{0}}, false},
		{Plan{Home: []Site{0, 0, 0}}, false},
		{Plan{Home: []Site{0, 2}}, false},
		{Plan{Home: []Site{0, -1}}, false},
		{Plan{Home: []Site{0, 0}, Collector: 2}, false},
		{Plan{Home: []Site{0, 0}, Done: []bool{true}}, false},
		{Plan{Home: []Site{0, 0}, Paths: []Path{Auto, Direct, 200}}, true}, // a path of a later release is no reason to refuse
		{Plan{Home: []Site{0, 0}, Paths: []Path{Auto, Direct}}, false},
	} {
		if err := c.plan.Check(g, 2); (err == nil) != c.ok || err != nil && !fault.Is(err, fault.InvalidArgument) {
			t.Errorf("%+v: %v", c.plan, err)
		}
	}
}
