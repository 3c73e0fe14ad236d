package bench

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/fault"
)

// Compose is the suite of `squall bench compose`: what Squall adds to the least that a composition costs. The zero
// Compose, with a Launch, measures everything.
type Compose struct {
	Options

	Calls int    // of each case; 0 is 5,000. Cases with many outstanding make four times as many
	Guest string // directory of the Go package that is built to WebAssembly; "" is the one beside this source
}

const (
	composeCalls  = 5000
	quickCalls    = 240
	composeRounds = 20
	quickRounds   = 3
	cachedKeys    = 100_000
	quickKeys     = 2_000
	killings      = 7
	quickKillings = 1
	cachedReads   = 1 << 20
	quickReads    = 1 << 14
	manyCalls     = 4 // times Calls, with many outstanding
	bareCallWait  = 10 * time.Second
)

// The targets of issue A.
var composeTargets = []Target{
	{Ratio: "compose_same_over_floor", Limit: 1.25},
	{Ratio: "compose_cross_over_floor", Limit: 1.7},
	{Ratio: "throughput32_over_floor", Limit: 0.7, AtLeast: true},
	{Ratio: "native_hop_us", Limit: 3},
	{Ratio: "wasm_hop_us", Limit: 40},
	{Ratio: "wasm_bytes_hop_us", Limit: 40},
	{Ratio: "wasm_struct_hop_us", Limit: 130},
	{Ratio: "cache_hit_ns", Limit: 500},
	{Ratio: "cache_hit_allocs", Limit: 2},
	{Ratio: "durable_p50_us", Limit: 2000},
	{Ratio: "durable32_ops", Limit: 1500, AtLeast: true},
	{Ratio: "kill_to_answer_ms", Limit: 2000},
}

// chainLengths of functions.
var chainLengths = []int{1, 2, 4, 8, 16}

// compose is one run of the suite.
type compose struct {
	*suite
	Calls  int
	Guest  string
	url    string // of the NATS server
	client *client.Client
	nats   *node
	owner  *node // the coordinator
	first  *node // executors
	second *node
	next   atomic.Uint32 // arguments
	ends   []func()      // of what is neither a node nor the client
}

// Run measures, and ends all that it started. A wrong answer, a call that fails or a process that ends is an error.
func (s Compose) Run(ctx context.Context) (*Report, error) {
	if s.Calls == 0 {
		s.Calls = s.size(composeCalls, quickCalls)
	}
	if s.Calls < 0 {
		return nil, fault.New(fault.InvalidArgument, "%d calls: give a positive number, or 0 for %d", s.Calls, composeCalls)
	}
	return s.run(ctx, "compose", composeCases, composeTargets, func(ctx context.Context, own *suite) error {
		c := &compose{suite: own, Calls: s.Calls, Guest: s.Guest}
		defer c.close()
		c.next.Store(1<<16 + rand.Uint32N(1<<24))
		for _, part := range []func(context.Context) error{c.start, c.calls, c.durable, c.cache, c.kill} {
			if err := part(ctx); err != nil {
				return err
			}
		}
		c.ratios()
		return nil
	})
}

// start starts the processes that all cases share.
func (c *compose) start(ctx context.Context) (err error) {
	env := c.report.Env
	env["calls"], env["argument_bytes"], env["result_bytes"] = c.Calls, argBytes, resultBytes
	calls := c.wanted(caseSame, caseCross, caseNative, caseWasm, caseWasmBytes, caseWasmStruct, caseDurable, caseKill)
	if !calls && !c.wanted(caseFloor, caseFloorRequest) {
		return nil
	}
	c.progress.Begin("start processes", -1)
	store := filepath.Join(c.dir, "nats")
	if c.nats, c.url, err = c.fleet.start(nodeConfig{Role: roleNATS, Dir: store}); err != nil {
		return err
	}
	if !calls {
		return nil
	}
	if c.owner, _, err = c.fleet.start(nodeConfig{Role: roleCoordinator, URL: c.url}); err != nil {
		return err
	}
	c.first, _, err = c.fleet.start(nodeConfig{
		Role: roleExecutor, Name: "executor-1", URL: c.url, Functions: []string{fnIncrement, fnSquare, fnCrossIncrement},
		Wasm: c.wanted(caseWasm, caseWasmBytes, caseWasmStruct),
	})
	if err != nil {
		return err
	}
	c.second, _, err = c.fleet.start(nodeConfig{Role: roleExecutor, Name: "executor-2", URL: c.url, Functions: []string{fnCrossSquare}})
	if err != nil {
		return err
	}
	c.client, err = client.Connect(ctx, c.url)
	return err
}

func (c *compose) close() {
	for _, end := range c.ends {
		end()
	}
	if c.client != nil {
		_ = c.client.Close() // what is measured is measured
	}
}

// Names of cases.
const (
	caseFloor        = "floor"
	caseFloorRequest = "floor_request"
	caseTCP          = "tcp"
	caseSame         = "compose_same"
	caseCross        = "compose_cross"
	caseNative       = "native_chain"
	caseWasm         = "wasm_chain"
	caseWasmBytes    = "wasm_bytes_chain"
	caseWasmStruct   = "wasm_struct_chain"
	caseDurable      = "durable"
	caseFsync        = "fsync"
	caseCache        = "cache_hit"
	caseKill         = "kill"
)

var composeCases = []string{
	caseFloor, caseFloorRequest, caseTCP, caseSame, caseCross, caseNative, caseWasm, caseWasmBytes, caseWasmStruct, caseDurable, caseFsync,
	caseCache, caseKill,
}

func (c *compose) rounds() int { return c.size(composeRounds, quickRounds) }

// argument is one that no call had before, from 1<<16 up: always of the same length.
func (c *compose) argument() uint32 { return c.next.Add(1) }

// calls measures all calls that nothing outlives.
func (c *compose) calls(ctx context.Context) error {
	var loads []*load
	for _, add := range []func(context.Context) ([]*load, error){c.floors, c.compositions, c.chains} {
		more, err := add(ctx)
		if err != nil {
			return err
		}
		loads = append(loads, more...)
	}
	if len(loads) == 0 {
		return nil
	}
	if err := interleave(ctx, loads, c.rounds(), c.progress, "calls"); err != nil {
		return err
	}
	for _, l := range loads {
		c.report.Rows = append(c.report.Rows, l.row())
	}
	c.slopes(loads)
	return nil
}

// outstanding calls of the closed loops.
var outstanding = []int{1, 8, 32}

// loops makes one case of each number of outstanding calls.
func (c *compose) loops(name string, procs map[string]*node, call func(ctx context.Context, worker int) error) []*load {
	var loads []*load
	for _, n := range outstanding {
		if !c.wants(numbered(name, n)) {
			continue
		}
		calls := c.Calls
		if n > 1 {
			calls *= manyCalls
		}
		loads = append(loads, &load{name: numbered(name, n), outstanding: n, calls: calls, procs: procs, call: call})
	}
	return loads
}

// ratios draws the conclusions.
func (c *compose) ratios() {
	r := c.report
	row := func(name string, n int) *Row { return r.Row(numbered(name, n), "latency") }
	r.ratio("compose_same_over_floor", row(caseSame, 1), row(caseFloor, 1), p50)
	r.ratio("compose_cross_over_floor", row(caseCross, 1), row(caseFloor, 1), p50)
	r.ratio("throughput32_over_floor", row(caseSame, 32), row(caseFloor, 32), ops)
	r.ratio("throughput32_over_floor_request", row(caseSame, 32), row(caseFloorRequest, 32), ops)
	r.ratio("throughput32_cross_over_floor", row(caseCross, 32), row(caseFloor, 32), ops)
	r.figure("durable_p50_us", row(caseDurable, 1), p50)
	r.figure("durable32_ops", row(caseDurable, 32), ops)
	r.figure("cache_hit_ns", r.Row(caseCache, "read"), p50)
	r.figure("cache_hit_allocs", r.Row(caseCache, "allocations"), p50)
	r.figure("kill_to_answer_ms", r.Row(caseKill, "recovery"), p50)
}

// register registers a DAG of one input "x" and one output "y".
func (c *compose) register(ctx context.Context, name string, functions ...string) error {
	b := dag.New(name)
	at := b.Input("x")
	for i, f := range functions {
		at = b.Call("n"+strconv.Itoa(i), f, at)
	}
	b.Output("y", at)
	g, err := b.Build()
	if err != nil {
		return err
	}
	_, err = c.client.RegisterDAG(ctx, g)
	return err
}

// check compares an answer with what it should be.
func check[T comparable](got, want T, err error) error {
	if err == nil && got != want {
		return fault.New(fault.Internal, "%w: got %v, want %v", errWrongAnswer, got, want)
	}
	return err
}

// callDAG calls a DAG and gives its output.
func callDAG[O any](ctx context.Context, c *compose, name string, x any, opts ...client.CallOption) (O, error) {
	out, err := c.client.CallDAG(ctx, name, client.Inputs{"x": x}, opts...)
	if err != nil {
		var zero O
		return zero, err
	}
	return client.Output[O](out, "y")
}
