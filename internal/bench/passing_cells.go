package bench

import (
	"fmt"
	"math"
	"time"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/dag/planner"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/passing"
)

// passingCell is one DAG on one fleet, with one size of data and one fan-out.
type passingCell struct {
	dag, fleet string
	bytes      int64
	fan        int
}

func (c passingCell) String() string {
	return fmt.Sprintf("%s/%s/%s/%d", c.dag, c.fleet, roundBytes(c.bytes), c.fan)
}

// roundBytes writes sizes that are powers of two.
func roundBytes(n int64) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%dMiB", n>>20)
	case n >= 1<<10:
		return fmt.Sprintf("%dKiB", n>>10)
	}
	return fmt.Sprintf("%dB", n)
}

var (
	passingDAGs   = []string{"video", "training", "sort"}
	passingFleets = []string{"fast", "slow", "disks"}
)

// passingCells are all, or few of each kind.
func passingCells(quick bool) []passingCell {
	sizes, fans := []int64{1 << 10, 64 << 10, 1 << 20, 16 << 20, 256 << 20}, []int{1, 4, 16, 64}
	if quick {
		sizes, fans = []int64{1 << 10, 16 << 20}, []int{2, 16}
	}
	var cells []passingCell
	for _, d := range passingDAGs {
		for _, f := range passingFleets {
			for _, size := range sizes {
				for _, fan := range fans {
					cells = append(cells, passingCell{d, f, size, fan})
				}
			}
		}
	}
	return cells
}

// passingFunction is what a function truly does.
type passingFunction struct {
	fixed   time.Duration
	perByte float64 // seconds
	out     float64 // bytes of the result for each of the arguments
	fixOut  float64
}

func (f passingFunction) took(in float64) time.Duration {
	return f.fixed + time.Duration(f.perByte*in*1e9)
}

// The functions of the DAGs, after those of SONIC (§5.1): video analytics, the training of an ensemble, MapReduce sort.
var passingFunctions = map[string]passingFunction{
	"split":     {2 * time.Millisecond, 1e-9, 1, 0},
	"extract":   {3 * time.Millisecond, 20e-9, 0.5, 0},
	"classify":  {5 * time.Millisecond, 30e-9, 0, 200},
	"caption":   {time.Millisecond, 0, 0, 1000},
	"prepare":   {2 * time.Millisecond, 5e-9, 1, 0},
	"grid":      {500 * time.Microsecond, 0, 0, 2000},
	"train":     {5 * time.Millisecond, 10e-9, 0, 20_000},
	"ensemble":  {time.Millisecond, 1e-9, 0, 10_000},
	"partition": {time.Millisecond, 8e-9, 1, 0},
	"merge":     {time.Millisecond, 8e-9, 0, 64},
	"index":     {time.Millisecond, 0, 0, 1000},
}

// graph is the cell's DAG, with the inputs and the patterns that kinds do not tell.
func (c passingCell) graph() (*dag.Graph, []planner.Input, map[planner.Edge]planner.Pattern, error) {
	b := dag.New(c.dag)
	inputs := []planner.Input{{Bytes: c.bytes, Items: c.fan, Stored: true}}
	patterns := map[planner.Edge]planner.Pattern{}
	switch c.dag {
	case "video": // scatter → all-to-all
		chunks := b.Map("extract", "extract", b.Call("split", "split", b.Input("video")))
		b.Output("captions", b.Call("caption", "caption", b.Map("classify", "classify", chunks)))
		patterns[planner.Edge{Node: 2}] = planner.AllToAll
	case "training": // broadcast
		data := b.Call("prepare", "prepare", b.Input("data"))
		b.Output("model", b.Call("ensemble", "ensemble", b.Map("train", "train", b.Call("grid", "grid", b.Input("space")), data)))
		inputs = append(inputs, planner.Input{Bytes: 1000, Stored: true})
	case "sort": // all-to-all
		parts := b.Map("partition", "partition", b.Input("data"))
		b.Output("sorted", b.Call("index", "index", b.Map("merge", "merge", parts)))
		patterns[planner.Edge{Node: 1}] = planner.AllToAll
	default:
		return nil, nil, nil, fault.New(fault.Internal, "no DAG is called %s", c.dag)
	}
	g, err := b.Build()
	if err != nil {
		return nil, nil, nil, err
	}
	return g, inputs, patterns, nil
}

// passingFleet is three nodes of four slots each, with unlike networks.
func passingFleet(name string) (planner.Fleet, float64, error) {
	e := planner.Executor{Slots: 4, Out: 1.25e9, In: 1.25e9, Memory: 4e9}
	loopback := planner.Link{Bandwidth: 4e9, Latency: 50 * time.Microsecond}
	link := planner.Link{Bandwidth: 1.25e9, Latency: 100 * time.Microsecond}
	f := planner.Fleet{
		Store: planner.Store{Write: 1e9, Read: 2e9, WriteLatency: time.Millisecond, ReadLatency: 500 * time.Microsecond},
		Bus:   planner.Bus{Bandwidth: 400e6, Latency: 150 * time.Microsecond, Most: 64 << 10},
	}
	loss := 0.0
	switch name {
	case "fast": // 10 Gbit/s
	case "slow": // 1 Gbit/s, of which connections between nodes get a third, as they lose packets; the store is well connected
		e.Out, e.In = 125e6, 125e6
		link = planner.Link{Bandwidth: 60e6, Latency: 2 * time.Millisecond}
		loss = 0.002
		f.Store = planner.Store{Write: 500e6, Read: 500e6, WriteLatency: 8 * time.Millisecond, ReadLatency: 5 * time.Millisecond}
		f.Bus.Bandwidth, f.Bus.Latency = 60e6, 2*time.Millisecond
	case "disks": // fast links; what stays on a node passes through its disk, and the store's disks are slow
		e.Disk = 200e6
		f.Store.Write, f.Store.Read = 150e6, 300e6
		f.Store.WriteLatency, f.Store.ReadLatency = 5*time.Millisecond, 4*time.Millisecond
	default:
		return f, 0, fault.New(fault.Internal, "no fleet is called %s", name)
	}
	for k := range 3 {
		e.Name = fmt.Sprint("node", k)
		e.Warm = map[string]bool{}
		for fn := range passingFunctions {
			e.Warm[fn] = k == 0 // the others start their first instances cold
		}
		f.Executors = append(f.Executors, e)
		f.Links = append(f.Links, []planner.Link{link, link, link})
		f.Links[k][k] = loopback
	}
	return f, loss, nil
}

// passingCold is what the start of an instance takes: a wasm function restored from its snapshot, and some set-up.
const passingCold = 2 * time.Millisecond

// truth is what the cell really is.
func (c passingCell) truth() (*passing.Truth, error) {
	g, inputs, patterns, err := c.graph()
	if err != nil {
		return nil, err
	}
	fleet, loss, err := passingFleet(c.fleet)
	if err != nil {
		return nil, err
	}
	work, err := planner.Predict(g, inputs, c.split(g, func(f string, in int64) planner.Prediction {
		x := passingFunctions[f]
		return planner.Prediction{Out: int64(math.Round(x.out*float64(in) + x.fixOut)), Took: x.took(float64(in)), Cold: passingCold}
	}))
	if err != nil {
		return nil, err
	}
	return &passing.Truth{Problem: planner.Problem{Graph: g, Inputs: inputs, Work: work, Patterns: patterns, Fleet: fleet}, Loss: loss}, nil
}

// split asks a predictor by a function's name, and says how many elements lists have.
func (c passingCell) split(g *dag.Graph, predict func(string, int64) planner.Prediction) func(int, int64) planner.Prediction {
	return func(node int, in int64) planner.Prediction {
		p := predict(g.Nodes[node].Function, in)
		p.Items = c.fan
		return p
	}
}
