package dag

import (
	"fmt"
	"testing"
	"time"

	"github.com/squall-faas/squall/value"
)

func chainOf(b *testing.B, n int) *Graph {
	build := New("chain")
	ref := build.Input("x")
	for i := range n {
		ref = build.Call(fmt.Sprintf("n%d", i), "f", ref)
	}
	build.Output("y", ref)
	g, err := build.Build()
	if err != nil {
		b.Fatal(err)
	}
	return g
}

// BenchmarkChainHop is one node more of a chain on one site: its Finished, which gives the next Invoke. The making of
// the run is not in it.
func BenchmarkChainHop(b *testing.B) {
	const hops = 4096
	g := chainOf(b, hops)
	cfg := RunConfig{Plan: Plan{Home: make([]Site, hops)}}
	cmds := make([]Command, 0, 4)
	now, v := time.Now(), value.MustOf("v")
	b.ReportAllocs()
	var r *Run
	hop := hops
	for b.Loop() {
		if hop == hops {
			b.StopTimer()
			r, hop = NewRun(g, cfg), 0
			r.Step(now, Event{Kind: Arrived, Value: v}, cmds)
			b.StartTimer()
		}
		cmds = r.Step(now, Event{Kind: Finished, Invocation: Invocation{Node: hop, Try: 1}, Value: v}, cmds[:0])
		hop++
	}
}

// BenchmarkRun is a whole run of a chain: NewRun and all its events.
func BenchmarkRun(b *testing.B) {
	for _, hops := range []int{1, 2, 16} {
		b.Run(fmt.Sprintf("chain=%d", hops), func(b *testing.B) {
			g := chainOf(b, hops)
			cfg := RunConfig{Plan: Plan{Home: make([]Site, hops)}}
			cmds := make([]Command, 0, 4)
			now, v := time.Now(), value.MustOf("v")
			b.ReportAllocs()
			for b.Loop() {
				r := NewRun(g, cfg)
				cmds = r.Step(now, Event{Kind: Started}, cmds[:0])
				cmds = r.Step(now, Event{Kind: Arrived, Value: v}, cmds[:0])
				for hop := range hops {
					cmds = r.Step(now, Event{Kind: Finished, Invocation: Invocation{Node: hop, Try: 1}, Value: v}, cmds[:0])
				}
				if !r.Ended() {
					b.Fatal("the run did not end")
				}
			}
		})
	}
}

// BenchmarkMap is a Map of 10,000 items over 8 sites of 4 places each; the metric is per item.
func BenchmarkMap(b *testing.B) {
	const items, sites = 10_000, 8
	build := New("map")
	build.Output("y", build.Map("m", "f", build.Input("xs")))
	g, err := build.Build()
	if err != nil {
		b.Fatal(err)
	}
	for _, kind := range []string{"words", "references"} {
		b.Run(kind, func(b *testing.B) {
			list := make([]value.Value, items)
			for i := range list {
				if list[i] = value.MustOf("v"); kind == "references" {
					list[i] = value.MustOf(value.Ref(fmt.Sprintf("key-%d", i)))
				}
			}
			offers := make([]Offer, sites)
			for s := range offers {
				offers[s] = Offer{Site: Site(s), Items: 4}
			}
			now, xs, v := time.Now(), value.List(list), value.MustOf("v")
			type place struct {
				inv  Invocation
				site Site
			}
			running, cmds := make(chan place, 64), make([]Command, 0, 64)
			b.ReportAllocs()
			for b.Loop() {
				r := NewRun(g, RunConfig{Plan: Plan{Home: make([]Site, 1)}})
				r.Step(now, Event{Kind: Arrived, Value: xs}, nil)
				cmds = r.Step(now, Event{Kind: Offered, Offers: offers}, cmds[:0])
				for !r.Ended() {
					for _, c := range cmds {
						running <- place{c.Invocation, c.Site}
					}
					p := <-running
					cmds = r.Step(now, Event{Kind: Finished, Invocation: p.inv, Site: p.site, Value: v}, cmds[:0])
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/items, "ns/item")
		})
	}
}

// BenchmarkReduce folds 10,000 values; the metric is per step.
func BenchmarkReduce(b *testing.B) {
	const items = 10_000
	build := New("reduce")
	build.Output("y", build.Reduce("r", "f", build.Input("xs")))
	g, err := build.Build()
	if err != nil {
		b.Fatal(err)
	}
	list := make([]value.Value, items)
	now, xs, v := time.Now(), value.List(list), value.MustOf("v")
	running, cmds := make(chan Invocation, items), []Command(nil)
	b.ReportAllocs()
	for b.Loop() {
		r := NewRun(g, RunConfig{Plan: Plan{Home: make([]Site, 1)}})
		cmds = r.Step(now, Event{Kind: Arrived, Value: xs}, cmds[:0])
		for !r.Ended() {
			for _, c := range cmds {
				running <- c.Invocation
			}
			cmds = r.Step(now, Event{Kind: Finished, Invocation: <-running, Value: v}, cmds[:0])
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(items-1), "ns/step")
}
