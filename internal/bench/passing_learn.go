package bench

import (
	"math/rand/v2"
	"time"

	"github.com/squall-faas/squall/dag/planner"
	"github.com/squall-faas/squall/internal/passing"
	profiles "github.com/squall-faas/squall/internal/profile"
)

// passingNoise is how far what is observed is off what is true, either way.
const passingNoise = 0.05

// learned is a truth as profiles know it after some runs and transfers, each with noise: what the planner is given. It is not
// told what links lose, nor what functions are made of.
func (c passingCell) learned(t *passing.Truth, seed uint64) (planner.Problem, error) {
	rng := rand.New(rand.NewPCG(seed, 11))
	noisy := func(seconds float64) time.Duration {
		return max(1, time.Duration(seconds*1e9*(1+passingNoise*(2*rng.Float64()-1))))
	}
	var book profiles.Book
	at := int64(0)
	link := func(from, to string, k, l int) profiles.LinkEstimate {
		x := book.Link(profiles.Pair{From: from, To: to})
		for range 8 {
			for _, bytes := range []int64{1 << 10, 4 << 20} {
				at += 1000
				x.Observe(profiles.Transfer{At: at, Bytes: bytes, Took: noisy(t.Transfer(k, l, float64(bytes)))})
			}
		}
		return x.Estimate()
	}
	p := t.Problem
	n := len(p.Fleet.Executors)
	p.Fleet.Links = make([][]planner.Link, n)
	for k := range n {
		p.Fleet.Links[k] = make([]planner.Link, n)
		for l := range n {
			e := link(t.Fleet.Executors[k].Name, t.Fleet.Executors[l].Name, k, l)
			p.Fleet.Links[k][l] = planner.Link{Bandwidth: e.Bandwidth.Value, Latency: time.Duration(e.Latency.Value)}
		}
	}
	// What the store carries in all is what its operator says; its latency is measured.
	p.Fleet.Store.WriteLatency = time.Duration(link("node0", "store", 0, passing.Store).Latency.Value)
	p.Fleet.Store.ReadLatency = time.Duration(link("store", "node0", passing.Store, 0).Latency.Value)

	for name, f := range passingFunctions {
		x := book.Function(name)
		for i := range 24 {
			in := float64(int64(64) << i)
			at += 1000
			x.Observe(profiles.Run{At: at, In: int64(in), Out: int64(f.out*in + f.fixOut), Took: noisy(f.took(in).Seconds())})
			x.ObserveCold(profiles.ColdStart{At: at, Took: noisy(passingCold.Seconds())})
		}
	}
	work, err := planner.Predict(p.Graph, p.Inputs, c.split(p.Graph, func(f string, in int64) planner.Prediction {
		e := book.Function(f).Predict(in)
		return planner.Prediction{Out: int64(e.Out.Value), Took: time.Duration(e.Took.Value), Cold: time.Duration(e.Cold.Value)}
	}))
	p.Work = work
	return p, err
}
